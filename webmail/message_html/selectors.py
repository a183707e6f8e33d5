"""Selectors of a message's style sheets (Selectors 4), made to reach nothing outside the message. Pure.

Each begins within the message's own element; `html` and `body` mean that element. Classes and ids get the prefix that
those of the elements get. A selector of anything else (attributes, pseudo-elements, functions) is left out.
"""

import re
from collections.abc import Iterable, Sequence

from tinycss2 import ast

NAME = re.compile(r"[\w-]{1,64}")
_PSEUDO_CLASSES = frozenset({"active", "first-child", "focus", "hover", "last-child", "link", "only-child", "visited"})
_LONGEST = 60
_MOST = 100


def scoped(prelude: Iterable[ast.Node], *, prefix: str, scope: str) -> str:
    """The selectors that may stay, parted by commas; empty for none."""
    found: list[str] = []
    for tokens in _parted(prelude)[:_MOST]:
        written = _selector(tokens, prefix, scope)
        if written is not None:
            found.append(written)
    return ", ".join(found)


def _parted(prelude: Iterable[ast.Node]) -> list[list[ast.Node]]:
    parts: list[list[ast.Node]] = [[]]
    for token in prelude:
        if token.type == "literal" and token.value == ",":
            parts.append([])
        elif token.type != "comment":
            parts[-1].append(token)
    return parts


def _selector(tokens: Sequence[ast.Node], prefix: str, scope: str) -> str | None:
    while tokens and tokens[0].type == "whitespace":
        tokens = tokens[1:]
    while tokens and tokens[-1].type == "whitespace":
        tokens = tokens[:-1]
    if not tokens or len(tokens) > _LONGEST:
        return None
    out: list[str] = []
    place = 0
    while place < len(tokens):
        token = tokens[place]
        following = tokens[place + 1] if place + 1 < len(tokens) else None
        match token.type:
            case "ident" if token.value.isascii() and NAME.fullmatch(token.value):
                out.append(token.lower_value)
            case "whitespace":
                out.append(" ")
            case "hash" if NAME.fullmatch(token.value):
                out.append(f"#{prefix}{token.value}")
            case "literal" if token.value in (">", "+", "~", "*"):
                out.append(token.value)
            case "literal" if token.value == "." and following is not None and following.type == "ident":
                if NAME.fullmatch(following.value) is None:
                    return None
                out.append(f".{prefix}{following.value}")
                place += 1
            case "literal" if token.value == ":" and following is not None and following.type == "ident":
                if following.lower_value not in _PSEUDO_CLASSES:
                    return None
                out.append(f":{following.lower_value}")
                place += 1
            case _:
                return None
        place += 1
    return _within("".join(out), scope)


_ROOTS = re.compile(r"(?:html(?=[ >]) *(?:> *)?)?(?:body|html)(?![\w-])")


def _within(selector: str, scope: str) -> str | None:
    if selector[-1] in ">+~":
        return None
    root = _ROOTS.match(selector)
    if root is not None:
        return scope + selector[root.end() :]
    return f"{scope} {selector}" if selector[0] not in ">+~" else None
