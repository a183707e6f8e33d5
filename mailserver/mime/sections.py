"""Which octets a body section names, and subsets of a header (RFC 3501 §6.4.5, RFC 9051 §6.4.5)."""

import re
from collections.abc import Collection
from enum import Enum, auto
from functools import lru_cache

from mailserver.mime.part import Part

_FOLDS = b" \t"
_FIELD_NAME = re.compile(rb"[!-9;-~]+")


class SectionKind(Enum):
    """What of a part is asked for."""

    BODY = auto()  # BODY[1.2]; with the empty path the whole message, BODY[]
    MIME = auto()
    HEADER = auto()
    TEXT = auto()


def section_range(root: Part, path: tuple[int, ...], kind: SectionKind) -> tuple[int, int] | None:
    """Offset and length of a section of the message whose root is `root`, or None if it has no such section."""
    if not path:
        if kind is SectionKind.MIME:
            return None
        return _of_message(root, kind)
    part = part_at(root, path)
    if part is None:
        return None
    if kind is SectionKind.BODY:
        return part.body_offset, part.body_octets
    if kind is SectionKind.MIME:
        return part.header_offset, part.header_octets
    if part.type != "message" or not part.children:
        return None
    return _of_message(part.children[0], kind)


def part_at(root: Part, path: tuple[int, ...]) -> Part | None:
    """The part that a path of numbers from 1 names. A message that is not multipart has itself as part 1."""
    part: Part | None = None
    for number in path:
        if part is None:
            members = _members_of_message(root)
        elif part.type == "message" and part.children:
            members = _members_of_message(part.children[0])
        else:
            members = part.children
        if not 1 <= number <= len(members):
            return None
        part = members[number - 1]
    return part


def _members_of_message(root: Part) -> list[Part]:
    return root.children if root.type == "multipart" else [root]


def _of_message(root: Part, kind: SectionKind) -> tuple[int, int]:
    match kind:
        case SectionKind.HEADER:
            return root.header_offset, root.header_octets
        case SectionKind.TEXT:
            return root.body_offset, root.body_octets
        case _:
            return root.header_offset, root.body_offset + root.body_octets - root.header_offset


def header_fields(header: bytes, names: Collection[bytes], *, exclude: bool) -> bytes:
    """The fields of a header section with the given names (any case), or with `exclude` all others, in their order.

    Octet for octet, folded lines included, then the section's own empty line if it has one. A line without a colon has
    no name: it is among all others, so that what HEADER.FIELDS leaves out HEADER.FIELDS.NOT has.
    """
    names = tuple(names)
    if not exclude and _ends_with_its_only_empty_line(header):
        pattern = _fields_named(names)
        if pattern is not None:
            found = b"".join(pattern.findall(b"\n" + header))
            return found[1:] + b"\n\r\n" if found else b"\r\n"
    return _line_by_line(header, names, exclude=exclude)


def _ends_with_its_only_empty_line(header: bytes) -> bool:
    if not header.endswith(b"\n\r\n") or header.startswith((b"\r\n", b"\n")):
        return False
    return header.find(b"\n\r\n") == len(header) - 3 and b"\n\n" not in header


@lru_cache(maxsize=256)
def _fields_named(names: tuple[bytes, ...]) -> re.Pattern[bytes] | None:
    """Finds whole fields, each with the line feed before it and without its own; None: some are no names of fields.

    It begins with an octet that the search can jump to: three times as fast as going line by line.
    """
    if not names or not all(map(_FIELD_NAME.fullmatch, names)):
        return None
    alternatives = b"|".join(sorted(map(re.escape, {name.lower() for name in names})))
    return re.compile(rb"\n(?:%b)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*" % alternatives, re.IGNORECASE)


def _line_by_line(header: bytes, names: tuple[bytes, ...], *, exclude: bool) -> bytes:
    wanted = _lowered(names)
    out: list[bytes] = []
    is_kept = exclude  # a folded line that begins the section goes with no field
    lines = header.split(b"\n")
    last = lines.pop()  # what follows the last line feed: usually nothing
    for line in lines:
        if line == b"\r" or not line:
            out.append(line)
            return b"\n".join(out) + b"\n"
        if line[0] not in _FOLDS:
            name, colon, _ = line.partition(b":")
            is_kept = (name.rstrip(b" \t").lower() in wanted and bool(colon)) != exclude
        if is_kept:
            out.append(line)
    if last and _is_kept(last, wanted, exclude=exclude, before=is_kept):
        out.append(last)
        return b"\n".join(out)
    out.append(b"")
    return b"\n".join(out)


@lru_cache(maxsize=256)
def _lowered(names: tuple[bytes, ...]) -> frozenset[bytes]:
    return frozenset(map(bytes.lower, names))


def _is_kept(line: bytes, wanted: frozenset[bytes], *, exclude: bool, before: bool) -> bool:
    """Whether a line is of a chosen field; a folded line goes with the one before."""
    if line[0] in _FOLDS:
        return before
    name, colon, _ = line.partition(b":")
    return (name.rstrip(b" \t").lower() in wanted and bool(colon)) != exclude
