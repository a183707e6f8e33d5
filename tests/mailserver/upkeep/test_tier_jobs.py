"""Upkeep of the tiers, job by job: mail goes cold, is read again, is deleted; and what is missing is told of."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest
from prometheus_client import REGISTRY

from mailserver.upkeep.jobs import Job
from mailserver.upkeep.tier_jobs import tier_jobs
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import object_name
from storage.housekeeping import collect_blobs
from storage.provisioning import provision_account
from storage.store import MailStore
from storage.tiers.rounds import TieringConfig
from tests.conftest import RunningServices, owner_connection, plain_message
from tests.people import new_person
from tests.someone import ADD, DELETED, Someone
from tests.storage.tiers.conftest import Attic


@pytest.fixture
async def attic(services: RunningServices, tiered_store: MailStore, objects: ObjectStore) -> AsyncIterator[Attic]:
    """Of somebody of the directory, with five old messages."""
    who = (await asyncio.to_thread(new_person, services)).principal
    await provision_account(tiered_store.database, who.tenant_id, who.account_id)
    keys = await tiered_store.keys.of(who.tenant_id)
    with owner_connection(services) as owner:
        owner.autocommit = True
        attic = Attic(Someone(tiered_store, who), objects, keys, owner, services.secrets)
        for number in range(5):
            await attic.one.receive(plain_message(number, body=f"{number} " * 100))
        attic.age(200)
        yield attic
        attic.sql("DELETE FROM blob WHERE tenant_id = {t}")


def jobs(attic: Attic) -> dict[str, Job]:
    found: Sequence[Job] = tier_jobs(attic.one.store, attic.objects, TieringConfig(duty=0.9), keep_doomed_days=14)
    return {job.name: job for job in found}


def number(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, {"role": "none", **labels}) or 0.0


def test_without_s3_there_are_only_weeks_to_care_for(store: MailStore) -> None:
    names = [job.name for job in tier_jobs(store, None, TieringConfig(), keep_doomed_days=14)]
    assert names == ["drop idle weeks of content", "empty nearly idle weeks"]


async def test_old_mail_goes_to_packs_and_comes_back_when_it_is_read_again(attic: Attic) -> None:
    work = jobs(attic)
    moved = number("waypost_tiers_moved_blobs_total", work="tiering")
    await work["move old content to packs"].run()
    assert attic.hot_and_cold() == (0, 5)
    assert number("waypost_tiers_moved_blobs_total", work="tiering") == moved + 5
    for days in (0, 2):
        attic.sql(
            "INSERT INTO cold_read SELECT tenant_id, digest, CURRENT_DATE - %s FROM blob WHERE tenant_id = {t}", days
        )
    promoted = number("waypost_tiers_promoted_blobs_total")
    await work["bring back what is read again"].run()
    assert attic.hot_and_cold() == (5, 0)
    assert number("waypost_tiers_promoted_blobs_total") == promoted + 5


async def test_what_nothing_uses_leaves_the_bucket_in_the_end(attic: Attic) -> None:
    work = jobs(attic)
    await work["move old content to packs"].run()
    ((object_id,),) = attic.sql("SELECT id FROM object WHERE tenant_id = {t}")
    await attic.one.flag("INBOX", [1, 2, 3], ADD, DELETED)
    await attic.one.expunge("INBOX")
    await attic.one.empty_bin()
    await collect_blobs(attic.one.store.database, attic.one.store.keys, HotBlobs(grace_s=0))
    await work["compact packs"].run()
    attic.sql("UPDATE object SET doomed_at = doomed_at - interval '15 days' WHERE tenant_id = {t} AND state = 2")
    attic.sql("DELETE FROM clock_seen")
    await work["delete objects that nothing uses"].run()
    assert attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t}") == [(1,)]
    assert await attic.objects.facts(object_name(attic.keys.tenant_id, object_id)) is None
    assert len(await attic.one.octets()) == 2


async def test_after_a_leap_of_the_clock_nothing_leaves_the_bucket(attic: Attic) -> None:
    work = jobs(attic)
    await work["move old content to packs"].run()
    attic.sql("UPDATE object SET state = 2, doomed_at = now() - interval '15 days' WHERE tenant_id = {t}")
    attic.sql("DELETE FROM clock_seen")
    attic.sql("INSERT INTO clock_seen (id, seen_at, wary_until) VALUES (1, now() - interval '3 days', now())")
    await work["delete objects that nothing uses"].run()
    assert attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t}") == [(1,)]
    attic.sql("DELETE FROM clock_seen")


async def test_moving_rests_after_each_turn_and_says_so(attic: Attic) -> None:
    rested = number("waypost_tiers_rested_seconds_total")
    await jobs(attic)["move old content to packs"].run()
    assert number("waypost_tiers_rested_seconds_total") > rested
    assert number("waypost_tiers_rests") == 0
    assert number("waypost_tiers_pressing_tenants") == 0


async def test_an_object_that_is_missing_is_told_of(attic: Attic) -> None:
    work = jobs(attic)
    await work["move old content to packs"].run()
    ((object_id,),) = attic.sql("SELECT id FROM object WHERE tenant_id = {t}")
    await attic.objects.delete([object_name(attic.keys.tenant_id, object_id)])
    assert "missing" in str(await work["compare bucket and rows"].run())
    assert number("waypost_tiers_missing_objects") >= 1
