"""Two-step sign-in: authenticator app, recovery codes, passkeys."""

import asyncio
import base64
import json
from typing import Any

import psycopg
import pyotp
import pytest

from mailserver.assembly import Parts
from mailserver.services.errors import LoginRefused, LoginThrottled, RefusalReason
from mailserver.services.second_factors import SecondFactors
from mailserver.services.sign_in_errors import CodeWrong
from storage.second_factors import use_totp_step
from tenants.types import Scope
from tests.conftest import RunningServices
from tests.webmail.pages.sign_in.authenticator import Authenticator
from tests.webmail.pages.sign_in.browser import ORIGIN, Browser, Client, codes_on
from tests.webmail.pages.sign_in.conftest import NewBrowser

STEP_S = 30


async def forget_steps(services: RunningServices, browser: Browser) -> None:
    """As if the codes of now had not been used."""
    with psycopg.connect(services.owner_url) as owner:
        owner.execute("UPDATE totp SET last_step = 0 WHERE account_id = %s", (browser.person.principal.account_id,))


# -- the authenticator app


async def test_the_app_is_set_up_with_a_picture_and_a_key_and_gives_ten_recovery_codes(signed_in: Browser) -> None:
    page = (await signed_in.get("/account/authenticator")).content.decode()
    assert 'src="data:image/svg+xml' in page
    codes = await signed_in.set_up_totp()
    assert len(set(codes)) == 10
    assert "On. After your password" in (await signed_in.get("/account")).content.decode()


async def test_a_wrong_code_does_not_switch_it_on_and_shows_the_same_key_again(signed_in: Browser) -> None:
    before = (await signed_in.get("/account/authenticator")).content.decode()
    response = await signed_in.post("/account/authenticator", {"code": "000000"})
    assert response.status_code == 422
    key = before.split('secret small"><code>')[1].split("<")[0]
    assert key in response.content.decode()
    assert (await signed_in.another().sign_in()).headers["Location"] == "/account"


async def test_after_the_password_comes_the_code(services: RunningServices, signed_in: Browser) -> None:
    await signed_in.set_up_totp()
    await forget_steps(services, signed_in)
    other = signed_in.another()
    response = await other.sign_in(next="/account/password")
    assert response.headers["Location"] == "/sign-in/code?next=%2Faccount%2Fpassword"
    assert (await other.get("/account")).status_code == 302  # nothing is open yet
    half = other.client.cookies["waypost"].value
    response = await other.post("/sign-in/code", {"code": pyotp.TOTP(other.secret).now(), "next": "/account/password"})
    assert response.headers["Location"] == "/account/password"
    assert (await other.get("/account")).status_code == 200
    assert other.client.cookies["waypost"].value != half
    other.client.cookies["waypost"] = half
    assert (await other.get("/sign-in/code")).status_code == 302  # what was half a session is none now


async def test_half_a_session_is_good_for_nothing_else(signed_in: Browser, parts: Parts) -> None:
    await signed_in.set_up_totp()
    other = signed_in.another()
    await other.sign_in()
    assert await parts.web_sessions.principal(other.client.cookies["waypost"].value, network="192.0.2.1") is None
    for path in ("/account", "/account/password", "/sign-in/again"):
        assert (await other.get(path)).headers["Location"].startswith("/sign-in?")


async def test_a_code_is_good_once(services: RunningServices, signed_in: Browser) -> None:
    await signed_in.set_up_totp()
    await forget_steps(services, signed_in)
    code = pyotp.TOTP(signed_in.secret).now()
    first, second = signed_in.another(), signed_in.another()
    await first.sign_in()
    await second.sign_in()
    assert (await first.post("/sign-in/code", {"code": code})).status_code == 302
    response = await second.post("/sign-in/code", {"code": code})
    assert response.status_code == 422
    assert "was used already" in response.content.decode()


async def test_the_code_that_confirmed_the_app_is_used_too(signed_in: Browser) -> None:
    await signed_in.set_up_totp()
    other = signed_in.another()
    await other.sign_in()
    assert (await other.post("/sign-in/code", {"code": pyotp.TOTP(other.secret).now()})).status_code == 422


async def test_no_step_is_taken_twice_or_backwards(signed_in: Browser, parts: Parts) -> None:
    await signed_in.set_up_totp()
    who = signed_in.person.principal
    async with parts.store.database.read(who.tenant_id) as connection:
        taken = [await use_totp_step(connection, who, step) for step in (10**9, 10**9, 10**9 - 1, 10**9 + 1)]
    assert taken == [True, False, False, True]


