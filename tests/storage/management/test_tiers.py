"""`manage.py tiers`, as an administrator types it."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pytest

from deploy.local.objects import ObjectAccess
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import object_name
from tenants.types import TenantId
from tests.conftest import RunningServices, objects_config, owner_connection
from tests.people import Person, new_person

Say = Callable[..., str]


@pytest.fixture
def tiers(services: RunningServices, s3: ObjectAccess, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("WAYPOST_S3_URL", s3.url)
    monkeypatch.setenv("WAYPOST_S3_ACCESS_KEY", s3.access_key)
    monkeypatch.setenv("WAYPOST_S3_SECRET_KEY", s3.secret_key)
    monkeypatch.setenv("WAYPOST_S3_BUCKET", s3.bucket)

    def run(*arguments: str) -> str:
        """What it says; in a bucket of its own it may miss the objects of other tests."""
        done = services.manage("tiers", *arguments)
        assert done.returncode == 0 or "missing from the bucket" in done.stderr, done.stderr
        return done.stdout

    return run


@pytest.fixture
async def ann(services: RunningServices) -> Person:
    return await asyncio.to_thread(new_person, services)


async def doomed_object(services: RunningServices, objects: ObjectStore, tenant_id: TenantId, days: int) -> str:
    name = object_name(tenant_id, 5)
    await objects.put(name, b"sealed")
    with owner_connection(services) as owner:
        owner.execute(
            "INSERT INTO object (tenant_id, id, kind, state, created_at, doomed_at)"
            " VALUES (%s, 5, 1, 2, now(), now() - make_interval(days => %s))",
            (tenant_id, days),
        )
        owner.execute("DELETE FROM clock_seen")
    return name


@pytest.mark.parametrize(("keep_days", "stays"), [("", False), ("30", True)])
async def test_a_sweep_by_hand_keeps_doomed_objects_for_as_long_as_the_installation_says(
    services: RunningServices,
    s3: ObjectAccess,
    ann: Person,
    tiers: Say,
    monkeypatch: pytest.MonkeyPatch,
    keep_days: str,
    stays: bool,
) -> None:
    bucket = ObjectStore(objects_config(replace(s3, bucket=f"kept-{keep_days or 'as-usual'}")))
    await bucket.prepare()
    monkeypatch.setenv("WAYPOST_S3_BUCKET", f"kept-{keep_days or 'as-usual'}")
    name = await doomed_object(services, bucket, ann.principal.tenant_id, 20)
    monkeypatch.setenv("WAYPOST_S3_KEEP_DOOMED_DAYS", keep_days)
    assert "in the bucket" in await asyncio.to_thread(tiers, "sweep")
    assert (await bucket.facts(name) is not None) == stays
    await bucket.close()


async def test_unused_content_is_collected_where_there_is_no_s3(tiers: Say, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WAYPOST_S3_URL")
    assert "blobs that nothing used were deleted" in await asyncio.to_thread(tiers, "collect")


@pytest.mark.parametrize("work", ["run", "compact"])
@pytest.mark.parametrize("pace", [(), ("--in-turns",)])
def test_work_by_hand_hurries_or_rests_as_upkeep_does(
    tiers: Say, monkeypatch: pytest.MonkeyPatch, work: str, pace: tuple[str, ...]
) -> None:
    monkeypatch.setenv("WAYPOST_TIERING_DUTY", "0.9")
    assert "moved into" in tiers(work, *pace)
