"""Markup whose parsing could become costly, written anew so that it cannot: nested properly, and never deeply.

What is well formed comes out as it was. Formatting elements go by names of our own until the result is parsed, for a
parser opens those again in every block after the one they stood in; `named_again` gives them their names back.
"""

import re

from webmail.message_html.allowed import EVERYWHERE, FORMATTING, OF_TAGS, TAGS, VOID
from webmail.message_html.markup import Tag, attributes, tokens

DEEPEST = 256
_OURS = "waypost-"
_LOOK_BACK = 16
_CLOSED_BY_THE_NEXT = {
    "li": frozenset({"li"}),
    "td": frozenset({"td", "th"}),
    "th": frozenset({"td", "th"}),
    "tr": frozenset({"tr", "td", "th"}),
    "dt": frozenset({"dt", "dd"}),
    "dd": frozenset({"dt", "dd"}),
    "p": frozenset({"p"}),
}
_RENAMED = re.compile(rf"<(/?){_OURS}({'|'.join(sorted(FORMATTING))})(?=[ >])")

RENAMED_TAGS = frozenset(_OURS + name for name in FORMATTING)
RENAMED_ATTRIBUTES = {_OURS + name: OF_TAGS[name] for name in FORMATTING if name in OF_TAGS}


def calmed(html: str) -> str:
    out: list[str] = []
    stack: list[str] = []
    for token in tokens(html):
        if isinstance(token, str):
            out.append(token.replace("<", "&lt;"))
        elif isinstance(token, Tag) and token.name in TAGS:
            if token.is_end:
                _close(token.name, stack, out)
            else:
                _open(token, stack, out)
    out.extend(f"</{_name(name)}>" for name in reversed(stack))
    return "".join(out)


def named_again(html: str) -> str:
    return _RENAMED.sub(r"<\1\2", html)


def _open(tag: Tag, stack: list[str], out: list[str]) -> None:
    if stack and stack[-1] in _CLOSED_BY_THE_NEXT.get(tag.name, ()):
        while stack and stack[-1] in _CLOSED_BY_THE_NEXT[tag.name]:
            out.append(f"</{_name(stack.pop())}>")
    if tag.name not in VOID:
        if len(stack) >= DEEPEST:
            return
        stack.append(tag.name)
    known = EVERYWHERE | OF_TAGS.get(tag.name, frozenset())
    written = "".join(
        f' {name}="{value.replace(chr(34), "&quot;")}"' for name, value in attributes(tag.attributes) if name in known
    )
    out.append(f"<{_name(tag.name)}{written}>")


def _close(name: str, stack: list[str], out: list[str]) -> None:
    """The nearest open element of this name, with those inside it that were left open; too far away: nothing."""
    if name not in stack[-_LOOK_BACK:]:
        return
    while True:
        last = stack.pop()
        out.append(f"</{_name(last)}>")
        if last == name:
            return


def _name(name: str) -> str:
    return _OURS + name if name in FORMATTING else name
