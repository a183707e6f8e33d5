"""Styles of messages: what is harmless stays, as it was meant."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.webmail.message_html.harmless import faults, faults_of_style
from webmail.message_html.styles import LONGEST_STYLE, MOST_RULES, inline, sheet


def scoped(*css: str) -> str:
    return sheet(css, prefix="m0-", scope=".s")


@pytest.mark.parametrize(
    "style",
    [
        "color:red",
        "margin:0 auto!important",
        "font:bold 12px/1.5 Arial, sans-serif",
        'font-family:"微软雅黑",SimSun',
        "width:calc(100% - 2 * 10px)",
        "background:linear-gradient(to right, #fff, rgba(0,0,0,.5))",
        "border-left:1pt solid windowtext",
        "mso-line-height-rule:exactly;line-height:20px",
    ],
)
def test_what_mail_is_made_of_stays(style: str) -> None:
    assert inline(style) == style.removeprefix("mso-line-height-rule:exactly;")


@pytest.mark.parametrize(
    ("style", "kept"),
    [
        (r'font-family:"\5FAE\8F6F\96C5\9ED1"', 'font-family:"微软雅黑"'),
        (r"c\6flor:r\65 d", "color:red"),
        ("COLOR:/* a */red;;width:10px;broken", "color:red;width:10px"),
        ("color:red;background:#123 url(x) center", "color:red;background-color:#123"),
        ("background:url(x)", ""),
        ("position:relative;top:0", "position:relative"),
        ("position:fixed", ""),
        ("position:inherit", ""),
        ("position:static fixed", ""),
        ("color:red}*{color:blue", ""),
        ("color:'red'", ""),
        ("font-family:'a\\22 b'", ""),
        ("font-family:'</style>'", ""),
        ("width:calc(var(--x))", ""),
        ("width:calc((((1px))))", ""),
        ("margin:" + "1" * 20 + "px", ""),
        ("color:red;" * LONGEST_STYLE, ""),
    ],
)
def test_of_the_rest_only_what_is_known_is_written_again(style: str, kept: str) -> None:
    assert inline(style) == kept


@pytest.mark.parametrize(
    ("css", "kept"),
    [
        ("p{color:red}", ".s p {color:red}"),
        ("html body p, body.x, body > p{color:red}", ".s p, .s.m0-x, .s > p {color:red}"),
        ("bodyguard{color:red}", ".s bodyguard {color:red}"),
        (".a.b#c:hover + d ~ e{color:red}", ".s .m0-a.m0-b#m0-c:hover + d ~ e {color:red}"),
        (".标题{color:red}", ".s .m0-标题 {color:red}"),
        ("a::before, a:before, [a], a:not(b), a|b, & c, p{color:red}", ".s p {color:red}"),
        ("> p, + p, ~ p{color:red}", ""),
        (r".a\3c b{color:red}", ""),
        ("p{}", ""),
        ("p{color:red;& b{position:fixed}}", ".s p {color:red}"),
        ("<!-- p{color:red} -->", ".s p {color:red}"),
        ("p{color:red", ".s p {color:red}"),
        ("@media (max-width:600px){p{color:red}}", "@media (max-width:600px) {\n.s p {color:red}\n}"),
        ("@media print and (color), x{p{behavior:url(x)}}", ""),
        ("@media (x:url(y)){p{color:red}}", ""),
        ("@keyframes a{from{color:red}}@layer x{p{color:red}}@page{margin:0}", ""),
    ],
)
def test_a_sheet_reaches_its_message_alone(css: str, kept: str) -> None:
    assert scoped(css) == kept


def test_a_sheet_has_an_end() -> None:
    assert scoped("p{color:red}" * (MOST_RULES + 100)).count("{") == MOST_RULES
    assert scoped("p{color:red}", " " * 300_000, "b{color:red}") == ".s p {color:red}\n.s b {color:red}"


SCRAPS = (
    "color", "background", "position", "width", "font-family", "behavior:url(x)",
    "content", ":", ";", "{", "}", "(", ")", "[",
    "]", ",", ".", "#", "@import", "@media", "@font-face", "@supports", "!important", "url(", "URL(http://t.test)",
    "u\\72l(", "\\75 rl(x)", "var(--x)", "--x", "expression(", "calc(", "image-set(",
    "'", '"', "\\", "\\a ", "\n", "/*", "*/",
    "<!--", "-->", "</style>", "<", ">", "*", "+", "~",
    "a", "body", "html", "::before", ":hover", "screen", "red", "fixed",
    "fix\\65 d", "relative", "10px", "1e9", "#fff", "%", "&", "|", " ", " ", "é", "\u2028", "\x00", "U+26", "data:x",
)  # fmt: skip


@settings(max_examples=600, deadline=None)
@given(st.lists(st.sampled_from(SCRAPS), max_size=30))
def test_scraps_of_css_in_any_order_are_harmless(scraps: list[str]) -> None:
    css = "".join(scraps)
    assert faults_of_style(inline(css)) == []
    assert faults_of_style(inline(f"color:red;{css}")) == []
    for sheets in (css, f"p{{{css}}}", f"@media screen{{p{{color:red}}{css}}}", f"{css}{{color:red}}"):
        written = sheet([sheets], prefix="m0-", scope=".m0-waypost-message")
        assert faults("", written) == []
        assert written.count("{") == written.count("}")
