"""Addresses and ids of DSN parameters: xtext and the UTF-8 address type."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.dsn.addresses import (
    decode_original_recipient,
    decode_unitext,
    decode_xtext,
    encode_original_recipient,
    encode_unitext,
    encode_xtext,
    field_value,
)

PRINTABLE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E))


@given(PRINTABLE)
def test_printable_text_survives_xtext(text: str) -> None:
    encoded = encode_xtext(text)
    assert decode_xtext(encoded) == text
    assert " " not in encoded
    assert "=" not in encoded


@pytest.mark.parametrize("value", ["+", "+2", "+2b", "a=b", "a b", "+0A", "+7F", "é", "+GG"])
def test_what_is_no_xtext_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_xtext(value)


@given(st.text(st.characters(exclude_categories=["C", "Z"])))
def test_any_address_survives_its_seven_bit_form(address: str) -> None:
    assert encode_unitext(address).isascii()
    assert decode_unitext(encode_unitext(address)) == address


def test_an_original_recipient_keeps_its_spelling() -> None:
    assert decode_original_recipient("rfc822;Bob@Example.COM") == "rfc822;Bob@Example.COM"
    assert decode_original_recipient("RFC822;a+2Bb+3Dc@x.test") == "RFC822;a+b=c@x.test"
    assert encode_original_recipient("rfc822;a+b=c@x.test", to_utf8_peer=False) == "rfc822;a+2Bb+3Dc@x.test"


@pytest.mark.parametrize(
    "value",
    ["utf-8;安@demo.test", r"utf-8;\x{5B89}@demo.test", r"utf-8;安@\x{64}emo.test", r"utf-8;\x{5b89}@demo.test"],
)
def test_a_utf8_original_recipient_may_come_raw_or_escaped(value: str) -> None:
    typed = decode_original_recipient(value)
    assert typed == "utf-8;安@demo.test"
    assert encode_original_recipient(typed, to_utf8_peer=False) == r"utf-8;\x{5B89}@demo.test"
    assert encode_original_recipient(typed, to_utf8_peer=True) == "utf-8;安@demo.test"


def test_only_a_global_report_holds_utf8() -> None:
    assert field_value("utf-8;安@demo.test", is_global=True) == "utf-8; 安@demo.test"
    assert field_value("utf-8;安@demo.test", is_global=False) == r"utf-8; \x{5B89}@demo.test"


@pytest.mark.parametrize("value", ["ann@demo.test", ";ann", "rfc822;", "rf c;x", "utf-8;a\u202eb"])
def test_what_is_no_original_recipient_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode_original_recipient(value)


def test_an_escape_that_names_no_character_stays() -> None:
    assert decode_unitext(r"\x{D800}\x{110000}") == r"\x{D800}\x{110000}"
