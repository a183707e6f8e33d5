"""What devices are told of an account, as the database says it."""

import pytest

from storage import type_states
from storage.store import MailStore
from storage.told_states import ToldStates, told_states
from storage.types import Modseq
from storage.usage import usage
from tests.account_deeds import Deeds
from tests.conftest import Company
from tests.someone import ADD, FLAGGED, SEEN, Someone


@pytest.fixture
async def someone(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person())


async def told(someone: Someone) -> ToldStates:
    async with someone.store.database.read(someone.who.tenant_id) as connection:
        found = await told_states(connection, someone.who.tenant_id, someone.who.account_id)
    assert found is not None
    return found


def moved(before: ToldStates, after: ToldStates) -> set[str]:
    return {name for name, modseq in after.types.items() if modseq != before.types.get(name)}


async def test_mail_that_comes_moves_every_type_of_mail(someone: Someone) -> None:
    await someone.receive()
    before = await told(someone)
    await someone.receive()
    after = await told(someone)
    assert moved(before, after) == {"Email", "EmailDelivery", "Mailbox", "Thread"}
    assert after.modseq == max(after.types.values())


async def test_what_the_account_uses_is_told(someone: Someone) -> None:
    before = await told(someone)
    assert (before.used_octets, before.limit_octets) == (0, someone.who.quota_octets)
    await someone.receive()
    async with someone.store.database.read(someone.who.tenant_id) as connection:
        used = (await usage(connection, someone.who.tenant_id, someone.who.account_id)).used_octets
    assert (await told(someone)).used_octets == used > 0


async def test_mail_that_is_moved_was_not_delivered_again(someone: Someone) -> None:
    placed = await someone.receive()
    before = await told(someone)
    await someone.move("INBOX", [placed.uid], "Archive")
    assert moved(before, await told(someone)) == {"Email", "Mailbox", "Thread"}


async def test_a_flag_is_no_delivery(someone: Someone) -> None:
    placed = await someone.receive()
    before = await told(someone)
    await someone.flag("INBOX", [placed.uid], ADD, FLAGGED)
    flagged = await told(someone)
    assert moved(before, flagged) == {"Email"}
    await someone.flag("INBOX", [placed.uid], ADD, SEEN)
    assert moved(flagged, await told(someone)) == {"Email", "Mailbox"}


@pytest.mark.parametrize("seed", range(2))
async def test_states_are_those_that_get_answers_with_and_never_go_back(someone: Someone, seed: int) -> None:
    deeds = Deeds(someone, 9000 + seed)
    before = await told(someone)
    for _ in range(8):
        await deeds.some(3)
        after = await told(someone)
        async with someone.store.database.read(someone.who.tenant_id) as connection:
            states = await type_states.states(connection, someone.who.tenant_id, someone.who.account_id)
        assert states is not None
        assert {name: states.of(name) for name in ("Email", "Thread", "Mailbox")} == {
            name: after.types[name] for name in ("Email", "Thread", "Mailbox")
        }
        assert all(modseq >= before.types.get(name, Modseq(0)) for name, modseq in after.types.items())
        before = after
