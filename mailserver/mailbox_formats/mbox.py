"""mbox (RFC 4155) in its mboxrd variant: lines like `>*From ` get one more `>`, and lose it when read (pure).

RFC 4155 has LF where messages have CRLF. A message that would not come back the same from that (bare LF, CR CR LF) is
written as it is. The first field of each message, X-Waypost-Export, says which, and how many octets with which SHA-256
the message has, so that it is given back octet for octet although an mbox adds line ends at the end and Status fields
at the beginning. Other programs ignore it; what they change (mutt writes the Status fields anew) is found out by the
digest.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from mmap import mmap

from mailserver.mailbox_formats import line_ends
from mailserver.mailbox_formats.letters import status_fields
from storage.types import Flags

NOBODY = "MAILER-DAEMON"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TO_QUOTE = re.compile(rb"^(>*From )", re.MULTILINE)
_QUOTED = re.compile(rb"^>(>*From )", re.MULTILINE)
_RETURN_PATH = re.compile(rb"^Return-Path:[ \t]*<([!-;=?-~]{1,300})>", re.IGNORECASE)
_MARK = re.compile(
    rb"X-Waypost-Export: 1 (\d{1,10}) (\d{1,10}) (\d{1,12}) (lf|raw) ([0-9a-f]{64}) (\S{19,40}) (\d)\r?\n"
)


@dataclass(frozen=True, slots=True)
class Mark:
    """What X-Waypost-Export says. `lines` counts the lines before the message that are not of it, this one among
    them."""

    uidvalidity: int
    uid: int
    octets: int
    is_raw: bool
    sha256: str
    received_at: datetime
    lines: int


def sha256_of(octets: bytes | mmap) -> str:
    running = hashlib.sha256()
    for piece in line_ends.pieces(octets):
        running.update(piece)
    return running.hexdigest()


def written(
    octets: bytes | mmap, *, uidvalidity: int, uid: int, received_at: datetime, flags: Flags, is_recent: bool
) -> Iterator[bytes]:
    """A message as an mbox has it, from its From line to the empty line behind it."""
    is_raw = not line_ends.is_reversible(octets)
    fields = status_fields(flags, is_recent=is_recent)
    mark = Mark(
        uidvalidity, uid, len(octets), is_raw, sha256_of(octets), received_at.astimezone(UTC), lines=1 + len(fields)
    )
    found = _RETURN_PATH.match(octets[:400])
    yield b"\n".join([_from_line(found[1] if found else NOBODY.encode(), received_at), _marked(mark), *fields, b""])
    last = b"\n"
    for piece in line_ends.pieces(octets):
        on_disk = _TO_QUOTE.sub(rb">\1", piece if is_raw else line_ends.to_lf(piece))
        last = on_disk[-1:]
        yield on_disk
    yield b"\n" if last == b"\n" else b"\n\n"


def unquoted(octets: bytes | mmap, start: int, end: int) -> Iterator[bytes]:
    for piece in line_ends.pieces(octets, start, end):
        yield _QUOTED.sub(rb"\1", piece) if b"From " in piece else piece


def read_mark(octets: bytes | mmap, at: int) -> Mark | None:
    """Of the field that begins there, if it is one of ours."""
    found = _MARK.match(octets[at : at + 300])
    if found is None:
        return None
    uidvalidity, uid, length, form, digest, moment, lines = found.groups()
    try:
        received_at = datetime.fromisoformat(moment.decode())
        received_at = received_at.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return Mark(int(uidvalidity), int(uid), int(length), form == b"raw", digest.decode(), received_at, int(lines))


def _marked(mark: Mark) -> bytes:
    form = "raw" if mark.is_raw else "lf"
    moment = mark.received_at.isoformat().replace("+00:00", "Z")
    return (
        f"X-Waypost-Export: 1 {mark.uidvalidity} {mark.uid} {mark.octets} {form} {mark.sha256} {moment} {mark.lines}"
    ).encode()


def _from_line(address: bytes, at: datetime) -> bytes:
    """The date is that of asctime, in UTC (RFC 4155, appendix A)."""
    at = at.astimezone(UTC)
    return b"From %s %s %s %2d %02d:%02d:%02d %04d" % (
        address, _DAYS[at.weekday()].encode(), _MONTHS[at.month - 1].encode(), at.day, at.hour, at.minute, at.second,
        at.year,
    )  # fmt: skip
