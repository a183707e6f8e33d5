"""An independent look at what the sanitiser wrote: parsed anew by another parser, each thing in it must be known."""

import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from webmail.message_html.references import References, RemoteImages

_TAGS = (
    "a abbr address area article aside b bdi bdo big blockquote br caption center cite code col colgroup dd del "
    "details dfn dir div dl dt em figcaption figure font footer h1 h2 h3 h4 h5 h6 header hr i img ins kbd li main "
    "map mark menu nav nobr ol p pre q rp rt ruby s samp section small span strike strong sub summary sup table "
    "tbody td tfoot th thead time tr tt u ul var wbr "
)
TAGS = frozenset(_TAGS.split())
_ATTRIBUTES = (
    "style class id title dir lang align valign width height href name shape coords alt src border hspace vspace "
    "usemap color face size cellpadding cellspacing bgcolor bordercolor background rules colspan rowspan nowrap "
    "span start type value noshade clear open target rel loading decoding referrerpolicy "
)
ATTRIBUTES = frozenset(_ATTRIBUTES.split())
LINK = re.compile(r"#m0-[\w-]+|https?://[^\s\"'<>]+|mailto:[^\s\"'<>]+|tel:[+0-9*#().\- ]+")
IMAGE = re.compile(r"/image/[\w./-]+")
STRINGS = re.compile(r"\"[^\"]*\"|'[^']*'")
FUNCTION = re.compile(r"([\w-]+)\s*\(")
POSITION = re.compile(r"(?:^|[;{\s])position\s*:\s*([\w-]+)")
FUNCTIONS = frozenset({"rgb", "rgba", "hsl", "hsla", "calc", "linear-gradient", "radial-gradient", "and"})
NEVER = ("\\", "<", "javascript", "expression", "behavior", "-moz-binding", "@import", "@font-face", "url(", "var(")


def references(images: RemoteImages = RemoteImages.PROXIED, **cids: tuple[int, ...]) -> References:
    """With images that stand under readable paths."""
    parts = {f"{name}@test": path for name, path in cids.items()}
    return References(
        parts,
        images,
        lambda path: "/image/part/" + ".".join(map(str, path)),
        lambda url: "/image/remote/" + url.encode().hex()[-60:],
    )


def faults(html: str, css: str) -> list[str]:
    """What should not be there; empty when all is well."""
    found = list(_faults_of_html(html))
    again = LexborHTMLParser(html).html or ""
    found += list(_faults_of_html(again))
    if "<" in css:
        found.append("markup in a sheet")
    found += faults_of_style(css)
    found += [f"the sheet reaches outside: {rule}" for rule in _selectors(css) if not rule.startswith(".m0-waypost-")]
    return found


def _faults_of_html(html: str) -> Iterator[str]:
    root = LexborHTMLParser(f"<!DOCTYPE html><html><head></head><body>{html}</body></html>").root
    assert root is not None
    for node in root.traverse(include_text=False):
        if node.tag in ("html", "head", "body") and not node.attributes:
            continue
        yield from _faults_of_element(node)


def _faults_of_element(node: LexborNode) -> Iterator[str]:
    if node.tag not in TAGS:
        yield f"an element {node.tag}"
    for name, value in node.attributes.items():
        value = value or ""
        if name not in ATTRIBUTES:
            yield f"an attribute {name}"
        elif name == "href" and LINK.fullmatch(value) is None:
            yield f"a link {value!r}"
        elif name in ("src", "background") and IMAGE.fullmatch(value) is None:
            yield f"an image {value!r}"
        elif name in ("id", "name", "usemap") and not value.lstrip("#").startswith("m0-"):
            yield f"a name {value!r}"
        elif name == "class" and not all(each.startswith(("m0-", "waypost-elsewhere")) for each in value.split()):
            yield f"a class {value!r}"
        elif name == "style":
            yield from faults_of_style(value)


def faults_of_style(css: str) -> list[str]:
    bare = STRINGS.sub('""', css.lower())
    found = [f"{each!r} in a style" for each in NEVER if each in bare]
    found += [f"a function {name}" for name in FUNCTION.findall(bare) if name not in FUNCTIONS]
    found += [f"position {value}" for value in POSITION.findall(bare) if value not in ("static", "relative")]
    if "\\" in css:
        found.append("a backslash in a style")
    return found


def _selectors(css: str) -> Iterator[str]:
    for line in css.splitlines():
        if line.endswith("}") and "{" in line and not line.startswith("@"):
            yield from (each.strip() for each in line.partition("{")[0].split(","))
