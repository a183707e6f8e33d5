"""HTML of a message made fit to be shown: an allow-list, applied to what a parser of browsers makes of it (nh3).

Nothing that runs, loads, submits or navigates by itself comes through; images and links are what `references` makes of
them, styles what `styles` does, ids and classes get a prefix. Never raises, whatever the HTML. Pure.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import nh3

from mailserver.mime.charset import storable
from webmail.message_html import styles
from webmail.message_html.allowed import EVERYWHERE, OF_TAGS, TAGS, WITHOUT_CONTENT
from webmail.message_html.calming import RENAMED_ATTRIBUTES, RENAMED_TAGS, calmed, named_again
from webmail.message_html.link_notes import with_notes
from webmail.message_html.markup import is_costly, outside
from webmail.message_html.references import References, link
from webmail.message_html.selectors import NAME

VERSION = 1
"""Of what comes out for the same message; whoever keeps it asks again when this moves."""

LONGEST_HTML = 2_000_000
SCOPE = "waypost-message"
_MOST_CLASSES = 20
_LONGEST_VALUE = 1_000
_LENGTH = re.compile(r"\s*[0-9]{1,5}(?:\.[0-9]{0,4})?\s*(?:%|px)?\s*")
_NUMBER = re.compile(r"\s*-?[0-9]{1,5}\s*")
_COLOUR = re.compile(r"\s*(?:#?[0-9A-Za-z]{1,24}|rgba?\([0-9., %]{1,40}\))\s*")
_COORDS = re.compile(r"[0-9., \t\r\n-]{1,500}")
_LENGTHS = frozenset({"width", "height", "border", "cellpadding", "cellspacing", "hspace", "vspace"})
_COLOURS = frozenset({"bgcolor", "color", "bordercolor"})
_SPANS = {"colspan": 1_000, "rowspan": 1_000, "span": 1_000}
_NUMBERS = frozenset({"start", "value", "size"})
_LINKING = {"target": "_blank", "rel": "noopener noreferrer nofollow"}
_SET = {
    "a": _LINKING,
    "area": _LINKING,
    "img": {"loading": "lazy", "decoding": "async", "referrerpolicy": "no-referrer"},
}
_TAGS = set(TAGS)
_CALMED_TAGS = set(TAGS | RENAMED_TAGS)
_ATTRIBUTES = {"*": set(EVERYWHERE), **{tag: set(names) for tag, names in (OF_TAGS | RENAMED_ATTRIBUTES).items()}}
_GONE = set(WITHOUT_CONTENT)
_SCHEMES = {"http", "https", "mailto", "tel", "cid"}


@dataclass(frozen=True, slots=True)
class Sanitised:
    """`html` stands by itself: one element. `css` is for it alone."""

    html: str
    css: str


def sanitise(html: str, references: References, *, prefix: str) -> Sanitised:
    """`prefix` tells this part's ids and classes from those of others, `m1-`."""
    if len(html) > LONGEST_HTML:
        html = html[:LONGEST_HTML]
    html = storable(html)
    around = outside(html)
    scope = f"{prefix}{SCOPE}"
    filtering = _Filter(references, prefix).keep
    if is_costly(html):
        content = named_again(_clean(calmed(html), _CALMED_TAGS, filtering))
    else:
        content = _clean(html, _TAGS, filtering)
    css = styles.sheet(around.sheets, prefix=prefix, scope="." + scope) if around.sheets else ""
    written = _body_attributes(around.body, filtering, scope)
    return Sanitised(f"<div {written}>{with_notes(content)}</div>", css)


def _clean(html: str, tags: set[str], keep: Callable[[str, str, str], str | None]) -> str:
    return nh3.clean(
        html,
        tags=tags,
        clean_content_tags=_GONE,
        attributes=_ATTRIBUTES,
        attribute_filter=keep,
        url_schemes=_SCHEMES,
        set_tag_attribute_values=_SET,
        link_rel=None,
        strip_comments=True,
    )


class _Filter:
    """What becomes of attributes; None: it goes."""

    def __init__(self, references: References, prefix: str) -> None:
        self._references = references
        self._prefix = prefix
        self._special: dict[str, Callable[[str], str | None]] = {
            "style": self._style,
            "class": self._classes,
            "id": self._name,
            "name": self._name,
            "href": self._href,
            "src": references.image,
            "background": references.image,
            "usemap": self._fragment,
        }

    def keep(self, tag: str, attribute: str, value: str) -> str | None:
        special = self._special.get(attribute)
        if special is not None:
            return special(value)
        if attribute in ("target", "rel", "loading", "decoding", "referrerpolicy"):
            return value if _SET.get(tag, {}).get(attribute) == value else None
        return _plain(attribute, value)

    def _style(self, value: str) -> str | None:
        return styles.inline(value) or None

    def _classes(self, value: str) -> str | None:
        names = [self._prefix + name for name in value.split()[:_MOST_CLASSES] if NAME.fullmatch(name)]
        return " ".join(names) or None

    def _name(self, value: str) -> str | None:
        return self._prefix + value if NAME.fullmatch(value) else None

    def _fragment(self, value: str) -> str | None:
        name = self._name(value.strip()[1:]) if value.strip().startswith("#") else None
        return None if name is None else "#" + name

    def _href(self, value: str) -> str | None:
        return self._fragment(value) if value.strip().startswith("#") else link(value)


def _plain(attribute: str, value: str) -> str | None:
    if attribute in _LENGTHS:
        return value.strip() if _LENGTH.fullmatch(value) else None
    if attribute in _COLOURS:
        return value.strip() if _COLOUR.fullmatch(value) else None
    if attribute in _SPANS:
        return str(max(1, min(int(value), _SPANS[attribute]))) if _NUMBER.fullmatch(value) else None
    if attribute in _NUMBERS:
        return value.strip() if _NUMBER.fullmatch(value.replace("+", "")) else None
    if attribute == "coords":
        return value if _COORDS.fullmatch(value) else None
    return value[:_LONGEST_VALUE]


def _body_attributes(body: dict[str, str], keep: Callable[[str, str, str], str | None], scope: str) -> str:
    """Those of the body element, for the element that stands in its place."""
    given = {name: kept for name, value in body.items() if (kept := _of_body(name, value, keep)) is not None}
    classes = " ".join(filter(None, (scope, given.pop("class", None))))
    colours = [("background-color", given.pop("bgcolor", None)), ("color", given.pop("text", None))]
    style = ";".join(
        filter(
            None, (*(styles.inline(f"{name}:{value}") for name, value in colours if value), given.pop("style", None))
        )
    )
    written = {"class": classes, **({"style": style} if style else {}), **given}
    return " ".join(f'{name}="{escape(value)}"' for name, value in written.items())


def _of_body(name: str, value: str, keep: Callable[[str, str, str], str | None]) -> str | None:
    match name:
        case "style" | "class" | "id" | "dir" | "lang" | "bgcolor":
            return keep("body", name, value)
        case "text":
            return keep("body", "color", value)
    return None