async def test_guessing_codes_is_slowed_down_though_the_password_is_known(parts: Parts, signed_in: Browser) -> None:
    await signed_in.set_up_totp()
    account = f"second factor of account {signed_in.person.principal.account_id}"
    await parts.logins.attempts._counts.add([account] * 10)
    other = signed_in.another(network="203.0.113.50")
    assert (await other.sign_in()).status_code == 302
    response = await other.post("/sign-in/code", {"code": "123456"})
    assert response.status_code == 429


async def test_the_secret_is_not_to_be_read_from_the_database(services: RunningServices, signed_in: Browser) -> None:
    codes = await signed_in.set_up_totp()
    octets = base64.b32decode(signed_in.secret)
    with psycopg.connect(services.owner_url) as owner:
        account = (signed_in.person.principal.account_id,)
        sealed = owner.execute("SELECT sealed FROM totp WHERE account_id = %s", account).fetchall()
        digests = owner.execute("SELECT digest FROM recovery_code WHERE account_id = %s", account).fetchall()
    kept = b"".join(row[0] for row in (*sealed, *digests))
    assert octets not in kept
    assert signed_in.secret.encode() not in kept
    assert all(code.replace("-", "").encode() not in kept for code in codes)


async def test_removing_the_only_second_step_takes_the_recovery_codes_with_it(signed_in: Browser) -> None:
    codes = await signed_in.set_up_totp()
    page = (await signed_in.get("/account/authenticator/remove")).content.decode()
    assert "your only second step" in page
    assert (await signed_in.post("/account/authenticator/remove")).status_code == 302
    other = signed_in.another()
    assert (await other.sign_in()).headers["Location"] == "/account"
    assert codes[0] not in (await signed_in.get("/account")).content.decode()
    assert "Recovery codes" not in (await signed_in.get("/account")).content.decode()


# -- what it means for mail programs


async def test_with_a_second_step_the_password_alone_opens_no_mail_program(signed_in: Browser, parts: Parts) -> None:
    person = signed_in.person
    made = await signed_in.post("/account/app-passwords/new", {"name": "Phone", "scope": ["imap"]})
    app_password = made.content.decode().split('class="secret"><code>')[1].split("<")[0]
    await parts.logins.sign_in(person.address, person.password, network="", scope=Scope.IMAP)
    await signed_in.set_up_totp()
    with pytest.raises(LoginRefused) as refused:
        await parts.logins.sign_in(person.address, person.password, network="", scope=Scope.IMAP)
    assert refused.value.reason is RefusalReason.APP_PASSWORD_NEEDED
    who = await parts.logins.sign_in(person.address, app_password, network="", scope=Scope.IMAP)
    assert who.credential.name == "Phone"
    assert "no longer opens mail programs" in (await signed_in.get("/account")).content.decode()


async def test_setting_it_up_ends_what_the_password_alone_has_open(signed_in: Browser, parts: Parts) -> None:
    person = signed_in.person
    who = await parts.logins.sign_in(person.address, person.password, network="", scope=Scope.IMAP)
    ended: list[str] = []
    seat = parts.logins.connections.enter(
        who.account_id, "192.0.2.1", epoch=who.sign_in_epoch, end=lambda: ended.append("imap")
    )
    await signed_in.set_up_totp()
    assert ended == ["imap"]
    parts.logins.connections.leave(seat)


# -- recovery codes


async def test_a_recovery_code_gets_in_once_however_it_is_typed(signed_in: Browser) -> None:
    codes = await signed_in.set_up_totp()
    first, second = signed_in.another(), signed_in.another()
    await first.sign_in()
    await second.sign_in()
    typed = f" {codes[3].replace('-', ' ').upper()} "
    assert (await first.post("/sign-in/code", {"code": typed})).status_code == 302
    assert (await second.post("/sign-in/code", {"code": codes[3]})).status_code == 422
    assert "9 left" in (await first.get("/account")).content.decode()


async def test_new_recovery_codes_replace_the_old_ones(signed_in: Browser) -> None:
    old = await signed_in.set_up_totp()
    new = codes_on(await signed_in.post("/account/recovery-codes"))
    assert len(new) == 10
    assert not set(new) & set(old)
    other = signed_in.another()
    await other.sign_in()
    assert (await other.post("/sign-in/code", {"code": old[0]})).status_code == 422
    assert (await other.post("/sign-in/code", {"code": new[0]})).status_code == 302


