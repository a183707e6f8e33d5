"""Address lists (RFC 5322 §3.4, obsolete forms §4.4), whatever people's programs make of them.

Comma by comma: an element with angle brackets is `name <address>`; one without is an address, its comment or the words
around it being the name. What has no `@` keeps its text as mailbox and an empty host. An unclosed quote or comment
counts as white space, so that the addresses after it survive. Group marks are as IMAP wants them (RFC 3501 §7.4.2).
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

from mailserver.mime.comments import comment_end, comment_text


class Address(NamedTuple):
    """One member of an address list. Host None marks a group: with a mailbox its beginning and name, else its end."""

    name: str | None
    route: str | None
    mailbox: str | None
    host: str | None


GROUP_END = Address(None, None, None, None)

_PLAIN = re.compile(r"<?([^\s()<>@,:;\\\"\[\]]+)@([^\s()<>@,:;\\\"\[\]]+)>?")
_SPECIAL = re.compile(r"[\"():;\\\[\]]")
_TOKEN = re.compile(r"\s+|\"(?:[^\"\\]|\\.)*+\"|\[[^\[\]\\]*\]|[^\s()<>@,:;\\\"\[\]]+|.", re.DOTALL)
_TOKEN_WITHOUT_QUOTES = re.compile(r"\s+|\[[^\[\]\\]*\]|[^\s()<>@,:;\\\"\[\]]+|.", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_CHARACTERS = 65_536
_ADDRESSES = 2_000


def parse_addresses(value: str) -> list[Address]:
    """Parse an unfolded address list. Never raises; linear in the size of the value.

    What stands beyond 64 K characters or 2,000 addresses is left out: an address of two characters becomes thirty in an
    ENVELOPE, three times over in From.
    """
    if len(value) > _CHARACTERS:
        value = value[:_CHARACTERS]
        value = value[: value.rfind(",")] if "," in value else value
    return _parse(value)[:_ADDRESSES]


def _parse(value: str) -> list[Address]:
    if _SPECIAL.search(value) is None:
        addresses = _parse_plain(value)
        if addresses is not None:
            return addresses
    return _parse_fully(value)


def _parse_plain(value: str) -> list[Address] | None:
    """The everyday case: atoms only. None if there is anything else in it."""
    addresses = []
    for element in value.split(","):
        name, angle, address = element.partition("<")
        address = address.strip() if angle else name.strip()
        match = _PLAIN.fullmatch(address)
        if match is None or address.endswith(">") != bool(angle):
            if not element or element.isspace():
                continue
            return None
        if angle:
            name = name.strip()
            if "@" in name or "\t" in name or "  " in name:
                return None
            addresses.append(Address(name or None, None, match[1], match[2]))
        else:
            addresses.append(Address(None, None, match[1], match[2]))
    return addresses


class _Token(NamedTuple):
    kind: str  # a special character, "w" for a word, "c" for a comment
    text: str
    after_space: bool


def _tokens(value: str) -> Iterator[_Token]:
    position, spaced = 0, True
    pattern = _TOKEN
    has_comments = True
    while position < len(value):
        character = value[position]
        if character == "(":
            end = comment_end(value, position) if has_comments else -1
            if end < 0:
                has_comments = False
                position, spaced = position + 1, True
                continue
            yield _Token("c", comment_text(value, position, end), spaced)
            position, spaced = end, True
            continue
        match = pattern.match(value, position)
        assert match is not None  # the last alternative takes any character
        text, position = match[0], match.end()
        if text.isspace():
            spaced = True
            continue
        if character == '"':
            if len(text) == 1:
                pattern, spaced = _TOKEN_WITHOUT_QUOTES, True
                continue
            yield _Token("w", _QUOTED_PAIR.sub(r"\1", text[1:-1]), spaced)
        elif character in "<>@,:;":
            yield _Token(character, character, spaced)
        elif character in "\\)]":
            spaced = True
            continue
        else:
            yield _Token("w", text, spaced)
        spaced = False


def _parse_fully(value: str) -> list[Address]:
    addresses: list[Address] = []
    element: list[_Token] = []
    in_group = in_angle = in_route = False  # the commas of a source route separate nothing
    is_phrase = True  # words and comments so far: what may be the name of a group
    for token in _tokens(value):
        kind = token.kind
        if kind == "<":
            in_angle, in_route = True, False
        elif kind == ">":
            in_angle = in_route = False
        elif kind == "@" and in_angle and element[-1].kind == "<":
            in_route = True
        elif kind == ":" and in_angle:
            in_route = False
        elif kind == ":" and is_phrase and not in_group:
            name = _text(t for t in element if t.kind == "w")
            addresses.append(Address(None, None, name, None))
            element, in_group = [], True
            continue
        elif (kind == "," and not in_route) or (kind == ";" and not in_angle):
            _add(addresses, element)
            element, in_angle, is_phrase = [], False, True
            if kind == ";" and in_group:
                addresses.append(GROUP_END)
                in_group = False
            continue
        is_phrase = is_phrase and kind in "wc"
        element.append(token)
    _add(addresses, element)
    if in_group:
        addresses.append(GROUP_END)
    return addresses


def _add(addresses: list[Address], element: list[_Token]) -> None:
    comment = None
    if any(t.kind == "c" for t in element):
        comment = next((t.text for t in reversed(element) if t.kind == "c" and t.text), None)
        element = [t for t in element if t.kind != "c"]
    if not element:
        return
    angle = next((place for place in range(len(element) - 1, -1, -1) if element[place].kind == "<"), None)
    if angle is None:
        name, mailbox, host = _bare(element)
        addresses.append(Address(name or comment, None, mailbox, host))
        return
    name = _text(t for t in element[:angle] if t.kind not in "<>")
    inner = []
    for token in element[angle + 1 :]:
        if token.kind == ">":
            break
        inner.append(token)
    route = None
    if inner and inner[0].kind == "@":
        colon = next((place for place, t in enumerate(inner) if t.kind == ":"), None)
        if colon is not None:
            hops = "".join(t.text for t in inner[:colon] if t.kind != ",").split("@")
            route = ",".join("@" + hop for hop in hops if hop) or None
            inner = inner[colon + 1 :]
    mailbox, host = _addr_spec(inner)
    addresses.append(Address(name or comment, route, mailbox, host))


def _bare(element: list[_Token]) -> tuple[str | None, str, str]:
    """An element without angle brackets: words before or after the address are taken for its name."""
    element = [t for t in element if t.kind != ">"]
    at = next((place for place in range(len(element) - 1, -1, -1) if element[place].kind == "@"), None)
    if at is None:
        return None, _text(element), ""
    first = at - 1
    while first > 0 and (not element[first].after_space or _joins(element[first - 1], element[first])):
        first -= 1
    last = at + 1
    while last + 1 < len(element) and (not element[last + 1].after_space or _joins(element[last], element[last + 1])):
        last += 1
    mailbox, host = _addr_spec(element[max(first, 0) : last + 1])
    name = _text(element[: max(first, 0)]) or _text(element[last + 1 :])
    return name or None, mailbox, host


def _joins(left: _Token, right: _Token) -> bool:
    """Whether white space between two tokens of an address is the obsolete kind, beside a dot or an @."""
    return left.text.endswith((".", "@")) or right.text.startswith((".", "@"))


def _addr_spec(tokens: list[_Token]) -> tuple[str, str]:
    at = next((place for place in range(len(tokens) - 1, -1, -1) if tokens[place].kind == "@"), None)
    if at is None:
        return _text(tokens), ""
    return "".join(t.text for t in tokens[:at]), "".join(t.text for t in tokens[at + 1 :])


def _text(tokens: "Iterator[_Token] | list[_Token]") -> str:
    out: list[str] = []
    for token in tokens:
        if token.after_space and out:
            out.append(" ")
        out.append(token.text)
    return "".join(out).strip()
