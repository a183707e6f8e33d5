"""What FETCH can ask for (RFC 3501 §6.4.5 `fetch-att`, and extensions). Macros are gone after parsing."""

from dataclasses import dataclass
from enum import Enum


class FetchAttribute(Enum):
    """The items without parameters; the value is the name on the wire, in the request and in the answer.

    RFC822 and RFC822.TEXT set \\Seen as BODY[] and BODY[TEXT] do; RFC822.HEADER does not. MODSEQ is of RFC 7162,
    SAVEDATE of RFC 8514, EMAILID and THREADID of RFC 8474, PREVIEW of RFC 8970: LAZY asks for nothing else here, since
    previews are kept.
    """

    UID = b"UID"
    FLAGS = b"FLAGS"
    MODSEQ = b"MODSEQ"
    INTERNALDATE = b"INTERNALDATE"
    RFC822_SIZE = b"RFC822.SIZE"
    ENVELOPE = b"ENVELOPE"
    BODYSTRUCTURE = b"BODYSTRUCTURE"
    BODY = b"BODY"
    RFC822 = b"RFC822"
    RFC822_HEADER = b"RFC822.HEADER"
    RFC822_TEXT = b"RFC822.TEXT"
    SAVEDATE = b"SAVEDATE"
    EMAILID = b"EMAILID"
    THREADID = b"THREADID"
    PREVIEW = b"PREVIEW"


class SectionKind(Enum):
    """Which octets of a part; the value is the word between the brackets, after the part's path."""

    WHOLE = b""
    HEADER = b"HEADER"
    HEADER_FIELDS = b"HEADER.FIELDS"
    HEADER_FIELDS_NOT = b"HEADER.FIELDS.NOT"
    TEXT = b"TEXT"
    MIME = b"MIME"


@dataclass(frozen=True, slots=True)
class Section:
    """`section-spec`: `1.2.HEADER` is path (1, 2) and HEADER; an empty path is the message itself.

    MIME has a path. `fields` are given for HEADER.FIELDS and HEADER.FIELDS.NOT only, spelt as the client spelt them.
    """

    path: tuple[int, ...] = ()
    kind: SectionKind = SectionKind.WHOLE
    fields: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Partial:
    """`<offset.octets>`: a window on the section, cut off at its end; `octets` is at least 1."""

    offset: int
    octets: int


@dataclass(frozen=True, slots=True)
class BodySection:
    """BODY[section]<partial> and BODY.PEEK[section]<partial>; without peek it sets \\Seen."""

    section: Section
    partial: Partial | None = None
    peek: bool = False


@dataclass(frozen=True, slots=True)
class BinarySection:
    """BINARY[path]<partial> and BINARY.PEEK[path]<partial> (RFC 3516 §4.2): a part, its transfer encoding undone."""

    path: tuple[int, ...]
    partial: Partial | None = None
    peek: bool = False


@dataclass(frozen=True, slots=True)
class BinarySize:
    """BINARY.SIZE[path]: how many octets BINARY[path] has."""

    path: tuple[int, ...]


FetchItem = FetchAttribute | BodySection | BinarySection | BinarySize
