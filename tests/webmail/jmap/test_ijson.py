"""JSON that means one thing to everybody (RFC 7493)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webmail.jmap.ijson import MOST_DEPTH, MOST_MARKS, NotIJson, TooManyValues, is_text, parse, write

text = st.text(st.characters(codec="utf-8", max_codepoint=0xFDCF))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


@given(values)
def test_what_is_written_is_read_back(value: object) -> None:
    assert parse(write(value)) == value


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"{",
        b"nothing",
        b"{'a': 1}",
        b'{"a": 1,}',
        b"[1 2]",
        b"NaN",
        b"[-Infinity]",
        b"1e999",
        b'{"a": -' + b"9" * 400 + b"}",
        b'"\x01"',
        b'"\\x41"',
        b'"\xff"',
        b"\xef\xbb\xbf{}",
        b'{"a": 1, "a": 2}',
        b'[{"b": {"a": 1, "\\u0061": 2}}]',
        b'"\\ud800"',
        b'"\\ude00\\ud83d"',
        b'"\xed\xa0\x80"',
        b"1" * 5000,
        b"[" * (MOST_DEPTH + 1) + b"]" * (MOST_DEPTH + 1),
        b'{"a":' * (MOST_DEPTH + 1) + b"1" + b"}" * (MOST_DEPTH + 1),
        b"[" * 100_000,
        '{"a": 1}'.encode("utf-16"),
    ],
)
def test_what_is_no_i_json_is_refused(octets: bytes) -> None:
    with pytest.raises(NotIJson):
        parse(octets)


def test_so_many_values_are_not_read_at_all() -> None:
    with pytest.raises(TooManyValues):
        parse(b"[" + b"[]," * MOST_MARKS + b"1]")


def test_what_is_i_json_is_read() -> None:
    assert parse(b' {"a": [1, -2.5, 1e3, true, null, "\\ud83d\\ude00"]} ') == {"a": [1, -2.5, 1000.0, True, None, "😀"]}
    deep = b"[" * MOST_DEPTH + b"]" * MOST_DEPTH
    assert write(parse(deep)) == deep


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a\ud800b", '"a�b"'),
        ("\ufffe", '"�"'),
        ("\uffff", '"�"'),
        ("\ufdd0\ufdef", '"��"'),
        ("\U0001fffe\U0010ffff", '"��"'),
        ("\ufdcf\ufdf0\ufffd\U0001fffd", '"\ufdcf\ufdf0\ufffd\U0001fffd"'),
    ],
)
def test_what_i_json_cannot_hold_is_replaced(text: str, written: str) -> None:
    assert write(text).decode() == written
    assert write({text: [text]}).decode() == f"{{{written}:[{written}]}}"


def test_a_number_that_is_too_large_comes_back_as_a_double() -> None:
    assert parse(write(parse(b"[1" + b"0" * 40 + b"]"))) == [1e40]


@pytest.mark.parametrize(
    ("octets", "is_held"), [(b"", True), ("é".encode(), True), (b"\xc3", False), ("\uffff".encode(), False)]
)
def test_octets_are_text_where_a_string_can_hold_them(octets: bytes, is_held: bool) -> None:
    assert is_text(octets) == is_held


def test_an_integer_that_a_double_holds_goes_back_as_one() -> None:
    assert write(parse(b"1" + b"0" * 308)) == b"1e+308"
