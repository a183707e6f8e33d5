"""The words of texts as search knows them, and what one asks for in the same form (RFC 9051 §6.4.4, RFC 8621 §4.4.1).

Texts are folded: case and accents gone, compatibility forms one (NFKC). Words are runs of letters and digits; all else
only parts them. In scripts that are written without spaces (Chinese, Japanese, Korean, Thai …) there are no words to
be seen: each character stands with the one after it, and the last of a run by itself.
So 关系数据 is `关系 系数 数据 据`.

The *form* of a text is its words with single spaces between. A text holds another one exactly if the form of the one
stands in the form of the other: this is what search answers, in the index and where it reads. For what is looked for,
the last character of a run is not by itself, for the text may go on.
"""

import re
from dataclasses import dataclass
from enum import Enum
from unicodedata import normalize

LONGEST_WORD = 120
"""What is longer is nothing that anybody types; the rest of it is left out."""

UNSPACED = (
    "\u0e00-\u0e4f\u0e80-\u0ecf\u1000-\u103f\u1780-\u17d3\u1100-\u11ff\u2e80-\u2fdf\u3005-\u3007\u3041-\u3096"
    "\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u3105-\u312f\u31a0-\u31bf\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\ua960-\ua97f"
    "\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
"""Characters of scripts that are written without spaces, as a class of a pattern has them."""
_MARKS = "\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0dff"  # within words, and no letters
_ASCII_WORD = re.compile(r"[a-z0-9]+")
_RUN = re.compile(rf"(?:[^\W_]|[{UNSPACED}{_MARKS}])+")
_STRETCH = re.compile(rf"[{UNSPACED}]+|[^{UNSPACED}]+")
_IS_UNSPACED = re.compile(f"[{UNSPACED}]")
_ACCENTS = re.compile("[\u0300-\u036f]+")
_INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\ufeff]+"
)


def folded(text: str) -> str:
    """Comparable: case and accents gone, one form of what looks alike, invisible characters gone."""
    if text.isascii():
        return text.lower()
    return normalize("NFC", _ACCENTS.sub("", normalize("NFKD", _INVISIBLE.sub("", text).casefold())))


def words_of(text: str) -> list[str]:
    """The words of a text, in its order."""
    return _words(folded(text), is_whole=True)


def form_of(text: str) -> str:
    """Its words with single spaces between."""
    return " ".join(words_of(text))


def _words(text: str, *, is_whole: bool) -> list[str]:
    """`is_whole` False: the text may go on, so the last character of its last run does not stand by itself."""
    if text.isascii():
        found: list[str] = _ASCII_WORD.findall(text)
        if any(len(word) > LONGEST_WORD for word in found):
            return [word[:LONGEST_WORD] for word in found]
        return found
    words: list[str] = []
    for run in _RUN.findall(text):
        if run.isascii():
            words.append(run[:LONGEST_WORD])
            continue
        for stretch in _STRETCH.findall(run):
            if _IS_UNSPACED.match(stretch):
                words += [stretch[at : at + 2] for at in range(len(stretch))]
            else:
                words.append(stretch[:LONGEST_WORD])
    if not is_whole and len(words) > 1 and len(words[-1]) == 1 and _goes_on(words[-2], words[-1]):
        words.pop()
    return words


def _goes_on(before: str, last: str) -> bool:
    """Is the last word the end of a run of unspaced characters?"""
    return len(before) == 2 and before[1] == last and _IS_UNSPACED.match(last) is not None


def is_unspaced(word: str) -> bool:
    """Is it a piece of a run rather than a word?"""
    return _IS_UNSPACED.match(word) is not None


class Ending(Enum):
    """How the last word of what is looked for may go on in the text."""

    OPEN = "open"  # `budg` finds budget
    WHOLE = "whole"  # it does not


@dataclass(frozen=True, slots=True)
class Needle:
    """Words that have to stand one after the other. Of those in unspaced scripts each is a piece of the run.

    `is_open`: the last word is the beginning of one.
    """

    words: tuple[str, ...]
    is_open: bool

    @property
    def form(self) -> str:
        return " ".join(self.words)

    def is_in(self, form: str) -> bool:
        """Does it stand in the form of a text, from the beginning of a word on?"""
        if self.is_open:
            return f" {self.form}" in f" {form}"
        return f" {self.form} " in f" {form} "


def needle_of(text: str, ending: Ending = Ending.OPEN) -> Needle | None:
    """None: there is no word in it, so the index knows nothing of it."""
    words = _words(folded(text), is_whole=False)
    if not words:
        return None
    last = words[-1]
    is_unspaced = _IS_UNSPACED.match(last) is not None
    is_open = len(last) == 1 if is_unspaced else ending is Ending.OPEN
    return Needle(tuple(words), is_open)


def runs_of(needle: Needle) -> list[str]:
    """Its words as they are written: what was taken apart into pairs of characters is one run again."""
    runs: list[str] = []
    before = ""
    for word in needle.words:
        goes_on = len(before) == 2 and before[1] == word[0] and _IS_UNSPACED.match(word) is not None
        if goes_on and _IS_UNSPACED.match(before):
            runs[-1] += word[1:]
        else:
            runs.append(word)
        before = word
    return runs


_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'((?:[^\'\\]|\\.)*)\'|(\S+)')
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def needles_of(text: str) -> list[Needle]:
    """What RFC 8621 §4.4.1 makes of a text: phrases in quotes, and words, all of which have to be there.

    A quote within a word is an apostrophe; one that is never closed is passed over.
    """
    found: dict[Needle, None] = {}
    for match in _QUOTED.finditer(text):
        phrase = match[1] if match[1] is not None else match[2]
        if phrase is None:
            needle = needle_of(match[3].strip("\"'"))
        else:
            needle = needle_of(_ESCAPED.sub(r"\1", phrase), Ending.WHOLE)
        if needle is not None:
            found[needle] = None
    return list(found)
