"""Signing in with a password, as a browser without script does."""

import asyncio

import psycopg
import pytest
from django.test import override_settings

from mailserver.assembly import Parts
from tests.conftest import RunningServices
from tests.people import new_person
from tests.webmail.pages.sign_in.browser import ORIGIN, Browser, Client

ALL_PAGES = (
    "/account",
    "/account/password",
    "/account/app-passwords/new",
    "/account/authenticator",
    "/account/recovery-codes",
    "/account/passkeys/new",
    "/sign-in/again",
)


async def test_the_right_password_opens_the_account(browser: Browser) -> None:
    response = await browser.sign_in()
    assert (response.status_code, response.headers["Location"]) == (302, "/account")
    page = await browser.get("/account")
    assert page.status_code == 200
    assert browser.person.address in page.content.decode()


async def test_the_wrong_password_is_told_beside_the_form_and_opens_nothing(browser: Browser) -> None:
    response = await browser.sign_in("nonsense")
    assert response.status_code == 422
    assert "The address or the password is wrong." in response.content.decode()
    assert browser.person.address in response.content.decode()
    assert (await browser.get("/account")).status_code == 302


async def test_who_does_not_exist_is_told_the_same(browser: Browser) -> None:
    response = await browser.sign_in(address="nobody@nowhere.test")
    assert "The address or the password is wrong." in response.content.decode()


async def test_a_field_that_was_left_empty_is_named(browser: Browser) -> None:
    response = await browser.post("/sign-in", {"address": browser.person.address})
    assert response.status_code == 422
    assert 'id="password-error"' in response.content.decode()


@pytest.mark.parametrize("path", ALL_PAGES)
async def test_a_stranger_signs_in_first_and_comes_back(browser: Browser, path: str) -> None:
    response = await browser.get(path)
    assert response.status_code == 302
    assert response.headers["Location"] == f"/sign-in?next={path.replace('/', '%2F')}"
    response = await browser.sign_in(next=path)
    assert response.headers["Location"] == path


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.test/",
        "//evil.test/",
        "/\\evil.test",
        "///evil.test",
        "javascript:alert(1)",
        "https:evil.test",
        "/\t/evil.test",
        "evil.test",
    ],
)
async def test_nobody_is_led_elsewhere(browser: Browser, elsewhere: str) -> None:
    response = await browser.sign_in(next=elsewhere)
    assert response.headers["Location"] == "/account"


async def test_a_form_without_its_token_is_refused(browser: Browser) -> None:
    values = {"address": browser.person.address, "password": browser.person.password}
    response = await browser.client.post("/sign-in", values, headers={"Origin": ORIGIN})
    assert response.status_code == 403
    assert "Please try again" in response.content.decode()


async def test_a_form_of_another_site_is_refused(signed_in: Browser) -> None:
    page = (await signed_in.get("/account")).content.decode()
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    response = await signed_in.client.post(
        "/account/sessions/end-others", {"csrfmiddlewaretoken": token}, headers={"Origin": "https://evil.test"}
    )
    assert response.status_code == 403


@pytest.mark.parametrize("path", ["/account/sessions/end", "/account/sessions/end-others", "/sign-out"])
async def test_links_change_nothing(signed_in: Browser, path: str) -> None:
    assert (await signed_in.get(path)).status_code == 405


