"""What senders are told of mail that arrived here: delivered, gone on to a group, or not (RFC 3461 §5.2, §6).

A notification is mail with the null reverse path, so nothing is ever told of it. Where it cannot be delivered itself it
is dropped with a line in the log; a null reverse path is told nothing (RFC 5321 §4.5.5).
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from functools import lru_cache
from mmap import mmap
from zoneinfo import ZoneInfo

from mailserver.dsn.compose import compose_dsn
from mailserver.dsn.facts import DsnFacts, Reader, RecipientReport
from mailserver.services.incoming import Addressee, IncomingMail
from storage.outgoing_types import Notify, ReturnContent, Submitter
from tenants.types import Resolution, TenantId

_NULL_RETURN_PATH = b"Return-Path: <>\r\n"
_OCTETS_LOOKED_AT = 1_200_000  # more than is ever given back


@dataclass(frozen=True, slots=True)
class Report:
    """What is to be told of one message. `octets` may be the message or its header; the rest as in `DsnFacts`."""

    tenant_id: TenantId
    reverse_path: str
    recipients: tuple[RecipientReport, ...]
    octets: bytes | mmap
    arrived_at: datetime
    received_from: str | None = None
    envelope_id: str | None = None
    return_content: ReturnContent | None = None
    queue_id: str | None = None
    future_release: str | None = None


class Writer:
    """Writes notifications in the reader's language. `clock` is aware UTC, `new_token` unique."""

    def __init__(
        self,
        hostname: str,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        new_token: Callable[[], str] = lambda: secrets.token_hex(12),
    ) -> None:
        self._hostname = hostname
        self._clock = clock
        self._new_token = new_token

    def write(self, report: Report, resolution: Resolution | None) -> IncomingMail:
        """The notification as mail to the reverse path, which is not null; `resolution` None: of another system."""
        octets = compose_dsn(self.facts(report, reader=reader_of(resolution), is_local=resolution is not None))
        return IncomingMail(
            _NULL_RETURN_PATH + octets,
            "",
            (Addressee(report.reverse_path, resolution, Notify.NEVER),),
            self._clock(),
            sender=Submitter(report.tenant_id, None),
            needs_utf8=not report.reverse_path.isascii(),
        )

    def facts(self, report: Report, *, reader: Reader, is_local: bool) -> DsnFacts:
        octets, is_whole = _returnable(report.octets)
        return DsnFacts(
            to=report.reverse_path,
            reader=reader,
            hostname=self._hostname,
            token=self._new_token(),
            written_at=self._clock(),
            recipients=report.recipients,
            octets=octets,
            arrived_at=report.arrived_at,
            received_from=report.received_from,
            envelope_id=report.envelope_id,
            return_content=report.return_content if is_whole else ReturnContent.HEADERS,
            is_utf8_welcome=is_local or not report.reverse_path.isascii(),
            queue_id=report.queue_id,
            future_release=report.future_release,
        )


def reader_of(resolution: Resolution | None) -> Reader:
    """The person who reads what goes there; of strangers nothing is known."""
    if resolution is None or not resolution.recipients:
        return Reader("en", UTC)
    person = resolution.recipients[0]
    return Reader(person.language, zone_named(person.time_zone))


@lru_cache(500)
def zone_named(name: str) -> tzinfo:
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, KeyError):  # no such zone, or no name of a zone at all
        return UTC


def wants(notify: Notify | None, event: Notify) -> bool:
    """Whether the sender is to be told. Who said nothing hears of failures and delays (RFC 3461 §4.1)."""
    return event is not Notify.SUCCESS if notify is None else bool(notify & event)


def _returnable(octets: bytes | mmap) -> tuple[bytes, bool]:
    """What of the message a report may give back, and whether that is all of it. The Return-Path of the door is not."""
    is_whole = len(octets) <= _OCTETS_LOOKED_AT
    if not is_whole:
        end = octets.find(b"\r\n\r\n", 0, _OCTETS_LOOKED_AT)
        octets = octets[: end + 4 if end >= 0 else _OCTETS_LOOKED_AT]
    kept = octets[:]
    return kept[kept.find(b"\r\n") + 2 :] if kept[:12].lower() == b"return-path:" else kept, is_whole
