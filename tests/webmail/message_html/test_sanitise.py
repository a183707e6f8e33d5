"""Whatever mail holds, what is shown of it holds nothing that runs, loads, submits or pretends."""

import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.webmail.message_html.harmless import faults, references
from tests.webmail.message_html.holes import HOLES
from webmail.message_html.references import RemoteImages
from webmail.message_html.sanitise import Sanitised, sanitise


def clean(html: str, images: RemoteImages = RemoteImages.PROXIED) -> Sanitised:
    return sanitise(html, references(images, logo=(2,), photo=(3, 1)), prefix="m0-")


def shown(html: str) -> str:
    """What stands within the element of the message."""
    written = clean(html).html
    assert written.startswith('<div class="m0-waypost-message">')
    return written.removeprefix('<div class="m0-waypost-message">').removesuffix("</div>")


@pytest.mark.parametrize("hole", HOLES)
def test_a_known_hole_is_closed(hole: str) -> None:
    written = clean(HOLES[hole])
    assert faults(written.html, written.css) == []


@pytest.mark.parametrize("hole", sorted(set(HOLES) - {"broken off"}))
def test_the_look_at_what_was_sanitised_would_see_the_hole(hole: str) -> None:
    assert faults(HOLES[hole], "")


@pytest.mark.parametrize("hole", HOLES)
def test_what_was_sanitised_comes_out_of_it_again_with_nothing_new(hole: str) -> None:
    again = clean(clean(HOLES[hole]).html)
    assert faults(again.html, again.css) == []


@pytest.mark.parametrize("hole", HOLES)
def test_without_images_of_elsewhere_nothing_names_the_proxy(hole: str) -> None:
    assert "/image/remote/" not in clean(HOLES[hole], RemoteImages.NONE).html


SNIPPETS = (
    "<", ">", '"', "'", "`", "&", "\x00", "\t", "\n", "\x0c", "/", "=", "\\", "-->", "<!--", "]]>", "<![CDATA[", "</p>",
    "<svg>", "</svg>", "<math>", "</math>", "<style>", "</style>", "<table>", "<td>", "<p>", "<b>", "<a href=",
    "<title>", "<noscript>", "<template>", "<select>", "<textarea>", "<img src=x onerror=alert(1)>",
    " onload=alert(1) ",
    "javascript:", "&#x6a;avascript:", "&Tab;", "&NewLine;", "&lt;", "&quot;", "url(", "expression(", "var(--x)",
    "position:fixed;", "@import 'x';", "}", "{", ";", " style='", " href=", "<mglyph>", "<mtext>", "<foreignObject>",
    "<form>", "<body ", "<html>", "<frameset>", "\u2028", "\ufeff", "\ud800", "é", "汉",
)  # fmt: skip
CHANGE = st.tuples(
    st.sampled_from(("insert", "delete", "repeat", "swap", "upper", "graft")),
    st.floats(0, 1, exclude_max=True),
    st.floats(0, 1, exclude_max=True),
    st.sampled_from(SNIPPETS),
    st.sampled_from(sorted(HOLES)),
)


def mutated(html: str, change: tuple[str, float, float, str, str]) -> str:
    kind, first, second, snippet, other = change
    at, length = int(first * (len(html) + 1)), int(second * 40)
    match kind:
        case "insert":
            return html[:at] + snippet + html[at:]
        case "delete":
            return html[:at] + html[at + length :]
        case "repeat":
            return html[:at] + html[at : at + length] * 3 + html[at + length :]
        case "swap":
            return html[at:] + html[:at]
        case "upper":
            return html[:at] + html[at : at + length].swapcase() + html[at + length :]
    donor = HOLES[other]
    cut = int(second * (len(donor) + 1))
    return html[:at] + donor[cut : cut + 120] + html[at:]


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(sorted(set(HOLES) - {"contents of a calmed document"})), st.lists(CHANGE, min_size=1, max_size=8)
)
def test_a_hole_that_was_changed_at_random_is_closed_too(
    hole: str, changes: list[tuple[str, float, float, str, str]]
) -> None:
    html = HOLES[hole]
    for change in changes:
        html = mutated(html, change)
    for document in (html, "<i></i>" * 3_001 + html):  # as it is, and as one that is written anew before
        written = clean(document)
        assert faults(written.html, written.css) == []


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(), max_size=300))
def test_any_text_is_taken_for_html_without_an_error(text: str) -> None:
    written = clean(text)
    assert faults(written.html, written.css) == []


def test_half_a_pair_of_code_units_is_no_error() -> None:
    assert shown('a\ud800b<p title="\udfff\x00">') == 'a\ufffdb<p title="\ufffd\ufffd"></p>'


def test_what_people_write_stays_as_it_is() -> None:
    html = (
        '<h2 align="center">你好</h2><p style="color:#333;margin:0 0 8px">One <b>two</b> <em>three</em><br>four</p>'
        '<table width="600" cellpadding="0" border="0"><tbody><tr><td colspan="2" bgcolor="#ffffff">x</td></tr></tbody>'
        '</table><ul><li>a</li></ul><blockquote>b</blockquote><pre>c  d</pre><hr><font color="red" size="2">e</font>'
    )
    assert sorted(shown(html)) == sorted(html)  # attributes may change places


