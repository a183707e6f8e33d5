"""What a FETCH needs and where each item's octets are: decided once for a command, then applied to every row.

Items that a row holds ready for the wire (`FetchLine`) come first in each response, in the template's order; the
others, called sections here, follow in the client's order.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from mailserver.imap.wire.fetch_data import CLOSE, FetchLine, label_of, section
from mailserver.imap.wire.fetch_items import BodySection, FetchAttribute, FetchItem, Partial, Section, SectionKind
from mailserver.mime.body import body
from mailserver.mime.part import Part
from mailserver.mime.sections import SectionKind as MimeSection
from mailserver.mime.sections import header_fields, section_range
from storage.rows import Columns, FetchRow

_VIEW_ITEMS = frozenset({FetchAttribute.UID, FetchAttribute.FLAGS})
_WIRE_ITEMS = frozenset({FetchAttribute.ENVELOPE, FetchAttribute.BODYSTRUCTURE, FetchAttribute.BODY})
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


@dataclass(frozen=True, slots=True)
class Extent:
    """Octets of the message, to be read from its content."""

    offset: int
    octets: int


@dataclass(frozen=True, slots=True)
class FieldsOf:
    """Fields of a header that lies in the message's content, to be chosen by `Wanted.choose` once it is read."""

    header: Extent


@dataclass(frozen=True, slots=True)
class Wanted:
    """One section item. `section` None is BODY, the bodystructure without extensions."""

    label: bytes
    section: Section | None
    partial: Partial | None = None

    def locate(self, row: FetchRow, root: Part | None) -> bytes | Extent | FieldsOf | None:
        """The item's octets if the row holds them, else where they are; None: this message has no such section."""
        if self.section is None:
            return body(row.bodystructure)
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
        if self.partial is None:
            return header
        return header[self.partial.offset : self.partial.offset + self.partial.octets]


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
            pieces.append(wanted.label + b" " + found if wanted.section is None else section(wanted.label, found))
        return self.line.begin(number, row, is_recent=is_recent) + b" ".join(pieces) + CLOSE


def plan_fetch(items: Sequence[FetchItem], *, is_condstore: bool) -> FetchPlan:
    """`is_condstore`: where FLAGS are told because they changed, UID and MODSEQ go with them (RFC 7162 §3.2.4)."""
    sections = tuple(wanted for item in items if (wanted := _wanted(item)) is not None)
    told = (
        (FetchAttribute.FLAGS, FetchAttribute.UID, FetchAttribute.MODSEQ) if is_condstore else (FetchAttribute.FLAGS,)
    )
    return FetchPlan(
        items=frozenset(items),
        line=FetchLine(items),
        line_with_flags=FetchLine(tuple(dict.fromkeys((*items, *told)))),
        sections=sections,
        columns=_columns(items, sections),
        sets_seen=any(_sets_seen(item) for item in items),
        needs_content=any(_needs_content(wanted) for wanted in sections),
    )


def _wanted(item: FetchItem) -> Wanted | None:
    match item:
        case BodySection(section=section, partial=partial):
            return Wanted(label_of(item), section, partial)
        case FetchAttribute.BODY:
            return Wanted(label_of(item), None)
        case _ if item in _SECTION_ATTRIBUTES:
            return Wanted(label_of(item), _SECTION_ATTRIBUTES[item])
        case _:
            return None


def _columns(items: Sequence[FetchItem], sections: Sequence[Wanted]) -> Columns:
    columns = Columns.FACTS
    if any(item in _WIRE_ITEMS for item in items):
        columns |= Columns.WIRE
    for wanted in sections:
        if wanted.section is None:
            continue
        if wanted.section.path:
            columns |= Columns.STRUCTURE
        elif wanted.section.kind in _HEADER_KINDS:
            columns |= Columns.HEADER
    return columns


def _sets_seen(item: FetchItem) -> bool:
    if isinstance(item, BodySection):
        return not item.peek
    return item in (FetchAttribute.RFC822, FetchAttribute.RFC822_TEXT)


def _needs_content(wanted: Wanted) -> bool:
    section = wanted.section
    return section is not None and (bool(section.path) or section.kind not in _HEADER_KINDS)
