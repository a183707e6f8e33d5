"""Body parts and the texts in them (RFC 8621 §4.1.4, §4.2)."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.structure import scan
from tests.letters import letters
from webmail.jmap.answer_room import AnswerRoom
from webmail.jmap.email_bodies import BodyPart, body_lists, body_tree
from webmail.jmap.email_body_values import body_value, truncated
from webmail.jmap.email_wanted import PART_PROPERTIES, PROPERTIES, PartWanted, ValuesWanted, Wanted
from webmail.jmap.email_whole import parsed_email
from webmail.jmap.errors import JsonObject
from webmail.jmap.header_properties import CONVENIENCE
from webmail.jmap.ids import PartPath


def nested(tree: Any, number: int = 0) -> bytes:
    """A part from its type, or from a multipart's type and its parts."""
    if isinstance(tree, str):
        type_, _, more = tree.partition(", ")
        disposition = f"Content-Disposition: {more}\r\n" if more else ""
        return f"Content-Type: {type_}\r\n{disposition}\r\nbody".encode()
    type_, *parts = tree
    boundary = f"b{number}".encode() + b"".join(b"x" for _ in range(number))
    inner = b"".join(b"--" + boundary + b"\r\n" + nested(each, number + 1) + b"\r\n" for each in parts)
    return (
        f'Content-Type: {type_}; boundary="'.encode() + boundary + b'"\r\n\r\n' + inner + b"--" + boundary + b"--\r\n"
    )


def shown(parts: Any) -> list[str]:
    return [part.part_id for part in parts]


def blob_id(path: PartPath) -> str:
    return "B" + ".".join(map(str, path))


EVERYTHING = Wanted(
    PROPERTIES, tuple(CONVENIENCE.values()), PartWanted(PART_PROPERTIES, ()), ValuesWanted(True, True, True, 0)
)


def read(octets: bytes, *, most_octets: int = 0) -> JsonObject:
    wanted = replace(EVERYTHING, values=ValuesWanted(True, True, True, most_octets))
    found = parsed_email(octets, wanted, blob_id, AnswerRoom())
    assert found is not None
    return found


RELATED = ("multipart/related", "text/html", "image/png")
EXAMPLE = (
    "multipart/mixed",
    "text/plain, inline",  # A, 1
    (
        "multipart/mixed",
        (
            "multipart/alternative",
            ("multipart/mixed", "text/plain, inline", "image/jpeg, inline", "text/plain, inline"),  # B C D
            ("multipart/related", "text/html", "image/jpeg"),  # E F
        ),
        "image/jpeg, attachment",  # G
        "application/x-excel",  # H
        "message/rfc822",  # J
    ),
    "text/plain, inline",  # K
)


def test_the_example_of_the_rfc() -> None:
    lists = body_lists(body_tree(scan(nested(EXAMPLE))))
    a, b, c, d, e, f = "1", "2.1.1.1", "2.1.1.2", "2.1.1.3", "2.1.2.1", "2.1.2.2"
    g, h, j, k = "2.2", "2.3", "2.4", "3"
    assert shown(lists.text) == [a, b, c, d, k]
    assert shown(lists.html) == [a, e, k]
    assert shown(lists.attachments) == [c, f, g, h, j]


@pytest.mark.parametrize(
    ("tree", "text", "html", "attachments"),
    [
        ("text/plain", ["1"], ["1"], []),
        ("text/html", ["1"], ["1"], []),
        ("text/plain, attachment", [], [], ["1"]),
        ("application/pdf", [], [], ["1"]),
        ("image/png", ["1"], ["1"], []),
        (("multipart/alternative", "text/plain", "text/html"), ["1"], ["2"], []),
        (("multipart/alternative", "text/html"), ["1"], ["1"], []),
        (("multipart/alternative", "text/plain"), ["1"], ["1"], []),
        (("multipart/alternative", "text/plain", "text/calendar", "text/html"), ["1"], ["3"], ["2"]),
        (("multipart/related", "text/html", "image/png", "text/plain"), ["1"], ["1"], ["2", "3"]),
        (("multipart/mixed", "text/plain", "text/plain; name=a.txt"), ["1"], ["1"], ["2"]),
        (("multipart/mixed", "text/plain; name=a.txt", "text/plain"), ["1", "2"], ["1", "2"], []),
        (
            ("multipart/alternative", "text/plain", ("multipart/related", "text/html", "image/png")),
            ["1"],
            ["2.1"],
            ["2.2"],
        ),
    ],
)
def test_what_is_body_and_what_is_attached(tree: Any, text: list[str], html: list[str], attachments: list[str]) -> None:
    lists = body_lists(body_tree(scan(nested(tree))))
    assert (shown(lists.text), shown(lists.html), shown(lists.attachments)) == (text, html, attachments)


