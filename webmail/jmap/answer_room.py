"""How much one answer may hold: it stands in memory until it is sent. What a client asks for multiplies what somebody
sent (a header of 256 KiB in two hundred forms, of five hundred Emails), so it is weighed while it is made."""

from typing import Any

from webmail.jmap.errors import MethodError

MOST_CHARACTERS = 32 * 1024 * 1024
CHARACTERS_OF_A_VALUE = 16
"""What any value counts for beside its text."""


class AnswerRoom:
    """Of one request: its calls share it."""

    __slots__ = ("_left",)

    def __init__(self) -> None:
        self._left = MOST_CHARACTERS

    def take(self, characters: int) -> None:
        """Raises requestTooLarge."""
        self._left -= characters
        if self._left < 0:
            words = "more than one answer holds: ask for fewer objects, fewer properties, or maxBodyValueBytes"
            raise MethodError("requestTooLarge", words)


def characters_of(value: Any) -> int:
    """Of a value of JSON, with all that it is made of."""
    kind = type(value)
    if kind is str:
        return CHARACTERS_OF_A_VALUE + len(value)
    if kind is list:
        return CHARACTERS_OF_A_VALUE + sum(map(characters_of, value))
    if kind is dict:
        return CHARACTERS_OF_A_VALUE + sum(map(len, value)) + sum(map(characters_of, value.values()))
    return CHARACTERS_OF_A_VALUE
