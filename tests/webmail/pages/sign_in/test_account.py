"""The page of one's own sign-in and devices, and what is done there."""

import psycopg
import pytest

from mailserver.assembly import Parts
from mailserver.services.errors import LoginFailed
from tenants.types import Scope
from tests.conftest import RunningServices
from tests.webmail.pages.sign_in.authenticator import Authenticator
from tests.webmail.pages.sign_in.browser import ORIGIN, Browser
from tests.webmail.pages.sign_in.conftest import NewBrowser

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 Version/19.0 Safari/604.1"
NEW = "another-horse-battery"


def grow_stale(services: RunningServices, browser: Browser) -> None:
    """A while has passed since the person showed who they are."""
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "UPDATE web_session SET verified_at = now() - interval '1 hour' WHERE account_id = %s",
            (browser.person.principal.account_id,),
        )


class Connection:
    """A mail program that is signed in, as a door sees it."""

    def __init__(self, parts: Parts) -> None:
        self._connections = parts.logins.connections
        self.is_open = True

    async def open(self, parts: Parts, browser: Browser, password: str) -> "Connection":
        who = await parts.logins.sign_in(browser.person.address, password, network="", scope=Scope.IMAP)
        self._seat = self._connections.enter(who.account_id, "192.0.2.9", epoch=who.sign_in_epoch, end=self._end)
        return self

    def _end(self) -> None:
        self.is_open = False
        self._connections.leave(self._seat)


async def test_every_browser_is_listed_with_where_it_was_seen(signed_in: Browser) -> None:
    phone = signed_in.another(network="198.51.100.4", agent=PHONE)
    await phone.sign_in()
    page = (await signed_in.get("/account")).content.decode()
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert "198.51.100.4" in page
    assert page.count("This browser") == 1
    assert page.index("Firefox on Linux") < page.index("Safari on iPhone")


async def test_what_a_browser_calls_itself_is_text_and_nothing_else(signed_in: Browser) -> None:
    await signed_in.another(agent="<script>alert(1)</script>").sign_in()
    page = (await signed_in.get("/account")).content.decode()
    assert "<script" not in page


async def test_ending_a_session_ends_that_browser_and_the_mail_connections(signed_in: Browser, parts: Parts) -> None:
    phone = signed_in.another(agent=PHONE)
    await phone.sign_in()
    program = await Connection(parts).open(parts, signed_in, signed_in.person.password)
    page = (await signed_in.get("/account")).content.decode()
    [session] = [part.split('"')[0] for part in page.split('name="id" value="')[1:]]
    response = await signed_in.post("/account/sessions/end", {"id": session}, page="/account")
    assert response.headers["Location"] == "/account?done=ended"
    assert (await phone.get("/account")).status_code == 302
    assert (await signed_in.get("/account")).status_code == 200
    assert not program.is_open


async def test_signing_out_everywhere_else_leaves_this_browser(signed_in: Browser, parts: Parts) -> None:
    others = [signed_in.another(), signed_in.another()]
    for other in others:
        await other.sign_in()
    program = await Connection(parts).open(parts, signed_in, signed_in.person.password)
    await signed_in.post("/account/sessions/end-others", page="/account")
    assert [(await other.get("/account")).status_code for other in others] == [302, 302]
    assert (await signed_in.get("/account")).status_code == 200
    assert not program.is_open


async def test_nobody_ends_the_sessions_of_others(
    signed_in: Browser, new_browser: NewBrowser, services: RunningServices
) -> None:
    with psycopg.connect(services.owner_url) as owner:
        row = owner.execute(
            "SELECT id FROM web_session WHERE account_id = %s", (signed_in.person.principal.account_id,)
        ).fetchone()
    assert row is not None
    stranger = await new_browser()
    await stranger.sign_in()
    await stranger.post("/account/sessions/end", {"id": row[0]}, page="/account")
    assert (await signed_in.get("/account")).status_code == 200


@pytest.mark.parametrize("text", ["", "x", "-1", "1" * 30, "١"])
async def test_an_id_that_is_none_is_nothing(signed_in: Browser, text: str) -> None:
    assert (await signed_in.post("/account/sessions/end", {"id": text}, page="/account")).status_code == 404


# -- the own password


