"""Large parts in objects of their own, and those that wait in Postgres for S3."""

import random
from collections.abc import AsyncIterator

import pytest

from deploy.local.objects import ObjectAccess
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import object_name
from storage.store import MailStore
from storage.verification.findings import Kind
from tests.conftest import Company, RunningServices
from tests.parts_desk import Desk, letter, open_desk
from tests.storage.blobs.faulty_proxy import Fault
from tests.storage.verification.damage import Damager

LARGE = random.Random(3).randbytes(9_500_000)  # more than two ranges, which end within chunks


@pytest.fixture
async def desk(
    services: RunningServices, company: Company, store: MailStore, s3: ObjectAccess, objects: ObjectStore
) -> AsyncIterator[Desk]:
    del objects  # the bucket is ready
    async with open_desk(services, company, store, s3) as opened:
        yield opened


@pytest.fixture
def parts(services: RunningServices, desk: Desk, objects: ObjectStore) -> Damager:
    return Damager(services.owner_url, desk.store, desk.keys.tenant_id, objects)


async def test_large_parts_are_found_whole_wherever_they_rest(desk: Desk, parts: Damager) -> None:
    await desk.one.receive(letter(LARGE))
    desk.proxy.fault(Fault.REFUSE)
    await (await desk.with_room(20_000_000)).one.receive(letter(LARGE[::-1], number=2))
    desk.proxy.heal()
    assert sorted(where for _, where in desk.blobs() if where != "hot") == ["part", "waiting"]
    looked = await parts.look(rebuilds=True)
    assert looked.findings == []
    assert looked.tally.objects == 1


async def test_damage_to_a_large_part_is_found(desk: Desk, parts: Damager, objects: ObjectStore) -> None:
    await desk.one.receive(letter(LARGE))
    desk.forget_hot_copies()
    ((number, octets),) = desk.sql("SELECT id, octets FROM object WHERE tenant_id = {t}")
    name = object_name(parts.tenant_id, number)
    sealed = bytearray(await objects.get(name, 0, octets))
    sealed[7_000_000] ^= 1
    await objects.put(name, bytes(sealed))
    assert (await parts.look()).kinds == [Kind.OBJECT_DAMAGED, Kind.CONTENT_DAMAGED]
    await objects.put(name, bytes(sealed[:5_000_000]))
    assert (await parts.look()).kinds == [Kind.OBJECT_LENGTH, Kind.CONTENT_DAMAGED]
    await objects.delete([name])
    assert (await parts.look()).kinds == [Kind.OBJECT_MISSING]
