"""How far each JMAP type of an account has changed, as the database says it."""

import psycopg
import pytest

from mailserver.services.account_views import AccountViews
from storage import type_states
from storage.store import MailStore
from storage.types import Modseq
from tests.account_deeds import Deeds
from tests.conftest import Company, RunningServices
from tests.someone import Someone


@pytest.fixture
async def someone(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person())


async def states_of(someone: Someone) -> type_states.TypeStates:
    async with someone.store.database.read(someone.who.tenant_id) as connection:
        found = await type_states.states(connection, someone.who.tenant_id, someone.who.account_id)
    assert found is not None
    return found


async def move(someone: Someone, type_name: str) -> Modseq:
    whose = (someone.who.tenant_id, someone.who.account_id)
    async with someone.store.database.transaction(someone.who.tenant_id) as connection:
        return await type_states.begin_change(connection, *whose, type_name)


@pytest.mark.parametrize("seed", range(3))
async def test_states_are_those_of_the_account_in_memory(someone: Someone, seed: int) -> None:
    views, deeds = AccountViews(someone.store), Deeds(someone, 6000 + seed)
    for _ in range(8):
        await deeds.some(3)
        await move(someone, "Identity")
        assert await states_of(someone) == (await views.of(someone.who)).states


async def test_a_type_that_the_log_does_not_know_moves_alone(someone: Someone) -> None:
    await someone.receive()
    before = await states_of(someone)
    first = await move(someone, "Identity")
    second = await move(someone, "Identity")
    after = await states_of(someone)
    assert second > first
    assert after.of("Identity") == second
    assert after.of("VacationResponse") == before.of("VacationResponse")
    assert (after.email, after.thread, after.mailbox) == (before.email, before.thread, before.mailbox)


async def test_the_states_of_an_account_go_with_it(someone: Someone, services: RunningServices) -> None:
    await move(someone, "Identity")
    with psycopg.connect(services.owner_url) as connection:
        connection.execute("DELETE FROM account_state WHERE account_id = %s", (someone.who.account_id,))
        left = connection.execute("SELECT FROM type_state WHERE account_id = %s", (someone.who.account_id,)).rowcount
    assert left == 0


async def test_nobody_has_states_who_was_never_there(store: MailStore, company: Company) -> None:
    async with store.database.read(company.tenant_id) as connection:
        who = await company.person()
        other = type(who.account_id)(who.account_id + 500_000)
        assert await type_states.states(connection, company.tenant_id, other) is None
