"""A message as a document: who gets it, what it says of itself, and what it refers to."""

import re

import pytest

from mailserver.assembly import Parts
from tests.conftest import plain_message
from tests.letters import multipart, part
from tests.webmail.jmap.client import HttpAnswer, Jmap, ask
from tests.webmail.message_html.conftest import NewReader
from tests.webmail.message_html.pictures import PNG, SVG, lines
from webmail.message_html.sanitise import LONGEST_HTML

HERE = "https://mail.company.test"


def html_message(html: str, charset: str = "utf-8") -> bytes:
    head = f"Subject: A page\r\nMIME-Version: 1.0\r\nContent-Type: text/html; charset={charset}\r\n\r\n"
    return head.encode() + html.encode(charset)


def image_part(octets: bytes, *fields: str, kind: str = "image/png") -> bytes:
    return part(lines(octets), f"Content-Type: {kind}", "Content-Transfer-Encoding: base64", *fields)


async def receive(reader: Jmap, octets: bytes) -> str:
    """Its Email id."""
    return f"M{(await reader.receive(octets)).message_id}"


async def read(reader: Jmap, email: str, *, query: str = "", **headers: str) -> HttpAnswer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await reader.http("GET", f"/message/{email}/html{query}", headers=named)


def body_of(answer: HttpAnswer) -> str:
    assert answer.status == 200, answer.body
    return answer.body.decode().partition("<body>")[2].removesuffix("</body></html>")


def images_of(answer: HttpAnswer) -> list[str]:
    return re.findall(r'src="(/image/[^"]+)"', answer.body.decode())


