"""What a FETCH needs and where each item's octets are: decided once for a command, then applied to every row.

Items that a row holds ready for the wire (`FetchLine`) come first in each response, in the template's order; the
others, called sections here, follow in the client's order.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from mailserver.imap.wire.fetch_data import CLOSE, FetchLine, absent_section, binary_section, label_of, section
from mailserver.imap.wire.fetch_items import (
    BinarySection,
    BinarySize,
    BodySection,
    FetchAttribute,
    FetchItem,
    Partial,
    Section,
    SectionKind,
)
from mailserver.mime.body import body
from mailserver.mime.part import Part
from mailserver.mime.sections import SectionKind as MimeSection
from mailserver.mime.sections import header_fields, part_at, section_range
from mailserver.mime.structure import unpack
from mailserver.mime.transfer_encoding import decoded
from storage.rows import Columns, FetchRow

_VIEW_ITEMS = frozenset({FetchAttribute.UID, FetchAttribute.FLAGS})
_WIRE_ITEMS = frozenset({FetchAttribute.ENVELOPE, FetchAttribute.BODYSTRUCTURE, FetchAttribute.BODY})
_DETAILS = frozenset({FetchAttribute.SAVEDATE, FetchAttribute.EMAILID, FetchAttribute.PREVIEW})
_SECTION_ATTRIBUTES: dict[FetchAttribute, Section] = {
    FetchAttribute.RFC822: Section(),
    FetchAttribute.RFC822_HEADER: Section(kind=SectionKind.HEADER),
    FetchAttribute.RFC822_TEXT: Section(kind=SectionKind.TEXT),
}
_HEADER_KINDS = frozenset({SectionKind.HEADER, SectionKind.HEADER_FIELDS, SectionKind.HEADER_FIELDS_NOT})
_MIME_KINDS = {
    SectionKind.WHOLE: MimeSection.BODY,
    SectionKind.MIME: MimeSection.MIME,
    SectionKind.TEXT: MimeSection.TEXT,
    SectionKind.HEADER: MimeSection.HEADER,
    SectionKind.HEADER_FIELDS: MimeSection.HEADER,
    SectionKind.HEADER_FIELDS_NOT: MimeSection.HEADER,
}


class Form(Enum):
    """What the client gets of a section."""

    BODYSTRUCTURE = "BODY: the bodystructure without extensions"
    AS_IT_IS = "BODY[…]"
    DECODED = "BINARY[…]"
    DECODED_SIZE = "BINARY.SIZE[…]"


@dataclass(frozen=True, slots=True)
class Extent:
    """Octets of the message, to be read from its content."""

    offset: int
    octets: int


@dataclass(frozen=True, slots=True)
class FieldsOf:
    """Fields of a header that lies in the message's content, to be chosen by `Wanted.choose` once it is read."""

    extent: Extent


@dataclass(frozen=True, slots=True)
class Encoded:
    """A part whose transfer encoding is to be undone."""

    extent: Extent
    encoding: str
    is_text: bool


Found = bytes | Extent | FieldsOf | Encoded | None
"""An item's octets if the row holds them, else where they are; None: this message has no such section."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One section item. `section` None is BODY."""

    label: bytes
    section: Section | None
    partial: Partial | None = None
    form: Form = Form.AS_IT_IS

    def locate(self, row: FetchRow, root: Part | None) -> Found:
        if self.section is None:
            return body(row.bodystructure)
        if self.form is not Form.AS_IT_IS:
            return _encoded(self.section.path, row, root)
        if not self.section.path and self.section.kind in _HEADER_KINDS and len(row.header) == row.header_octets:
            return self.choose(row.header)
        extent = _extent(self.section, row, root)
        if extent is None:
            return None
        if self.section.fields:
            return FieldsOf(extent)
        return extent if self.partial is None else _narrowed(extent, self.partial)

    def choose(self, header: bytes) -> bytes:
        """The octets that the client gets of a header: all, or the fields it named; then the part of them it wants."""
        assert self.section is not None
        if self.section.fields:
            exclude = self.section.kind is SectionKind.HEADER_FIELDS_NOT
            header = header_fields(header, self.section.fields, exclude=exclude)
        return self.cut(header)

    def cut(self, octets: bytes) -> bytes:
        """The part of them that the client wants."""
        return (
            octets if self.partial is None else octets[self.partial.offset : self.partial.offset + self.partial.octets]
        )

    def item(self, found: bytes | None) -> bytes:
        """The item with what the row holds of it, or without."""
        if found is None:
            return self.label + b" 0" if self.form is Form.DECODED_SIZE else absent_section(self.label)
        return self.label + b" " + found if self.section is None else section(self.label, found)

    def item_of(self, found: Extent | FieldsOf | Encoded, octets: bytes) -> bytes:
        """The item, from the octets of the message that `found` named. Raises UnknownEncoding."""
        match found:
            case Extent():
                return section(self.label, octets)
            case FieldsOf():
                return section(self.label, self.choose(octets))
            case Encoded(_, encoding, is_text):
                plain = decoded(octets, encoding, is_text=is_text)
                if self.form is Form.DECODED_SIZE:
                    return b"%b %d" % (self.label, len(plain))
                return binary_section(self.label, self.cut(plain))


def _extent(section: Section, row: FetchRow, root: Part | None) -> Extent | None:
    if not section.path:  # the message itself needs no MIME index
        match section.kind:
            case SectionKind.WHOLE:
                return Extent(0, row.octets)
            case SectionKind.TEXT:
                return Extent(row.header_octets, row.octets - row.header_octets)
            case _:
                return Extent(0, row.header_octets)
    assert root is not None
    found = section_range(root, section.path, _MIME_KINDS[section.kind])
    return None if found is None else Extent(*found)


