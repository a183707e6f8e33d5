"""Finding the messages of an mbox, whoever wrote it, and what they were before they were put there (pure).

A message begins with a line `From ADDRESS DATE`, first in the file or after an empty line; without a date in that line
it is a line of text. Where Content-Length is given and another message (or the end) follows just there, it is believed,
and nothing was quoted: mutt and Dovecot write so.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from mmap import mmap

from mailserver.mailbox_formats.line_ends import pieces, to_crlf
from mailserver.mailbox_formats.mbox import Mark, read_mark, unquoted

HEADER_AT_MOST_OCTETS = 1024 * 1024
_LINE = re.compile(rb"From [^\n]{0,500}(?:\n|\Z)")
_DATE = re.compile(
    rb"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun),? +(?:([A-Z][a-z]{2}) +(\d{1,2})|(\d{1,2}) +([A-Z][a-z]{2}))(?: +(\d{4}))?"
    rb" +(\d{1,2}):(\d\d)(?::(\d\d))?([^\n]*)"
)
_YEAR = re.compile(rb"(?:^| )(\d{4})(?!\d)")
_OFFSET = re.compile(rb"([+-])(\d\d)(\d\d)")
_MONTHS = {name: number for number, name in enumerate(b"Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_EMPTY_LINES = re.compile(rb"[\r\n]{1,100}")
_HEADER_END = re.compile(rb"^\r?\n", re.MULTILINE)
_CONTENT_LENGTH = re.compile(rb"^Content-Length:[ \t]*(\d{1,12})[ \t]*\r?$", re.MULTILINE | re.IGNORECASE)
_ENDS = (b"", b"\n", b"\r\n", b"\n\n", b"\r\n\r\n")
# What programs that keep an mbox write into headers for themselves.
_KEPT_BY_PROGRAMS = re.compile(
    rb"^(?:X-Waypost-Export|Status|X-Status|X-Keywords|X-UID|X-IMAP|X-IMAPbase|X-Mozilla-Status2?|X-Mozilla-Keys"
    rb"|Content-Length|Lines):[^\n]*\n(?:[ \t][^\n]*\n)*",
    re.MULTILINE | re.IGNORECASE,
)
_FIELD = re.compile(rb"^([A-Za-z0-9-]+):([^\n]*)\n((?:[ \t][^\n]*\n)*)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Entry:
    """A message in the file: where its From line and its own octets begin and end. `is_quoted`: `>From ` loses a `>`.

    `mark` is ours, if it is the first field."""

    at: int
    start: int
    end: int
    sent_at: datetime | None
    is_quoted: bool
    mark: Mark | None


@dataclass(frozen=True, slots=True)
class Header:
    """An entry's header without what programs wrote there for themselves, and that by lower-case names."""

    octets: bytes
    fields: dict[str, str]
    marks: tuple[Mark, ...]
    body: int
    is_internal: bool


def is_mbox(octets: bytes | mmap) -> bool:
    """Does it begin with a message? An empty file is an mbox without messages."""
    first = _first(octets)
    return first == len(octets) or _from_line(octets, first) is not None


def entries(octets: bytes | mmap) -> Iterator[Entry]:
    at = _first(octets)
    while (line := _from_line(octets, at)) is not None:
        start = at + len(line)
        mark = read_mark(octets, start)
        end, following = _by_content_length(octets, start) if mark is None else (-1, -1)
        is_quoted = end < 0
        if is_quoted:
            end, following = _by_from_line(octets, start)
        yield Entry(at, start, end, _moment(line), is_quoted, mark)
        at = following


def header_of(octets: bytes | mmap, entry: Entry) -> Header:
    limit = min(entry.end, entry.start + HEADER_AT_MOST_OCTETS)
    whole = octets[entry.start : limit]
    found = _HEADER_END.search(whole)
    end = found.start() if found else len(whole)
    head = whole[:end]
    fields = _fields(b"".join(each[0] for each in _KEPT_BY_PROGRAMS.finditer(head)))
    marks = tuple(
        mark
        for each in re.finditer(rb"^X-Waypost-Export:", head, re.MULTILINE)
        if (mark := read_mark(head, each.start()))
    )
    is_internal = "x-imap" in fields and b"DON'T DELETE THIS MESSAGE" in head
    return Header(_KEPT_BY_PROGRAMS.sub(b"", head), fields, marks, entry.start + end, is_internal)


def exported(octets: bytes | mmap, entry: Entry, mark: Mark) -> tuple[dict[str, str], Iterator[bytes]]:
    """What `mbox.written` put before a message, and the message, if nobody altered it since; perhaps more behind it."""
    start = entry.start
    for _ in range(mark.lines):
        start = octets.find(b"\n", start, entry.end) + 1 or entry.end
    content = unquoted(octets, start, entry.end)
    fields = _fields(octets[entry.start : min(start, entry.start + HEADER_AT_MOST_OCTETS)])
    return fields, content if mark.is_raw else map(to_crlf, content)


