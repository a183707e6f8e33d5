"""What Chromium makes of messages: nothing runs, nothing is asked for but images by our own path.

Each hole is tried three times: behind both walls, behind the sanitiser alone, and behind the headers alone.
"""

from collections.abc import Iterable, Iterator

import pytest
from playwright.sync_api import Browser, Page, Route, sync_playwright

from tests.webmail.message_html.harmless import references
from tests.webmail.message_html.holes import HOLES
from tests.webmail.message_html.pictures import PNG
from webmail.message_html.document import document, headers
from webmail.message_html.sanitise import Sanitised, sanitise
from webmail.message_html.words import ENGLISH

CHROMIUM = "/usr/bin/chromium"
HERE = "http://mail.company.test"
SHOP = "https://shop.test/"
PAGE = f"{HERE}/message/M1/html"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Visit:
    """Opens documents, each in a frame of a page of ours; notes which of them ran something or asked for something."""

    def __init__(self, chromium: Browser) -> None:
        self._documents: dict[str, tuple[str, dict[str, str]]] = {}
        self.asked: list[str] = []
        self.ran: list[str] = []
        context = chromium.new_context(viewport={"width": 1000, "height": 5000})
        context.route("**/*", self._answer)
        context.expose_binding("alert", lambda source, *_: self.ran.append(source["frame"].url))
        self.page: Page = context.new_page()

    def _answer(self, route: Route) -> None:
        url = route.request.url
        if url in self._documents:
            body, given = self._documents[url]
            route.fulfill(body=body, headers=given)
        elif not url.startswith(HERE + "/image/"):
            self.asked.append(url)
            route.abort()
        else:
            self.asked.append(url)
            route.fulfill(body=PNG, headers={"content-type": "image/png"})

    def show(self, documents: Iterable[str], given: dict[str, str]) -> None:
        plain = {"content-type": "text/html; charset=utf-8"}
        framed = {f"{PAGE}?{number}": (html, plain | given) for number, html in enumerate(documents)}
        frames = "".join(f"<iframe width=180 height=120 src='{url}'></iframe>" for url in framed)
        ours, shop = f"<!DOCTYPE html><title>x</title>{frames}", "<!DOCTYPE html><title>Shop</title>"
        self._documents = {HERE + "/": (ours, plain), SHOP: (shop, plain), **framed}
        self.asked, self.ran = [], []
        self.page.goto(HERE + "/")
        for element in self.page.query_selector_all("iframe"):
            element.hover()
        self.page.wait_for_load_state("networkidle")

    def asked_elsewhere(self) -> list[str]:
        return [url for url in self.asked if not url.startswith(HERE + "/image/") and not url.endswith("favicon.ico")]


@pytest.fixture(scope="module")
def visit(chromium: Browser) -> Visit:
    return Visit(chromium)


GUARDED = dict(headers(origin=HERE))


def written(html: str) -> str:
    return document([sanitise(html, references(), prefix="m0-")], ENGLISH, is_cut=False)


def raw(html: str) -> str:
    return document([Sanitised(html, "")], ENGLISH, is_cut=False)


def test_the_browser_would_run_and_ask_for_what_nobody_holds_back(visit: Visit) -> None:
    """Or the tests below would show nothing."""
    visit.show([raw(HOLES["event handler"]), raw(HOLES["css url"]), raw(HOLES["mXSS by comments"])], {})
    assert set(visit.ran) == {f"{PAGE}?0", f"{PAGE}?2"}
    assert "http://tracker.test/c" in visit.asked_elsewhere()


def test_behind_both_walls_nothing_runs_and_nothing_is_asked_for(visit: Visit) -> None:
    visit.show(map(written, HOLES.values()), GUARDED)
    assert visit.ran == []
    assert visit.asked_elsewhere() == []


def test_the_sanitiser_needs_no_headers(visit: Visit) -> None:
    visit.show(map(written, HOLES.values()), {})
    assert visit.ran == []
    assert visit.asked_elsewhere() == []


def test_the_headers_need_no_sanitiser(visit: Visit) -> None:
    """But against a document that leaves by itself (meta refresh), which no header of ours forbids."""
    visit.show([raw(html) for html in HOLES.values() if "http-equiv=refresh" not in html], GUARDED)
    assert visit.ran == []
    assert visit.asked_elsewhere() == []


def test_images_that_we_signed_are_shown(visit: Visit) -> None:
    html = '<img id=a src="cid:logo@test" width=40 height=30><img src="http://shop.test/b.png">'
    part = sanitise(html, references(logo=(2,)), prefix="m0-")
    visit.show([document([part], ENGLISH, is_cut=False)], GUARDED)
    assert len([url for url in visit.asked if url.startswith(HERE + "/image/")]) == 2
    (frame,) = (each for each in visit.page.frames if each.url == f"{PAGE}?0")
    assert frame.locator("#m0-a").bounding_box() is not None
    assert frame.evaluate("[...document.images].map(each => each.naturalWidth)") == [1, 1]


def test_a_link_opens_a_page_that_does_not_know_where_it_came_from(visit: Visit) -> None:
    part = sanitise(f'<a href="{SHOP}">shop</a>', references(), prefix="m0-")
    visit.show([document([part], ENGLISH, is_cut=False)], GUARDED)
    with visit.page.context.expect_page() as opened:
        visit.page.frame_locator("iframe").get_by_text("shop").click()
    assert opened.value.url == SHOP
    assert opened.value.evaluate("[window.opener, document.referrer]") == [None, ""]
    opened.value.close()


def test_no_style_of_the_message_hides_where_a_link_leads(visit: Visit) -> None:
    hiding = "display:none!important;visibility:hidden!important;opacity:0!important;font-size:0!important"
    html = f'<style>#a #b span, span{{{hiding}}}</style><p id=a><b id=b><a href="{SHOP}">https://bank.test</a></b></p>'
    visit.show([written(html)], GUARDED)
    note = visit.page.frame_locator("iframe").get_by_text("shop.test")
    assert note.is_visible()
    seen = "each => [getComputedStyle(each).opacity, getComputedStyle(each).fontSize]"
    assert note.evaluate(seen) == ["1", "12px"]
