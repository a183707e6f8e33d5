"""Patterns of LIST and LSUB (RFC 3501 §6.3.8): `*` stands for anything, `%` for anything within one level.

Matching steps through the name once with the set of reachable pattern positions kept as the bits of an integer, so its
cost is bounded by the lengths alone; a regular expression with many wildcards would backtrack without end.
"""

import unicodedata
from dataclasses import dataclass, field

from mailserver.imap.wire.mailbox_name import DELIMITER, INBOX, canonical

MOST_CHARACTERS = 1024
"""No name has so many, so a pattern that asks for more ordinary characters matches nothing."""


@dataclass(frozen=True, slots=True)
class _Steps:
    """A pattern to be walked: what stands before the first wildcard, and what follows as bits by character.

    `least` is how many characters that must take up.
    """

    prefix: str
    accepts: dict[str, int]
    anything: int
    wildcards: int
    end: int
    least: int

    def matches(self, name: str) -> bool:
        if not name.startswith(self.prefix):
            return False
        rest = name[len(self.prefix) :]
        if len(rest) < self.least:
            return False
        if self.end <= 2:  # nothing, or one wildcard
            return bool(self.anything) or (DELIMITER not in rest if self.wildcards else not rest)
        accepts, anything, wildcards = self.accepts, self.anything, self.wildcards
        reached = _skip_wildcards(1, wildcards)
        for character in rest:
            stays = anything if character == DELIMITER else wildcards
            reached = _skip_wildcards((reached & stays) | (reached & accepts.get(character, 0)) << 1, wildcards)
            if not reached:
                return False
        return bool(reached & self.end)


@dataclass(frozen=True, slots=True)
class ListPattern:
    """A whole pattern, reference in front, decoded. INBOX matches in any case, accents however they are written."""

    text: str
    _steps: _Steps | None = field(init=False, repr=False, compare=False)
    _inbox_steps: _Steps | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_steps", _steps(unicodedata.normalize("NFC", canonical(self.text))))
        object.__setattr__(self, "_inbox_steps", _steps(_upper(self.text)))

    def matches(self, name: str) -> bool:
        """Does this canonical mailbox name match?"""
        steps = self._inbox_steps if name == INBOX else self._steps
        return steps is not None and steps.matches(name)


def _upper(text: str) -> str:
    return text.upper() if text.isascii() else text


def _steps(text: str) -> _Steps | None:
    """Runs of wildcards are merged: `*` swallows its neighbours, `%%` is `%`. None: no name can match."""
    first = next((index for index, character in enumerate(text) if character in "*%"), len(text))
    steps: list[str] = []
    for character in text[first:]:
        if character in "*%" and steps and steps[-1] in "*%":
            if character == "*":
                steps[-1] = "*"
            continue
        steps.append(character)
        if len(steps) > 2 * MOST_CHARACTERS + 1:
            return None
    if first > MOST_CHARACTERS:
        return None
    accepts: dict[str, int] = {}
    anything = within_level = 0
    for index, step in enumerate(steps):
        bit = 1 << index
        if step == "*":
            anything |= bit
        elif step == "%":
            within_level |= bit
        else:
            accepts[step] = accepts.get(step, 0) | bit
    least = sum(step not in "*%" for step in steps)
    return _Steps(text[:first], accepts, anything, anything | within_level, 1 << len(steps), least)


def _skip_wildcards(reached: int, wildcards: int) -> int:
    """A wildcard may stand for nothing; as runs are merged, one step past each is enough."""
    return reached | (reached & wildcards) << 1
