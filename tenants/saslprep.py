"""SASLprep (RFC 4013): the one form of a name or password that both ends of an exchange agree on."""

import stringprep
import unicodedata


class CharacterProhibited(ValueError):
    """The text has a character that RFC 4013 §2.3 prohibits."""


def saslprep(text: str) -> str:
    """The prepared form of a query string. Raises CharacterProhibited.

    Two parts are left out on purpose: unassigned code points are allowed, as §2.5 does for queries, and the check of
    writing directions (RFC 3454 §6), which would lock people out and protects nothing.
    """
    if text.isascii() and text.isprintable():
        return text
    mapped = "".join(
        " " if stringprep.in_table_c12(each) else each for each in text if not stringprep.in_table_b1(each)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if any(_is_prohibited(each) for each in prepared):
        raise CharacterProhibited
    return prepared


def _is_prohibited(character: str) -> bool:
    """RFC 4013 §2.3."""
    return (
        stringprep.in_table_c21_c22(character)
        or stringprep.in_table_c3(character)
        or stringprep.in_table_c4(character)
        or stringprep.in_table_c5(character)
        or stringprep.in_table_c6(character)
        or stringprep.in_table_c7(character)
        or stringprep.in_table_c8(character)
        or stringprep.in_table_c9(character)
    )
