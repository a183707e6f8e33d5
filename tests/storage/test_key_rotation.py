"""Rotation of data keys and of the master key: whatever was sealed opens, wherever the process died."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from storage import inbound, steps
from storage.database import Database
from storage.errors import ContentDamaged, KeyUnusable
from storage.key_files import (
    fingerprint,
    known_master_fingerprints,
    make_master_key,
    make_tenant_key,
    read_master_key,
    read_master_keys,
    read_previous_masters,
    read_tenant_key,
    tenant_key_path,
)
from storage.key_rotation import data_keys, retire_data_keys, rotate_data_key
from storage.keys import ANNOUNCED_S, MASTERS_KNOWN_S, KeyRing, check_tenant_keys
from storage.master_rotation import forget_previous_masters, prepare_master_key, rotate_master_key
from storage.provisioning import make_tenant_keys
from tenants.types import TenantId
from tests.conftest import NOON, Company, RunningServices, owner_connection

LAST_STEP = 7  # of three files each is wrapped anew, after four steps
ONE, TWO, THREE = TenantId(1), TenantId(2), TenantId(3)


class Killed(Exception):
    """The process ended here."""


@pytest.fixture
def died() -> Iterator[None]:
    """Nobody listens to steps any more after the test."""
    yield
    steps.listener = None


def dying_at(number: int) -> list[str]:
    """From now on the process ends at the step of that number; the names of those it reached."""
    seen: list[str] = []

    def listen(step: str) -> None:
        seen.append(step)
        if len(seen) == number:
            raise Killed(step)

    steps.listener = listen
    return seen


@pytest.fixture
def secrets(tmp_path: Path) -> Path:
    make_master_key(tmp_path)
    return tmp_path


def rotate(secrets: Path) -> bool:
    return rotate_master_key(secrets, wait=lambda _: None).is_new


def opened(secrets: Path, *tenants: TenantId) -> dict[TenantId, bytes]:
    masters = read_master_keys(secrets)
    return {tenant: read_tenant_key(secrets, masters, tenant) for tenant in tenants}


# -- the master key


def test_a_new_master_key_wraps_the_same_tenant_keys(secrets: Path) -> None:
    keys = {tenant: make_tenant_key(secrets, tenant) for tenant in (ONE, TWO)}
    before, wrapped = read_master_key(secrets), tenant_key_path(secrets, ONE).read_text()
    done = rotate_master_key(secrets, wait=lambda _: None)
    assert (done.is_new, done.wrapped) == (True, 3), "two tenants' and that of signing in"
    assert done.fingerprint == fingerprint(read_master_key(secrets)) != fingerprint(before)
    assert tenant_key_path(secrets, ONE).read_text() != wrapped
    assert opened(secrets, ONE, TWO) == keys
    assert [each.key for each in read_previous_masters(secrets)] == [before]
    names = sorted(path.name for path in secrets.rglob("*") if path.is_file())
    assert names == ["1.key", "2.key", "master.key", "master.key.previous", "sign-in.key"]


def test_a_rotation_may_be_killed_at_every_step_and_goes_on_where_it_stopped(tmp_path: Path, died: None) -> None:
    reached = 0
    for number in range(1, 20):
        secrets = tmp_path / str(number)
        make_master_key(secrets)
        keys = {tenant: make_tenant_key(secrets, tenant) for tenant in (ONE, TWO)}
        seen = dying_at(number)
        try:
            rotate(secrets)
        except Killed:
            steps.listener = None
            assert opened(secrets, ONE, TWO) == keys, f"killed at {seen[-1]}"
            keys[THREE] = make_tenant_key(secrets, THREE)
            rotate(secrets)
        else:
            break
        reached = number
        assert opened(secrets, ONE, TWO, THREE) == keys
        rotations = 2 if number == LAST_STEP else 1  # the first was done then
        assert len(read_previous_masters(secrets)) == rotations, f"killed at {seen[-1]}"
        before = read_master_key(secrets)
        assert rotate(secrets) is True, "the next one is another"
        assert read_master_key(secrets) != before
        assert opened(secrets, ONE, TWO, THREE) == keys
    assert reached == LAST_STEP


def test_what_a_killed_process_left_half_written_is_destroyed(secrets: Path) -> None:
    make_tenant_key(secrets, ONE)
    left = [secrets / ".master.key.next.77", secrets / ".master.key.previous.77", secrets / "tenants" / ".1.key.77"]
    for path in left:
        path.write_text("00" * 32)
    rotate(secrets)
    assert [path for path in left if path.exists()] == []
    assert list(opened(secrets, ONE)) == [ONE]


def test_the_new_key_is_made_known_before_it_is_used(secrets: Path) -> None:
    assert 0 < prepare_master_key(secrets) <= 2 * MASTERS_KNOWN_S
    coming = (secrets / "master.key.next").read_text()
    waited: list[float] = []
    rotate_master_key(secrets, wait=waited.append)
    assert len(waited) == 1
    assert (secrets / "master.key").read_text() == coming
    assert not (secrets / "master.key.next").exists()


def test_a_file_that_no_master_key_opens_is_said_and_keeps_none_of_the_others(secrets: Path) -> None:
    keys = {ONE: make_tenant_key(secrets, ONE)}
    tenant_key_path(secrets, TWO).write_text("00" * 40)
    with pytest.raises(KeyUnusable, match=r"2\.key"):
        rotate(secrets)
    assert opened(secrets, ONE) == keys


async def test_processes_that_run_go_on_through_a_rotation(
    services: RunningServices, database: Database, tmp_path: Path
) -> None:
    """Two processes, of which each may look at the files at any moment; time passes only for one of them."""
    make_master_key(tmp_path)
    tenant = TenantId(990_001)
    make_tenant_keys(tmp_path, services.owner_url, tenant)
    now = [0.0]
    idle, busy = KeyRing(tmp_path, database, clock=lambda: 0.0), KeyRing(tmp_path, database, clock=lambda: now[0])
    sealed = idle.seal_inbound(7, 0, 0, b"before")
    signed, guessing = idle.forwarding_keys()[0], idle.sign_in_key
    rotate(tmp_path)
    now[0] = MASTERS_KNOWN_S
    after = busy.seal_inbound(8, 0, 0, b"after")
    assert busy.open_inbound(7, 0, 0, sealed) == b"before"
    assert idle.open_inbound(8, 0, 0, after) == b"after", "it looks again when something does not open"
    assert signed in busy.forwarding_keys()
    assert busy.forwarding_keys()[0] != signed
    assert busy.sign_in_key == guessing == KeyRing(tmp_path, database).sign_in_key
    assert (await KeyRing(tmp_path, database).of(tenant)) == (await busy.of(tenant)) == (await idle.of(tenant))
    with psycopg.connect(services.owner_url) as owner:
        assert [each for each in check_tenant_keys(tmp_path, owner) if str(tenant) in each] == []


async def test_a_replaced_master_key_is_kept_while_mail_on_its_way_in_or_a_signature_needs_it(
    services: RunningServices, database: Database, company: Company, tmp_path: Path
) -> None:
    make_master_key(tmp_path)
    ring = KeyRing(tmp_path, database)
    who = await company.person()
    waiting = await inbound.accept(database, ring, b"octets", NOON, [(who.tenant_id, who.account_id)])
    before = fingerprint(read_master_key(tmp_path))
    rotate(tmp_path)
    today = datetime.now(UTC)
    with owner_connection(services) as owner:

        def forget(days: int, **options: bool) -> tuple[list[str], list[tuple[bool, int]]]:
            gone, kept = forget_previous_masters(tmp_path, owner, now=today + timedelta(days=days), **options)
            return gone, [(each.signatures_until is not None, each.inbound) for each in kept]

        assert forget(1) == ([], [(True, 1)])
        assert forget(1, keep_signatures=False) == ([], [(False, 1)])
        assert [piece async for piece in inbound.read(database, ring, waiting)] == [b"octets"]
        await inbound.remove(database, waiting.id)
        assert forget(20) == ([], [(True, 0)])
        assert forget(23) == ([before], [])
    assert not (tmp_path / "master.key.previous").exists()
    assert before in known_master_fingerprints(tmp_path), "backups of then are of these keys"
    assert len(read_master_keys(tmp_path).all) == 1


def test_a_key_made_while_it_rotated_is_wrapped_anew_before_the_old_master_key_goes(
    services: RunningServices, secrets: Path
) -> None:
    before = read_master_key(secrets)
    key = make_tenant_key(secrets, ONE)
    stray = tenant_key_path(secrets, ONE).read_text()
    rotate(secrets)
    tenant_key_path(secrets, ONE).write_text(stray)  # by somebody who had read the old master key just before
    with owner_connection(services) as owner:
        gone, _ = forget_previous_masters(secrets, owner, now=datetime.now(UTC) + timedelta(days=30))
    assert gone == [fingerprint(before)]
    assert opened(secrets, ONE) == {ONE: key}


# -- data keys


def grow_old(services: RunningServices, company: Company, seconds: float = ANNOUNCED_S) -> None:
    with owner_connection(services) as owner:
        owner.execute(
            "UPDATE data_key SET created_at = created_at - make_interval(secs => %s),"
            " retired_at = retired_at - make_interval(secs => %s) WHERE tenant_id = %s",
            (seconds, seconds, company.tenant_id),
        )


def rotated(services: RunningServices, company: Company, **options: int) -> int | None:
    with owner_connection(services) as owner:
        return rotate_data_key(services.secrets, owner, company.tenant_id, **options)


def test_a_data_key_is_made_only_when_the_newest_is_old_enough(services: RunningServices, company: Company) -> None:
    assert rotated(services, company, older_than_days=30) is None
    grow_old(services, company, 31 * 86_400)
    assert rotated(services, company, older_than_days=30) == 3
    assert rotated(services, company, older_than_days=30) is None
    assert rotated(services, company) == 4


def test_keys_are_listed_with_the_one_that_seals(services: RunningServices, company: Company) -> None:
    rotated(services, company)
    with owner_connection(services) as owner:
        assert [(key.id, key.is_current) for key in data_keys(owner, company.tenant_id)] == [(2, True), (3, False)]
    grow_old(services, company)
    with owner_connection(services) as owner:
        assert [(key.id, key.is_current) for key in data_keys(owner, company.tenant_id)] == [(2, False), (3, True)]


async def test_a_key_is_retired_when_nothing_rests_under_it_and_goes_when_no_restore_can_want_it(
    services: RunningServices, database: Database, company: Company
) -> None:
    rotated(services, company)
    grow_old(services, company)
    with owner_connection(services) as owner:

        def retire(keep_days: int | None = 14) -> tuple[list[int], list[int], list[int]]:
            done = retire_data_keys(owner, company.tenant_id, keep_days=keep_days)
            owner.commit()
            return list(done.retired), list(done.deleted), [each.id for each in done.in_use]

        assert retire() == ([], [], [2]), "a process may still be sealing with it"
        grow_old(services, company, 3_601)
        assert retire() == ([2], [], [])
        grow_old(services, company, 13 * 86_400)
        assert retire() == ([], [], [])
        grow_old(services, company, 86_401)
        assert retire(None) == ([], [], [])
        assert retire() == ([], [2], [])
        assert retire() == ([], [], [])
    keys = await KeyRing(services.secrets, database).of(company.tenant_id)
    assert (set(keys.data_keys), keys.current) == ({3}, 3)
    assert rotated(services, company) == 4, "no number is given again"


def test_the_wrong_master_key_makes_no_data_key(services: RunningServices, company: Company, tmp_path: Path) -> None:
    make_master_key(tmp_path)
    with owner_connection(services) as owner, pytest.raises(KeyUnusable):
        rotate_data_key(tmp_path, owner, company.tenant_id)


def test_mail_on_its_way_in_of_a_stranger_opens_with_no_key(secrets: Path, database: Database) -> None:
    ring = KeyRing(secrets, database)
    rotate(secrets)
    with pytest.raises(ContentDamaged):
        ring.open_inbound(7, 0, 0, bytes(40))
