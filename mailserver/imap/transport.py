"""The IMAP door: what a Twisted door says when it speaks IMAP."""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic

from mailserver.imap import metrics
from mailserver.imap.config import ImapConfig, framing_limits, framing_limits_before_sign_in
from mailserver.imap.session.conversation import Conversation, Services
from mailserver.imap.session.dialogue import Dialogue
from mailserver.imap.session.session import Session
from mailserver.imap.wire.encode import encode
from mailserver.imap.wire.response_codes import Code
from mailserver.imap.wire.responses import Bye
from mailserver.observability.logs import get_logger, new_connection_id
from mailserver.proxy_protocol import Network
from mailserver.services.exchanges import mechanisms
from mailserver.tls import ServerCertificate
from mailserver.twisted_door.door import Door
from mailserver.twisted_door.talk import Client, Limits
from tenants.types import Scope

log = get_logger()


@dataclass(frozen=True, slots=True)
class Listeners:
    """Sockets that listen already: `imap` for STARTTLS, `imaps` for TLS from the first octet."""

    imap: tuple[socket.socket, ...] = ()
    imaps: tuple[socket.socket, ...] = ()


async def start(
    config: ImapConfig,
    services: Services,
    listeners: Listeners,
    *,
    message_limit_octets: int,
    certificate: ServerCertificate | None,
    proxies: Sequence[Network] = (),
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Door:
    """Open the door. Twisted's reactor must be installed on the running loop (`asyncioreactor.install`)."""
    limits = framing_limits_before_sign_in(config)
    limits_signed_in = framing_limits(config, message_limit_octets=message_limit_octets)

    def begin(client: Client) -> Dialogue:
        talk = Conversation(
            services=services,
            peer=client.peer,
            log=log.bind(connection=new_connection_id()),
            wake=client.wake,
            now=now,
            sign_in_failures_left=config.sign_in_failures,
            is_encrypted=client.is_encrypted,
            can_encrypt=client.can_encrypt,
            append_limit_octets=message_limit_octets,
            mechanisms=mechanisms(services.logins, Scope.IMAP),
            sign_out=client.sign_out,
        )
        return Dialogue(Session(talk, monotonic), limits=limits, limits_signed_in=limits_signed_in)

    door = Door(
        "imap",
        Limits(
            autologout_s=config.autologout_s,
            sign_in_within_s=config.sign_in_within_s,
            write_timeout_s=config.write_timeout_s,
            connections=config.connections,
            connections_per_network=config.connections_per_network,
            buffered_octets=config.buffered_octets,
            strangers=config.connections_before_sign_in,
        ),
        metrics.DOOR,
        begin=begin,
        turned_away=lambda reason: encode(Bye(reason, Code.UNAVAILABLE)),
        certificate=certificate,
        proxies=proxies,
    )
    door.listen(listeners.imap, is_tls=False)
    door.listen(listeners.imaps, is_tls=True)
    return door
