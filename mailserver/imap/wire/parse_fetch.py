"""FETCH and UID FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4)."""

import re

from mailserver.imap.wire.commands import Fetch, Tag
from mailserver.imap.wire.cursor import MAX_NUMBER64, Cursor
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
from mailserver.imap.wire.parse_messages import sequence_set, uid_set
from mailserver.imap.wire.parse_search import partial_range
from mailserver.imap.wire.search_options import PartialRange
from mailserver.imap.wire.sequence import SequenceSet, UidSet
from storage.types import Modseq

_FAST = (FetchAttribute.FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE)
_MACROS = {
    b"FAST": _FAST,
    b"ALL": (*_FAST, FetchAttribute.ENVELOPE),
    b"FULL": (*_FAST, FetchAttribute.ENVELOPE, FetchAttribute.BODY),
}
_ATTRIBUTES: dict[bytes, FetchAttribute] = {attribute.value: attribute for attribute in FetchAttribute}
_NAME = re.compile(rb"[A-Za-z0-9.]+")
_PATH = re.compile(rb"[0-9]+(?:\.[0-9]+)*")
_KINDS: dict[bytes, SectionKind] = {kind.value: kind for kind in SectionKind if kind.value}
_WITH_FIELDS = (SectionKind.HEADER_FIELDS, SectionKind.HEADER_FIELDS_NOT)


def parse_fetch(cursor: Cursor, tag: Tag) -> Fetch:
    messages = sequence_set(cursor)
    return _fetch(cursor, tag, messages, {})


def parse_uid_fetch(cursor: Cursor, tag: Tag) -> Fetch:
    messages = uid_set(cursor)
    return _fetch(cursor, tag, messages, {FetchAttribute.UID: None})


def _fetch(cursor: Cursor, tag: Tag, messages: SequenceSet | UidSet, items: dict[FetchItem, None]) -> Fetch:
    cursor.space("what to fetch")
    if cursor.accept(b"("):
        while True:
            items[_item(cursor)] = None
            if cursor.accept(b")"):
                break
            if len(items) > cursor.limits.fetch_items:
                raise cursor.error(f"more than {cursor.limits.fetch_items} items to fetch")
            cursor.space("another item, or `)`")
    else:
        items.update(dict.fromkeys(_item_or_macro(cursor)))
    changed_since, vanished, partial = None, False, None
    if cursor.accept(b" ("):
        changed_since, vanished, partial = _modifiers(cursor)
        if changed_since is not None:
            items[FetchAttribute.MODSEQ] = None
    if (vanished or partial is not None) and isinstance(messages, SequenceSet):
        raise cursor.error("VANISHED and PARTIAL are modifiers of UID FETCH alone")
    return Fetch(tag, messages, tuple(items), changed_since, vanished, partial)


def _modifiers(cursor: Cursor) -> tuple[Modseq | None, bool, PartialRange | None]:
    """CHANGEDSINCE, with it VANISHED, and PARTIAL, in any order (RFC 7162 §3.1.4.1, §3.2.6, RFC 9394 §3.3)."""
    changed_since: Modseq | None = None
    vanished = False
    partial: PartialRange | None = None
    while True:
        name = cursor.word("a modifier")
        if name == b"CHANGEDSINCE" and changed_since is None:
            cursor.space("a mod-sequence")
            changed_since = Modseq(cursor.number("a mod-sequence", largest=MAX_NUMBER64))
        elif name == b"VANISHED":
            vanished = True
        elif name == b"PARTIAL" and partial is None:
            cursor.space("a range of messages")
            partial = partial_range(cursor)
        else:
            raise cursor.error("the modifiers are CHANGEDSINCE, VANISHED and PARTIAL, each once")
        if cursor.accept(b")"):
            break
        cursor.space("another modifier, or `)`")
    if vanished and changed_since is None:
        raise cursor.error("VANISHED comes with CHANGEDSINCE")
    return changed_since, vanished, partial


def _item_or_macro(cursor: Cursor) -> tuple[FetchItem, ...]:
    start = cursor.position
    name = cursor.match(_NAME)
    if name and (macro := _MACROS.get(name[0].upper())):
        return macro
    cursor.position = start
    return (_item(cursor),)


def _item(cursor: Cursor) -> FetchItem:
    found = cursor.match(_NAME)
    if not found:
        raise cursor.error("expected an item to fetch")
    name = found[0].upper()
    if cursor.accept(b"["):
        return _of_section(cursor, name)
    if name not in _ATTRIBUTES:
        raise cursor.error(f"there is no item {name.decode('ascii')} to fetch")
    if name == b"PREVIEW" and cursor.accept_word(b" (LAZY"):
        cursor.expect(b")", "after LAZY")
    return _ATTRIBUTES[name]


def _of_section(cursor: Cursor, name: bytes) -> FetchItem:
    match name:
        case b"BODY" | b"BODY.PEEK":
            section = _section(cursor)
            return BodySection(section, _partial(cursor), peek=name == b"BODY.PEEK")
        case b"BINARY" | b"BINARY.PEEK":
            path = _path(cursor)
            cursor.expect(b"]", "after the part")
            return BinarySection(path, _partial(cursor), peek=name == b"BINARY.PEEK")
        case b"BINARY.SIZE":
            path = _path(cursor)
            cursor.expect(b"]", "after the part")
            return BinarySize(path)
        case _:
            raise cursor.error("only BODY, BODY.PEEK, BINARY, BINARY.PEEK and BINARY.SIZE have a section")


def _section(cursor: Cursor) -> Section:
    path = _path(cursor)
    if path and not cursor.accept(b"."):
        cursor.expect(b"]", "after the section")
        return Section(path)
    if not path and cursor.accept(b"]"):
        return Section()
    found = cursor.match(_NAME)
    kind = _KINDS.get(found[0].upper()) if found else None
    if kind is None or (kind is SectionKind.MIME and not path):
        raise cursor.error("a section is HEADER, HEADER.FIELDS, HEADER.FIELDS.NOT, TEXT, or of a part: MIME")
    fields = _fields(cursor) if kind in _WITH_FIELDS else ()
    cursor.expect(b"]", "after the section")
    return Section(path, kind, fields)


def _path(cursor: Cursor) -> tuple[int, ...]:
    found = cursor.match(_PATH)
    if not found:
        return ()
    parts = found[0].split(b".")
    if len(parts) > cursor.limits.section_depth:
        raise cursor.error(f"a section is at most {cursor.limits.section_depth} parts deep")
    if any(part.startswith(b"0") or len(part) > 9 for part in parts):
        raise cursor.error("parts are counted from 1")
    return tuple([int(part) for part in parts])


def _fields(cursor: Cursor) -> tuple[bytes, ...]:
    cursor.space("names of header fields")
    cursor.expect(b"(", "before the names of header fields")
    fields: list[bytes] = []
    while True:
        fields.append(cursor.astring("the name of a header field"))
        if cursor.accept(b")"):
            return tuple(fields)
        cursor.space("another name, or `)`")


def _partial(cursor: Cursor) -> Partial | None:
    if not cursor.accept(b"<"):
        return None
    offset = cursor.number("the first octet wanted", largest=MAX_NUMBER64)
    cursor.expect(b".", "between offset and octets")
    octets = cursor.number("how many octets are wanted", smallest=1, largest=MAX_NUMBER64)
    cursor.expect(b">", "after the octets wanted")
    return Partial(offset, octets)
