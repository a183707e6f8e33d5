"""FETCH responses in wire form (RFC 3501 §7.4.2), at about a microsecond each.

A `FetchLine` is made once for a command. Its template has every fixed piece of text in place, so that a message costs
one formatting of values which are mostly stored octets already. Sections follow the template's items:

    small:   Fetched(line.begin(number, row) + section(label, octets) + CLOSE)
    large:   FetchStart(line.begin(number, row) + section_head(label, n)), FetchChunk(…) …, FetchEnd()

Several sections stand one after another with b" " between them.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from operator import attrgetter
from typing import Protocol

from mailserver.imap.wire.fetch_items import (
    BinarySection,
    BinarySize,
    BodySection,
    FetchAttribute,
    FetchItem,
    Partial,
)
from mailserver.imap.wire.object_ids import email_object_id, thread_object_id
from mailserver.imap.wire.strings import astring, string
from storage.types import Flags, MessageId, Modseq, SystemFlag, ThreadId, Uid

CLOSE = b")\r\n"

_MONTHS = (b"", b"Jan", b"Feb", b"Mar", b"Apr", b"May", b"Jun", b"Jul", b"Aug", b"Sep", b"Oct", b"Nov", b"Dec")

_FLAG_NAMES = (
    (SystemFlag.ANSWERED, b"\\Answered"),
    (SystemFlag.FLAGGED, b"\\Flagged"),
    (SystemFlag.DELETED, b"\\Deleted"),
    (SystemFlag.SEEN, b"\\Seen"),
    (SystemFlag.DRAFT, b"\\Draft"),
)


class FetchRow(Protocol):
    """What a line is made of. `envelope` and `bodystructure` may be None where they are not asked for."""

    @property
    def uid(self) -> Uid: ...
    @property
    def octets(self) -> int: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def flags(self) -> SystemFlag: ...
    @property
    def keywords(self) -> frozenset[str]: ...
    @property
    def modseq(self) -> Modseq: ...
    @property
    def envelope(self) -> bytes | None: ...
    @property
    def bodystructure(self) -> bytes | None: ...
    @property
    def message_id(self) -> MessageId: ...
    @property
    def email_id(self) -> MessageId | None: ...
    @property
    def thread_id(self) -> ThreadId: ...
    @property
    def saved_at(self) -> datetime | None: ...
    @property
    def preview(self) -> str: ...


def _join_names(bits: int, prefix: tuple[bytes, ...] = ()) -> bytes:
    return b" ".join([*prefix, *(name for flag, name in _FLAG_NAMES if bits & flag)])


_SYSTEM_FLAGS = tuple(_join_names(bits) for bits in range(32))
_SYSTEM_FLAGS_AND_RECENT = tuple(_join_names(bits, (b"\\Recent",)) for bits in range(32))


@lru_cache(maxsize=4096)
def _keyword_list(keywords: frozenset[str]) -> bytes:
    return " ".join(sorted(keywords)).encode("ascii")


def flag_names(flags: int, keywords: frozenset[str], is_recent: bool) -> bytes:
    """The inside of a flag list: system flags from their bits, keywords in alphabetical order."""
    system = _SYSTEM_FLAGS_AND_RECENT[flags] if is_recent else _SYSTEM_FLAGS[flags]
    if not keywords:
        return system
    return b"%b %b" % (system, _keyword_list(keywords)) if system else _keyword_list(keywords)


def flag_list(flags: Flags) -> bytes:
    """A flag list with its parentheses."""
    return b"(%b)" % flag_names(flags.system, flags.keywords, is_recent=False)


def internaldate(when: datetime) -> bytes:
    """`date-time` with its quotes; `when` is aware."""
    if when.tzinfo is UTC:
        zone = b"+0000"
    else:
        offset = when.utcoffset()
        minutes = round(offset.total_seconds() / 60) if offset else 0
        zone = b"%c%02d%02d" % (b"-" if minutes < 0 else b"+", *divmod(abs(minutes), 60))
    return b'"%2d-%b-%04d %02d:%02d:%02d %b"' % (
        when.day,
        _MONTHS[when.month],
        when.year,
        when.hour,
        when.minute,
        when.second,
        zone,
    )


def _received(row: FetchRow) -> bytes:
    return internaldate(row.received_at)


def _saved(row: FetchRow) -> bytes:
    return b"NIL" if row.saved_at is None else internaldate(row.saved_at)


def _email_id(row: FetchRow) -> bytes:
    return email_object_id(row.message_id if row.email_id is None else row.email_id)


def _thread_id(row: FetchRow) -> bytes:
    return thread_object_id(row.thread_id)


def _preview(row: FetchRow) -> bytes:
    return string(row.preview.encode())


_FORMS: dict[FetchAttribute, tuple[bytes, Callable[[FetchRow], object]]] = {
    FetchAttribute.UID: (b"UID %d", attrgetter("uid")),
    FetchAttribute.MODSEQ: (b"MODSEQ (%d)", attrgetter("modseq")),
    FetchAttribute.INTERNALDATE: (b"INTERNALDATE %b", _received),
    FetchAttribute.RFC822_SIZE: (b"RFC822.SIZE %d", attrgetter("octets")),
    FetchAttribute.ENVELOPE: (b"ENVELOPE %b", attrgetter("envelope")),
    FetchAttribute.BODYSTRUCTURE: (b"BODYSTRUCTURE %b", attrgetter("bodystructure")),
    FetchAttribute.SAVEDATE: (b"SAVEDATE %b", _saved),
    FetchAttribute.EMAILID: (b"EMAILID (%b)", _email_id),
    FetchAttribute.THREADID: (b"THREADID (%b)", _thread_id),
    FetchAttribute.PREVIEW: (b"PREVIEW %b", _preview),
}


class FetchLine:
    """The items of a FETCH that come from a row: all but BODY, RFC822… and sections, which are left to the caller."""

    def __init__(self, items: Iterable[FetchItem]) -> None:
        wanted = [item for item in items if isinstance(item, FetchAttribute)]
        forms = [_FORMS[item] for item in wanted if item in _FORMS]
        self._has_flags = FetchAttribute.FLAGS in wanted
        self._getters = tuple(getter for _, getter in forms)
        pieces = [b"FLAGS (%b)"] if self._has_flags else []
        pieces += [form for form, _ in forms]
        self._whole = b"* %d FETCH (" + b" ".join(pieces) + CLOSE
        self._beginning = b"* %d FETCH (" + b"".join(piece + b" " for piece in pieces)

    def whole(self, number: int, row: FetchRow, *, is_recent: bool = False) -> bytes:
        """The response for the message with this sequence number, complete. At least one item comes from the row."""
        return self._whole % self._values(number, row, is_recent)

    def begin(self, number: int, row: FetchRow, *, is_recent: bool = False) -> bytes:
        """The response up to where the next item is to stand."""
        return self._beginning % self._values(number, row, is_recent)

    def _values(self, number: int, row: FetchRow, is_recent: bool) -> tuple[object, ...]:
        if self._has_flags:
            names = flag_names(row.flags, row.keywords, is_recent)
            return (number, names, *[getter(row) for getter in self._getters])
        return (number, *[getter(row) for getter in self._getters])


def label_of(item: FetchItem) -> bytes:
    """How the response names the item: `BODY[1.HEADER.FIELDS (DATE)]<0>`, `BINARY.SIZE[2]`, `RFC822.TEXT`, `BODY`."""
    match item:
        case FetchAttribute():
            return item.value
        case BodySection():
            return _section_label(item)
        case BinarySection(path, partial):
            return b"BINARY[%b]%b" % (_path_label(path), _origin_label(partial))
        case BinarySize(path):
            return b"BINARY.SIZE[%b]" % _path_label(path)


def _section_label(item: BodySection) -> bytes:
    section = item.section
    label = _path_label(section.path)
    if section.kind.value:
        label = b"%b.%b" % (label, section.kind.value) if label else section.kind.value
    if section.fields:
        label += b" (%b)" % b" ".join([astring(field) for field in section.fields])
    return b"BODY[%b]%b" % (label, _origin_label(item.partial))


def _path_label(path: tuple[int, ...]) -> bytes:
    return b".".join([b"%d" % number for number in path])


def _origin_label(partial: Partial | None) -> bytes:
    return b"<%d>" % partial.offset if partial else b""


def section(label: bytes, octets: bytes) -> bytes:
    """An item with its octets."""
    return b"%b {%d}\r\n%b" % (label, len(octets), without_nul(octets))


def section_head(label: bytes, octets: int) -> bytes:
    """An item up to its octets."""
    return b"%b {%d}\r\n" % (label, octets)


def without_nul(octets: bytes) -> bytes:
    """No literal may hold a NUL (RFC 3501 §4.3). A message that came with one is shown with an 8-bit octet in its
    place, as other servers do: so its length stays what it is. BINARY gives it as it came.
    """
    return octets.replace(b"\0", b"\x80") if b"\0" in octets else octets


def binary_section(label: bytes, octets: bytes) -> bytes:
    """An item of RFC 3516 with its octets: a literal8 if there is a NUL among them."""
    return b"%b %b{%d}\r\n%b" % (label, b"~" if b"\0" in octets else b"", len(octets), octets)


def absent_section(label: bytes) -> bytes:
    """An item that this message does not have."""
    return label + b" NIL"
