"""Where what was looked for stands in a text, and a piece of the text around it, as safe HTML (RFC 8621 §5).

Found is what `searchable` finds: the words of a needle one after the other, whatever parts them, in any case and with
or without accents. What is marked is what was asked for, not the rest of the word: <mark>Foo</mark>sball.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from unicodedata import combining, normalize

from mailserver.mime.searchable import UNSPACED, Needle, folded, runs_of

LOOKED_CHARACTERS = 500_000
"""So much of a text is looked through."""
_REMEMBERED = 65_536
_BEGIN, _END = "<mark>", "</mark>"
_CUT = "…"
_MATCHES = 64
_NEAR_CHARACTERS = 100
_LETTER = rf"[^\W_{UNSPACED}]"
_BETWEEN = r"[\W_]*"
_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})

Span = tuple[int, int]


class Highlighter:
    """Marks some needles. `anywhere`: also within words."""

    def __init__(self, needles: Sequence[Needle], *, anywhere: Sequence[Needle] = ()) -> None:
        self._patterns = [re.compile(_pattern(needle, is_anywhere=False)) for needle in needles]
        self._patterns += [re.compile(_pattern(needle, is_anywhere=True)) for needle in anywhere]

    def marked(self, text: str) -> str | None:
        """All of a text with marks; None: nothing of it is to be marked."""
        text = _tidy(text)
        spans = _joined(self._found(text))
        return _rendered(text, 0, len(text), spans) if spans else None

    def snippet(self, text: str, most_octets: int) -> str | None:
        """A piece of a text where most of it stands together, in at most so many octets of UTF-8."""
        text = _tidy(text)
        found = self._found(text)
        if not found:
            return None
        spans = _joined(found)
        begin, end = max(found, key=lambda span: (self._near(found, span), -span[0]))[:2]
        return _fitted(text, begin, end, spans, most_octets)

    def _found(self, text: str) -> list[tuple[int, int, int]]:
        """Spans in the text, and by which pattern."""
        pieces = list(map(_FOLDED.__getitem__, text)) if not text.isascii() else None
        whole = "".join(pieces) if pieces is not None else text.lower()
        ends = None
        if pieces is not None and any(len(piece) != 1 for piece in pieces):
            ends = list(accumulate(map(len, pieces)))
        found: list[tuple[int, int, int]] = []
        for number, pattern in enumerate(self._patterns):
            for match in pattern.finditer(whole):
                begin, end = match.span()
                if ends is not None:  # the character whose folded form holds that place
                    begin, end = bisect_left(ends, begin + 1), bisect_left(ends, end) + 1
                found.append((begin, end, number))
                if len(found) >= _MATCHES * (number + 1):
                    break
        found.sort()
        return found

    def _near(self, found: Sequence[tuple[int, int, int]], first: tuple[int, int, int]) -> int:
        """How many different needles stand at this place."""
        return len({number for begin, _, number in found if first[0] <= begin < first[0] + _NEAR_CHARACTERS})


def _pattern(needle: Needle, *, is_anywhere: bool) -> str:
    runs = runs_of(needle)
    begins_with_letter = re.match(_LETTER, runs[0]) is not None
    ends_with_letter = re.match(_LETTER, runs[-1][-1]) is not None
    before = rf"(?<!{_LETTER})" if begins_with_letter and not is_anywhere else ""
    after = rf"(?!{_LETTER})" if ends_with_letter and not needle.is_open else ""
    return before + _BETWEEN.join(map(re.escape, runs)) + after


class _Folded(dict[str, str]):
    """Each character folded by itself, as characters are met."""

    def __missing__(self, character: str) -> str:
        result = folded(character)
        if len(self) < _REMEMBERED:
            self[character] = result
        return result


_FOLDED = _Folded()


def _tidy(text: str) -> str:
    text = " ".join(text[:LOOKED_CHARACTERS].split())
    text = text if text.isascii() else normalize("NFC", text)
    return text if text.isprintable() else "".join(each if each.isprintable() else " " for each in text)


def _joined(found: Sequence[tuple[int, int, int]]) -> list[Span]:
    """Ascending, with none over another."""
    spans: list[Span] = []
    for begin, end, _ in found:
        if spans and begin <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(end, spans[-1][1]))
        else:
            spans.append((begin, end))
    return spans


def _fitted(text: str, begin: int, end: int, spans: Sequence[Span], most_octets: int) -> str:
    """A piece around [begin, end), about a third of it before; as much as fits."""
    room = most_octets
    while True:
        left = max(0, begin - room // 3)
        right = min(len(text), max(left + room, end))
        if right - left < room:
            left = max(0, right - room)
        left, right = _at_a_gap(text, left, begin, step=1), _at_a_gap(text, right, min(end, right), step=-1)
        made = _rendered(text, left, right, spans)
        if (excess := len(made.encode()) - most_octets) <= 0:
            return made
        if room <= 8:  # what is marked is too long by itself
            right = begin + max(1, min(end - begin, (most_octets - 24) // 8))
            return _rendered(text, begin, right, spans)
        room = max(8, room - max(1, excess // 8))


def _at_a_gap(text: str, place: int, least: int, *, step: int) -> int:
    """From `place` towards `least`, the next gap between words, if it is near; else where no accent is cut off."""
    if place in (0, len(text)):
        return place
    for at in range(place, least, step)[:24]:
        if text[at - 1 if step > 0 else at].isspace():
            return at
    while 0 < place < len(text) and place != least and combining(text[place]):
        place += step
    return place


def _rendered(text: str, left: int, right: int, spans: Sequence[Span]) -> str:
    out = [_CUT] if left > 0 else []
    at = left
    for begin, end in spans:
        begin, end = max(begin, left), min(end, right)
        if begin >= end:
            continue
        out += [text[at:begin].translate(_ESCAPES), _BEGIN, text[begin:end].translate(_ESCAPES), _END]
        at = end
    out.append(text[at:right].translate(_ESCAPES))
    if right < len(text):
        out.append(_CUT)
    return "".join(out)
