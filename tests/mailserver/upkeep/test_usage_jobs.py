"""Upkeep writes down what mail takes in each tier."""

from mailserver.upkeep.usage_jobs import usage_jobs
from storage.store import MailStore
from tests.conftest import Company, RunningServices, plain_message
from tests.someone import Someone
from tests.storage.verification.damage import Damager


async def test_every_tenant_gets_a_row_of_today(services: RunningServices, store: MailStore, company: Company) -> None:
    ada = Someone(store, await company.person("ada"))
    await ada.receive(plain_message())
    (job,) = usage_jobs(store.database)
    told = await job.run()
    assert "accounts of" in str(told)
    owner = Damager(services.owner_url, store, company.tenant_id)
    rows = "SELECT account_id, messages FROM tier_usage WHERE tenant_id = {t} ORDER BY account_id"
    assert await owner.sql(rows) == [(0, 1), (ada.who.account_id, 1)]
    await ada.receive(plain_message())
    await job.run()
    assert await owner.sql(rows) == [(0, 2), (ada.who.account_id, 1)], "once a day is enough for an account"
