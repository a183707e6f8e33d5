"""Styles of a message (CSS Syntax 3, by tinycss2): what is known to be harmless is written anew, all else left out.

Nothing is searched for in the text as it was sent. It is read into tokens, in which escapes are undone, and only
allowed properties with values of allowed tokens are written again. So no url(), expression(), var(), attr(), env(),
image-set(), @import, @font-face, behavior or -moz-binding can come through, however spelled; what is written holds no
backslash and no `<`.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import tinycss2
from tinycss2 import ast
from tinycss2.color4 import parse_color

from webmail.message_html.properties import FUNCTIONS, POSITIONS, PROPERTIES, WITH_STRINGS
from webmail.message_html.selectors import scoped

LONGEST_STYLE = 10_000
LONGEST_SHEETS = 256 * 1024
MOST_RULES = 3_000
_DEEPEST_MEDIA = 3
_DEEPEST_FUNCTIONS = 3
_MEDIA_LITERALS = frozenset({":", ",", "/"})
_VALUE_LITERALS = frozenset({",", "/"})
_CALC_LITERALS = frozenset({",", "/", "+", "-", "*"})


class _NotAllowed(Exception):
    """A value that is not written again."""


@lru_cache(maxsize=1_024)
def inline(style: str) -> str:
    """The style attribute of an element; empty for nothing that may stay."""
    if len(style) > LONGEST_STYLE:
        return ""
    return _declarations(tinycss2.parse_blocks_contents(style, skip_comments=True, skip_whitespace=True))


def sheet(css: Sequence[str], *, prefix: str, scope: str) -> str:
    """Style sheets as one, for elements within the selector `scope`; classes and ids are called with `prefix`."""
    writer = _Sheet(prefix, scope)
    left = LONGEST_SHEETS
    for each in css:
        if len(each) <= left:
            left -= len(each)
            text = each.replace("<!--", "").replace("-->", "")
            writer.rules(tinycss2.parse_stylesheet(text, skip_comments=True, skip_whitespace=True), 0)
    return "\n".join(writer.out)


class _Sheet:
    def __init__(self, prefix: str, scope: str) -> None:
        self._prefix = prefix
        self._scope = scope
        self._count = 0
        self.out: list[str] = []

    def rules(self, rules: Iterable[ast.Node], depth: int) -> None:
        for rule in rules:
            self._count += 1
            if self._count > MOST_RULES:
                return
            if rule.type == "qualified-rule":
                self._qualified(rule)
            elif rule.type == "at-rule" and rule.lower_at_keyword == "media" and rule.content is not None:
                self._media(rule, depth)

    def _qualified(self, rule: ast.QualifiedRule) -> None:
        selectors = scoped(rule.prelude, prefix=self._prefix, scope=self._scope)
        if not selectors:
            return
        written = _declarations(
            tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True), in_sheet=True
        )
        if written:
            self.out.append(f"{selectors} {{{written}}}")

    def _media(self, rule: ast.AtRule, depth: int) -> None:
        query = _media_query(rule.prelude)
        if query is None or depth >= _DEEPEST_MEDIA:
            return
        start = len(self.out)
        self.rules(tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True), depth + 1)
        if len(self.out) > start:
            self.out.insert(start, f"@media {query} {{")
            self.out.append("}")


def _declarations(nodes: Iterable[ast.Node], *, in_sheet: bool = False) -> str:
    return ";".join(written for node in nodes if (written := _declaration(node, in_sheet)) is not None)


def _declaration(node: ast.Node, in_sheet: bool) -> str | None:
    if node.type != "declaration" or node.lower_name not in PROPERTIES:
        return None
    name = node.lower_name
    try:
        value = "".join(_written(node.value, name, 0)).strip()
    except _NotAllowed:
        if name != "background":
            return None
        name, value = "background-color", _colour_of(node.value)
    if not value or "\\" in value or "<" in value:
        return None
    if name == "position" and value.lower() not in POSITIONS:
        return None
    return f"{name}:{value}{'!important' if node.important else ''}"


def _colour_of(tokens: Iterable[ast.Node]) -> str:
    """The colour beneath the images of a background: without it, light text may stand on white. Empty for none."""
    for token in reversed(list(tokens)):
        if token.type in ("hash", "ident", "function") and parse_color(token) is not None:
            try:
                return "".join(_written([token], "background-color", 0))
            except _NotAllowed:
                continue
    return ""


def _written(tokens: Iterable[ast.Node], name: str, depth: int) -> Iterator[str]:
    """Raises _NotAllowed."""
    literals = _CALC_LITERALS if depth else _VALUE_LITERALS
    for token in tokens:
        match token.type:
            case "whitespace" | "comment":
                yield " "
            case "ident" | "hash":
                yield token.serialize()
            case "number" | "percentage" | "dimension":
                if len(token.representation) > 16:
                    raise _NotAllowed
                yield token.serialize()
            case "string" if name in WITH_STRINGS:
                yield token.serialize()
            case "literal" if token.value in literals:
                yield token.value
            case "function" if token.lower_name in FUNCTIONS and depth < _DEEPEST_FUNCTIONS:
                yield f"{token.lower_name}({''.join(_written(token.arguments, name, depth + 1))})"
            case _:
                raise _NotAllowed


def _media_query(prelude: Iterable[ast.Node], depth: int = 0) -> str | None:
    """None: it asks for more than the size and kind of the screen."""
    out: list[str] = []
    for token in prelude:
        match token.type:
            case "whitespace" | "comment":
                out.append(" ")
            case "ident" | "number" | "dimension":
                out.append(token.serialize())
            case "literal" if token.value in _MEDIA_LITERALS:
                out.append(token.value)
            case "() block" if depth < 2:
                inner = _media_query(token.content, depth + 1)
                if inner is None:
                    return None
                out.append(f"({inner})")
            case _:
                return None
    query = "".join(out).strip()
    return query if query and "\\" not in query else None
