"""HTML as a run of tags, comments and text, found in one pass: what sanitising looks at before it parses.

Nothing is safe because it was read here; it says which style sheets there are, and how costly parsing may become.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import unescape

_SPACE = r"[\t\n\f\r ]"
_ATTRIBUTE = (
    rf"[^\t\n\f\r />][^\t\n\f\r />=]*+"
    rf"(?:{_SPACE}*+={_SPACE}*+(?:\"[^\"]*+(?:\"|\Z)|'[^']*+(?:'|\Z)|[^\t\n\f\r >\"'][^\t\n\f\r >]*+)?+)?+"
)
_RAW = "style|script|title|textarea|xmp|iframe|noembed|noframes|noscript|template|svg|math|select"
_TOKEN = re.compile(
    rf"<!--(?:-?>|.*?(?:--!?>|\Z))"
    rf"|<[!?][^>]*+>?"
    rf"|<(?P<raw>{_RAW})(?=[\t\n\f\r />])(?P<raw_attributes>(?:[\t\n\f\r /]++|{_ATTRIBUTE})*+)>"
    rf"(?P<content>.*?)(?:</(?P=raw)(?=[\t\n\f\r />])[^>]*+>?|\Z)"
    rf"|<(?P<end>/?)(?P<name>[A-Za-z][^\t\n\f\r />]*+)(?P<attributes>(?:[\t\n\f\r /]++|{_ATTRIBUTE})*+)(?:>|\Z)",
    re.IGNORECASE | re.DOTALL,
)
_ONE_ATTRIBUTE = re.compile(
    rf"([^\t\n\f\r />][^\t\n\f\r />=]*+)"
    rf"(?:{_SPACE}*+={_SPACE}*+(?:\"([^\"]*+)(?:\"|\Z)|'([^']*+)(?:'|\Z)|([^\t\n\f\r >\"'][^\t\n\f\r >]*+))?+)?+"
)
_OPENING = re.compile(r"<[a-zA-Z]")
_FORMATTING = re.compile(r"<(?:b|big|code|em|font|i|nobr|s|small|strike|strong|tt|u)[\t\n\f\r />]", re.IGNORECASE)
_STRICT_VALUE = r"(?:\"[^\"]*+\"|'[^']*+'|[^\t\n\f\r >\"'][^\t\n\f\r >]*+)"
_SHORT_TAG = re.compile(
    r"<[A-Za-z][^\t\n\f\r />]*+"
    rf"(?:[\t\n\f\r /]++|[^\t\n\f\r />=][^\t\n\f\r />=]*+(?:{_SPACE}*+={_SPACE}*+{_STRICT_VALUE}|(?!{_SPACE}*+=)))*+>"
)

MOST_ELEMENTS = 3_000
MOST_REOPENED = 300_000
LONGEST_TAG = 8_000
MOST_ATTRIBUTES = 60
_MOST_ATTRIBUTE_CHARACTERS = 100_000


@dataclass(frozen=True, slots=True)
class Tag:
    """`attributes` as they are written."""

    name: str
    is_end: bool
    attributes: str


@dataclass(frozen=True, slots=True)
class Raw:
    """An element with content of its own rules, or one that is not shown."""

    name: str
    content: str


def tokens(html: str) -> Iterator[str | Tag | Raw]:
    """In order; comments, doctypes and the like are left out."""
    position = 0
    for found in _TOKEN.finditer(html):
        if found.start() > position:
            yield html[position : found.start()]
        position = found.end()
        if found["name"] is not None:
            yield Tag(found["name"].lower(), found["end"] == "/", found["attributes"])
        elif found["raw"] is not None:
            yield Raw(found["raw"].lower(), found["content"])
    if position < len(html):
        yield html[position:]


def attributes(written: str) -> Iterator[tuple[str, str]]:
    """Names in lower case and values with their entities, each name once, a bounded number of them."""
    seen: set[str] = set()
    for found in _ONE_ATTRIBUTE.finditer(written[:_MOST_ATTRIBUTE_CHARACTERS]):
        name = found[1].lower()
        if name not in seen:
            seen.add(name)
            yield name, next((value for value in found.groups()[1:] if value is not None), "")
        if len(seen) >= MOST_ATTRIBUTES:
            return


def unescaped_attributes(written: str) -> dict[str, str]:
    return {name: unescape(value) for name, value in attributes(written)}


def is_costly(html: str) -> bool:
    """Could parsing it as it is take long, or make very much of it? Its time is the product of elements and depth;
    formatting elements that stay open are repeated in every block; each attribute is compared with all before it. All
    are a sender's to choose. What looks like a tag counts, wherever it stands: parsers and `tokens` may differ."""
    openings = [found.start() for found in _OPENING.finditer(html)]
    if len(openings) > MOST_ELEMENTS:
        return True
    formatting = sum(1 for _ in _FORMATTING.finditer(html))
    if formatting * len(openings) > MOST_REOPENED:
        return True
    return any(_SHORT_TAG.match(html, at, at + LONGEST_TAG) is None for at in openings)


@dataclass(frozen=True, slots=True)
class Outside:
    """What stands around the content: style sheets in their order, and the attributes of the body element."""

    sheets: tuple[str, ...]
    body: dict[str, str]


def outside(html: str) -> Outside:
    if re.search(r"<(?:style|body)", html, re.IGNORECASE) is None:
        return Outside((), {})
    sheets: list[str] = []
    body: dict[str, str] | None = None
    for token in tokens(html):
        match token:
            case Raw("style", content):
                sheets.append(content)
            case Tag("body", False, written) if body is None:
                body = unescaped_attributes(written)
    return Outside(tuple(sheets), body or {})
