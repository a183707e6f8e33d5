"""Words and forms of texts, and what is looked for in the same form."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.searchable import LONGEST_WORD, Ending, form_of, needle_of, needles_of


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("Hello, World!", "hello world"),
        ("snake_case v2.5 5.1.1", "snake case v2 5 5 1 1"),
        ("L'été à São Paulo", "l ete a sao paulo"),
        ("e\u0301te\u0301 \u00e9t\u00e9", "ete ete"),
        ("ＡＢＣ １２３ ﬁne Straße", "abc 123 fine strasse"),
        ("關係数据", "關係 係数 数据 据"),
        ("预算，表", "预算 算 表"),
        ("iPhone手机2台", "iphone 手机 机 2 台"),
        ("한국어 メール", "한국 국어 어 メー ール ル"),
        ("ﾒｰﾙ", "メー ール ル"),
        ("カ\u3099ス ガス", "ガス ス ガス ス"),
        ("ภาษาไทย", "ภา าษ ษา าไ ไท ทย ย"),
        ("हिन्दी में", "हिन्दी में"),
        ("soft\u00adhyphen zero\u200bwidth", "softhyphen zerowidth"),
        ("İstanbul ΌΣΟΣ όσος", "istanbul οσοσ οσοσ"),
        ("!!! … \u3000 ---", ""),
        ("", ""),
        ("x" * 500, "x" * LONGEST_WORD),
    ],
)
def test_the_form_of_a_text(text: str, form: str) -> None:
    assert form_of(text) == form


@pytest.mark.parametrize(
    ("needle", "text", "is_there"),
    [
        ("budget", "The Budget.", True),
        ("budg", "The Budget.", True),
        ("udget", "The Budget.", False),
        ("the budget", "See the\r\n > budget", True),
        ("the budget", "the red budget", False),
        ("数据", "关系数据库", True),
        ("据库", "关系数据库", True),
        ("系数据库", "关系数据库", True),
        ("库", "关系数据库", True),
        ("系", "关系数据库", True),
        ("数库", "关系数据库", False),
        ("关系库", "关系 系库", False),
        ("数据库 report", "关系数据库 Report 3", True),
        ("report 数据", "My report：数据库", True),
        ("手机2", "iPhone手机2台", True),
        ("ete", "l'été", True),
        ("été", "l'ete", True),
    ],
)
def test_what_stands_in_a_text(needle: str, text: str, is_there: bool) -> None:
    looked = needle_of(needle)
    assert looked is not None
    assert looked.is_in(form_of(text)) is is_there


def test_what_has_no_word_is_no_needle() -> None:
    assert needle_of(" !?… ") is None
    assert needles_of("\"\" -- '!'") == []


def test_a_whole_word_does_not_go_on() -> None:
    looked = needle_of("budg", Ending.WHOLE)
    assert looked is not None
    assert not looked.is_in(form_of("the budget"))
    assert looked.is_in(form_of("the budg"))


@pytest.mark.parametrize(
    ("text", "forms"),
    [
        ("foo bar", ["foo", "bar"]),
        ('foo "two words" bar', ["foo", "two words", "bar"]),
        ("'two words' x", ["two words", "x"]),
        (r'"say \"it\" now"', ["say it now"]),
        ("don't stop", ["don t", "stop"]),
        ('"never closed', ["never", "closed"]),
        ("季度预算 report", ["季度 度预 预算", "report"]),
        ("foo foo", ["foo"]),
    ],
)
def test_words_and_phrases_of_a_filter(text: str, forms: list[str]) -> None:
    assert [needle.form for needle in needles_of(text)] == forms


def test_very_many_words_are_told_apart_in_little_time() -> None:
    started = time.perf_counter()
    assert len(needles_of(" ".join(map(str, range(40_000))))) == 40_000
    assert time.perf_counter() - started < 10


WORDY = st.text(alphabet="ab中文字éК 1.-\n", max_size=40)


@given(before=st.sampled_from(["", " ", "x. ", "中 "]), needle=WORDY, after=WORDY)
def test_what_begins_a_word_is_found_whatever_follows(before: str, needle: str, after: str) -> None:
    looked = needle_of(needle)
    if looked is not None:
        assert looked.is_in(form_of(before + needle + after))


@given(
    before=st.text(alphabet="中文字", max_size=5),
    needle=st.text(alphabet="中文字", min_size=1, max_size=6),
    after=WORDY,
)
def test_what_stands_within_a_run_of_chinese_is_found(before: str, needle: str, after: str) -> None:
    looked = needle_of(needle)
    assert looked is not None
    assert looked.is_in(form_of(before + needle + after))


@given(text=st.text(alphabet="中文字", max_size=8), needle=st.text(alphabet="中文字", min_size=1, max_size=4))
def test_nothing_else_is_found_in_chinese(text: str, needle: str) -> None:
    looked = needle_of(needle)
    assert looked is not None
    assert looked.is_in(form_of(text)) is (needle in text)


@given(st.text(max_size=200))
def test_every_text_has_a_form_of_single_spaces(text: str) -> None:
    form = form_of(text)
    assert form == " ".join(form.split())
    assert not set(form) & set("%_'\\;:~")
