"""Keys: made once, never overwritten, unusable ones said to be so in words that help."""

import os
import stat
from pathlib import Path

import psycopg
import pytest

from storage.database import Database
from storage.errors import ContentDamaged, KeyUnusable, MasterKeyMissing, StoreUnavailable
from storage.key_files import make_master_key, make_tenant_key, new_wrapped_key, read_master_key
from storage.keys import ANNOUNCED_S, KNOWN_S, KeyRing, TenantKeys
from storage.provisioning import make_tenant_keys
from storage.types import BlobDigest
from tenants.types import TenantId
from tests.conftest import Company, RunningServices

TENANT = TenantId(5)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_the_master_key_is_made_once(tmp_path: Path) -> None:
    secrets = tmp_path / "deep" / "secrets"
    assert make_master_key(secrets) is True
    first = read_master_key(secrets)
    assert make_master_key(secrets) is False
    assert read_master_key(secrets) == first
    assert len(first) == 32


def test_key_files_are_the_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        secrets = tmp_path / "secrets"
        make_master_key(secrets)
        make_tenant_key(secrets, TENANT)
    finally:
        os.umask(before)
    assert mode(secrets / "master.key") == mode(secrets / "tenants" / "5.key") == 0o600
    assert mode(secrets) == mode(secrets / "tenants") == 0o700
    assert sorted(path.name for path in secrets.rglob("*")) == ["5.key", "master.key", "tenants"], "no drafts are left"


def test_a_tenants_key_is_made_once(tmp_path: Path) -> None:
    make_master_key(tmp_path)
    first = make_tenant_key(tmp_path, TENANT)
    assert make_tenant_key(tmp_path, TENANT) == first
    assert make_tenant_key(tmp_path, TenantId(6)) != first
    assert first.hex() not in (tmp_path / "tenants" / "5.key").read_text(), "it lies there wrapped"


def test_without_a_master_key_nothing_starts(tmp_path: Path, database: Database) -> None:
    with pytest.raises(MasterKeyMissing, match=r"master\.key is missing"):
        KeyRing(tmp_path, database)


def test_a_master_key_that_was_lost_is_not_replaced(tmp_path: Path) -> None:
    make_master_key(tmp_path)
    make_tenant_key(tmp_path, TENANT)
    (tmp_path / "master.key").unlink()
    with pytest.raises(KeyUnusable, match="restore it from your safe"):
        make_master_key(tmp_path)
    assert not (tmp_path / "master.key").exists()


def test_a_tenants_key_that_was_lost_is_not_replaced(services: RunningServices, company: Company) -> None:
    path = services.secrets / "tenants" / f"{company.tenant_id}.key"
    away = path.rename(path.with_suffix(".away"))
    with pytest.raises(KeyUnusable, match=f"tenant {company.tenant_id} has mail that only it opens"):
        make_tenant_keys(services.secrets, services.owner_url, company.tenant_id)
    assert not path.exists()
    away.rename(path)


@pytest.mark.parametrize("text", ["", "abc", "00" * 31, "00" * 33, "zz" * 32])
def test_a_damaged_master_key_is_said_to_be(tmp_path: Path, text: str) -> None:
    (tmp_path / "master.key").write_text(text)
    with pytest.raises(KeyUnusable, match=r"master\.key does not hold 32 octets in hex"):
        read_master_key(tmp_path)


def test_another_master_key_does_not_unwrap_and_says_what_to_ask(tmp_path: Path) -> None:
    make_master_key(tmp_path)
    make_tenant_key(tmp_path, TENANT)
    (tmp_path / "master.key").write_text("11" * 32)
    with pytest.raises(KeyUnusable, match=r"5\.key: is this the right master key\?"):
        make_tenant_key(tmp_path, TENANT)


