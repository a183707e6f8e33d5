"""Connections end when their person is signed out, wherever that was done."""

from collections.abc import AsyncIterator

import pytest

from mailserver.services.connections import AccountConnections
from mailserver.services.endings import Endings
from mailserver.services.login import LoginConfig, Logins
from storage.database import Database
from storage.sign_in_ends import end_sign_ins
from tenants.types import Principal
from tests.conftest import RunningServices
from tests.mailserver.services.test_login import OFFICE, THROTTLE, Person, Time, change, local_counts, person, time

__all__ = ["person", "time"]


class Connection:
    """What a door has open."""

    def __init__(self, connections: AccountConnections, who: Principal) -> None:
        self.ends = 0
        self.seat = connections.enter(who.account_id, OFFICE, epoch=who.sign_in_epoch, end=self._end)

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
