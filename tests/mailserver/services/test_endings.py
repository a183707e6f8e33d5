"""Connections end when their person is signed out, wherever that was done."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from mailserver.services.connections import AccountConnections
from mailserver.services.endings import Endings
from mailserver.services.login import LoginConfig, Logins
from mailserver.services.oauth import OAuth, OAuthRefused
from storage.database import Database
from storage.sign_in_ends import end_sign_ins
from tenants.types import Principal, Scope
from tests.conftest import RunningServices
from tests.mailserver.services.test_login import OFFICE, THROTTLE, Person, Time, change, local_counts, person, time
from tests.mailserver.services.test_oauth import CLIENT, ELSEWHERE, VERIFIER, code_for

__all__ = ["person", "time"]


class Connection:
    """What a door has open."""

    def __init__(self, connections: AccountConnections, who: Principal) -> None:
        self.ends = 0
        self.seat = connections.enter(
            who.account_id, OFFICE, epoch=who.sign_in_epoch, token=who.credential.token, end=self._end
        )

    def _end(self) -> None:
        self.ends += 1


@pytest.fixture
async def logins(database: Database, time: Time) -> AsyncIterator[Logins]:
    logins = Logins(database, local_counts(time), LoginConfig(scram_iterations=0), THROTTLE, clock=time.clock)
    yield logins
    await logins.settle()
    logins.close()


@pytest.fixture
def endings(database: Database, logins: Logins) -> Endings:
    return Endings(database, logins.connections)


async def sign_in(logins: Logins, person: Person) -> Principal:
    return await logins.sign_in(person.address, person.password, network=OFFICE)


async def test_what_another_process_ended_is_found_by_looking(
    database: Database, logins: Logins, endings: Endings, person: Person
) -> None:
    who = await sign_in(logins, person)
    open_one = Connection(logins.connections, who)
    await endings.look()
    assert open_one.ends == 0
    async with database.read(who.tenant_id) as connection:
        await end_sign_ins(connection, who.tenant_id, who.account_id)
    await endings.look()
    await endings.look()
    assert (open_one.ends, open_one.seat.is_over) == (1, True)


async def test_who_signs_in_again_afterwards_stays(
    database: Database, logins: Logins, endings: Endings, person: Person
) -> None:
    who = await sign_in(logins, person)
    async with database.read(who.tenant_id) as connection:
        await end_sign_ins(connection, who.tenant_id, who.account_id)
    again = Connection(logins.connections, await sign_in(logins, person))
    late = Connection(logins.connections, who)  # its sign-in began before the end and was done after it
    await endings.look()
    assert (again.ends, late.ends) == (0, 1)


async def test_a_slow_commit_is_found_all_the_same(
    services: RunningServices, database: Database, logins: Logins, endings: Endings, person: Person
) -> None:
    open_one = Connection(logins.connections, await sign_in(logins, person))
    change(
        services,
        person,
        "UPDATE account SET sign_in_epoch = sign_in_epoch + 1, sign_ins_ended_at = now() - interval '1 minute'"
        " WHERE id = %s",
        person.account_id,
    )
    await endings.look()
    assert open_one.ends == 1


async def test_in_the_process_itself_it_is_over_at_once(logins: Logins, endings: Endings, person: Person) -> None:
    who = await sign_in(logins, person)
    open_one = Connection(logins.connections, who)
    endings.ended(who.account_id, who.sign_in_epoch + 1)
    assert open_one.ends == 1
    logins.connections.leave(open_one.seat)
    assert logins.connections.is_empty


# -- what a token opened


@pytest.fixture
async def oauth(services: RunningServices, database: Database, logins: Logins) -> OAuth:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "INSERT INTO oauth_client (client_id, name, redirect_uris) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (CLIENT, "Mailer", [ELSEWHERE, "http://127.0.0.1/answer"]),
        )
    return OAuth(database, logins.tokens)


async def by_token(logins: Logins, token: str | None) -> Principal:
    assert token is not None
    return await logins.tokens.principal(token, network=OFFICE, scope=Scope.IMAP)


async def test_what_a_token_opened_ends_when_it_expires(database: Database, logins: Logins, person: Person) -> None:
    who = await sign_in(logins, person)
    now = datetime.now(UTC)
    moments = [now]
    endings = Endings(database, logins.connections, now=lambda: moments[-1])
    hour, ever = [
        await logins.tokens.make(who, f"for {lasts}", [Scope.IMAP], lasts=lasts, now=now, network=OFFICE)
        for lasts in (timedelta(hours=1), None)
    ]
    by_hour, by_ever = [Connection(logins.connections, await by_token(logins, token)) for token in (hour, ever)]
    by_password = Connection(logins.connections, who)
    moments.append(now + timedelta(minutes=59))
    await endings.look()
    assert by_hour.ends == 0
    moments.append(now + timedelta(minutes=60))
    await endings.look()
    await endings.look()
    assert (by_hour.ends, by_ever.ends, by_password.ends) == (1, 0, 0)


async def test_what_a_program_opened_ends_when_it_gives_its_token_back_and_nothing_else_does(
    logins: Logins, endings: Endings, oauth: OAuth, person: Person
) -> None:
    who = await sign_in(logins, person)
    own = await logins.tokens.make(who, "own", [Scope.IMAP], lasts=None, now=datetime.now(UTC), network=OFFICE)
    first, second = [await oauth.redeem(CLIENT, await code_for(oauth, who), ELSEWHERE, VERIFIER) for _ in range(2)]
    refreshed = await oauth.refresh(CLIENT, first.refresh_token, "")
    opened = {
        name: Connection(logins.connections, await by_token(logins, token))
        for name, token in (
            ("own", own),
            ("first", first.access_token),
            ("first, refreshed", refreshed.access_token),
            ("second", second.access_token),
        )
    }
    opened["password"] = Connection(logins.connections, who)
    await endings.look()
    assert {each.ends for each in opened.values()} == {0}
    await oauth.revoke(CLIENT, refreshed.access_token)  # RFC 7009 §2.1: the whole grant
    await endings.look()
    await endings.look()
    assert {name for name, each in opened.items() if each.ends} == {"first", "first, refreshed"}


async def test_what_a_thief_opened_ends_when_the_theft_shows(
    logins: Logins, endings: Endings, oauth: OAuth, person: Person
) -> None:
    who = await sign_in(logins, person)
    code = await code_for(oauth, who)
    issued = await oauth.redeem(CLIENT, code, ELSEWHERE, VERIFIER)
    opened = Connection(logins.connections, await by_token(logins, issued.access_token))
    with pytest.raises(OAuthRefused):
        await oauth.redeem(CLIENT, code, ELSEWHERE, VERIFIER)
    await endings.look()
    assert opened.ends == 1


async def test_with_a_program_that_administrators_forget_ends_what_it_opened(
    services: RunningServices, logins: Logins, endings: Endings, oauth: OAuth, person: Person
) -> None:
    who = await sign_in(logins, person)
    issued = await oauth.redeem(CLIENT, await code_for(oauth, who), ELSEWHERE, VERIFIER)
    opened = Connection(logins.connections, await by_token(logins, issued.access_token))
    change(
        services,
        person,
        "WITH gone AS (DELETE FROM oauth_grant WHERE account_id = %s RETURNING account_id)"
        " UPDATE account SET sign_ins_ended_at = now() WHERE id IN (SELECT account_id FROM gone)",
        person.account_id,
    )
    await endings.look()
    assert opened.ends == 1
