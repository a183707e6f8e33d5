"""Upkeep reads a share of the mail again every hour, and tells of what is wrong."""

from typing import Any

import pytest
from prometheus_client import REGISTRY

from mailserver.upkeep.verify_jobs import VerifyConfig, verify_jobs
from storage.store import MailStore
from storage.verification.findings import Kind
from tests.conftest import Company, RunningServices, plain_message
from tests.someone import Someone
from tests.storage.verification.damage import Damager


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


@pytest.fixture
def damager(services: RunningServices, store: MailStore, company: Company) -> Damager:
    return Damager(services.owner_url, store, company.tenant_id)


async def run(store: MailStore, hour: int, share_a_day: float) -> Any:
    (job,) = verify_jobs(store, None, VerifyConfig(share_a_day, 10_000), clock=lambda: hour * 3600.0 + 5)
    return await job.run()


def counted(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(f"waypost_{name}", {"role": "none", **labels}) or 0.0


async def test_a_day_comes_to_its_share(store: MailStore, ada: Someone) -> None:
    for number in range(30):
        await ada.receive(plain_message(number, body=f"Body {number}"))
    before = counted("verify_blobs_total", tier="hot")
    blobs = [(await run(store, 6_000 + hour, 6.0))["hot_blobs"] for hour in range(4)]
    assert sum(blobs) >= 30
    assert max(blobs) < sum(blobs)
    assert counted("verify_blobs_total", tier="hot") - before == sum(blobs)


async def test_damage_is_counted_and_told_of(store: MailStore, ada: Someone, damager: Damager) -> None:
    await ada.receive()
    await damager.sql("UPDATE blob_content SET sealed = '' WHERE tenant_id = {t}")
    await damager.sql("UPDATE mailbox SET messages = 9 WHERE tenant_id = {t} AND name = 'INBOX'")
    damaged, repaired = (
        {"kind": kind.value, "is_repaired": answer}
        for kind, answer in ((Kind.CONTENT_DAMAGED, "no"), (Kind.MAILBOX_COUNTS, "yes"))
    )
    before = counted("verify_findings_total", **damaged), counted("verify_findings_total", **repaired)
    tally = await run(store, 0, 24.0)
    assert tally["left"] >= 1
    assert counted("verify_findings_total", **damaged) > before[0]
    assert counted("verify_findings_total", **repaired) > before[1]
    assert counted("verify_left") == tally["left"]
    assert (await ada.box()).messages == 1


def test_nothing_is_verified_where_the_share_is_none(store: MailStore) -> None:
    assert verify_jobs(store, None, VerifyConfig(0.0)) == ()