async def test_the_cookie_is_for_this_host_only_over_tls_and_seen_by_no_script(browser: Browser) -> None:
    with override_settings(ALLOWED_HOSTS=["mail.company.test"]):
        client = Client(browser.parts, "192.0.2.1", host="mail.company.test")
        values = {"address": browser.person.address, "password": browser.person.password}
        response = await client.post("/sign-in", values, secure=True)
    cookie = response.cookies["__Host-waypost"]
    assert (cookie["secure"], cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (
        True,
        True,
        "Lax",
        "/",
        "",
    )
    assert "max-age=31536000" in response.headers["Strict-Transport-Security"]


async def test_on_this_machine_without_tls_it_is_a_plain_one(browser: Browser) -> None:
    response = await browser.sign_in()
    assert response.cookies["waypost"]["httponly"]
    assert not response.cookies["waypost"]["secure"]


async def test_a_cookie_somebody_made_up_opens_nothing(browser: Browser) -> None:
    for made_up in ("x" * 43, "x", "", "ü" * 43):
        browser.client.cookies["waypost"] = made_up
        assert (await browser.get("/account")).status_code == 302


async def test_every_sign_in_has_another_cookie_and_an_old_one_is_not_kept(browser: Browser) -> None:
    browser.client.cookies["waypost"] = "planted" + "x" * 36
    await browser.sign_in()
    first = browser.client.cookies["waypost"].value
    assert not first.startswith("planted")
    await browser.post("/sign-out", page="/account")
    await browser.sign_in()
    assert browser.client.cookies["waypost"].value != first
    browser.client.cookies["waypost"] = first
    assert (await browser.get("/account")).status_code == 302


async def test_only_a_digest_of_the_cookie_is_kept(services: RunningServices, signed_in: Browser) -> None:
    token = signed_in.client.cookies["waypost"].value
    with psycopg.connect(services.owner_url) as owner:
        row = owner.execute(
            "SELECT * FROM web_session WHERE account_id = %s", (signed_in.person.principal.account_id,)
        ).fetchone()
    assert token not in str(row)


@pytest.mark.parametrize(
    ("told", "change"),
    [
        ("Your account is suspended", "UPDATE account SET status = 'suspended' WHERE tenant_id = %s"),
        ("mail is suspended", "UPDATE tenant SET status = 'suspended' WHERE id = %s"),
    ],
)
async def test_who_is_suspended_is_told_so_and_does_not_stay_signed_in(
    services: RunningServices, signed_in: Browser, told: str, change: str
) -> None:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(change.encode(), (signed_in.person.principal.tenant_id,))
    assert (await signed_in.get("/account")).status_code == 302
    response = await signed_in.sign_in()
    assert response.status_code == 403
    assert told in response.content.decode()


@pytest.mark.parametrize("column", ["seen_at", "expires_at"])
async def test_a_session_ends_when_it_is_not_used_or_too_old(
    services: RunningServices, signed_in: Browser, column: str
) -> None:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            f"UPDATE web_session SET {column} = {column} - interval '61 days' WHERE account_id = %s".encode(),  # noqa: S608
            (signed_in.person.principal.account_id,),
        )
    assert (await signed_in.get("/account")).status_code == 302


async def test_a_session_moves_with_its_person(signed_in: Browser) -> None:
    """A phone changes networks, and a browser is brought up to date."""
    elsewhere = signed_in.another(network="198.51.100.77", agent="Another/2.0")
    elsewhere.client.cookies["waypost"] = signed_in.client.cookies["waypost"].value
    assert (await elsewhere.get("/account")).status_code == 200


async def test_an_app_password_opens_no_browser(signed_in: Browser) -> None:
    made = await signed_in.post("/account/app-passwords/new", {"name": "Phone", "scope": ["imap", "jmap"]})
    password = made.content.decode().split('class="secret"><code>')[1].split("<")[0]
    response = await signed_in.another().sign_in(password)
    assert response.status_code == 403
    assert "This is an app password" in response.content.decode()


async def test_too_many_wrong_passwords_close_the_way_for_a_while(parts: Parts, services: RunningServices) -> None:
    person = await asyncio.to_thread(new_person, services)
    browser = Browser(parts, person, network="203.0.113.9")
    account = f"account {person.principal.account_id}"
    await parts.logins.attempts._counts.add([account] * 10)
    response = await browser.sign_in()
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) > 0
    assert "Too many failed attempts" in response.content.decode()


async def test_the_forgotten_password_page_names_who_helps(browser: Browser) -> None:
    text = (await browser.get("/sign-in/forgotten")).content.decode()
    assert "administrator" in text
    assert "manage.py account set ADDRESS --generate-password" in text


