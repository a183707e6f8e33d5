"""What mail takes in each tier, written down day by day."""

import random
from datetime import date, timedelta

import pytest

from storage.blobs.objects import ObjectStore
from storage.store import MailStore
from storage.usage_history import UsagePoint, largest_accounts, usage_series
from storage.usage_measuring import measure, thin
from tenants.types import AccountId
from tests.conftest import Company, RunningServices, plain_message
from tests.someone import ADD, DELETED, Someone
from tests.storage.verification.damage import Damager, go_cold

MANY = 10_000


@pytest.fixture
def owner(services: RunningServices, store: MailStore, company: Company) -> Damager:
    return Damager(services.owner_url, store, company.tenant_id)


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


@pytest.fixture
async def bob(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("bob"))


async def latest(store: MailStore, company: Company, account_id: AccountId | None = None) -> UsagePoint:
    points = await usage_series(store.database, company.tenant_id, account_id, date(2000, 1, 1), date(2100, 1, 1))
    return points[-1]


def letter(number: int) -> bytes:
    return plain_message(number, body=random.Random(number).randbytes(2_000).hex())


async def test_an_account_counts_what_it_refers_to_and_the_tenant_each_blob_once(
    store: MailStore, company: Company, ada: Someone, bob: Someone
) -> None:
    for number in range(5):
        await ada.receive(letter(number))
    for number in range(3):
        await bob.receive(letter(number))
    await ada.copy("INBOX", [1], "Sent")
    assert (await measure(store.database, company.tenant_id, most_messages=MANY)).accounts == 2
    mine = await latest(store, company, ada.who.account_id)
    theirs = await latest(store, company, bob.who.account_id)
    whole = await latest(store, company)
    usage = await ada.usage()
    assert (mine.messages, mine.octets) == (5, usage.used_octets)
    assert 0 < theirs.hot_octets < mine.hot_octets
    assert whole.hot_octets == mine.hot_octets, "all of bob's are ada's too"
    assert whole.messages == mine.messages + theirs.messages
    assert whole.row_octets == mine.row_octets + theirs.row_octets > 8 * 400
    assert whole.stored_octets < whole.octets
    assert (whole.cold_octets, whole.part_octets, whole.dead_octets) == (0, 0, 0)


async def test_what_goes_cold_and_what_nobody_uses_is_told_apart(
    store: MailStore, objects: ObjectStore, company: Company, owner: Damager, ada: Someone
) -> None:
    for number in range(4):
        await ada.receive(letter(number))
    pack = await go_cold(store, objects, company.tenant_id)
    await ada.receive(letter(9))
    await measure(store.database, company.tenant_id, most_messages=MANY)
    whole = await latest(store, company)
    mine = await latest(store, company, ada.who.account_id)
    ((octets, live),) = await owner.sql("SELECT octets, live_octets FROM object WHERE tenant_id = {t}")
    assert whole.cold_octets == mine.cold_octets == live
    assert whole.hot_octets == mine.hot_octets > 0
    assert whole.dead_octets == octets - live
    await owner.sql("UPDATE object SET kind = 2 WHERE tenant_id = {t} AND id = %s", pack)
    await owner.sql("DELETE FROM tier_usage WHERE tenant_id = {t}")
    await measure(store.database, company.tenant_id, most_messages=MANY)
    assert (await latest(store, company)).part_octets == live
    assert (await latest(store, company, ada.who.account_id)).part_octets == live


async def test_accounts_beyond_what_a_run_may_read_wait_for_the_next(
    store: MailStore, company: Company, ada: Someone, bob: Someone
) -> None:
    for number in range(3):
        await ada.receive(letter(number))
        await bob.receive(letter(number))
    runs = [await measure(store.database, company.tenant_id, most_messages=1) for _ in range(3)]
    assert [(run.accounts, run.is_complete) for run in runs] == [(1, False), (1, True), (0, True)]
    people = {ada.who.account_id, bob.who.account_id}
    largest = await largest_accounts(store.database, company.tenant_id, (await latest(store, company)).day, 10)
    assert {point.account_id for point in largest} == people


async def test_what_waits_in_the_bin_is_paid_for(store: MailStore, company: Company, ada: Someone) -> None:
    await ada.receive(letter(1))
    await ada.flag("INBOX", [1], ADD, DELETED)
    await ada.expunge()
    await measure(store.database, company.tenant_id, most_messages=MANY)
    assert (await latest(store, company)).messages == 1
    assert (await latest(store, company, ada.who.account_id)).messages == 1


async def test_old_days_become_weeks_and_then_go(store: MailStore, company: Company, owner: Damager) -> None:
    await owner.sql(
        "INSERT INTO tier_usage (tenant_id, account_id, day, messages, octets, hot_octets, cold_octets, part_octets,"
        " row_octets) SELECT {t}, 0, CURRENT_DATE - n, 1, 1, 1, 1, 1, 1 FROM generate_series(0, 800) n"
    )
    for _ in range(2):
        while await thin(store.database, company.tenant_id):
            await owner.sql("UPDATE tier_usage SET messages = 2 WHERE tenant_id = {t}")
    today = (await owner.sql("SELECT CURRENT_DATE"))[0][0]
    days = [row[0] for row in await owner.sql("SELECT day FROM tier_usage WHERE tenant_id = {t} ORDER BY day")]
    assert days[-91:] == [today - timedelta(days=n) for n in range(90, -1, -1)]
    in_reach = [day for day in days if day >= today - timedelta(days=490) and day < days[-91]]
    assert in_reach
    assert all(day.isoweekday() == 1 for day in in_reach)
    assert days[0] >= today - timedelta(days=730)


async def test_people_see_their_own_tenant_only(store: MailStore, company: Company, ada: Someone) -> None:
    await measure(store.database, company.tenant_id, most_messages=MANY)
    async with store.database.read(company.tenant_id) as connection:
        seen = await (await connection.execute("SELECT DISTINCT tenant_id FROM tier_usage")).fetchall()
    assert seen == [(company.tenant_id,)]