async def test_a_document_can_do_nothing_but_be_looked_at(reader: Jmap) -> None:
    answer = await read(reader, await receive(reader, html_message("<p>Hello<script>alert(1)</script>")))
    assert "<p>Hello</p>" in body_of(answer)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["content-security-policy"] == (
        "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
        f"img-src {HERE}/image/; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "private, no-cache"


async def test_images_of_the_message_come_by_a_path_that_needs_no_sign_in(reader: Jmap) -> None:
    page = part(b'<img src="cid:logo@x"><img src=cid:drawing@x>', "Content-Type: text/html")
    logo = image_part(PNG, "Content-ID: <logo@x>", kind="application/octet-stream")
    drawing = image_part(SVG, "Content-ID: <drawing@x>", kind="image/svg+xml")
    answer = await read(reader, await receive(reader, multipart(page, logo, drawing, kind="related")))
    first, second = images_of(answer)
    image = await ask(reader.application, "GET", first)
    assert (image.status, image.body, image.headers["content-type"]) == (200, PNG, "image/png")
    assert image.headers["x-content-type-options"] == "nosniff"
    assert image.headers["cache-control"].startswith("private")
    assert "sandbox" in image.headers["content-security-policy"]
    assert (await ask(reader.application, "GET", second)).status == 404  # an SVG is no picture, whatever it is called


async def test_an_image_beside_the_text_is_shown_once(reader: Jmap) -> None:
    text = part(b"Look:", "Content-Type: text/plain")
    answer = await read(reader, await receive(reader, multipart(text, image_part(PNG), text)))
    assert len(images_of(answer)) == 1
    assert body_of(answer).count("Look:") == 2


async def test_nobody_else_sees_it(reader: Jmap, new_reader: NewReader) -> None:
    email, other = await receive(reader, plain_message()), await new_reader()
    assert (await read(other, email)).status == 404
    refused = await ask(reader.application, "GET", f"/message/{email}/html")
    assert (refused.status, refused.headers["www-authenticate"]) == (401, 'Bearer realm="Waypost"')
    assert (await read(reader, "M999999999999")).status == 404
    for path in ("/message/", "/message/M0/html", "/message/x/html", f"/message/{email}", f"/message/{email}/html/"):
        assert (await reader.http("GET", path)).status == 404
    assert (await reader.http("POST", f"/message/{email}/html")).status == 405


async def test_a_frame_of_ours_shows_it_and_a_page_of_elsewhere_does_not(reader: Jmap, parts: Parts) -> None:
    email = await receive(reader, plain_message())
    who = reader.person.principal
    token = await parts.web_sessions.begin(who, is_open=True, network="192.0.2.9", client="Firefox")

    async def status(**headers: str) -> int:
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        cookie = {"cookie": f"__Host-waypost={token}"}
        answer = await ask(reader.application, "GET", f"/message/{email}/html", headers={**cookie, **given})
        return answer.status

    assert await status(sec_fetch_site="same-origin", sec_fetch_dest="iframe") == 200
    assert await status(sec_fetch_site="none", sec_fetch_dest="document") == 200
    assert await status(sec_fetch_site="cross-site", sec_fetch_dest="iframe") == 401
    assert await status(sec_fetch_site="same-site", sec_fetch_dest="iframe") == 401
    assert await status(origin="https://elsewhere.test") == 401
    assert await status(origin="null") == 401  # that of a message's own document


async def test_what_was_seen_is_not_sent_again(reader: Jmap) -> None:
    email = await receive(reader, plain_message())
    tag = (await read(reader, email)).headers["etag"]
    again = await read(reader, email, if_none_match=tag)
    assert (again.status, again.body) == (304, b"")
    assert (await read(reader, email, query="?images=remote", if_none_match=tag)).status == 200


async def test_images_of_elsewhere_are_left_out_and_counted_until_they_are_asked_for(reader: Jmap) -> None:
    html = '<img src="http://shop.test/a.png"><img src="https://shop.test/b.png"><img src="data:image/png;base64,AA">'
    email = await receive(reader, html_message(html))
    left_out = await read(reader, email)
    assert images_of(left_out) == []
    assert left_out.headers["waypost-remote-images"] == "2"
    assert len(images_of(await read(reader, email, query="?images=remote"))) == 2
    assert images_of(await read(reader, email, query="?images=everything")) == []
    assert (await reader.http("HEAD", f"/message/{email}/html")).headers["waypost-remote-images"] == "2"


@pytest.mark.parametrize(
    ("declared", "charset", "text"),
    [
        ("gb2312", "gb18030", "你好，世界㐀"),
        ("big5", "big5", "您好"),
        ("iso-2022-jp", "iso-2022-jp", "こんにちは"),
        ("utf-8", "gb18030", "这是一封没有正确声明编码的邮件"),
        ("x-unknown", "utf-8", "你好"),
        ("utf-16", "utf-16", "你好"),
    ],
)
async def test_a_page_of_any_charset_is_read(reader: Jmap, declared: str, charset: str, text: str) -> None:
    head = f"Content-Type: text/html; charset={declared}\r\nContent-Transfer-Encoding: base64\r\n\r\n".encode()
    answer = await read(reader, await receive(reader, head + lines(f"<p>{text}</p>".encode(charset))))
    assert f"<p>{text}</p>" in body_of(answer)


async def test_the_charset_may_stand_in_the_page_alone(reader: Jmap) -> None:
    octets = '<meta http-equiv="Content-Type" content="text/html; charset=gbk"><p>你好'.encode("gbk")
    answer = await read(reader, await receive(reader, b"Content-Type: text/html\r\n\r\n" + octets))
    assert "<p>你好</p>" in body_of(answer)


async def test_plain_text_is_shown_as_text(reader: Jmap) -> None:
    answer = await read(reader, await receive(reader, plain_message(body="<b>1 < 2</b> see https://a.test/x.")))
    assert '&lt;b&gt;1 &lt; 2&lt;/b&gt; see <a href="https://a.test/x"' in body_of(answer)


async def test_flowed_text_is_joined(reader: Jmap) -> None:
    head = b"Content-Type: text/plain; format=Flowed; delsp=yes\r\n\r\n"
    answer = await read(reader, await receive(reader, head + "你 \r\n好\r\n> a \r\n> b\r\n".encode()))
    assert ">你好</div>" in body_of(answer)
    assert ">ab</div>" in body_of(answer)


async def test_of_alternatives_the_page_is_shown_and_of_several_parts_all(reader: Jmap) -> None:
    text, page = part(b"plain", "Content-Type: text/plain"), part(b"<i>page</i>", "Content-Type: text/html")
    chosen = body_of(await read(reader, await receive(reader, multipart(text, page, kind="alternative"))))
    assert "<i>page</i>" in chosen
    assert "plain" not in chosen
    both = body_of(await read(reader, await receive(reader, multipart(page, text, page))))
    assert both.count("<i>page</i>") == 2
    assert both.count("plain") == 1


async def test_styles_of_one_part_do_not_reach_another(reader: Jmap) -> None:
    page = part(b"<style>.a{color:red}</style><p class=a>x</p>", "Content-Type: text/html")
    shown = (await read(reader, await receive(reader, multipart(page, page)))).body.decode()
    assert ".m0-waypost-message .m0-a {color:red}" in shown
    assert ".m1-waypost-message .m1-a {color:red}" in shown
    assert '<p class="m1-a">' in shown


async def test_a_message_without_text_says_so(reader: Jmap) -> None:
    head = b"Content-Type: application/pdf\r\nContent-Disposition: attachment\r\n\r\n%PDF"
    assert "This message has no text." in body_of(await read(reader, await receive(reader, head)))
    for empty in (b"", plain_message(body=" ")):
        assert "This message has no text." in body_of(await read(reader, await receive(reader, empty)))


async def test_text_in_an_old_encoding_is_read(reader: Jmap) -> None:
    head = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: x-uuencode\r\n\r\n"
    answer = await read(reader, await receive(reader, head + b"begin 644 a\r\n%:&5L;&\\\r\n`\r\nend\r\n"))
    assert ">hello</div>" in body_of(answer)


async def test_a_page_that_is_too_long_is_shown_as_far_as_it_goes(reader: Jmap) -> None:
    answer = await read(reader, await receive(reader, html_message("<p>beginning</p>" + "<p>x</p>" * 300_000)))
    shown = body_of(answer)
    assert shown.startswith('<div class="waypost-part"><div class="m0-waypost-message"><p>beginning</p>')
    assert "too long to be shown whole" in shown
    assert len(shown) < LONGEST_HTML + 1_000
