"""Tokens, and programs that get them with a person's leave."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from mailserver.sasl import SaslMalformed
from mailserver.services.errors import LoginFailed, LoginRefused, RefusalReason
from mailserver.services.exchanges import BearerExchange, begin_exchange
from mailserver.services.login import LoginConfig, Logins
from mailserver.services.oauth import (
    Asked,
    OAuth,
    OAuthRefused,
    RedirectRefused,
    asked_of,
    challenge_of,
    scopes_of,
)
from mailserver.services.sign_in_errors import SessionEnded, TooMany
from mailserver.services.tokens import Tokens
from storage.database import Database
from storage.tokens import Grant
from tenants.types import Principal, Scope
from tests.conftest import RunningServices
from tests.mailserver.services.test_login import OFFICE, THROTTLE, Time, local_counts, time
from tests.people import Person, new_person

__all__ = ["time"]

CLIENT, ELSEWHERE = "mailer", "https://mailer.example/answer"
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


@pytest.fixture
async def person(services: RunningServices) -> Person:
    return await asyncio.to_thread(new_person, services)


@pytest.fixture
async def tokens(database: Database) -> Tokens:
    return Tokens(database)


@pytest.fixture
async def oauth(services: RunningServices, database: Database, tokens: Tokens) -> OAuth:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "INSERT INTO oauth_client (client_id, name, redirect_uris) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (CLIENT, "Mailer", [ELSEWHERE, "http://127.0.0.1/answer"]),
        )
    return OAuth(database, tokens)


@pytest.fixture
async def logins(database: Database, time: Time) -> AsyncIterator[Logins]:
    logins = Logins(database, local_counts(time), LoginConfig(scram_iterations=0), THROTTLE, clock=time.clock)
    yield logins
    logins.close()


async def asked(oauth: OAuth, scope: str = "imap smtp") -> Asked:
    client, redirect_uri = await oauth.client(CLIENT, ELSEWHERE)
    return asked_of(client, redirect_uri, response_type="code", scope=scope, challenge=CHALLENGE, method="S256")


async def code_for(oauth: OAuth, who: Principal) -> str:
    return await oauth.allow(who, await asked(oauth), network=OFFICE)


def expire(services: RunningServices, table: str, column: str, who: Principal) -> None:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            f"UPDATE {table} SET {column} = now() - interval '1 hour' WHERE account_id = %s".encode(),  # noqa: S608
            (who.account_id,),
        )


async def test_a_token_is_good_for_its_scopes_until_it_is_revoked(tokens: Tokens, person: Person) -> None:
    now = datetime.now(UTC)
    token = await tokens.make(
        person.principal, "script", [Scope.JMAP], lasts=timedelta(days=30), now=now, network=OFFICE
    )
    assert token is not None
    who = await tokens.principal(token, network=OFFICE, scope=Scope.JMAP)
    assert (who.account_id, who.address) == (person.principal.account_id, person.principal.address)
    with pytest.raises(LoginRefused) as refused:
        await tokens.principal(token, network=OFFICE, scope=Scope.IMAP)
    assert refused.value.reason is RefusalReason.OTHER_SCOPE
    again = await tokens.make(person.principal, "script", [Scope.IMAP], lasts=None, now=now, network=OFFICE)
    assert again is None
    ((listed,), ()) = await tokens.list(person.principal)
    assert (listed.name, listed.scopes, listed.last_used_at is None) == ("script", "jmap", False)
    await tokens.revoke(person.principal, listed.id, network=OFFICE)
    with pytest.raises(LoginFailed):
        await tokens.principal(token, network=OFFICE, scope=Scope.JMAP)


@pytest.mark.parametrize("wrong", ["", "waypost_", "x" * 50, "waypost_" + "x" * 43, "waypost_" + "é" * 43])
async def test_what_is_no_token_is_nobody(tokens: Tokens, wrong: str) -> None:
    with pytest.raises(LoginFailed):
        await tokens.principal(wrong, network=OFFICE, scope=Scope.IMAP)


async def test_a_person_who_is_suspended_does_not_get_in_by_a_token(
    services: RunningServices, tokens: Tokens, person: Person
) -> None:
    token = await tokens.make(person.principal, "t", [Scope.IMAP], lasts=None, now=datetime.now(UTC), network=OFFICE)
    assert token is not None
    with psycopg.connect(services.owner_url) as owner:
        owner.execute("UPDATE account SET status = 'suspended' WHERE id = %s", (person.principal.account_id,))
    with pytest.raises(LoginRefused):
        await tokens.principal(token, network=OFFICE, scope=Scope.IMAP)


@pytest.mark.parametrize("suspended", ["tenant", "domain"])
async def test_a_token_opens_nothing_of_a_tenant_or_domain_that_is_suspended(
    services: RunningServices, tokens: Tokens, person: Person, suspended: str
) -> None:
    token = await tokens.make(person.principal, "t", [Scope.IMAP], lasts=None, now=datetime.now(UTC), network=OFFICE)
    assert token is not None
    column = "id" if suspended == "tenant" else "tenant_id"
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            f"UPDATE {suspended} SET status = 'suspended' WHERE {column} = %s".encode(),  # noqa: S608
            (person.principal.tenant_id,),
        )
    with pytest.raises(LoginRefused) as refused:
        await tokens.principal(token, network=OFFICE, scope=Scope.IMAP)
    assert refused.value.reason is RefusalReason.TENANT_SUSPENDED


async def test_one_cannot_revoke_the_token_of_another(
    services: RunningServices, tokens: Tokens, person: Person
) -> None:
    other = await asyncio.to_thread(new_person, services)
    token = await tokens.make(person.principal, "t", [Scope.IMAP], lasts=None, now=datetime.now(UTC), network=OFFICE)
    assert token is not None
    ((listed,), ()) = await tokens.list(person.principal)
    await tokens.revoke(other.principal, listed.id, network=OFFICE)
    assert await tokens.principal(token, network=OFFICE, scope=Scope.IMAP)


async def test_a_program_gets_a_token_with_leave_and_goes_on_with_another(
    oauth: OAuth, tokens: Tokens, person: Person
) -> None:
    issued = await oauth.redeem(CLIENT, await code_for(oauth, person.principal), ELSEWHERE, VERIFIER)
    assert issued.scopes == "imap smtp"
    assert await tokens.principal(issued.access_token, network=OFFICE, scope=Scope.SMTP)
    later = await oauth.refresh(CLIENT, issued.refresh_token, "imap")
    assert later.scopes == "imap"
    assert await tokens.principal(later.access_token, network=OFFICE, scope=Scope.IMAP)
    assert await tokens.principal(issued.access_token, network=OFFICE, scope=Scope.IMAP)
    (_, (grant,)) = await tokens.list(person.principal)
    assert (grant.client_name, grant.scopes) == ("Mailer", "imap smtp")
    await tokens.end_grant(person.principal, grant.id, network=OFFICE)
    for gone in (issued, later):
        with pytest.raises(LoginFailed):
            await tokens.principal(gone.access_token, network=OFFICE, scope=Scope.IMAP)
    with pytest.raises(OAuthRefused):
        await oauth.refresh(CLIENT, later.refresh_token, "")


async def test_a_code_that_comes_twice_ends_what_it_gave(oauth: OAuth, tokens: Tokens, person: Person) -> None:
    code = await code_for(oauth, person.principal)
    issued = await oauth.redeem(CLIENT, code, ELSEWHERE, VERIFIER)
    with pytest.raises(OAuthRefused, match="invalid_grant"):
        await oauth.redeem(CLIENT, code, ELSEWHERE, VERIFIER)
    with pytest.raises(LoginFailed):
        await tokens.principal(issued.access_token, network=OFFICE, scope=Scope.IMAP)


@pytest.mark.parametrize(
    ("client", "redirect_uri", "verifier"),
    [
        ("other", ELSEWHERE, VERIFIER),
        (CLIENT, "http://127.0.0.1/answer", VERIFIER),
        (CLIENT, ELSEWHERE, VERIFIER[::-1]),
        (CLIENT, ELSEWHERE, ""),
    ],
)
async def test_a_code_is_good_for_who_asked_only(
    oauth: OAuth, person: Person, client: str, redirect_uri: str, verifier: str
) -> None:
    with pytest.raises(OAuthRefused):
        await oauth.redeem(client, await code_for(oauth, person.principal), redirect_uri, verifier)


async def test_a_program_with_one_place_for_answers_need_not_name_it(
    services: RunningServices, oauth: OAuth, person: Person
) -> None:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "INSERT INTO oauth_client (client_id, name, redirect_uris) VALUES ('one', 'One', %s)"
            " ON CONFLICT DO NOTHING",
            ([ELSEWHERE],),
        )
    client, redirect_uri = await oauth.client("one", "")
    wanted = asked_of(client, redirect_uri, response_type="code", scope="imap", challenge=CHALLENGE, method="S256")
    code = await oauth.allow(person.principal, wanted, network=OFFICE)
    assert (await oauth.redeem("one", code, "", VERIFIER)).scopes == "imap"


async def test_an_old_code_is_worth_nothing(services: RunningServices, oauth: OAuth, person: Person) -> None:
    code = await code_for(oauth, person.principal)
    expire(services, "oauth_grant", "code_expires_at", person.principal)
    with pytest.raises(OAuthRefused, match="invalid_grant"):
        await oauth.redeem(CLIENT, code, ELSEWHERE, VERIFIER)


async def test_a_refresh_token_that_was_replaced_long_ago_ends_the_grant(
    services: RunningServices, oauth: OAuth, tokens: Tokens, person: Person
) -> None:
    issued = await oauth.redeem(CLIENT, await code_for(oauth, person.principal), ELSEWHERE, VERIFIER)
    lost = await oauth.refresh(CLIENT, issued.refresh_token, "")
    again = await oauth.refresh(CLIENT, issued.refresh_token, "")  # the answer was lost on its way
    assert await tokens.principal(again.access_token, network=OFFICE, scope=Scope.IMAP)
    expire(services, "oauth_grant", "refreshed_at", person.principal)
    with pytest.raises(OAuthRefused):
        await oauth.refresh(CLIENT, issued.refresh_token, "")
    for gone in (issued, lost, again):
        with pytest.raises(LoginFailed):
            await tokens.principal(gone.access_token, network=OFFICE, scope=Scope.IMAP)


async def test_a_refresh_asks_for_no_more_than_was_given(oauth: OAuth, person: Person) -> None:
    issued = await oauth.redeem(CLIENT, await code_for(oauth, person.principal), ELSEWHERE, VERIFIER)
    with pytest.raises(OAuthRefused, match="invalid_scope"):
        await oauth.refresh(CLIENT, issued.refresh_token, "jmap")


async def test_a_program_gives_its_tokens_back(oauth: OAuth, tokens: Tokens, person: Person) -> None:
    issued = await oauth.redeem(CLIENT, await code_for(oauth, person.principal), ELSEWHERE, VERIFIER)
    await oauth.revoke("other", issued.access_token)
    assert await tokens.principal(issued.access_token, network=OFFICE, scope=Scope.IMAP)
    await oauth.revoke(CLIENT, issued.refresh_token)
    await oauth.revoke(CLIENT, "nonsense")
    with pytest.raises(LoginFailed):
        await tokens.principal(issued.access_token, network=OFFICE, scope=Scope.IMAP)


@pytest.mark.parametrize(
    "redirect_uri",
    [
        "https://mailer.example/other",
        "https://mailer.example/answer?x=1",
        "https://mailer.example:443/answer",
        "http://127.0.0.1:1/other",
        "http://127.0.0.1:x/answer",
        "http://evil@127.0.0.1/answer",
        "http://127.0.0.1.evil.example:80/answer",
        "",
    ],
)
async def test_a_browser_is_not_sent_where_the_program_is_not_at_home(oauth: OAuth, redirect_uri: str) -> None:
    with pytest.raises(RedirectRefused):
        await oauth.client(CLIENT, redirect_uri)


async def test_a_native_program_chooses_its_port(oauth: OAuth) -> None:
    _, redirect_uri = await oauth.client(CLIENT, "http://127.0.0.1:51004/answer")
    assert redirect_uri == "http://127.0.0.1:51004/answer"


async def test_what_a_program_asks_for_wrongly_it_is_told(oauth: OAuth) -> None:
    client, redirect_uri = await oauth.client(CLIENT, ELSEWHERE)
    right = {"response_type": "code", "scope": "imap", "challenge": CHALLENGE, "method": "S256"}
    for wrong, kind in (
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"scope": "everything"}, "invalid_scope"),
        ({"scope": "offline_access"}, "invalid_scope"),
        ({"method": "plain"}, "invalid_request"),
        ({"challenge": "short"}, "invalid_request"),
    ):
        with pytest.raises(OAuthRefused) as refused:
            asked_of(client, redirect_uri, **{**right, **wrong})
        assert refused.value.kind == kind


def test_the_challenge_is_the_digest_of_the_verifier() -> None:
    assert challenge_of(VERIFIER) == CHALLENGE
    assert scopes_of("imap offline_access") == {Scope.IMAP}


@pytest.mark.parametrize(
    ("mechanism", "form"),
    [
        ("OAUTHBEARER", "n,a={name},\1host=mail.example\1port=993\1auth=Bearer {token}\1\1"),
        ("XOAUTH2", "user={name}\1auth=Bearer {token}\1\1"),
    ],
)
async def test_mail_programs_sign_in_with_a_token(
    logins: Logins, tokens: Tokens, person: Person, mechanism: str, form: str
) -> None:
    token = await tokens.make(
        person.principal, mechanism, [Scope.IMAP], lasts=None, now=datetime.now(UTC), network=OFFICE
    )
    assert token is not None

    def begin() -> BearerExchange:
        exchange = begin_exchange(logins, mechanism, network=OFFICE, scope=Scope.IMAP)
        assert isinstance(exchange, BearerExchange)
        return exchange

    exchange = begin()
    assert await exchange.respond(None) == b""
    who = await exchange.respond(form.format(name=person.address, token=token).encode())
    assert isinstance(who, Principal)
    assert who.account_id == person.principal.account_id
    for name, wrong in ((person.address, token[:-1]), ("somebody@else.test", token)):
        exchange = begin()
        challenge = await exchange.respond(form.format(name=name, token=wrong).encode())
        assert isinstance(challenge, bytes)
        assert b"invalid_token" in challenge
        with pytest.raises(LoginFailed):
            await exchange.respond(b"\1")
    for malformed in (b"", b"nonsense", form.format(name="a", token="").encode(), b"\xff\1\1"):
        with pytest.raises(SaslMalformed):
            await begin().respond(malformed)


async def test_a_thief_who_refreshes_more_than_once_is_found_by_who_was_stolen_from(
    oauth: OAuth, tokens: Tokens, person: Person
) -> None:
    issued = await oauth.redeem(CLIENT, await code_for(oauth, person.principal), ELSEWHERE, VERIFIER)
    stolen = await oauth.refresh(CLIENT, issued.refresh_token, "")
    for _ in range(2):
        stolen = await oauth.refresh(CLIENT, stolen.refresh_token, "")
    with pytest.raises(OAuthRefused):
        await oauth.refresh(CLIENT, issued.refresh_token, "")
    with pytest.raises(OAuthRefused):
        await oauth.refresh(CLIENT, stolen.refresh_token, "")
    with pytest.raises(LoginFailed):
        await tokens.principal(stolen.access_token, network=OFFICE, scope=Scope.IMAP)


async def test_what_is_made_up_ends_nobodys_grant(oauth: OAuth, person: Person) -> None:
    issued = await oauth.redeem(CLIENT, await code_for(oauth, person.principal), ELSEWHERE, VERIFIER)
    for made_up in ("", ".", "waypost_" + "x" * 43, issued.refresh_token[1:], issued.access_token):
        with pytest.raises(OAuthRefused):
            await oauth.refresh(CLIENT, made_up, "")
    with pytest.raises(OAuthRefused):
        await oauth.refresh("other", issued.refresh_token, "")
    assert await oauth.refresh(CLIENT, issued.refresh_token, "")


async def test_a_grant_that_ended_at_this_moment_gives_no_token(oauth: OAuth, tokens: Tokens, person: Person) -> None:
    await oauth.redeem(CLIENT, await code_for(oauth, person.principal), ELSEWHERE, VERIFIER)
    (_, (listed,)) = await tokens.list(person.principal)
    who = person.principal
    await tokens.end_grant(who, listed.id, network=OFFICE)
    grant = Grant(listed.id, who.tenant_id, who.account_id, "imap")
    assert await tokens.issue(grant, expires_at=datetime.now(UTC) + timedelta(hours=1)) is None


async def test_what_was_opened_with_a_token_ends_when_it_is_revoked(
    oauth: OAuth, tokens: Tokens, person: Person
) -> None:
    who = person.principal
    token = await tokens.make(who, "t", [Scope.IMAP], lasts=None, now=datetime.now(UTC), network=OFFICE)
    assert token is not None
    admitted = await tokens.principal(token, network=OFFICE, scope=Scope.IMAP)
    issued = await oauth.redeem(CLIENT, await code_for(oauth, who), ELSEWHERE, VERIFIER)
    ((listed,), (grant,)) = await tokens.list(who)
    await tokens.end_grant(who, grant.id, network=OFFICE)
    after_grant = await tokens.principal(token, network=OFFICE, scope=Scope.IMAP)
    assert after_grant.sign_in_epoch == admitted.sign_in_epoch + 1
    now = datetime.now(UTC)
    with pytest.raises(SessionEnded):  # who was signed in before is no more
        await tokens.make(who, "other", [Scope.IMAP], lasts=None, now=now, network=OFFICE)
    again = replace(who, sign_in_epoch=after_grant.sign_in_epoch)
    other = await tokens.make(again, "other", [Scope.IMAP], lasts=None, now=now, network=OFFICE)
    assert other is not None
    await tokens.revoke(who, listed.id, network=OFFICE)
    await tokens.revoke(who, listed.id, network=OFFICE)  # there is none any more: nothing of it is open
    after_token = await tokens.principal(other, network=OFFICE, scope=Scope.IMAP)
    assert after_token.sign_in_epoch == admitted.sign_in_epoch + 2
    with pytest.raises(LoginFailed):
        await tokens.principal(issued.access_token, network=OFFICE, scope=Scope.IMAP)


# -- how many there may be


def fill(services: RunningServices, statement: str, who: Principal) -> None:
    """A hundred rows: `statement` says which, of tenant and account, for each n."""
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(statement.encode(), {"tenant": who.tenant_id, "account": who.account_id})


async def test_who_has_a_hundred_tokens_is_told_to_revoke_one(
    services: RunningServices, tokens: Tokens, person: Person
) -> None:
    who = person.principal
    fill(
        services,
        "INSERT INTO bearer_token (tenant_id, account_id, name, scopes, digest)"
        " SELECT %(tenant)s, %(account)s, 'script ' || n, 'jmap', decode(md5(%(account)s || ' ' || n), 'hex')"
        " FROM generate_series(1, 100) AS n",
        who,
    )
    now = datetime.now(UTC)
    with pytest.raises(TooMany) as many:
        await tokens.make(who, "one more", [Scope.JMAP], lasts=None, now=now, network=OFFICE)
    assert many.value.limit == 100
    (listed, _) = await tokens.list(who)
    assert len(listed) == 100
    with psycopg.connect(services.owner_url) as owner:
        owner.execute("DELETE FROM bearer_token WHERE id = %s", (listed[0].id,))
    assert await tokens.make(who, "one more", [Scope.JMAP], lasts=None, now=now, network=OFFICE)


async def test_a_hundred_programs_have_a_persons_leave_and_no_more(
    services: RunningServices, oauth: OAuth, tokens: Tokens, person: Person
) -> None:
    who = person.principal
    fill(
        services,
        "INSERT INTO oauth_grant (tenant_id, account_id, client_id, scopes, code_digest, code_challenge,"
        " code_expires_at, code_spent_at, redirect_uri)"
        " SELECT %(tenant)s, %(account)s, 'mailer', 'imap', decode(md5(%(account)s || ' ' || n), 'hex'), '', now(),"
        " now(), '' FROM generate_series(1, 99) AS n",
        who,
    )
    code = await code_for(oauth, who)
    with pytest.raises(TooMany):  # also while the hundredth's code waits to be spent
        await code_for(oauth, who)
    assert await oauth.redeem(CLIENT, code, ELSEWHERE, VERIFIER)
    with pytest.raises(TooMany):
        await code_for(oauth, who)


async def test_a_program_that_refreshes_all_the_time_has_its_fifty_latest_tokens(
    oauth: OAuth, tokens: Tokens, person: Person
) -> None:
    issued = await oauth.redeem(CLIENT, await code_for(oauth, person.principal), ELSEWHERE, VERIFIER)
    all_of_them = [issued]
    for _ in range(51):
        all_of_them.append(await oauth.refresh(CLIENT, all_of_them[-1].refresh_token, ""))
    for gone in all_of_them[:2]:
        with pytest.raises(LoginFailed):
            await tokens.principal(gone.access_token, network=OFFICE, scope=Scope.IMAP)
    for good in (all_of_them[2], all_of_them[-1]):
        assert await tokens.principal(good.access_token, network=OFFICE, scope=Scope.IMAP)