async def test_a_ring_with_another_master_key_opens_nothing(
    services: RunningServices, company: Company, database: Database, tmp_path: Path
) -> None:
    make_master_key(tmp_path)
    (tmp_path / "tenants").mkdir()
    name = f"{company.tenant_id}.key"
    (tmp_path / "tenants" / name).write_bytes((services.secrets / "tenants" / name).read_bytes())
    with pytest.raises(KeyUnusable, match="is this the right master key"):
        await KeyRing(tmp_path, database).of(company.tenant_id)


async def test_a_tenant_without_its_key_is_named(
    services: RunningServices, company: Company, database: Database, tmp_path: Path
) -> None:
    make_master_key(tmp_path)
    with pytest.raises(KeyUnusable, match=f"mail of tenant {company.tenant_id} cannot be read"):
        await KeyRing(tmp_path, database).of(company.tenant_id)


async def test_a_tenant_without_rows_is_named(services: RunningServices, database: Database) -> None:
    make_tenant_key(services.secrets, TenantId(999_999))
    with pytest.raises(KeyUnusable, match="tenant 999999 has no keys in the database"):
        await KeyRing(services.secrets, database).of(TenantId(999_999))


async def test_making_a_tenants_keys_again_changes_nothing(
    services: RunningServices, company: Company, database: Database
) -> None:
    before = await KeyRing(services.secrets, database).of(company.tenant_id)
    make_tenant_keys(services.secrets, services.owner_url, company.tenant_id)
    assert await KeyRing(services.secrets, database).of(company.tenant_id) == before


async def test_after_a_rotation_new_content_has_the_new_key_and_old_content_still_opens(
    services: RunningServices, company: Company, database: Database
) -> None:
    ring = KeyRing(services.secrets, database)
    before = await ring.of(company.tenant_id)
    sealed = before.seal(DIGEST, 0, True, 0, b"octets")
    wrapped = new_wrapped_key(make_tenant_key(services.secrets, company.tenant_id))
    insert_key(services, company, wrapped, age_s=ANNOUNCED_S + 1)
    assert (await ring.of(company.tenant_id)).current == 2
    ring.forget(company.tenant_id)
    after = await ring.of(company.tenant_id)
    assert after.current == 3
    assert after.naming_key == before.naming_key
    assert after.open(2, DIGEST, 0, True, 0, sealed) == b"octets"
    with pytest.raises(ContentDamaged):
        after.open(3, DIGEST, 0, True, 0, sealed)


def insert_key(services: RunningServices, company: Company, wrapped: bytes, *, age_s: float) -> None:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(
            "INSERT INTO data_key (tenant_id, id, purpose, wrapped, created_at)"
            " VALUES (%s, 3, 'data', %s, now() - make_interval(secs => %s))",
            (company.tenant_id, wrapped, age_s),
        )


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


async def test_a_new_key_opens_at_once_and_seals_when_every_process_has_had_time_to_see_it(
    services: RunningServices, company: Company, database: Database
) -> None:
    clock = Clock()
    ring = KeyRing(services.secrets, database, clock=clock)
    await ring.of(company.tenant_id)
    insert_key(services, company, new_wrapped_key(make_tenant_key(services.secrets, company.tenant_id)), age_s=0)
    clock.now += KNOWN_S - 1
    assert set((await ring.of(company.tenant_id)).data_keys) == {2}
    clock.now += 1
    keys = await ring.of(company.tenant_id)
    assert set(keys.data_keys) == {2, 3}
    assert keys.current == 2
    assert ANNOUNCED_S > 2 * KNOWN_S


async def test_a_key_that_a_process_has_not_seen_is_asked_for_again(
    services: RunningServices, company: Company, database: Database
) -> None:
    clock = Clock()
    ring = KeyRing(services.secrets, database, clock=clock)
    stale = await ring.of(company.tenant_id)
    insert_key(services, company, new_wrapped_key(make_tenant_key(services.secrets, company.tenant_id)), age_s=1e6)
    sealed = (await KeyRing(services.secrets, database).of(company.tenant_id)).seal(DIGEST, 0, True, 0, b"octets")
    clock.now += 2
    with pytest.raises(StoreUnavailable, match="is new"):
        stale.open(3, DIGEST, 0, True, 0, sealed)
    fresh = await ring.of(company.tenant_id)
    assert fresh.open(3, DIGEST, 0, True, 0, sealed) == b"octets"
    with pytest.raises(ContentDamaged, match=r"data key 9 .* is missing"):
        fresh.open(9, DIGEST, 0, True, 0, sealed)