# -- passkeys


async def test_a_passkey_that_asks_who_is_there_signs_in_without_a_password(signed_in: Browser) -> None:
    passkey = Authenticator()
    response = await signed_in.add_passkey(passkey)
    assert len(codes_on(response)) == 10  # it is the first second factor
    other = signed_in.another()
    options = await other.options_on("/sign-in")
    assert options["userVerification"] == "required"
    assert not options.get("allowCredentials")
    answer = passkey.get(options, origin=ORIGIN)
    response = await other.post("/sign-in/passkey", {"answer": answer, "next": "/account/password"}, page="/sign-in")
    assert response.headers["Location"] == "/account/password"
    page = (await other.get("/account")).content.decode()
    assert "Laptop" in page
    assert "on one device only" in page


async def test_one_that_does_not_ask_is_good_beside_the_password_only(signed_in: Browser) -> None:
    key = Authenticator(verifies=False)
    await signed_in.add_passkey(key, "Security key")
    other = signed_in.another()
    answer = key.get(await other.options_on("/sign-in"), origin=ORIGIN)
    response = await other.post("/sign-in/passkey", {"answer": answer}, page="/sign-in")
    assert response.status_code == 422
    assert "did not ask who is there" in response.content.decode()
    assert (await other.sign_in()).headers["Location"] == "/sign-in/code?next=%2Faccount"
    answer = key.get(await other.options_on("/sign-in/code"), origin=ORIGIN)
    assert (await other.post("/sign-in/code", {"answer": answer})).status_code == 302
    assert (await other.get("/account")).status_code == 200


async def refused(browser: Browser, answer: str) -> str:
    response = await browser.post("/sign-in/passkey", {"answer": answer}, page="/sign-in")
    assert response.status_code == 422, response.headers
    return str(response.content.decode().split('role="alert">')[1].split("<")[0])


async def test_an_answer_is_taken_once(signed_in: Browser) -> None:
    passkey = Authenticator()
    await signed_in.add_passkey(passkey)
    passkey.count = -1  # such as those synced by their makers, which count nothing
    other = signed_in.another()
    answer = passkey.get(await other.options_on("/sign-in"), origin=ORIGIN)
    assert (await other.post("/sign-in/passkey", {"answer": answer}, page="/sign-in")).status_code == 302
    assert await refused(signed_in.another(), answer) == "That took too long. Try again."


async def test_a_counter_that_goes_back_shows_a_copy(signed_in: Browser) -> None:
    passkey = Authenticator()
    await signed_in.add_passkey(passkey)
    for _ in range(2):
        other = signed_in.another()
        answer = passkey.get(await other.options_on("/sign-in"), origin=ORIGIN)
        assert (await other.post("/sign-in/passkey", {"answer": answer}, page="/sign-in")).status_code == 302
    passkey.count = 0
    told = await refused(signed_in.another(), passkey.get(await other.options_on("/sign-in/again"), origin=ORIGIN))
    assert "could not be checked" in told
    stranger = signed_in.another()
    told = await refused(stranger, passkey.get(await stranger.options_on("/sign-in"), origin=ORIGIN))
    assert "could not be checked" in told


async def test_what_does_not_fit_is_refused(signed_in: Browser) -> None:
    passkey, unknown = Authenticator(), Authenticator()
    await signed_in.add_passkey(passkey)
    other = signed_in.another()
    options = await other.options_on("/sign-in")
    elsewhere = passkey.get(options, origin="https://evil.test")
    assert "could not be checked" in await refused(other, elsewhere)
    made_up = passkey.get({**options, "challenge": "A" * 75}, origin=ORIGIN)
    assert "could not be checked" in await refused(other, made_up)
    of_nobody = unknown.get(options, origin=ORIGIN)
    assert "not known here" in await refused(other, of_nobody)
    for nonsense in ("", "{}", "[]", "null", "[" * 20_000, '{"id": 1}', "x" * 30_000):
        assert "could not be read" in await refused(other, nonsense)


async def test_a_challenge_for_one_thing_is_not_good_for_another(signed_in: Browser) -> None:
    passkey = Authenticator()
    await signed_in.add_passkey(passkey)
    answer = passkey.get(await signed_in.options_on("/sign-in/again"), origin=ORIGIN)
    assert "could not be checked" in await refused(signed_in.another(), answer)