def altered(octets: bytes | mmap, entry: Entry, header: Header) -> Iterator[bytes]:
    """The message without what programs wrote into its header, with CRLF."""
    return map(to_crlf, _altered(octets, entry, header, header.body))


def altered_raw(octets: bytes | mmap, entry: Entry, header: Header) -> Iterator[bytes]:
    """The same with line ends as they are; but mutt ends the header it has written anew with an LF, whatever was
    there."""
    body = header.body
    if header.octets.endswith(b"\r\n") and octets[body : body + 1] == b"\n":
        return chain((_head(entry, header), b"\r\n"), _body(octets, entry, body + 1))
    return _altered(octets, entry, header, body)


def _altered(octets: bytes | mmap, entry: Entry, header: Header, body: int) -> Iterator[bytes]:
    return chain((_head(entry, header),), _body(octets, entry, body))


def _head(entry: Entry, header: Header) -> bytes:
    return b"".join(unquoted(header.octets, 0, len(header.octets))) if entry.is_quoted else header.octets


def _body(octets: bytes | mmap, entry: Entry, start: int) -> Iterator[bytes]:
    return (unquoted if entry.is_quoted else pieces)(octets, start, entry.end)


def _first(octets: bytes | mmap) -> int:
    """Behind empty lines at the beginning, which some programs leave."""
    found = _EMPTY_LINES.match(octets)
    return found.end() if found else 0


def _fields(header: bytes) -> dict[str, str]:
    return {
        name.decode().lower(): (value + b" " + more).decode("utf-8", "replace").strip()
        for name, value, more in _FIELD.findall(header)
    }


def _from_line(octets: bytes | mmap, at: int) -> bytes | None:
    """The line there, with its end, if it is one that begins a message."""
    found = _LINE.match(octets, at) if at < len(octets) else None
    return found[0] if found is not None and _DATE.search(found[0]) else None


def _by_from_line(octets: bytes | mmap, start: int) -> tuple[int, int]:
    """Where the message ends and the next one begins, by the next From line after an empty line."""
    look = start - 1
    while True:
        line_end = octets.find(b"\nFrom ", look)
        if line_end < 0:
            end = len(octets)
            return (_without_empty_line(octets, start, end), end)
        before = octets[max(start - 1, line_end - 2) : line_end]
        if (before.endswith(b"\n") or before == b"\n\r") and _from_line(octets, line_end + 1) is not None:
            return max(start, line_end - before.endswith(b"\r")), line_end + 1
        look = line_end + 1


def _without_empty_line(octets: bytes | mmap, start: int, end: int) -> int:
    """At the end of the file: the last line is the empty one that closes a message, if there is one."""
    tail = octets[max(start - 1, end - 3) : end]
    if tail.endswith(b"\n\r\n"):
        return max(start, end - 2)
    return max(start, end - 1) if tail.endswith(b"\n\n") else end


def _by_content_length(octets: bytes | mmap, start: int) -> tuple[int, int]:
    whole = octets[start : start + HEADER_AT_MOST_OCTETS]
    header_end = _HEADER_END.search(whole)
    found = _CONTENT_LENGTH.search(whole, 0, header_end.start()) if header_end else None
    if header_end is None or found is None:
        return -1, -1
    end = start + header_end.end() + int(found[1])
    if end > len(octets):
        return -1, -1
    for line_end in (b"\n", b"\r\n", b""):
        following = end + len(line_end)
        if octets[end:following] == line_end and _from_line(octets, following) is not None:
            return end, following
    return (end, len(octets)) if octets[end : end + 5] in _ENDS else (-1, -1)


def _moment(line: bytes) -> datetime | None:
    """In UTC, as RFC 4155 has it, unless the line gives an offset."""
    found = _DATE.search(line)
    assert found is not None
    month, day, day_first, month_second, year, hour, minute, second, rest = found.groups()
    later = _YEAR.search(rest)
    year = year or (later[1] if later else b"0")
    offset = _OFFSET.search(rest)
    try:
        moment = datetime(
            int(year), _MONTHS.get(month or month_second, 0), int(day or day_first), int(hour), int(minute),
            min(int(second or 0), 59), tzinfo=UTC,
        )  # fmt: skip
        if offset is None:
            return moment
        away = timedelta(hours=int(offset[2]), minutes=int(offset[3]))
        return moment - away if offset[1] == b"+" else moment + away
    except (ValueError, OverflowError):
        return None
