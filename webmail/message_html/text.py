"""Plain text as HTML: addresses become links, quoted lines are set in and folded away by level, format=flowed
(RFC 3676) has its lines joined again. Pure.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape
from itertools import groupby

from webmail.message_html.references import link
from webmail.message_html.words import Words

LONGEST_TEXT = 1_000_000
DEEPEST_QUOTE = 8
MOST_BLOCKS = 2_000
"""What follows so many changes of the level is one block."""
FOLDED_LINES = {1: 12, 2: 4}
"""By level: quotes of more lines are folded away until asked for. Deeper ones go with those around them."""

_MARKS = re.compile(r"[ \t]?>")
_URL_END = r"\s<>\"\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65\u2018-\u201d"
_ADDRESS = re.compile(
    rf"(?P<web>(?<![A-Za-z0-9])(?:https?://|www\.(?=[\w-]{{1,63}}\.))[^{_URL_END}]{{1,2000}}+)"
    r"|(?P<mail>(?<![\w.+-])[A-Za-z0-9][A-Za-z0-9._%+-]{0,63}+@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![A-Za-z0-9-]))",
    re.IGNORECASE,
)
_HANZI = re.compile(r"[\u3400-\u9fff]")
_TRAILING = ".,;:!?'*_~"
_PAIRS = {")": "(", "]": "[", "}": "{"}
_LINKING = 'target="_blank" rel="noopener noreferrer nofollow"'


@dataclass(frozen=True, slots=True)
class Flow:
    """`format=flowed`, with `delsp=yes`."""

    deletes_space: bool


@dataclass(frozen=True, slots=True)
class _Line:
    level: int
    text: str


def text_html(text: str, words: Words, *, flow: Flow | None) -> str:
    """One element. Never raises."""
    lines = text[:LONGEST_TEXT].replace("\r\n", "\n").replace("\r", "\n").rstrip("\n").split("\n")
    read = _flowed(lines, flow) if flow is not None else map(_quoted_line, lines)
    return f'<div class="waypost-text">{"".join(_blocks(read, words))}</div>'


def _quoted_line(line: str) -> _Line:
    """As people quote: `> > text`, `>> text`, `>text`."""
    level = position = 0
    while (mark := _MARKS.match(line, position)) is not None and (level or position == mark.start() == 0):
        if level == 0 and mark[0] != ">":
            break
        level += 1
        position = mark.end()
    rest = line[position:]
    return _Line(level, rest.removeprefix(" ") if level else rest)


def _flowed(lines: Iterable[str], flow: Flow) -> Iterator[_Line]:
    """RFC 3676 §4.2–4.5: unquoted, unstuffed, then joined while lines of one level end in a space."""
    pieces: list[str] = []
    level_of_pieces = 0
    for line in lines:
        bare = line.lstrip(">")
        level = len(line) - len(bare)
        text = bare.removeprefix(" ")
        if pieces and level != level_of_pieces:
            yield _Line(level_of_pieces, "".join(pieces))
            pieces = []
        level_of_pieces = level
        is_signature = text == "-- "
        if is_signature and pieces:
            yield _Line(level, "".join(pieces))
            pieces = []
        if text.endswith(" ") and not is_signature:
            pieces.append(text[:-1] if flow.deletes_space else text)
        else:
            yield _Line(level, "".join((*pieces, text)))
            pieces = []
    if pieces:
        yield _Line(level_of_pieces, "".join(pieces))


def _blocks(lines: Iterable[_Line], words: Words) -> Iterator[str]:
    open_levels = 0
    folds: list[bool] = []
    everything = _by_level(lines)
    lengths = _quote_lengths(everything)
    for place, (level, texts) in enumerate(everything):
        while open_levels > level:
            yield "</details>" if folds[-1] else ""
            yield "</blockquote>"
            folds.pop()
            open_levels -= 1
        while open_levels < level:
            open_levels += 1
            count = lengths[place, open_levels]
            is_folded = count > FOLDED_LINES.get(open_levels, count)
            folds.append(is_folded)
            yield f'<blockquote class="waypost-quote waypost-quote-{(open_levels - 1) % 4}">'
            if is_folded:
                yield f"<details><summary>{escape(words.quoted.format(count))}</summary>"
        yield f'<div class="waypost-lines">{linked(chr(10).join(texts))}</div>'
    for is_folded in reversed(folds):
        yield "</details></blockquote>" if is_folded else "</blockquote>"


def _by_level(lines: Iterable[_Line]) -> list[tuple[int, list[str]]]:
    groups: list[tuple[int, list[str]]] = []
    for level, group in groupby(lines, key=lambda line: min(line.level, DEEPEST_QUOTE)):
        texts = [line.text for line in group]
        if len(groups) < MOST_BLOCKS:
            groups.append((level, texts))
        else:
            groups[-1][1].extend(texts)
    return groups


def _quote_lengths(groups: list[tuple[int, list[str]]]) -> dict[tuple[int, int], int]:
    """How many lines the quote has that begins at a group with a level, until a lower level comes."""
    lengths: dict[tuple[int, int], int] = {}
    begins: list[int] = []  # the group where the open quote of each level began
    for place, (level, texts) in enumerate(groups):
        del begins[level:]
        while len(begins) < level:
            begins.append(place)
            lengths[place, len(begins)] = 0
        for at, begin in enumerate(begins, start=1):
            lengths[begin, at] += len(texts)
    return lengths


def linked(text: str) -> str:
    """Escaped, with links for what are addresses of the web or of letters."""
    out: list[str] = []
    position = 0
    for found in _ADDRESS.finditer(text):
        start, end = found.span()
        if found["web"] is not None:
            shown = _without_trailing(found["web"])
            end = start + len(shown)
            target = link(shown if "://" in shown[:9] else "https://" + shown)
        else:
            shown = found["mail"]
            target = link("mailto:" + shown)
        if target is None:
            continue
        out.append(escape(text[position:start], quote=False))
        out.append(f'<a href="{escape(target)}" {_LINKING}>{escape(shown, quote=False)}</a>')
        position = end
    out.append(escape(text[position:], quote=False))
    return "".join(out)


def _without_trailing(url: str) -> str:
    """What ends a sentence is no part of the address, nor a bracket that was opened before it."""
    found = _HANZI.search(url)
    if found is not None:
        url = url[: found.start()]
    while url:
        last = url[-1]
        if last in _TRAILING or (last in _PAIRS and url.count(last) > url.count(_PAIRS[last])):
            url = url[:-1]
        else:
            break
    return url
