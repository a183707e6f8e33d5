"""Whoever signs in, or makes another way in, at the very moment at which everything of the person is ended."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from mailserver.assembly import Parts
from mailserver.services.endings import demand_signed_in
from mailserver.services.oauth import Asked
from mailserver.services.own_credentials import OwnCredentials
from mailserver.services.passkeys import Passkeys, Place
from mailserver.services.second_factors import SecondFactors
from mailserver.services.sign_in_errors import SessionEnded
from storage.query import Connection
from storage.sign_in_ends import end_sign_ins
from storage.tokens import OAuthClient
from storage.web_sessions import FoundSession, insert_session
from tenants.types import Principal, Scope
from tests.conftest import NOON
from tests.mailserver.services.test_oauth import CHALLENGE
from tests.webmail.pages.sign_in.authenticator import Authenticator
from tests.webmail.pages.sign_in.browser import HOST, ORIGIN, Browser

PLACE = Place(HOST.partition(":")[0], ORIGIN)
Act = Callable[[Parts, FoundSession], Awaitable[object]]


async def session_of(browser: Browser) -> FoundSession:
    found = await browser.parts.web_sessions.find(browser.client.cookies["waypost"].value, network=browser.network)
    assert found is not None
    return found


async def until_somebody_waits_for(holder: Connection) -> None:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    while await (await holder.execute(asked)).fetchone() == (0,):
        await holder.execute("SELECT pg_stat_clear_snapshot()")


async def count(parts: Parts, who: Principal, table: str) -> int:
    asked = f"SELECT count(*) FROM {table} WHERE account_id = %s".encode()  # noqa: S608 - one of ours
    async with parts.store.database.read(who.tenant_id) as connection:
        row = await (await connection.execute(asked, (who.account_id,))).fetchone()
    assert row is not None
    return int(row[0])


# -- ways in


async def sign_in(parts: Parts, session: FoundSession) -> object:
    return await parts.web_sessions.begin(session.who, is_open=True, network="", client="")


async def make_token(parts: Parts, session: FoundSession) -> object:
    return await parts.logins.tokens.make(session.who, "t", [Scope.IMAP], lasts=None, now=NOON, network="")


async def give_leave(parts: Parts, session: FoundSession) -> object:
    client = OAuthClient("mailer", "Mailer", ("https://mailer.example/",))
    asked = Asked(client, client.redirect_uris[0], frozenset({Scope.IMAP}), CHALLENGE)
    return await parts.oauth.allow(session.who, asked, network="")


async def make_app_password(parts: Parts, session: FoundSession) -> object:
    return await own_credentials(parts).add_app_password(session.who, "Phone", [Scope.IMAP], network="")


async def begin_authenticator(parts: Parts, session: FoundSession) -> object:
    return await factors(parts).enrol(session.who)


async def make_passkey(parts: Parts, session: FoundSession, name: str = "Desk") -> Sequence[str]:
    passkeys = Passkeys(parts.store, parts.endings)
    options: Any = json.loads(await passkeys.options_to_make(session.who, PLACE) or "")
    answer = Authenticator().create(options, origin=ORIGIN)
    return await passkeys.make(session, PLACE, name=name, answer=answer, ends_others=False, network="")


def own_credentials(parts: Parts) -> OwnCredentials:
    return OwnCredentials(parts.store.database, parts.logins, parts.endings, scram_iterations=4096)


def factors(parts: Parts) -> SecondFactors:
    return SecondFactors(parts.store, parts.logins.attempts, parts.endings)


WAYS_IN: dict[str, tuple[Act, str]] = {
    "a session": (sign_in, "web_session"),
    "a token": (make_token, "bearer_token"),
    "a program's leave": (give_leave, "oauth_grant"),
    "an app password": (make_app_password, "app_password"),
    "an authenticator app": (begin_authenticator, "totp"),
    "a passkey": (make_passkey, "passkey"),
}


@pytest.mark.parametrize(("make", "table"), WAYS_IN.values(), ids=WAYS_IN.keys())
async def test_nothing_is_made_while_everything_is_being_ended(
    signed_in: Browser, parts: Parts, make: Act, table: str
) -> None:
    session = await session_of(signed_in)
    who = session.who
    before = await count(parts, who, table)
    async with parts.store.database.transaction(who.tenant_id) as ending:
        await end_sign_ins(ending, who.tenant_id, who.account_id)
        making = asyncio.ensure_future(make(parts, session))
        await until_somebody_waits_for(ending)
    with pytest.raises(SessionEnded):
        await making
    assert await count(parts, who, table) == before
    await make(parts, await session_of(signed_in))  # who is still signed in tries again
    assert await count(parts, who, table) == before + 1


async def end_others(parts: Parts, session: FoundSession) -> object:
    await parts.web_sessions.end_others(session, network="")
    return None


async def change_password(parts: Parts, session: FoundSession, old: str) -> object:
    return await own_credentials(parts).change_password(session, old, "another-horse-battery", network="")


@pytest.mark.parametrize("is_password", [False, True], ids=["signing out everywhere else", "a new password"])
async def test_who_was_just_signing_in_is_out_with_the_others(
    signed_in: Browser, parts: Parts, is_password: bool
) -> None:
    session = await session_of(signed_in)
    who = session.who
    async with parts.store.database.transaction(who.tenant_id) as signing_in:
        await demand_signed_in(signing_in, who)
        await insert_session(
            signing_in,
            who,
            who.account_id.to_bytes(32, "big"),
            is_open=True,
            lasts_s=3600,
            idle_s=3600,
            network="",
            client="a thief's",
        )
        password = signed_in.person.password
        ending = asyncio.ensure_future(
            change_password(parts, session, password) if is_password else end_others(parts, session)
        )
        await until_somebody_waits_for(signing_in)
    await ending
    assert [each.id for each in await parts.web_sessions.list(who)] == [session.id]


async def test_whose_session_is_good_still_stays_signed_in(signed_in: Browser, parts: Parts) -> None:
    """They took an app password back in another window."""
    who = (await session_of(signed_in)).who
    async with parts.store.database.transaction(who.tenant_id) as ending:
        await end_sign_ins(ending, who.tenant_id, who.account_id)
        posting = asyncio.ensure_future(
            signed_in.post("/account/app-passwords/new", {"name": "Phone", "scope": ["imap"]})
        )
        await until_somebody_waits_for(ending)
    assert (await posting).headers["Location"] == "/account"
    assert (await signed_in.get("/account")).status_code == 200
    assert await count(parts, who, "app_password") == 0


async def test_two_people_do_not_wait_for_each_other(
    signed_in: Browser, new_browser: Callable[[], Awaitable[Browser]], parts: Parts
) -> None:
    other = await new_browser()
    who = (await session_of(signed_in)).who
    async with parts.store.database.transaction(who.tenant_id) as ending:
        await end_sign_ins(ending, who.tenant_id, who.account_id)
        assert (await other.sign_in()).headers["Location"] == "/account"


async def test_a_secret_that_was_shown_before_the_end_is_not_the_one_that_is_set_up_after_it(
    signed_in: Browser, parts: Parts
) -> None:
    """Who sat at a browser that was ended may have opened that page."""
    shown = await factors(parts).enrol((await session_of(signed_in)).who)
    assert await factors(parts).enrol((await session_of(signed_in)).who) == shown
    await end_others(parts, await session_of(signed_in))
    assert await factors(parts).enrol((await session_of(signed_in)).who) != shown


async def test_recovery_codes_are_made_in_the_act_that_makes_the_first_passkey(
    signed_in: Browser, parts: Parts
) -> None:
    """Made after it, they would be good though everything was ended in between; without it they stand for nothing."""
    who = (await session_of(signed_in)).who
    codes = await make_passkey(parts, await session_of(signed_in))
    assert len(set(codes)) == await count(parts, who, "recovery_code") == 10
    assert await make_passkey(parts, await session_of(signed_in), "Phone") == ()
    assert await count(parts, who, "recovery_code") == 10


async def test_nobody_changes_the_password_whose_session_is_being_ended(signed_in: Browser, parts: Parts) -> None:
    session = await session_of(signed_in)
    who, password = session.who, signed_in.person.password
    async with parts.store.database.transaction(who.tenant_id) as ending:
        await end_sign_ins(ending, who.tenant_id, who.account_id)
        changing = asyncio.ensure_future(change_password(parts, session, password))
        await until_somebody_waits_for(ending)
    with pytest.raises(SessionEnded):
        await changing
    await change_password(parts, await session_of(signed_in), password)  # which is still the one
