"""A message with a page and a picture is framed by a page of ours: shown as it was meant, able to do nothing."""

import base64
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.flows.clients import deliver, sign_in
from tests.flows.installation import Installation, Person

CHROMIUM = "/usr/bin/chromium"
PNG = b"iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
LETTER = (
    b"From: shop@elsewhere.test\r\nSubject: Autumn\r\nMIME-Version: 1.0\r\n"
    b'Content-Type: multipart/related; boundary="=b="\r\n\r\n'
    b"--=b=\r\nContent-Type: text/html; charset=gb2312\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + base64.b64encode(
        '<p class="a">秋天到了</p><img src="cid:logo" width="60"><img src="http://tracker.test/o.gif">'
        "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\">"
        "<style>.a{color:rgb(1,2,3)}</style>".encode("gb2312")
    )
    + b"\r\n--=b=\r\nContent-Type: image/png\r\nContent-ID: <logo>\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    + PNG
    + b"\r\n--=b=--\r\n"
)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def newest_email(installation: Installation, person: Person) -> str:
    client = sign_in(installation, person, mailbox="INBOX")
    _, answer = client.fetch("*", "(EMAILID)")
    client.logout()
    found = re.search(rb"EMAILID \((M\d+)\)", answer[0] if isinstance(answer[0], bytes) else b"")
    assert found is not None
    return found[1].decode()


def test_a_person_reads_a_page_in_a_frame(installation: Installation, chromium: Browser) -> None:
    person = installation.person()
    deliver(installation, [person], LETTER)
    email = newest_email(installation, person)
    base = f"http://localhost:{installation.port('http')}"
    context = chromium.new_context(locale="en-US")
    frame = f'<!DOCTYPE html><title>Ours</title><iframe sandbox="allow-popups" src="/message/{email}/html"></iframe>'
    context.route(base + "/framing", lambda route: route.fulfill(body=frame, content_type="text/html; charset=utf-8"))
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()

    page.goto(base + "/sign-in")
    page.fill("#address", person.address)
    page.fill("#password", person.password)
    page.click("form.stack button")
    page.wait_for_url(lambda url: not url.endswith("/sign-in"))
    asked.clear()
    page.goto(base + "/framing", wait_until="networkidle")

    shown = page.frame_locator("iframe").locator("body")
    assert "秋天到了" in shown.inner_text()
    assert shown.evaluate("body => getComputedStyle(body.querySelector('p')).color") == "rgb(1, 2, 3)"
    assert shown.evaluate("() => [...document.images].map(each => each.naturalWidth)") == [1, 0, 0]
    assert shown.evaluate("() => [document.title, window.origin]") == ["", "null"]
    assert [url for url in asked if not url.startswith((base + "/framing", base + "/message/", base + "/image/"))] == []

    other = chromium.new_context().new_page()
    answer = other.goto(f"{base}/message/{email}/html")
    assert answer is not None
    assert answer.status == 401