def test_every_property_of_a_part() -> None:
    octets = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
        b"--b\r\n\r\nno header\r\n"
        b'--b\r\nContent-Type: TEXT/HTML; charset=GBK; name="a.html"\r\n'
        b"Content-Disposition: INLINE (why); filename*=utf-8''%E4%BD%A0.html\r\nContent-ID: (x) <a@b>\r\n"
        b"Content-Language: en, zh-Hans\r\nContent-Location: https://example.com/\r\n a\r\n"
        b"Content-Transfer-Encoding: base64\r\n\r\nxOO6ww==\r\n"
        b"--b\r\nContent-Type: application/json\r\n\r\n{}\r\n--b--\r\n"
    )
    first, second, third = read(octets)["bodyStructure"]["subParts"]
    assert first == {
        "partId": "1", "blobId": "B1", "size": 9, "headers": [], "name": None, "type": "text/plain",
        "charset": "us-ascii", "disposition": None, "cid": None, "language": None, "location": None, "subParts": None,
    }  # fmt: skip
    assert second.pop("headers")[0] == {"name": "Content-Type", "value": ' TEXT/HTML; charset=GBK; name="a.html"'}
    assert second == {
        "partId": "2", "blobId": "B2", "size": 4, "name": "你.html", "type": "text/html", "charset": "GBK",
        "disposition": "inline", "cid": "a@b", "language": ["en", "zh-Hans"], "location": "https://example.com/a",
        "subParts": None,
    }  # fmt: skip
    assert third["charset"] is None
    assert read(octets)["bodyValues"]["2"] == {"value": "你好", "isEncodingProblem": False, "isTruncated": False}
    assert read(octets)["bodyStructure"]["partId"] is None
    assert read(octets)["bodyStructure"]["blobId"] is None


@pytest.mark.parametrize(
    ("octets", "charset", "value", "is_problem"),
    [
        (b"plain", None, "plain", False),
        (b"a\r\nb\nc\rd", None, "a\nb\nc\rd", False),
        ("grün".encode(), None, "grün", False),
        ("grün".encode(), "utf-8", "grün", False),
        ("grün".encode("latin-1"), "iso-8859-1", "grün", False),
        ("你好世界".encode("gb18030"), None, "你好世界", True),
        ("你好世界".encode("gb18030"), "gb2312", "你好世界", False),
        (b"plain", "x-nobody-knows", "plain", True),
        ("é".encode() * 20 + b"\xe4", "utf-8", "é" * 20 + "\ufffd", True),
        (b"nul \x00", "utf-8", "nul \ufffd", False),
    ],
)
def test_texts_are_decoded_and_problems_told(octets: bytes, charset: str | None, value: str, is_problem: bool) -> None:
    found = body_value(octets, charset, is_html=False, most_octets=0, is_cut=False, has_problem=False)
    assert (found["value"], found["isEncodingProblem"], found["isTruncated"]) == (value, is_problem, False)


def test_html_tells_its_charset_itself() -> None:
    octets = b'<html><meta http-equiv="Content-Type" content="text/html; charset=big5"><p>' + "中文".encode("big5")
    found = body_value(octets, None, is_html=True, most_octets=0, is_cut=False, has_problem=False)
    assert found["value"].endswith("中文")
    assert not found["isEncodingProblem"]