async def test_somebody_elses_passkey_is_no_second_factor(signed_in: Browser, services: RunningServices) -> None:
    await signed_in.set_up_totp()
    theirs = Authenticator()
    await signed_in.add_passkey(theirs, "Mine")
    options: dict[str, Any] = await signed_in.options_on("/sign-in/again")
    stranger = Authenticator()
    stranger.user_handle = theirs.user_handle
    response = await signed_in.post("/sign-in/again", {"answer": stranger.get(options, origin=ORIGIN)})
    assert response.status_code == 422


async def test_a_person_has_several_each_with_a_name_and_takes_away_one(signed_in: Browser) -> None:
    first, second = Authenticator(), Authenticator()
    await signed_in.add_passkey(first, "Laptop")
    excluded = (await signed_in.options_on("/account/passkeys/new"))["excludeCredentials"]
    assert len(excluded) == 1
    assert (await signed_in.add_passkey(second, "Laptop")).status_code == 422
    assert (await signed_in.add_passkey(second, "Phone")).status_code == 302
    page = (await signed_in.get("/account")).content.decode()
    edit = page.split('href="/account/passkeys/')[2].split('"')[0]
    response = await signed_in.post(f"/account/passkeys/{edit}", {"name": "Old laptop"})
    assert response.headers["Location"] == "/account?done=renamed"
    response = await signed_in.post(f"/account/passkeys/{edit}/remove", page=f"/account/passkeys/{edit}")
    assert response.headers["Location"] == "/account?done=removed"
    other = signed_in.another()
    told = await refused(other, first.get(await other.options_on("/sign-in"), origin=ORIGIN))
    assert "not known here" in told


async def test_nobody_touches_the_passkeys_of_others(
    signed_in: Browser, new_browser: NewBrowser, services: RunningServices
) -> None:
    await signed_in.add_passkey(Authenticator())
    with psycopg.connect(services.owner_url) as owner:
        row = owner.execute(
            "SELECT id FROM passkey WHERE account_id = %s", (signed_in.person.principal.account_id,)
        ).fetchone()
    assert row is not None
    stranger = await new_browser()
    await stranger.sign_in()
    assert (await signed_in.get(f"/account/passkeys/{row[0]}")).status_code == 200
    assert (await stranger.get(f"/account/passkeys/{row[0]}")).status_code == 404
    response = await stranger.post(f"/account/passkeys/{row[0]}/remove", page="/account")
    assert response.headers["Location"] == "/account"
    assert (await signed_in.get(f"/account/passkeys/{row[0]}")).status_code == 200


async def test_the_address_of_a_person_is_not_told_to_who_asks_for_passkeys(browser: Browser) -> None:
    """Options on the sign-in page are the same for everybody."""
    options = await browser.options_on("/sign-in")
    assert set(options) <= {"challenge", "timeout", "rpId", "allowCredentials", "userVerification", "hints"}
    assert json.dumps(options).find(browser.person.address) == -1


async def test_at_an_address_of_digits_passkeys_are_not_offered_and_it_is_said_why(signed_in: Browser) -> None:
    at_digits = Client(signed_in.parts, "127.0.0.1", host="127.0.0.1:8080")
    assert "data-options" not in (await at_digits.get("/sign-in")).content.decode()
    at_digits.cookies["waypost"] = signed_in.client.cookies["waypost"].value
    page = (await at_digits.get("/account/passkeys/new")).content.decode()
    assert "data-options" not in page
    assert "belong to a host name" in page


async def test_a_key_that_was_shown_and_not_confirmed_is_soon_another(
    signed_in: Browser, services: RunningServices
) -> None:
    async def key() -> str:
        page = (await signed_in.get("/account/authenticator")).content.decode()
        return page.split('secret small"><code>')[1].split("<")[0]

    first = await key()
    assert await key() == first
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "UPDATE totp SET created_at = now() - interval '2 hours' WHERE account_id = %s",
            (signed_in.person.principal.account_id,),
        )
    assert await key() != first


async def test_guesses_that_come_at_the_same_time_are_no_more(parts: Parts, signed_in: Browser) -> None:
    await signed_in.set_up_totp()
    factors = SecondFactors(parts.store, parts.logins.attempts, parts.endings)
    who = signed_in.person.principal
    tried = [factors.demand_code(who, f"{guess:06}", network="192.0.2.9") for guess in range(60)]
    ended = await asyncio.gather(*tried, return_exceptions=True)
    looked_at = sum(isinstance(each, CodeWrong) for each in ended)
    assert 0 < looked_at < 30
    assert looked_at + sum(isinstance(each, LoginThrottled) for each in ended) == len(tried)


