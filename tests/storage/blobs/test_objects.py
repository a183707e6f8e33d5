"""What an ObjectStore promises, on every S3 server that Waypost is tested with."""

import asyncio
import random
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from minio import Minio

from storage.blobs.object_bootstrap import PROBES
from storage.blobs.object_faults import ObjectsHeld, ObjectsMisconfigured
from storage.blobs.objects import ObjectStore
from storage.blobs.objects_config import ObjectsConfig
from storage.errors import ColdTierUnavailable, ContentDamaged, ObjectMissing
from tests.storage.blobs.conftest import Seen, new_bucket

PART = 5 * 1024 * 1024


def some_octets(length: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(length)


def another_client(config: ObjectsConfig) -> Any:
    """Looks at a bucket past the store."""
    return Minio(
        urlsplit(config.url).netloc,
        access_key=config.access_key,
        secret_key=config.secret_key,
        secure=False,
        region=config.region,
    )


async def names_in(store: ObjectStore, prefix: str = "", after: str = "") -> list[str]:
    return [facts.name async for page in store.list(prefix, after) for facts in page]


@pytest.mark.parametrize("length", [0, 1, 16_384, 1_000_003, PART, PART + 1, 2 * PART + 7])
async def test_what_was_put_is_given_back(store: ObjectStore, length: int) -> None:
    octets = some_octets(length)
    await store.put(f"put/{length}", octets)
    facts = await store.facts(f"put/{length}")
    assert facts is not None
    assert (facts.name, facts.octets) == (f"put/{length}", length)
    assert await store.get(f"put/{length}", 0, length) == octets


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
async def test_octets_of_every_kind_can_be_put(store: ObjectStore, kind: type) -> None:
    await store.put("kind", kind(b"octets"))
    assert await store.get("kind", 0, 6) == b"octets"


async def test_a_range_has_exactly_its_octets(store: ObjectStore) -> None:
    octets = some_octets(100_000)
    await store.put("range", octets)
    for offset, length in ((0, 1), (0, 16_384), (99_999, 1), (50_000, 50_000), (7, 0)):
        assert await store.get("range", offset, length) == octets[offset : offset + length]


@pytest.mark.parametrize(("offset", "length"), [(0, 11), (9, 2), (10, 1), (500, 5)])
async def test_a_range_past_the_end_is_damage(store: ObjectStore, offset: int, length: int) -> None:
    await store.put("short", b"ten octets")
    with pytest.raises(ContentDamaged, match="object short"):
        await store.get("short", offset, length)


async def test_an_object_that_is_not_there_is_missing(store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing, match="nowhere"):
        await store.get("nowhere", 0, 5)
    assert await store.facts("nowhere") is None


async def test_the_same_object_may_be_put_again(store: ObjectStore) -> None:
    await store.put("again", b"the same")
    await store.put("again", b"the same")
    assert await store.get("again", 0, 8) == b"the same"


async def test_pieces_of_any_length_become_one_object_and_are_taken_when_there_is_room(
    store: ObjectStore, seen: Seen
) -> None:
    octets = some_octets(3 * PART + 12_345)
    lengths = (1, 3_000_000, 2_500_000, 6_000_000, len(octets))
    ahead: list[int] = []

    def pieces() -> Iterator[bytes]:
        taken = 0
        for length in lengths:
            sent = max(0, seen.outcomes().count("ok") - 1) * PART  # the first request begins the upload
            ahead.append(taken - sent)
            yield octets[taken : taken + length]
            taken = min(len(octets), taken + length)

    await store.put_pieces("pieces", pieces(), len(octets))
    assert await store.get("pieces", 0, len(octets)) == octets
    assert max(ahead) < PART


@pytest.mark.parametrize("octets", [0, 1, PART - 1, PART, PART + 1, 2 * PART, 2 * PART + 77])
async def test_pieces_may_be_of_a_length_that_nobody_knows_before(store: ObjectStore, seen: Seen, octets: int) -> None:
    whole = some_octets(octets)
    name = f"unknown-{octets}"
    await store.put_pieces(name, (whole[at : at + 700_000] for at in range(0, octets, 700_000)), None)
    assert len(seen.requests) == (1 if octets <= PART else 2 + -(-octets // PART))
    assert await store.get(name, 0, octets) == whole
    facts = await store.facts(name)
    assert facts is not None
    assert facts.octets == octets


@pytest.mark.parametrize("announced", [2 * PART - 1, 2 * PART + 1, 10])
async def test_pieces_must_be_as_many_octets_as_announced(
    store: ObjectStore, plain: ObjectsConfig, announced: int
) -> None:
    with pytest.raises(ValueError, match="octets"):
        await store.put_pieces("announced", (some_octets(PART), some_octets(PART)), announced)
    assert await store.facts("announced") is None
    assert uploads_begun(plain) == []


async def test_an_upload_whose_pieces_fail_is_aborted(store: ObjectStore, plain: ObjectsConfig) -> None:
    def pieces() -> Iterator[bytes]:
        yield some_octets(PART + 1)
        raise LookupError("the rest is gone")

    with pytest.raises(LookupError, match="the rest is gone"):
        await store.put_pieces("failed", pieces(), 3 * PART)
    assert await store.facts("failed") is None
    assert uploads_begun(plain) == []


def uploads_begun(config: ObjectsConfig) -> list[Any]:
    return list(another_client(config)._list_multipart_uploads(config.bucket, prefix="").uploads)


async def test_a_long_list_comes_in_pages_by_ascending_name(store: ObjectStore) -> None:
    expected = [f"list/{number:04x}" for number in range(1003)]
    await asyncio.gather(*(store.put(name, b"x") for name in random.Random(1).sample(expected, len(expected))))
    pages = [page async for page in store.list("list/")]
    assert [facts.name for page in pages for facts in page] == expected
    assert max(len(page) for page in pages) <= 1000
    assert await names_in(store, "list/", after="list/03e0") == expected[0x3E1:]
    await store.delete(expected)
    assert await names_in(store, "list/") == []


async def test_a_prefix_is_not_a_directory(store: ObjectStore) -> None:
    for name in ("12/a", "1/b", "1/a"):
        await store.put(name, b"x")
    assert await names_in(store, "1/") == ["1/a", "1/b"]
    assert await names_in(store, "1/", after="1/a") == ["1/b"]


async def test_deleting_what_is_not_there_is_fine(store: ObjectStore) -> None:
    await store.put("here", b"x")
    await store.delete(["not here", "here", "nor here"])
    assert await store.facts("here") is None
    await store.delete([])


# Who may, and what bucket.


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"secret_key": "wrong"}, "the secret key is wrong"),
        ({"access_key": "nobody"}, "S3 does not know the access key"),
        ({"bucket": "no-such-bucket"}, "the bucket does not exist"),
    ],
)
async def test_a_refusal_is_told_in_plain_words(plain: ObjectsConfig, changes: dict[str, str], reason: str) -> None:
    store = ObjectStore(replace(plain, **changes))  # type: ignore[arg-type]
    for request in (store.get("a", 0, 1), store.put("a", b"x"), store.look(), store.delete(["a"])):
        with pytest.raises(ColdTierUnavailable, match=reason):
            await request
    with pytest.raises(ColdTierUnavailable):  # and not None: the object may well be there
        await store.facts("a")
    with pytest.raises(ColdTierUnavailable, match=reason):
        await names_in(store)
    await store.close()