async def test_changing_the_password_ends_everything_but_this_browser(signed_in: Browser, parts: Parts) -> None:
    other = signed_in.another()
    await other.sign_in()
    program = await Connection(parts).open(parts, signed_in, signed_in.person.password)
    old = signed_in.person.password
    response = await signed_in.post("/account/password", {"old": old, "new": NEW, "repeat": NEW})
    assert response.headers["Location"] == "/account?done=password"
    assert (await other.get("/account")).status_code == 302
    assert (await signed_in.get("/account")).status_code == 200
    assert not program.is_open
    with pytest.raises(LoginFailed):
        await parts.logins.sign_in(signed_in.person.address, old, network="")
    await parts.logins.sign_in(signed_in.person.address, NEW, network="")


async def test_the_new_password_is_kept_for_scram_at_once(
    signed_in: Browser, parts: Parts, services: RunningServices
) -> None:
    await signed_in.post("/account/password", {"old": signed_in.person.password, "new": NEW, "repeat": NEW})
    with psycopg.connect(services.owner_url) as owner:
        row = owner.execute(
            "SELECT scram_made_for = password_hash FROM account WHERE id = %s",
            (signed_in.person.principal.account_id,),
        ).fetchone()
    assert row == (True,)


@pytest.mark.parametrize(
    ("old", "new", "repeat", "field"),
    [
        ("nonsense", NEW, NEW, "old"),
        (None, "short", "short", "new"),
        (None, NEW, NEW + "x", "repeat"),
        (None, "", "", "new"),
        (None, "a\x07bcdefghij", "a\x07bcdefghij", "new"),
    ],
)
async def test_what_is_wrong_is_told_beside_its_field(
    signed_in: Browser, parts: Parts, old: str | None, new: str, repeat: str, field: str
) -> None:
    values = {"old": old or signed_in.person.password, "new": new, "repeat": repeat}
    response = await signed_in.post("/account/password", values)
    assert response.status_code == 422
    assert f'id="{field}-error"' in response.content.decode()
    await parts.logins.sign_in(signed_in.person.address, signed_in.person.password, network="")


# -- app passwords


async def test_an_app_password_is_shown_once_and_opens_what_it_is_for(signed_in: Browser, parts: Parts) -> None:
    response = await signed_in.post("/account/app-passwords/new", {"name": "Phone", "scope": ["imap", "smtp"]})
    password = response.content.decode().split('class="secret"><code>')[1].split("<")[0]
    assert response.headers["Cache-Control"] == "no-store"
    page = (await signed_in.get("/account")).content.decode()
    assert "Phone" in page
    assert password not in page
    who = await parts.logins.sign_in(signed_in.person.address, password, network="", scope=Scope.SMTP)
    assert who.credential.scopes == {Scope.IMAP, Scope.SMTP}


async def test_a_revoked_one_opens_nothing_and_what_it_had_open_ends(signed_in: Browser, parts: Parts) -> None:
    response = await signed_in.post("/account/app-passwords/new", {"name": "Phone", "scope": ["imap"]})
    password = response.content.decode().split('class="secret"><code>')[1].split("<")[0]
    program = await Connection(parts).open(parts, signed_in, password)
    page = (await signed_in.get("/account")).content.decode()
    row = page.split('name="id" value="')[1].split('"')[0]
    response = await signed_in.post("/account/app-passwords/revoke", {"id": row}, page="/account")
    assert response.headers["Location"] == "/account?done=revoked"
    assert not program.is_open
    with pytest.raises(LoginFailed):
        await parts.logins.sign_in(signed_in.person.address, password, network="", scope=Scope.IMAP)


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"name": "Phone"}, "Choose at least one."),
        ({"name": "", "scope": ["imap"]}, "Choose a name"),
        ({"name": "x" * 201, "scope": ["imap"]}, "Choose a name"),
        ({"name": "Phone", "scope": ["everything"]}, "Choose at least one."),
    ],
)
async def test_one_that_cannot_be_is_told_beside_its_field(
    signed_in: Browser, values: "dict[str, object]", told: str
) -> None:
    response = await signed_in.post("/account/app-passwords/new", values)
    assert response.status_code == 422
    assert told in response.content.decode()


async def test_two_of_one_name_cannot_be(signed_in: Browser) -> None:
    values = {"name": "Phone", "scope": ["imap"]}
    await signed_in.post("/account/app-passwords/new", values)
    response = await signed_in.post("/account/app-passwords/new", values)
    assert "of this name already" in response.content.decode()


