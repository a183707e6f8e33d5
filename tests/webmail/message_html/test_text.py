"""Plain text, shown: addresses are links, quotes are set in, nothing is markup."""

import re
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from webmail.message_html.text import Flow, linked, text_html
from webmail.message_html.words import CHINESE, ENGLISH

LINK = re.compile(r'<a href="([^"]*)" target="_blank" rel="noopener noreferrer nofollow">([^<]*)</a>')


def shown(text: str, *, flow: Flow | None = None) -> str:
    """Without what is the same in every text."""
    html = text_html(text, ENGLISH, flow=flow)
    for long, short in (
        ('<div class="waypost-text">', ""),
        ('<div class="waypost-lines">', "["),
        (' class="waypost-quote waypost-quote-', " "),
        ('"', ""),
    ):
        html = html.replace(long, short)
    return html.replace("</div>", "]").removesuffix("]")


@pytest.mark.parametrize(
    ("text", "target", "link"),
    [
        ("see https://a.test/b.", "https://a.test/b", "https://a.test/b"),
        ("(http://a.test/b_(c))", "http://a.test/b_(c)", "http://a.test/b_(c)"),
        ("见https://a.test/b，谢谢", "https://a.test/b", "https://a.test/b"),
        ("<www.a.test/x?y=1&z=2>", "https://www.a.test/x?y=1&amp;z=2", "www.a.test/x?y=1&amp;z=2"),
        ("HTTP://A.test/!!!", "http://A.test/", "HTTP://A.test/"),
        ("ask ann@a.test.", "mailto:ann@a.test", "ann@a.test"),
        ('http://a.test/"onclick="alert(1)', "http://a.test/", "http://a.test/"),
    ],
)
def test_an_address_becomes_a_link(text: str, target: str, link: str) -> None:
    assert LINK.findall(linked(text)) == [(target, link)]


@pytest.mark.parametrize(
    "text", ["www", "http://", "a@b", "javascript:alert(1)", "ftp://a.test", "file:///etc", "://a"]
)
def test_what_is_no_address_is_none(text: str) -> None:
    assert "<a" not in linked(text)


def test_markup_is_text() -> None:
    assert linked("<script>&amp;</script>") == "&lt;script&gt;&amp;amp;&lt;/script&gt;"


def test_quotes_are_set_in_by_level() -> None:
    assert shown("a\n> b\n> > c\n>>d\n>e\nf") == (
        "[a]<blockquote 0>[b]<blockquote 1>[c\nd]</blockquote>[e]</blockquote>[f]"
    )


def test_a_long_quote_is_folded_away() -> None:
    long = "\n".join("> line" for _ in range(30))
    assert "<details><summary>Quoted text (lines: 30)</summary>" in shown(long)
    assert "引用的内容（30 行）" in text_html(long, CHINESE, flow=None)
    assert "<details" not in shown("> line\n> line")


def test_a_mark_within_a_line_is_no_quote() -> None:
    assert shown("a > b\n -> c\n>") == "[a &gt; b\n -&gt; c]<blockquote 0>[]</blockquote>"


def test_flowed_lines_are_joined_within_their_level() -> None:
    text = "> one \n> two\n>> three \nfour \n five\n-- \nAnn \nBee"
    assert shown(text, flow=Flow(deletes_space=False)) == (
        "<blockquote 0>[one two]<blockquote 1>[three ]</blockquote></blockquote>[four five\n-- \nAnn Bee]"
    )


def test_flowed_lines_without_their_spaces_make_chinese_words_whole() -> None:
    assert shown("今天天 \n气很好", flow=Flow(deletes_space=True)) == "[今天天气很好]"


def test_a_line_that_begins_with_a_stuffed_mark_is_no_quote() -> None:
    assert shown(" >From here", flow=Flow(deletes_space=False)) == "[&gt;From here]"


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("> \n\ta<&\"'.:/@w汉-") | st.characters(), max_size=200), st.booleans())
def test_any_text_comes_out_whole_and_as_text(text: str, is_flowed: bool) -> None:
    root = LexborHTMLParser(text_html(text, ENGLISH, flow=Flow(deletes_space=False) if is_flowed else None)).body
    assert root is not None
    assert {node.tag for node in root.traverse(include_text=False)} <= {
        "body", "div", "blockquote", "details", "summary", "a",
    }  # fmt: skip
    written = re.sub(r"Quoted text \(lines: \d+\)", "", root.text())
    kept = [character for character in text if character.isalnum()]
    assert [character for character in written if character.isalnum()] == kept


@pytest.mark.parametrize(
    "text",
    [">" * 2_000_000, "> \n" * 500_000, ">a\nb\n" * 300_000, "http://" * 300_000, "a@" * 900_000, "a." * 900_000,
     "www." * 400_000, "http://x/" + ")" * 1_990_000, "a@" + "a-" * 900_000, "a@" + "a." * 900_000],
    ids=lambda text: text[:8],
)  # fmt: skip
def test_text_that_is_made_to_take_long_is_soon_done(text: str, seconds_of_work: float) -> None:
    began = time.thread_time()
    html = text_html(text, ENGLISH, flow=None)
    assert time.thread_time() - began < seconds_of_work
    assert len(html) < 6_000_000