async def test_pages_of_a_visit_are_kept_by_nobody_and_framed_by_nobody(signed_in: Browser) -> None:
    for path in ("/sign-in/forgotten", "/account", "/account/password", "/account/passkeys/new"):
        headers = (await signed_in.get(path)).headers
        assert headers["Cache-Control"] == "no-store"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe" not in headers["Content-Security-Policy"]


async def test_script_is_a_file_of_ours_and_only_where_passkeys_are(signed_in: Browser) -> None:
    with_script = await signed_in.get("/account/passkeys/new")
    assert "script-src 'self'" in with_script.headers["Content-Security-Policy"]
    assert '<script src="/assets/passkeys.js?v=' in with_script.content.decode()
    without = await signed_in.get("/account")
    assert "script-src" not in without.headers["Content-Security-Policy"]
    assert "<script" not in without.content.decode()
    assert (await signed_in.get("/assets/passkeys.js")).headers["Content-Type"].startswith("text/javascript")


async def test_the_pages_speak_chinese_to_who_reads_chinese_and_remember_the_link(browser: Browser) -> None:
    chinese = await browser.get("/sign-in", headers={"Accept-Language": "zh-CN"})
    assert "使用通行密钥登录" in chinese.content.decode()
    assert (
        "Sign in" in (await browser.get("/sign-in?language=en", headers={"Accept-Language": "zh-CN"})).content.decode()
    )
    again = await browser.get("/sign-in/forgotten", headers={"Accept-Language": "zh-CN"})
    assert again.headers["Content-Language"] == "en"


async def test_the_link_to_the_other_language_keeps_where_to_go_next(browser: Browser) -> None:
    text = (await browser.get("/sign-in?next=/account/password")).content.decode()
    assert "next=%2Faccount%2Fpassword&amp;language=zh-hans" in text


async def test_jmap_knows_the_session_and_no_page_elsewhere_can_use_it(signed_in: Browser, parts: Parts) -> None:
    from tests.webmail.jmap.client import ask
    from webmail.jmap.http.application import open_door

    jmap = open_door(parts)
    token = signed_in.client.cookies["waypost"].value
    # what the JMAP door is given says https, so the cookie has its name of there
    cookie = {"cookie": f"a=b; __Host-waypost={token}"}
    assert (await ask(jmap, "GET", "/jmap/session", headers=cookie)).status == 200
    body = b'{"using": ["urn:ietf:params:jmap:core"], "methodCalls": [["Core/echo", {"a": 1}, "0"]]}'
    posted = {**cookie, "content-type": "application/json"}
    ours = {**posted, "origin": "https://mail.company.test"}
    assert (await ask(jmap, "POST", "/jmap/api", headers=ours, body=body)).status == 200
    assert (await ask(jmap, "POST", "/jmap/api", headers=posted, body=body)).status == 401
    theirs = {**posted, "origin": "https://evil.test"}
    assert (await ask(jmap, "POST", "/jmap/api", headers=theirs, body=body)).status == 401
    fetched = {**cookie, "sec-fetch-site": "cross-site"}
    assert (await ask(jmap, "GET", "/jmap/session", headers=fetched)).status == 401


async def test_forms_from_before_signing_in_are_good_no_more(browser: Browser) -> None:
    before = (await browser.get("/sign-in")).content.decode()
    token = before.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    await browser.sign_in()
    response = await browser.client.post("/sign-out", {"csrfmiddlewaretoken": token}, headers={"Origin": ORIGIN})
    assert response.status_code == 403


@pytest.mark.parametrize("path", ["/sign-in", "/account", "/oauth/authorize"])
async def test_a_name_that_is_not_ours_is_no_place_to_sign_in(browser: Browser, path: str) -> None:
    """What a passkey was shown to is judged by the name of the host that the request gives."""
    client = Client(browser.parts, "192.0.2.1", host="mail.evil.test")
    assert (await client.get(path)).status_code == 400