def test_a_chunk_is_sealed_anew_as_it_is_packed() -> None:
    old = TenantKeys(TENANT, b"n" * 32, {2: b"k" * 32}, current=2).seal(DIGEST, 4, False, 1, b"octets")
    assert KEYS.open(3, DIGEST, 4, False, 1, KEYS.reseal(DIGEST, 4, False, 1, 2, old)) == b"octets"
    with pytest.raises(ContentDamaged):
        KEYS.reseal(DIGEST, 5, False, 1, 2, old)


DIGEST = BlobDigest(b"d" * 20)
KEYS = TenantKeys(TENANT, b"n" * 32, {2: b"k" * 32, 3: b"l" * 32}, current=3)


def test_what_is_sealed_opens_under_the_same_names_only() -> None:
    sealed = KEYS.seal(DIGEST, 4, False, 1, b"octets")
    assert KEYS.open(3, DIGEST, 4, False, 1, sealed) == b"octets"
    stranger = TenantKeys(TenantId(6), KEYS.naming_key, KEYS.data_keys, current=3)
    for keys, key_id, digest, chunk, is_last, codec, octets in (
        (stranger, 3, DIGEST, 4, False, 1, sealed),
        (KEYS, 2, DIGEST, 4, False, 1, sealed),
        (KEYS, 9, DIGEST, 4, False, 1, sealed),
        (KEYS, 3, BlobDigest(b"e" * 20), 4, False, 1, sealed),
        (KEYS, 3, DIGEST, 5, False, 1, sealed),
        (KEYS, 3, DIGEST, 4, True, 1, sealed),
        (KEYS, 3, DIGEST, 4, False, 0, sealed),
        (KEYS, 3, DIGEST, 4, False, 1, sealed[:-1]),
        (KEYS, 3, DIGEST, 4, False, 1, sealed[:5]),
        (KEYS, 3, DIGEST, 4, False, 1, b""),
        (KEYS, 3, DIGEST, 4, False, 1, sealed[:20] + bytes([sealed[20] ^ 1]) + sealed[21:]),
    ):
        with pytest.raises(ContentDamaged):
            keys.open(key_id, digest, chunk, is_last, codec, octets)


def test_the_same_octets_are_sealed_differently_and_named_alike() -> None:
    assert KEYS.seal(DIGEST, 0, True, 0, b"octets") != KEYS.seal(DIGEST, 0, True, 0, b"octets")
    assert KEYS.digest(b"octets") == KEYS.long_digest(b"octets")
    assert KEYS.digest(b"x" * 3_000_000) == KEYS.long_digest(memoryview(b"x" * 3_000_000))
    other = TenantKeys(TENANT, b"m" * 32, KEYS.data_keys, current=3)
    assert other.digest(b"octets") != KEYS.digest(b"octets")
    assert other.reference(b"<a@b>") != KEYS.reference(b"<a@b>")


async def test_mail_on_its_way_in_opens_at_its_place_only(services: RunningServices, database: Database) -> None:
    ring = KeyRing(services.secrets, database)
    sealed = ring.seal_inbound(7, 1, 0, b"octets")
    assert ring.open_inbound(7, 1, 0, sealed) == b"octets"
    for inbound_id, chunk, codec in ((8, 1, 0), (7, 2, 0), (7, 1, 1)):
        with pytest.raises(ContentDamaged):
            ring.open_inbound(inbound_id, chunk, codec, sealed)
