"""What is found, and what comes first."""

import pytest

from mailserver.mime import folding
from mailserver.mime.folding import collation_key, fold


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("ABC", "abc"),
        ("École", "e\u0301COLE"),
        ("STRASSE", "straße"),
        ("Ａｂｃ", "abc"),
        ("ﬁle", "FILE"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ガ", "ｶﾞ"),
    ],
)
def test_these_are_found_by_each_other(text: str, other: str) -> None:
    assert fold(text) == fold(other)


@pytest.mark.parametrize(("text", "other"), [("é", "É"), ("a", "A"), ("Ａ", "a"), ("e\u0301", "É"), ("ǆ", "ǅ")])
def test_these_are_equal_in_order(text: str, other: str) -> None:
    assert collation_key(text) == collation_key(other)


def test_strings_are_in_the_order_of_rfc_5051() -> None:
    """Letters as capitals, so before `_`; what is not ASCII after it, decomposed."""
    words = ["_", "zoo", "Éa", "eb", "EA", "9", "", "日"]
    assert sorted(words, key=collation_key) == ["", "9", "EA", "eb", "Éa", "zoo", "_", "日"]


def test_many_texts_at_once_are_as_each_by_itself() -> None:
    texts = ["Straße", "", "ΑΣ", "\u0301x", "ﬁ", "Zoë"]
    assert fold("\0".join(texts)).split("\0") == [fold(text) for text in texts]
    assert collation_key("\0".join(texts)).split("\0") == [collation_key(text) for text in texts]


def test_what_is_remembered_of_characters_has_an_end() -> None:
    collation_key("".join(map(chr, range(0x20000, 0x40000))))
    assert len(folding._TITLECASE) <= folding.REMEMBERED_CHARACTERS
    assert collation_key("\U0001e922") == collation_key("\U0001e900")  # Adlam, read after it was full