# -- showing again who one is


@pytest.mark.parametrize(
    "path", ["/account/authenticator", "/account/passkeys/new", "/account/app-passwords/new", "/account/recovery-codes"]
)
async def test_after_a_while_what_changes_sign_in_asks_again(
    signed_in: Browser, services: RunningServices, path: str
) -> None:
    grow_stale(services, signed_in)
    assert (await signed_in.get("/account")).status_code == 200
    response = await signed_in.get(path)
    assert response.headers["Location"] == f"/sign-in/again?next={path.replace('/', '%2F')}"
    before = signed_in.client.cookies["waypost"].value
    wrong = await signed_in.post("/sign-in/again", {"password": "nonsense"})
    assert wrong.status_code == 422
    assert "This is not your password." in wrong.content.decode()
    response = await signed_in.post("/sign-in/again", {"password": signed_in.person.password, "next": path})
    assert response.headers["Location"] == path
    assert signed_in.client.cookies["waypost"].value != before
    assert (await signed_in.get(path)).status_code == 200


async def test_a_passkey_shows_it_too(signed_in: Browser, services: RunningServices) -> None:
    passkey = Authenticator()
    await signed_in.add_passkey(passkey)
    grow_stale(services, signed_in)
    answer = passkey.get(await signed_in.options_on("/sign-in/again"), origin=ORIGIN)
    assert (await signed_in.post("/sign-in/again", {"answer": answer})).status_code == 302
    assert (await signed_in.get("/account/passkeys/new")).status_code == 200


async def test_a_form_that_was_posted_too_late_changes_nothing(signed_in: Browser, services: RunningServices) -> None:
    await signed_in.set_up_totp()
    page = (await signed_in.get("/account/authenticator/remove")).content.decode()
    token = page.split('name="csrfmiddlewaretoken" value="')[1].split('"')[0]
    grow_stale(services, signed_in)
    response = await signed_in.client.post(
        "/account/authenticator/remove", {"csrfmiddlewaretoken": token}, headers={"Origin": ORIGIN}
    )
    assert response.headers["Location"].startswith("/sign-in/again")
    grow_stale(services, signed_in)
    assert "Since" in (await signed_in.get("/account")).content.decode()


async def test_who_has_a_copy_of_the_cookie_is_out_when_the_password_is_changed(signed_in: Browser) -> None:
    thief = signed_in.another()
    thief.client.cookies["waypost"] = signed_in.client.cookies["waypost"].value
    assert (await thief.get("/account")).status_code == 200
    await signed_in.post("/account/password", {"old": signed_in.person.password, "new": NEW, "repeat": NEW})
    assert (await thief.get("/account")).status_code == 302
    assert (await signed_in.get("/account")).status_code == 200


# -- how many browsers


def fill(services: RunningServices, browser: Browser, stage: str) -> None:
    """A hundred other sessions of this stage, seen just now."""
    who = browser.person.principal
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "UPDATE web_session SET seen_at = now() - interval '1 hour' WHERE account_id = %s", (who.account_id,)
        )
        owner.execute(
            "INSERT INTO web_session (tenant_id, account_id, digest, stage, expires_at, network, client)"
            " SELECT %s, %s, decode(md5(%s || n), 'hex'), %s, now() + interval '1 day', '', ''"
            " FROM generate_series(1, 100) AS n",
            (who.tenant_id, who.account_id, f"{who.account_id} {stage} ", stage),
        )


async def test_of_a_hundred_browsers_the_one_seen_longest_ago_is_out(
    signed_in: Browser, services: RunningServices
) -> None:
    fill(services, signed_in, "open")
    other = signed_in.another()
    await other.sign_in()
    assert (await other.get("/account")).status_code == 200
    assert (await signed_in.get("/account")).status_code == 302


async def test_who_knows_only_the_password_pushes_nobody_out(signed_in: Browser, services: RunningServices) -> None:
    await signed_in.set_up_totp()
    fill(services, signed_in, "code")
    other = signed_in.another()
    assert "/sign-in/code" in (await other.sign_in()).headers["Location"]
    assert (await other.get("/sign-in/code")).status_code == 200
    assert (await signed_in.get("/account")).status_code == 200
