"""`manage.py tiers cost`, as an administrator types it."""

import asyncio
import json
from collections.abc import Callable

import pytest

from storage.provisioning import provision_account
from storage.store import MailStore
from storage.usage_measuring import measure
from tests.conftest import RunningServices, plain_message
from tests.people import Person, new_person
from tests.someone import Someone
from tests.storage.verification.damage import Damager

Say = Callable[..., str]


@pytest.fixture
async def ann(services: RunningServices, store: MailStore) -> Person:
    person = await asyncio.to_thread(new_person, services)
    who = person.principal
    await provision_account(store.database, who.tenant_id, who.account_id)
    await Someone(store, who).receive(plain_message(1, body="word " * 1000))
    return person


@pytest.fixture
def cost(services: RunningServices, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    def run(*arguments: str) -> str:
        done = services.manage("tiers", "cost", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


async def test_a_company_is_shown_day_by_day_and_with_its_largest_accounts(
    services: RunningServices, store: MailStore, ann: Person, cost: Say
) -> None:
    tenant_id, domain = ann.principal.tenant_id, ann.principal.address.domain
    assert "Nothing was measured yet" in await asyncio.to_thread(cost, "--tenant", domain)
    await measure(store.database, tenant_id, most_messages=100)
    owner = Damager(services.owner_url, store, tenant_id)
    await owner.sql(
        "INSERT INTO tier_usage SELECT tenant_id, account_id, day - 10, 7, octets, 1024, cold_octets, part_octets,"
        " dead_octets, row_octets FROM tier_usage WHERE tenant_id = {t} AND account_id = 0"
    )
    days, _, accounts = (await asyncio.to_thread(cost, "--tenant", domain)).partition("\n\n")
    heading, before, today = days.splitlines()
    assert heading.split()[:5] == ["Day", "Messages", "Mail", "Hot", "Cold"]
    assert before.split()[1] == "7"
    assert "1 KiB" in before
    assert today.split()[1:4] == ["1", "5.0", "KiB"]
    assert accounts.splitlines()[1].split()[:2] == [ann.address, "1"]
    assert len((await asyncio.to_thread(cost, "--account", ann.address)).splitlines()) == 2
    assert "日期" in await asyncio.to_thread(cost, "--tenant", domain, "--speak", "zh-hans")

    rows = json.loads(await asyncio.to_thread(cost, "--tenant", domain, "--json", "--days", "5"))
    assert [row["messages"] for row in rows] == [1]
    everyone = json.loads(await asyncio.to_thread(cost, "--json"))
    mine = [row for row in everyone if row["tenant"] == domain.replace(".", "-")]
    assert [row["messages"] for row in mine] == [7, 1]
    (line,) = [row for row in (await asyncio.to_thread(cost)).splitlines() if row.startswith(mine[0]["tenant"])]
    assert line.split()[-2:] == [*f"−{1024 - rows[0]['hot_octets']} B".split()]
