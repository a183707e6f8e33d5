"""What a client wants of Emails, read from the arguments that Email/get and Email/parse share (RFC 8621 §4.2, §4.9)."""

from collections.abc import Collection
from dataclasses import dataclass

from webmail.jmap.arguments import Arguments
from webmail.jmap.errors import InvalidArguments
from webmail.jmap.header_properties import CONVENIENCE, HeaderProperty, NotAHeaderProperty, parse_header_property

MOST_PROPERTIES = 200
"""Of one call, whose work grows with them for each message and part."""
METADATA = frozenset({"id", "blobId", "threadId", "mailboxIds", "keywords", "size", "receivedAt"})
LISTS = frozenset({"textBody", "htmlBody", "attachments"})
BODY = LISTS | {"bodyStructure", "bodyValues", "hasAttachment", "preview"}
PROPERTIES = METADATA | BODY | CONVENIENCE.keys() | {"headers"}

DEFAULT_PARSED = (
    "messageId", "inReplyTo", "references", "sender", "from", "to", "cc", "bcc", "replyTo", "subject", "sentAt",
    "hasAttachment", "preview", "bodyValues", "textBody", "htmlBody", "attachments",
)  # fmt: skip
DEFAULT = (*sorted(METADATA), *DEFAULT_PARSED)
DEFAULT_OF_PARTS = (
    "partId", "blobId", "size", "name", "type", "charset", "disposition", "cid", "language", "location",
)  # fmt: skip
PART_PROPERTIES = frozenset({*DEFAULT_OF_PARTS, "headers", "subParts"})
_OF_PART_HEADERS = frozenset({"language", "location", "headers"})


@dataclass(frozen=True, slots=True)
class PartWanted:
    """What is wanted of each body part."""

    properties: frozenset[str]
    headers: tuple[HeaderProperty, ...]

    @property
    def needs_header(self) -> bool:
        return bool(self.headers) or bool(self.properties & _OF_PART_HEADERS)


@dataclass(frozen=True, slots=True)
class ValuesWanted:
    """Which texts `bodyValues` holds; `most_octets` 0: whole."""

    text: bool
    html: bool
    all: bool
    most_octets: int


@dataclass(frozen=True, slots=True)
class Wanted:
    """`headers` are the properties that stand for header fields, by whatever name."""

    properties: frozenset[str]
    headers: tuple[HeaderProperty, ...]
    parts: PartWanted
    values: ValuesWanted

    @property
    def needs_header(self) -> bool:
        return bool(self.headers) or "headers" in self.properties

    @property
    def wants_values(self) -> bool:
        values = self.values
        return "bodyValues" in self.properties and (values.text or values.html or values.all)

    @property
    def wants_parts(self) -> bool:
        return "bodyStructure" in self.properties or bool(self.properties & LISTS)

    @property
    def needs_body(self) -> bool:
        """Is it more than the columns of a message tell?"""
        return self.wants_parts or self.wants_values


def read_wanted(taken: Arguments, properties: Collection[str] | None, default: Collection[str]) -> Wanted:
    """Takes what is left for the body from the arguments. Raises InvalidArguments."""
    asked = default if properties is None else properties
    body = taken.properties("bodyProperties", None)
    return Wanted(
        properties=frozenset(asked),
        headers=_headers(asked, PROPERTIES, "properties"),
        parts=_part_wanted(DEFAULT_OF_PARTS if body is None else body),
        values=ValuesWanted(
            text=taken.boolean("fetchTextBodyValues", default=False),
            html=taken.boolean("fetchHTMLBodyValues", default=False),
            all=taken.boolean("fetchAllBodyValues", default=False),
            most_octets=taken.unsigned("maxBodyValueBytes", default=0),
        ),
    )


def _part_wanted(properties: Collection[str]) -> PartWanted:
    return PartWanted(frozenset(properties), _headers(properties, PART_PROPERTIES, "bodyProperties"))


def _headers(asked: Collection[str], known: Collection[str], argument: str) -> tuple[HeaderProperty, ...]:
    """Those that stand for header fields. Raises InvalidArguments for what stands for nothing, and for too many."""
    found = []
    if len(frozenset(asked)) > MOST_PROPERTIES:
        raise InvalidArguments(f"{argument}: at most {MOST_PROPERTIES}")
    for name in asked:
        if name.startswith("header:"):
            try:
                found.append(parse_header_property(name))
            except NotAHeaderProperty:
                raise InvalidArguments(f"{argument}: {name} is malformed, or no form of this field") from None
        elif name not in known:
            raise InvalidArguments(f"{argument}: no such property: {name}")
        elif known is PROPERTIES and name in CONVENIENCE:
            found.append(CONVENIENCE[name])
    return tuple(found)
