"""Text made comparable, for finding and for ordering, as i;unicode-casemap does (RFC 5051, RFC 5255 §4).

Both decompose for compatibility, so that composed and decomposed accents, full-width and half-width characters are one.
Neither touches NUL, so many texts parted by NULs can be treated at once.
"""

from unicodedata import normalize


def fold(text: str) -> str:
    """For finding: two texts that RFC 5051 holds equal fold alike, and a few more (`ß` is `ss`)."""
    return text.lower() if text.isascii() else normalize("NFKD", text.casefold())


def collation_key(text: str) -> str:
    """For ordering: RFC 5051's titlecase, decomposed. Keys compare as their UTF-8 octets do."""
    return text.upper() if text.isascii() else normalize("NFKD", text.translate(_TITLECASE))


REMEMBERED_CHARACTERS = 65_536
"""More than all languages of a house use: a message can name a million, and each takes a hundred octets."""


class _Titlecase(dict[int, int]):
    """The simple titlecase mapping of Unicode, filled as characters are met; longer ones are not simple."""

    def __missing__(self, character: int) -> int:
        mapped = chr(character).title()
        result = ord(mapped) if len(mapped) == 1 else character
        if len(self) < REMEMBERED_CHARACTERS:
            self[character] = result
        return result


_TITLECASE = _Titlecase()