def _encoded(path: tuple[int, ...], row: FetchRow, root: Part | None) -> Encoded | None:
    """Only leaves have an encoding; the message itself, multiparts and messages within come as they are."""
    if not path:
        return Encoded(Extent(0, row.octets), "binary", is_text=False)
    assert root is not None
    part = part_at(root, path)
    if part is None:
        return None
    extent = Extent(part.body_offset, part.body_octets)
    if part.children:
        return Encoded(extent, "binary", is_text=False)
    return Encoded(extent, part.encoding, is_text=part.type == "text")


def _narrowed(extent: Extent, partial: Partial) -> Extent:
    skipped = min(partial.offset, extent.octets)
    return Extent(extent.offset + skipped, min(partial.octets, extent.octets - skipped))


@dataclass(frozen=True, slots=True)
class FetchPlan:
    """`line_with_flags` is the line for messages that this FETCH itself makes \\Seen."""

    items: frozenset[FetchItem]
    line: FetchLine
    line_with_flags: FetchLine
    sections: tuple[Wanted, ...]
    columns: Columns
    sets_seen: bool
    needs_content: bool

    @property
    def is_in_view(self) -> bool:
        """Can the selected mailbox's view answer it all?"""
        return self.items <= _VIEW_ITEMS

    @property
    def has_structure(self) -> bool:
        return Columns.STRUCTURE in self.columns

    def copied(self, number: int, row: FetchRow, *, is_recent: bool) -> bytes | None:
        """The whole response, where content is not needed; None when this row does not hold all of it."""
        pieces = []
        for wanted in self.sections:
            found = wanted.locate(row, None)
            if not isinstance(found, bytes):
                return None
            pieces.append(wanted.item(found))
        return self.line.begin(number, row, is_recent=is_recent) + b" ".join(pieces) + CLOSE

    def whole(self, line: FetchLine, number: int, row: FetchRow, octets: bytes, *, is_recent: bool) -> bytes:
        """The whole response of a message whose octets are here. Raises UnknownEncoding."""
        root = unpack(row.structure) if self.has_structure else None
        pieces = []
        for wanted in self.sections:
            found = wanted.locate(row, root)
            if found is None or isinstance(found, bytes):
                pieces.append(wanted.item(found))
            else:
                extent = found if isinstance(found, Extent) else found.extent
                pieces.append(wanted.item_of(found, octets[extent.offset : extent.offset + extent.octets]))
        return line.begin(number, row, is_recent=is_recent) + b" ".join(pieces) + CLOSE


def plan_fetch(items: Sequence[FetchItem], *, is_condstore: bool) -> FetchPlan:
    """`is_condstore`: where FLAGS are told because they changed, UID and MODSEQ go with them (RFC 7162 §3.2.4)."""
    sections = tuple(wanted for item in items if (wanted := _wanted(item)) is not None)
    sets_seen = any(_sets_seen(item) for item in items)
    line = line_with_flags = FetchLine(items)
    if sets_seen:
        told = (FetchAttribute.FLAGS, FetchAttribute.UID, FetchAttribute.MODSEQ) if is_condstore else _FLAGS_ALONE
        line_with_flags = FetchLine(tuple(dict.fromkeys((*items, *told))))
    return FetchPlan(
        items=frozenset(items),
        line=line,
        line_with_flags=line_with_flags,
        sections=sections,
        columns=_columns(items, sections),
        sets_seen=sets_seen,
        needs_content=any(_needs_content(wanted) for wanted in sections),
    )


_FLAGS_ALONE = (FetchAttribute.FLAGS,)


def _wanted(item: FetchItem) -> Wanted | None:
    match item:
        case BodySection(section=section, partial=partial):
            return Wanted(label_of(item), section, partial)
        case BinarySection(path=path, partial=partial):
            return Wanted(label_of(item), Section(path), partial, Form.DECODED)
        case BinarySize(path=path):
            return Wanted(label_of(item), Section(path), None, Form.DECODED_SIZE)
        case FetchAttribute.BODY:
            return Wanted(label_of(item), None, None, Form.BODYSTRUCTURE)
        case _ if item in _SECTION_ATTRIBUTES:
            return Wanted(label_of(item), _SECTION_ATTRIBUTES[item])
        case _:
            return None


def _columns(items: Sequence[FetchItem], sections: Sequence[Wanted]) -> Columns:
    columns = Columns.FACTS
    for item in items:
        if item in _WIRE_ITEMS:
            columns |= Columns.WIRE
        elif item in _DETAILS:
            columns |= Columns.DETAILS
    for wanted in sections:
        if wanted.section is None:
            continue
        if wanted.section.path:
            columns |= Columns.STRUCTURE
        elif wanted.form is Form.AS_IT_IS and wanted.section.kind in _HEADER_KINDS:
            columns |= Columns.HEADER
    return columns


def _sets_seen(item: FetchItem) -> bool:
    if isinstance(item, BodySection | BinarySection):
        return not item.peek
    return item in (FetchAttribute.RFC822, FetchAttribute.RFC822_TEXT)


def _needs_content(wanted: Wanted) -> bool:
    section = wanted.section
    return section is not None and (
        bool(section.path) or wanted.form is not Form.AS_IT_IS or section.kind not in _HEADER_KINDS
    )
