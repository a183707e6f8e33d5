"""Marks in texts, and pieces of texts that are short enough and safe."""

import html
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.highlighting import Highlighter
from mailserver.mime.searchable import form_of, needles_of


@pytest.mark.parametrize(
    ("looked", "text", "marked"),
    [
        ("foo", "The Foosball <competition>", "The <mark>Foo</mark>sball &lt;competition&gt;"),
        ("foo", "foo/bar & baffoon", "<mark>foo</mark>/bar &amp; baffoon"),
        ("sao paulo", "São\r\n  PAULO", "<mark>São</mark> <mark>PAULO</mark>"),
        ('"sao paulo"', "São\r\n  PAULO, paulo", "<mark>São PAULO</mark>, paulo"),
        ('"paul"', "Paulo, Paul", "Paulo, <mark>Paul</mark>"),
        ("strasse", "STRAẞE, Straßen", "<mark>STRAẞE</mark>, <mark>Straße</mark>n"),
        ("数据库", "关系数据库管理，数据", "关系<mark>数据库</mark>管理，数据"),
        ("库", "关系数据库。", "关系数据<mark>库</mark>。"),
        ("手机2", "新iPhone手机 2台", "新iPhone<mark>手机 2</mark>台"),
        ("foo", "nothing", None),
        ("foo", "", None),
    ],
)
def test_what_is_looked_for_is_marked(looked: str, text: str, marked: str | None) -> None:
    assert Highlighter(needles_of(looked)).marked(text) == marked


def test_within_words_only_where_that_is_asked_for() -> None:
    assert Highlighter((), anywhere=needles_of("oon")).marked("baffoon") == "baff<mark>oon</mark>"
    assert Highlighter(needles_of("oon")).marked("baffoon") is None


def test_a_snippet_stands_where_most_is_together() -> None:
    text = "alpha " + "filler " * 200 + "beta and alpha together, " + "filler " * 200 + "beta"
    found = Highlighter(needles_of("alpha beta")).snippet(text, 255)
    assert found is not None
    assert "<mark>beta</mark> and <mark>alpha</mark> together" in found
    assert re.match(r"…filler.* filler…$", found)


def test_a_short_text_is_shown_whole() -> None:
    assert Highlighter(needles_of("b")).snippet("a <b> c", 255) == "a &lt;<mark>b</mark>&gt; c"


def test_a_snippet_in_chinese_is_cut_between_characters() -> None:
    found = Highlighter(needles_of("预算")).snippet(
        "各位同事，附件是本季度的情况。" * 40 + "预算表" + "请查收。" * 90, 255
    )
    assert found is not None
    assert 200 < len(found.encode()) <= 255
    assert "<mark>预算</mark>表" in found


@pytest.mark.parametrize("around", ["<", "&", "é", "中", "\U0001f600", "e\u0301 ", "x ", " "])
@pytest.mark.parametrize("looked", ["needle", "中文", "n" * 300, "数" * 200])
def test_no_snippet_is_longer_than_is_allowed(looked: str, around: str) -> None:
    found = Highlighter(needles_of(looked)).snippet(around * 700 + " " + looked + " " + around * 700, 255)
    assert found is not None
    assert len(found.encode()) <= 255
    assert found.count("<mark>") == found.count("</mark>") > 0


TEXTS = st.text(alphabet="ab <>&中文é\n.\u0301ﬁß", max_size=300)


@given(text=TEXTS, looked=st.text(alphabet="ab 中文é", min_size=1, max_size=6))
def test_what_is_marked_is_what_search_finds_and_the_rest_is_escaped(text: str, looked: str) -> None:
    needles = needles_of(looked)
    highlighter = Highlighter(needles)
    marked, snippet = highlighter.marked(text), highlighter.snippet(text, 100)
    if any(needle.is_in(form_of(text)) for needle in needles):
        assert marked is not None
    assert (marked is None) == (snippet is None)
    if marked is not None and snippet is not None:
        assert len(snippet.encode()) <= 100
        for found in (marked, snippet):
            plain = re.sub("</?mark>", "", found)
            assert not set(plain) & {"<", ">"}
            assert not re.search("&(?!(amp|lt|gt);)", plain)
        assert len(html.unescape(re.sub("</?mark>", "", marked))) <= len(text)
