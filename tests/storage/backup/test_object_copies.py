"""Objects are copied once, whole or not at all, and come back into a bucket that lacks them."""

import hashlib
import os
import random
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from storage.backup import object_copies
from storage.backup.object_copies import Listed, copy_here, forget_unlisted, put_back, read_list, write_list
from storage.backup.place import Place
from storage.blobs.objects import ObjectStore
from tests.conftest import Company, RunningServices


def ignore(_octets: int) -> None:
    pass


@pytest.fixture
def place(tmp_path: Path) -> Place:
    made = Place(tmp_path / "place")
    made.prepare()
    return made


@pytest.fixture
async def some(objects: ObjectStore, company: Company) -> list[Listed]:
    """In the bucket: a few small ones, and one of more than one piece."""
    found = []
    for number, octets in enumerate((1, 1000, 70_000, 9_000_000)):
        content = random.Random(number).randbytes(octets)
        each = Listed(company.tenant_id, 2**62 + number, octets, hashlib.sha256(content).digest(), is_live=True)
        await objects.put(each.name, content)
        found.append(each)
    return found


def copies(place: Place) -> list[str]:
    return sorted(str(path.relative_to(place.objects)) for path in place.objects.rglob("*") if path.is_file())


async def in_order(objects: Sequence[Listed]) -> AsyncIterator[Listed]:
    for each in objects:
        yield each


async def test_what_is_new_is_copied_and_nothing_twice(objects: ObjectStore, place: Place, some: list[Listed]) -> None:
    first = await copy_here(objects, place, some[:2], ignore)
    assert (first.objects, first.new, first.new_octets) == (2, 2, 1001)
    again = await copy_here(objects, place, some, ignore)
    assert (again.objects, again.octets, again.new, again.new_octets) == (4, 9_071_001, 2, 9_070_000)
    assert copies(place) == sorted(each.name for each in some)
    for each in some:
        assert hashlib.sha256((place.objects / each.name).read_bytes()).digest() == each.sha256


async def test_they_come_back_into_a_bucket_that_lacks_them(
    objects: ObjectStore, place: Place, some: list[Listed]
) -> None:
    await copy_here(objects, place, some, ignore)
    before = await objects.get(some[3].name, 8_388_000, 1000)
    await objects.delete([each.name for each in some[1:]])
    put = await put_back(objects, place, some, ignore)
    assert sorted(put.put) == sorted(each.name for each in some[1:])
    assert not put.missing
    assert not put.damaged
    assert await objects.get(some[3].name, 8_388_000, 1000) == before
    assert (await put_back(objects, place, some, ignore)).new == 0


async def test_a_doomed_one_that_has_gone_is_no_loss_and_a_live_one_is(
    objects: ObjectStore, place: Place, some: list[Listed]
) -> None:
    await objects.delete([some[0].name, some[1].name])
    doomed = Listed(some[0].tenant_id, some[0].id, 1, None, is_live=False)
    copied = await copy_here(objects, place, [doomed, *some[1:]], ignore)
    assert copied.missing == [some[1].name]
    assert copied.damaged == []


async def test_one_that_is_not_what_its_row_says_is_not_kept(
    objects: ObjectStore, place: Place, some: list[Listed]
) -> None:
    await objects.put(some[1].name, b"x" * 1000)
    await objects.put(some[2].name, b"shorter")
    copied = await copy_here(objects, place, some, ignore)
    assert sorted(copied.damaged) == sorted([some[1].name, some[2].name])
    assert copies(place) == sorted([some[0].name, some[3].name])


async def test_a_damaged_copy_is_found_and_not_put_back(objects: ObjectStore, place: Place, some: list[Listed]) -> None:
    await copy_here(objects, place, some, ignore)
    octets = bytearray((place.objects / some[2].name).read_bytes())
    octets[35_000] ^= 1
    (place.objects / some[2].name).write_bytes(octets)
    os.truncate(place.objects / some[3].name, 5)
    (place.objects / some[0].name).unlink()
    checked = object_copies.check_copies(place, some, ignore)
    assert (checked.missing, checked.damaged) == ([some[0].name], [some[2].name, some[3].name])
    await objects.delete([each.name for each in some])
    put = await put_back(objects, place, some, ignore)
    assert (put.missing, sorted(put.damaged), put.put) == (checked.missing, checked.damaged, [some[1].name])


async def test_a_list_says_again_what_it_was_told(tmp_path: Path) -> None:
    told = [
        Listed(3, 0x0123456789ABCDEF, 16_000_000, b"\x01" * 32, is_live=True),
        Listed(4, 2**63 - 1, 0, None, is_live=False),
    ]
    assert await write_list(tmp_path / "list", in_order(told)) == (2, 16_000_000)
    assert list(read_list(tmp_path / "list")) == told
    assert told[0].name == "3/0123456789abcdef"


async def test_copies_that_no_list_names_go(
    objects: ObjectStore, place: Place, some: list[Listed], tmp_path: Path
) -> None:
    await copy_here(objects, place, some, ignore)
    await write_list(tmp_path / "one", in_order(some[:1]))
    await write_list(tmp_path / "other", in_order(some[2:3]))
    assert forget_unlisted(place, [tmp_path / "one", tmp_path / "other"]) == (2, 9_001_000)
    assert copies(place) == sorted([some[0].name, some[2].name])


async def test_a_database_names_its_live_and_doomed_objects_and_forgets_holds(
    services: RunningServices, company: Company
) -> None:
    rows = [(0, None), (1, b"\x07" * 32), (2, None)]
    async with await psycopg.AsyncConnection.connect(services.owner_url, autocommit=True) as owner:
        for state, sha256 in rows:
            await owner.execute(
                "INSERT INTO object (tenant_id, id, kind, state, octets, sha256, is_held, created_at)"
                " VALUES (%s, %s, 1, %s, 10, %s, true, %s)",
                (company.tenant_id, state + 1, state, sha256, datetime.now(UTC)),
            )
        found = [each async for each in object_copies.listed(owner) if each.tenant_id == company.tenant_id]
        assert found == [
            Listed(company.tenant_id, 2, 10, b"\x07" * 32, is_live=True),
            Listed(company.tenant_id, 3, 10, None, is_live=False),
        ]
        await object_copies.forget_holds(owner, [found[0].name])
        held = await owner.execute("SELECT id FROM object WHERE tenant_id = %s AND is_held", (company.tenant_id,))
        assert {row[0] for row in await held.fetchall()} == {1, 3}
        await owner.execute("DELETE FROM object WHERE tenant_id = %s", (company.tenant_id,))


async def test_what_another_bucket_still_has_is_fetched_from_there(
    objects: ObjectStore, place: Place, some: list[Listed]
) -> None:
    await objects.delete([some[1].name])
    await object_copies.fetch_between(objects, place, some)
    assert copies(place) == sorted(each.name for each in some if each != some[1])