# -- signing out everywhere else in the same act


async def test_the_box_is_ticked_on_every_page_that_changes_how_one_signs_in(signed_in: Browser) -> None:
    pages = ["/account/authenticator", "/account/passkeys/new"]
    ticked = [b'name="elsewhere" value="end" checked' in (await signed_in.get(path)).content for path in pages]
    await signed_in.set_up_totp()
    pages = ["/account/authenticator/remove", "/account/recovery-codes"]
    ticked += [b'name="elsewhere" value="end" checked' in (await signed_in.get(path)).content for path in pages]
    assert ticked == [True] * 4


async def test_with_the_box_every_other_browser_is_out_and_without_it_they_stay(
    services: RunningServices, signed_in: Browser, parts: Parts
) -> None:
    async def other() -> Browser:
        browser = signed_in.another()
        answer = await browser.sign_in()
        if "/sign-in/code" in answer.headers["Location"]:
            await forget_steps(services, signed_in)
            await browser.post("/sign-in/code", {"code": pyotp.TOTP(signed_in.secret).now()})
        assert (await browser.get("/account")).status_code == 200
        return browser

    def code() -> dict[str, str]:
        return {"code": pyotp.TOTP(signed_in.secret).now()}

    before = await other()
    await signed_in.set_up_totp()
    assert (await before.get("/account")).status_code == 200
    remove = "/account/authenticator/remove"
    answer = await signed_in.post(remove, {"elsewhere": "end"})
    assert answer.headers["Location"] == "/account?done=totp&also=all"
    assert "Everything else is signed out." in (await signed_in.get(answer.headers["Location"])).content.decode()
    assert (await before.get("/account")).status_code == 302

    before = await other()
    text = (await signed_in.get("/account/authenticator")).content.decode()
    signed_in.secret = text.partition('secret small"><code>')[2].partition("<")[0].replace(" ", "")
    shown = await signed_in.post("/account/authenticator", {**code(), "elsewhere": "end"})
    assert "Everything else is signed out." in shown.content.decode()
    assert (await before.get("/account")).status_code == 302

    before = await other()
    await signed_in.post("/account/recovery-codes")
    assert (await before.get("/account")).status_code == 200
    await signed_in.post("/account/recovery-codes", {"elsewhere": "end"})
    assert (await before.get("/account")).status_code == 302
    assert (await signed_in.get("/account")).status_code == 200


async def test_a_passkey_that_is_added_or_removed_signs_out_everywhere_else_too(
    services: RunningServices, signed_in: Browser, parts: Parts
) -> None:
    others = [signed_in.another(), signed_in.another()]
    await others[0].sign_in()
    passkey = Authenticator()
    answer = passkey.create(await signed_in.options_on("/account/passkeys/new"), origin=ORIGIN)
    await signed_in.post("/account/passkeys/new", {"name": "Desk", "answer": answer, "elsewhere": "end"})
    assert (await others[0].get("/account")).status_code == 302
    answer = passkey.get(await others[1].options_on("/sign-in"), origin=ORIGIN)
    await others[1].post("/sign-in/passkey", {"answer": answer}, page="/sign-in")
    assert (await others[1].get("/account")).status_code == 200
    page = (await signed_in.get("/account")).content.decode()
    edit = page.partition('href="/account/passkeys/')[2].partition('href="/account/passkeys/')[2].partition('"')[0]
    await signed_in.post(f"/account/passkeys/{edit}/remove", {"elsewhere": "end"}, page=f"/account/passkeys/{edit}")
    assert (await others[1].get("/account")).status_code == 302
    assert (await signed_in.get("/account")).status_code == 200


async def test_who_has_twenty_passkeys_is_told_so(services: RunningServices, signed_in: Browser) -> None:
    who = signed_in.person.principal
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "INSERT INTO passkey (tenant_id, account_id, credential_id, public_key, sign_count, rp_id, is_backed_up,"
            " name) SELECT %s, %s, decode(md5(%s || n), 'hex'), '', 0, 'localhost', false, 'Key ' || n"
            " FROM generate_series(1, 20) AS n",
            (who.tenant_id, who.account_id, str(who.account_id)),
        )
    response = await signed_in.add_passkey(Authenticator())
    assert response.status_code == 422
    assert "You have 20 already, which is the most." in response.content.decode()