def test_an_unknown_transfer_encoding_is_a_problem_and_changes_nothing() -> None:
    found = read(b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-zip\r\n\r\nabc")
    assert found["bodyValues"]["1"] == {"value": "abc", "isEncodingProblem": True, "isTruncated": False}
    assert found["textBody"][0]["size"] == 3


@pytest.mark.parametrize(
    ("html", "most", "cut"),
    [
        ("<p>Hello</p>", 8, "<p>Hello"),
        ("<p>Hello</p>", 10, "<p>Hello"),
        ("<p>Hello</p>", 12, "<p>Hello</p>"),
        ('a<a href="https://example.com/?a>b&lt=1">x</a>', 30, "a"),
        ("a &amp; b", 2, "a "),
        ("a &amp; b", 6, "a "),
        ("a &amp; b", 7, "a &amp;"),
        ("a & b", 3, "a &"),
        ("1 < 2 and 3", 7, "1 < 2 a"),
        ("<!-- a > b --> c", 9, ""),
        ("<!-- a > b --> c", 15, "<!-- a > b --> "),
        ("<p class=it's>Hello</p> and more", 16, "<p class=it's>He"),
        ("<", 1, "<"),
    ],
)
def test_no_tag_and_no_entity_is_cut(html: str, most: int, cut: str) -> None:
    assert truncated(html, most, is_html=True) == cut


@given(st.text(), st.integers(1, 50), st.booleans())
def test_a_cut_text_is_a_beginning_and_short_enough(text: str, most: int, is_html: bool) -> None:
    cut = truncated(text, most, is_html=is_html)
    assert text.startswith(cut)
    assert len(cut.encode()) <= most
    if not is_html:
        assert len(text[: len(cut) + 1].encode()) > most or cut == text


def test_a_long_text_is_cut_where_asked() -> None:
    octets = (
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n" + "好".encode() * 10_000
    )
    found = read(octets, most_octets=100)["bodyValues"]["1"]
    assert found == {"value": "好" * 33, "isEncodingProblem": False, "isTruncated": True}


def test_three_thousand_parts_open() -> None:
    parts = b"".join(b"--b\r\nContent-Type: text/plain; name=a%d\r\n\r\n%d\r\n" % (n, n) for n in range(3000))
    found = read(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + parts + b"--b--\r\n")
    assert len(found["bodyStructure"]["subParts"]) == 3000
    assert len(found["attachments"]) == 2999
    assert found["bodyValues"]["3000"]["value"] == "2999"


def test_parts_nested_a_hundred_deep_open() -> None:
    octets = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(100))
    found = read(octets + b"\r\ntext")
    depth, part = 0, found["bodyStructure"]
    while part.get("subParts"):
        depth, part = depth + 1, part["subParts"][0]
    assert depth == 50


@pytest.mark.parametrize("octets", [octets for _, octets in letters()], ids=[name for name, _ in letters()])
def test_every_letter_opens(octets: bytes) -> None:
    read(b"X-First: field\r\n" + octets)


@given(st.binary(max_size=500))
def test_no_octets_raise(octets: bytes) -> None:
    parsed_email(b"A: b\r\n" + octets, EVERYTHING, blob_id, AnswerRoom())


def test_part_paths_name_every_leaf_once() -> None:
    tree: BodyPart = body_tree(scan(nested(EXAMPLE)))
    ids = [leaf.part_id for leaf in tree.leaves()]
    assert len(ids) == len(set(ids)) == 10


def test_what_begins_with_no_field_is_no_message() -> None:
    for octets in (b"", b"\x89PNG\r\n\x1a\n\0\0", b"hello world", b"\r\nSubject: body\r\n", b"two words: three\n"):
        assert parsed_email(octets, EVERYTHING, blob_id, AnswerRoom()) is None


def test_what_begins_with_a_line_of_an_mbox_is_a_message() -> None:
    assert read(b"From ada@a.test Mon May  2 16:07:05 2005\nSubject: a\n\nb")["subject"] == "a"
