"""Patterns of LIST and LSUB (RFC 3501 §6.3.8): `*` stands for anything, `%` for anything within one level.

Matching steps through the name once with the set of reachable pattern positions kept as the bits of an integer, so its
cost is bounded by the lengths alone; a regular expression with many wildcards would backtrack without end.
"""

from dataclasses import dataclass, field

from mailserver.imap.wire.mailbox_name import DELIMITER, INBOX, canonical


@dataclass(frozen=True, slots=True)
class ListPattern:
    """A whole pattern, reference in front, decoded from modified UTF-7. INBOX matches in any case."""

    text: str
    _steps: tuple[str, ...] = field(init=False, repr=False, compare=False)
    _inbox_steps: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_steps", _steps(canonical(self.text)))
        object.__setattr__(self, "_inbox_steps", _steps(_upper(self.text)))

    @property
    def is_literal(self) -> bool:
        """No wildcard: the pattern names one mailbox at most."""
        return "*" not in self.text and "%" not in self.text

    def matches(self, name: str) -> bool:
        """Does this canonical mailbox name match?"""
        return _matches(self._inbox_steps if name == INBOX else self._steps, name)


def _upper(text: str) -> str:
    return text.upper() if text.isascii() else text


def _steps(text: str) -> tuple[str, ...]:
    """The pattern's characters, runs of wildcards merged: `*` swallows its neighbours, `%%` is `%`."""
    steps: list[str] = []
    for character in text:
        if character in "*%" and steps and steps[-1] in "*%":
            if character == "*":
                steps[-1] = "*"
            continue
        steps.append(character)
    return tuple(steps)


def _matches(steps: tuple[str, ...], name: str) -> bool:
    if steps == ("*",):
        return True
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
    wildcards = anything | within_level
    reached = _skip_wildcards(1, wildcards)
    for character in name:
        stays = anything if character == DELIMITER else wildcards
        reached = _skip_wildcards((reached & stays) | (reached & accepts.get(character, 0)) << 1, wildcards)
        if not reached:
            return False
    return bool(reached >> len(steps) & 1)


def _skip_wildcards(reached: int, wildcards: int) -> int:
    """A wildcard may stand for nothing; as runs are merged, one step past each is enough."""
    return reached | (reached & wildcards) << 1
