"""Encoded words: strict to read, and what is written reads the same."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.jmap.encoded_words import encoded, encoded_phrase, folded, text_form

LINE = st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), max_size=300)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b" Hello", "Hello"),
        (b" =?UTF-8?Q?John_Sm=C3=AEth?=", "John Smîth"),
        (b" =?utf-8?B?5L2g?= =?utf-8?B?5aW9?=", "你好"),
        (b" =?utf-8?B?5L2g5Q==?=\r\n =?utf-8?B?pb0=?=", "你好"),  # a character split between two
        (b" =?gb2312?B?xOO6ww==?= world", "你好 world"),
        (b" a=?utf-8?Q?b?= c", "a=?utf-8?Q?b?= c"),  # not parted from what is before it
        (b" =?utf-8?Q?a b?=", "=?utf-8?Q?a b?="),  # white space within
        (b" =?utf-8?Q?a?=b", "=?utf-8?Q?a?=b"),
        (b" =?x-nobody-knows?Q?a?=", "=?x-nobody-knows?Q?a?="),
        (b" =?utf-8?Q?a=00=0Db?=", "ab"),  # controls that are encoded are dropped
        (b" =?utf-8?Q?=FF?=", "ÿ"),  # a charset that is declared wrongly is judged
        (b" e\xcc\x81", "é"),  # NFC
        (b" folded\r\n  twice", "folded  twice"),
        (b" nul\x00", "nul"),
    ],
)
def test_the_text_form_decodes_what_stands_by_itself(value: bytes, text: str) -> None:
    assert text_form(value) == text


@given(LINE)
def test_what_is_written_reads_the_same(text: str) -> None:
    field = folded("Subject", encoded(text))
    name, _, value = field.removesuffix(b"\r\n").partition(b":")
    assert name == b"Subject"
    assert value.isascii()
    assert text_form(value) == unicodedata.normalize("NFC", text.strip())


@given(LINE)
def test_lines_are_short_enough(text: str) -> None:
    for line in folded("Subject", encoded(text)).split(b"\r\n"):
        assert len(line) <= 998
        if b"=?" in line:
            assert len(line) <= 78 or not text.isascii()


@given(LINE)
def test_a_phrase_needs_no_quotes(text: str) -> None:
    for piece in encoded_phrase(text):
        assert piece.lstrip(" ").startswith("=?utf-8?")