def test_a_link_opens_a_window_of_its_own_and_tells_it_nothing() -> None:
    written = shown('<a href="https://shop.test/a?b=1&c=2" target="_top" rel="opener">shop</a>')
    assert 'href="https://shop.test/a?b=1&amp;c=2"' in written
    assert 'target="_blank"' in written
    assert 'rel="noopener noreferrer nofollow"' in written
    assert "_top" not in written


def test_a_link_within_the_message_stays_there() -> None:
    written = shown('<a href="#end">end</a><p id="end">x</p><a name="top"></a>')
    assert '<a href="#m0-end"' in written
    assert "_blank" not in written.partition("</a>")[0]
    assert 'id="m0-end"' in written
    assert 'name="m0-top"' in written


def test_images_of_the_message_are_its_parts() -> None:
    assert 'src="/image/part/2"' in shown('<img src="cid:logo@test">')
    assert 'src="/image/part/3.1"' in shown('<img src="CID:photo%40test" alt="x">')
    assert "src=" not in shown('<img src="cid:nowhere@test" alt="x">')


def test_images_of_elsewhere_are_counted_and_only_shown_when_asked_for() -> None:
    html = '<img src="http://shop.test/a.png" width="20"><td background="//shop.test/b.png">'
    blocked, asked = references(RemoteImages.NONE), references(RemoteImages.PROXIED)
    assert "/image/" not in sanitise(html, blocked, prefix="m0-").html
    assert sanitise(html, asked, prefix="m0-").html.count("/image/remote/") == 1  # a cell without a table is no cell
    assert blocked.remote_images == asked.remote_images == 1


def test_the_body_of_the_message_becomes_an_element_of_its_own() -> None:
    written = clean('<html><body bgcolor="#eee" text=navy style="margin:0;position:fixed" class="a b" id=c>x').html
    assert written.startswith(
        '<div class="m0-waypost-message m0-a m0-b" style="background-color:#eee;color:navy;margin:0" id="m0-c">'
    )


def test_style_sheets_are_scoped_to_the_message() -> None:
    html = "<style>body, .a > td, #b p:hover, [x], a::before {color: red}</style><p class=a id=b>x</p>"
    css = ".m0-waypost-message, .m0-waypost-message .m0-a > td, .m0-waypost-message #m0-b p:hover {color:red}"
    assert clean(html).css == css
    assert shown(html) == '<p class="m0-a" id="m0-b">x</p>'


@pytest.mark.parametrize(
    ("text", "href", "is_noted"),
    [
        ("https://bank.test/login", "https://evil.test/", True),
        ("www.bank.test", "https://evil.test/", True),
        ("<b>bank</b>.test", "https://bank.test.evil.test/", True),
        ("bank.test", "https://bank.test@evil.test/", True),
        ("b\u200bank.test", "http://evil.test", True),
        ("https://bank.test/login", "https://click.bank.test/r?x", False),
        ("www.bank.test", "https://bank.test/", False),
        ("bänk.test", "https://xn--bnk-qla.test/", False),
        ("bänk.test", "https://bank.test/", True),
        ("b" * 70 + "ä.test", "https://bank.test/", False),
        ("offer.pdf", "https://files.test/offer", False),
        ("https://bank.pdf", "https://files.test/offer", True),
        ("Sign in", "https://evil.test/", False),
        ("me@bank.test", "mailto:me@bank.test", False),
    ],
)
def test_a_link_that_names_another_site_than_its_own_says_so(text: str, href: str, is_noted: bool) -> None:
    assert ("waypost-elsewhere" in shown(f'<a href="{href}">{text}</a>')) is is_noted


@pytest.mark.parametrize(
    "html",
    [
        "<div>" * 10_000 + "deep",
        "<div>" * 390_000,
        "<p>" + "".join(f"<font color=a{n}>" for n in range(1_000)) + "<p>x</p>" * 1_000,
        "<b><p>" * 280_000,
        "<p " + " ".join(f"a{n}" for n in range(300_000)) + ">x",
        "<a b='" * 300_000,
        '<a b="' * 300_000,
        "<a " * 600_000,
        "<!--" * 400_000,
        "<style>" * 250_000,
        "<svg>" * 300_000,
        "<table><tr><td>" * 120_000,
        "<style>" + "a{" * 100_000,
        "<style>" + "@media x{" * 20_000,
        "<p style='x:" + "(" * 9_000 + "'>",
        "<a href=http://shop.test/>" * 2_900 + "x" * 1_000_000,
        "x" * 5_000_000,
        "<" * 2_000_000,
        "&amp;" * 400_000,
    ],
    ids=lambda html: html[:12],
)
def test_html_that_is_made_to_take_long_is_soon_done_and_small(html: str, seconds_of_work: float) -> None:
    began = time.thread_time()
    written = clean(html)
    assert time.thread_time() - began < seconds_of_work
    assert len(written.html) < 9_000_000


def test_a_large_newsletter_keeps_its_form() -> None:
    """One that is written anew before it is parsed comes out as a small one does."""
    row = '<tr><td style="color:red"><font color="blue">a</font> <b>b</b></td></tr>'
    small = shown(f"<table><tbody>{row}</tbody></table>")
    large = shown(f"<table><tbody>{row * 1_200}</tbody></table>")
    assert large == small.replace(row, row * 1_200)
