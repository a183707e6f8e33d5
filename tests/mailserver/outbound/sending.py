"""Letters, addressees and a site for tests of the exchange."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace

from mailserver.outbound.config import ExchangeConfig
from mailserver.outbound.exchange import Exchange
from mailserver.outbound.outcomes import Outcome
from mailserver.outbound.sites import Credentials, Host, Security, Site
from storage.outgoing_types import BodyKind, Notify, ReturnContent
from tests.outbound_peers.smtp_peer import SmtpPeer

CONTENT = b"From: ann@demo.test\r\nSubject: Hello\r\n\r\nA line.\r\n.a dot\r\n..two\r\n.\r\nThe end.\r\n"

QUICK = ExchangeConfig(
    connect_timeout_s=1.0,
    greeting_timeout_s=0.3,
    hello_timeout_s=0.3,
    tls_handshake_timeout_s=0.3,
    opening_timeout_s=1.0,
    command_timeout_s=0.3,
    data_timeout_s=0.3,
    block_timeout_s=0.3,
    end_timeout_s=0.3,
    quit_timeout_s=0.2,
    idle_s=5.0,
    head_start_s=0.1,
)


@dataclass(frozen=True, slots=True)
class Mail:
    reverse_path: str = "ann@demo.test"
    octets: int = len(CONTENT)
    envelope_id: str | None = None
    return_content: ReturnContent | None = None
    needs_utf8: bool = False
    body: BodyKind = BodyKind.EIGHTBIT


@dataclass(frozen=True, slots=True)
class To:
    address: str
    original_recipient: str | None = None
    notify: Notify | None = None


BOB = To("bob@peer.test")
CAT = To("cat@peer.test")


def pieces_of(*pieces: bytes) -> Callable[[], AsyncIterator[bytes]]:
    async def read() -> AsyncIterator[bytes]:
        for piece in pieces:
            yield piece

    return read


def site_of(*peers: SmtpPeer, security: Security = Security.OPPORTUNISTIC, name: str = "peer.test") -> Site:
    """Hosts in this order; they stand at different loopback addresses and share a port."""
    hosts = tuple(Host(f"mx{number}.{name}", (peer.host,)) for number, peer in enumerate(peers))
    return Site(f"{name}:{peers[0].port}", hosts, peers[0].port, security)


async def send(
    exchange: Exchange,
    site: Site,
    *addressees: To,
    letter: Mail | None = None,
    content: Sequence[bytes] = (CONTENT,),
) -> list[Outcome]:
    return await exchange.exchange(site, letter or Mail(), addressees or (BOB,), pieces_of(*content))


def smarthost(peer: SmtpPeer, security: Security, credentials: Credentials | None = None) -> Site:
    site = site_of(peer, security=security)
    return replace(site, credentials=credentials, is_smarthost=True, hosts=(Host("localhost", (peer.host,)),))
