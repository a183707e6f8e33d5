import base64
import quopri

import pytest

from mailserver.mime.structure import scan
from mailserver.mime.text import part_text, preview


def of(message: bytes) -> str:
    return preview(message, scan(message))


def text_of(message: bytes) -> str:
    return part_text(message, scan(message))


def test_the_preview_is_the_beginning_of_the_text_with_white_space_folded():
    assert of(b"Subject: x\r\n\r\n  Hello,\r\n\r\n\tworld \r\n") == "Hello, world"
    assert of(b"\r\n" + b"word " * 100) == ("word " * 40).strip()
    assert len(of(b"\r\n" + b"x" * 1000)) == 200


def test_plain_text_is_preferred_and_attachments_are_passed_over():
    message = (
        b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\n<p>markup</p>\r\n"
        b"--b\r\nContent-Disposition: attachment\r\n\r\nattached\r\n--b\r\n\r\nplain\r\n--b--\r\n"
    )
    assert of(message) == "plain"


def test_without_plain_text_the_markup_is_stripped():
    message = (
        b"Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
        b'<html><head><title>T</title><style type=3D"text/css">p{}</style></head><body><!-- no --><p class=3D"a">'
        b"Tom &amp; J=C3=A9r=C3=B4me&nbsp;&lt;3<br>1 < 2</p><script>x()</script></body></html>"
    )
    assert of(message) == "Tom & Jérôme <3 1 < 2"


def test_styles_longer_than_the_first_octets_do_not_hide_the_text():
    message = b"Content-Type: text/html\r\n\r\n<style>" + b"p{}" * 10_000 + b"</style><p>seen</p>"
    assert of(message) == "seen"


def test_padding_of_newsletters_is_not_shown():
    message = "Content-Type: text/plain; charset=utf-8\r\n\r\nSale\u200c\u00a0\u200c\u00a0\u034f\u00ad now".encode()
    assert of(message) == "Sale now"


@pytest.mark.parametrize("size", [8185, 8190, 8191, 8192, 8193, 8200, 20_000])
@pytest.mark.parametrize("encoding", ["8bit", "base64", "quoted-printable"])
@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
def test_cutting_the_text_never_spoils_it(charset: str, encoding: str, size: int):
    raw = (" " * 4000 + "报告" * size).encode(charset)
    if encoding == "base64":
        raw = base64.encodebytes(raw)
    elif encoding == "quoted-printable":
        raw = quopri.encodestring(raw)
    header = f"Content-Type: text/plain; charset={charset}\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n".encode()
    shown = of(header + raw)
    assert shown
    assert set(shown) == {"报", "告"}


def test_an_undeclared_charset_is_guessed_though_the_text_is_cut():
    assert of(b"\r\n" + "各位同事：现将放假事宜告知如下。".encode("gb18030") * 999)[:5] == "各位同事："


def test_a_message_of_only_an_inner_message_shows_that():
    assert of(b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\ninside\r\n") == "inside"


def test_messages_without_text_have_an_empty_preview():
    assert of(b"") == ""
    assert of(b"Content-Type: image/png\r\n\r\nxxxx") == ""
    assert of(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n") == ""


def test_nul_and_controls_never_reach_the_preview():
    assert of(b"\r\na\x00b\x07c\x9fd\r\n").isprintable()


@pytest.mark.parametrize(
    ("encoding", "body", "text"),
    [
        (b"base64", b"5oql5ZGK", "报告"),
        (b"BASE64 ", b"5oql\r\n5ZGK\r\n", "报告"),
        (b"base64", b"5oql*5ZGKQQ==junk", "报告A"),
        (b"base64", b"5oql5ZG", "报\ufffd"),
        (b"base64", b"=", ""),
        (b"quoted-printable", b"=E6=8A=A5=\r\n=E5=91=8A", "报告"),
        (b"quoted-printable", b"50=25 =ZZ =", "50% =ZZ "),
        (b"x-uuencode", b"begin 644 a\r\n&YHJEY9&*\r\n`\r\nend\r\n", "报告"),
        (b"x-unknown", "报告".encode(), "报告"),
        (b"", "报告".encode(), "报告"),
    ],
)
def test_transfer_encodings_are_undone_as_far_as_they_can(encoding: bytes, body: bytes, text: str):
    message = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: " + encoding + b"\r\n\r\n" + body
    assert text_of(message) == text