@pytest.mark.parametrize("changes", [{"secret_key": "wrong"}, {"access_key": "nobody"}])
async def test_a_bucket_that_cannot_be_used_is_a_mistake_of_the_settings(
    plain: ObjectsConfig, changes: dict[str, str]
) -> None:
    store = ObjectStore(replace(plain, **changes))  # type: ignore[arg-type]
    with pytest.raises(ObjectsMisconfigured, match=f"bucket {plain.bucket} at "):
        await store.prepare()
    await store.close()


async def test_the_bucket_is_made_with_object_lock_and_left_as_it_is_later(server: ObjectsConfig) -> None:
    config = new_bucket(server)
    store = ObjectStore(config)
    with pytest.raises(ColdTierUnavailable, match="does not exist"):
        await store.look()
    await store.prepare()
    assert await store.has_object_lock()
    assert await store.has_versions()
    await store.put("kept", b"x")
    await store.prepare()
    assert await names_in(store) == ["kept"]
    await store.close()


async def test_the_bucket_is_made_without_object_lock_if_so_configured(store: ObjectStore) -> None:
    assert not await store.has_object_lock()
    assert not await store.has_versions()


async def test_making_ready_leaves_nothing_behind(locked: ObjectsConfig) -> None:
    versions = another_client(locked).list_objects(locked.bucket, PROBES, recursive=True, include_version=True)
    assert list(versions) == []


# Versions and legal holds.


async def test_deleting_leaves_no_version_behind(locked_store: ObjectStore, locked: ObjectsConfig) -> None:
    for name in ("gone", "gone too", "gone"):
        await locked_store.put(name, b"x")
    await locked_store.put("gone-not", b"x")
    client = another_client(locked)
    client.remove_object(locked.bucket, "gone too")  # as a person would: it is only hidden
    await locked_store.delete(["gone", "gone too"])
    left = client.list_objects(locked.bucket, "gone", recursive=True, include_version=True)
    assert [found.object_name for found in left] == ["gone-not"]


async def test_a_held_object_stays_and_the_others_go(locked_store: ObjectStore) -> None:
    for name in ("held", "free"):
        await locked_store.put(name, b"evidence")
    assert not await locked_store.is_held("held")
    await locked_store.hold("held", on=True)
    await locked_store.hold("held", on=True)
    assert await locked_store.is_held("held")
    with pytest.raises(ObjectsHeld) as kept:
        await locked_store.delete(["held", "free"])
    assert kept.value.names == ("held",)
    assert await locked_store.facts("free") is None
    assert await locked_store.get("held", 0, 8) == b"evidence"
    await locked_store.hold("held", on=False)
    assert not await locked_store.is_held("held")
    await locked_store.delete(["held"])
    assert await locked_store.facts("held") is None


async def test_a_bucket_without_object_lock_holds_nothing(store: ObjectStore) -> None:
    await store.put("free", b"x")
    with pytest.raises(ColdTierUnavailable, match="no Object Lock"):
        await store.hold("free", on=True)
    assert not await store.is_held("free")


async def test_what_is_missing_cannot_be_held(locked_store: ObjectStore) -> None:
    with pytest.raises(ObjectMissing):
        await locked_store.hold("nowhere", on=True)
