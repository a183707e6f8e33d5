"""Who is at the other end of a connection, and the one message on its way (RFC 5321 §3.3)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from mailserver.mime.header_section import find_end
from mailserver.services.incoming import Addressee
from mailserver.services.spool import Spool
from mailserver.smtp.errors import HeaderTooBig
from mailserver.smtp.replies import Reply
from mailserver.smtp.trace import TlsFacts
from storage.outgoing_types import ReturnContent
from tenants.types import Principal, Resolution


@dataclass(slots=True)
class Client:
    """What is known of the client. `address` is its IP address, empty on a unix socket; `network` is what limits count.

    `name` is what it called itself, empty before HELO; `is_extended` says that it was EHLO or LHLO. `sign_out` ends the
    connection.
    """

    connection_id: str
    address: str
    network: str
    sign_out: Callable[[], None] = field(default=lambda: None, repr=False)
    name: str = ""
    is_extended: bool = False
    tls: TlsFacts | None = None
    principal: Principal | None = None


@dataclass(slots=True)
class Transaction:
    """From MAIL to the reply after the message. `message_id` is our trace id, not the Message-ID field.

    `is_utf8` says that MAIL had SMTPUTF8, `has_utf8_header` what the message then showed. `reached` counts the people
    and addresses elsewhere that the accepted paths come to, one of them perhaps several times. `release_at`: it is not
    to be sent before (RFC 4865), as `future_release` says.
    """

    message_id: str
    reverse_path: str
    envelope_id: str | None = None
    return_content: ReturnContent | None = None
    is_utf8: bool = False
    release_at: datetime | None = None
    future_release: str | None = None
    has_utf8_header: bool = False
    accepted: list[Addressee] = field(default_factory=list)
    has_refused_recipients: bool = False
    reached: int = 0

    def accept(self, addressee: Addressee) -> None:
        self.accepted.append(addressee)
        self.reached += _reach(addressee.resolution)

    def would_reach(self, resolution: Resolution | None) -> int:
        return self.reached + _reach(resolution)

    @property
    def needs_utf8(self) -> bool:
        """Whether the next system must know SMTPUTF8 as well; many say so of messages that do not need it."""
        return self.is_utf8 and (
            self.has_utf8_header
            or not self.reverse_path.isascii()
            or not all(each.path.isascii() for each in self.accepted)
        )


def _reach(resolution: Resolution | None) -> int:
    return 1 if resolution is None else len(resolution.recipients) + len(resolution.elsewhere)


class Arrival:
    """The message while its octets come: the header is judged and completed once it is whole, the rest is spooled.

    `on_header` gets the header section and returns what is to stand in its place, or raises a refusal. A refused
    arrival takes no more memory, and its end still has to be awaited.
    """

    __slots__ = ("_header", "_header_limit_octets", "_on_header", "began_at_s", "received_at", "refusal", "spool")

    def __init__(
        self,
        spool: Spool,
        *,
        received_at: datetime,
        began_at_s: float,
        header_limit_octets: int,
        on_header: Callable[[bytes], bytes],
    ) -> None:
        self.spool = spool
        self.received_at = received_at
        self.began_at_s = began_at_s
        self.refusal: Reply | None = None
        self._header: bytes | None = b""
        self._header_limit_octets = header_limit_octets
        self._on_header = on_header

    def write(self, octets: bytes) -> None:
        """Raises HeaderTooBig, SpoolUnavailable, and what `on_header` raises."""
        if self._header is None:
            self.spool.write(octets)
            return
        looked_at = len(self._header)
        octets = self._header + octets if looked_at else octets
        end = find_end(octets, looked_at)
        if end > self._header_limit_octets or (end < 0 and len(octets) > self._header_limit_octets):
            raise HeaderTooBig(self._header_limit_octets)
        if end < 0:
            self._header = octets
            return
        self._header = None
        self._write_whole(octets[:end], octets[end:])

    def finish(self) -> None:
        """The message is whole; one that never had an empty line is all header. Raises as `write` does."""
        if self._header is not None:
            header, self._header = self._header, None
            self._write_whole(header, b"")

    def _write_whole(self, header: bytes, rest: bytes) -> None:
        self.spool.write(self._on_header(header))
        if rest:
            self.spool.write(rest)
