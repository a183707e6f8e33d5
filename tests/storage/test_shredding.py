"""Shredding a tenant: refused under legal hold, killed at every step, and then nothing of it is left."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

import psycopg
import pytest

from storage import inbound, shredding, steps
from storage.blobs.objects import ObjectStore
from storage.errors import KeyUnusable, StorageError
from storage.housekeeping import collect_blobs
from storage.key_files import tenant_key_path
from storage.keys import KNOWN_S, KeyRing, check_tenant_keys
from storage.provisioning import make_tenant_keys, provision_account
from storage.shredding import (
    KEPT_TABLES,
    ObjectsNotReached,
    ShreddingUnderWay,
    TenantInUse,
    UnderLegalHold,
    tables_of_tenants,
)
from storage.shredding_certificate import Certificate, Count, as_json, as_text, from_json, is_genuine
from storage.store import MailStore
from storage.tiers.moving import begin_object
from tenants.types import TenantId
from tests.conftest import NOON, Company, RunningServices, new_company, owner_connection, plain_message
from tests.people import new_person
from tests.someone import Someone
from tests.storage.queue_box import Box

LONG = plain_message(2, body="\r\n".join(f"{n} bottles of beer, {n * 7919} more" for n in range(90_000)))


class Killed(Exception):
    """The process ended here."""


@dataclass(frozen=True, slots=True)
class Firm:
    """A company of the directory with a person, mail, and something in the bucket; suspended."""

    services: RunningServices
    objects: ObjectStore
    one: Someone

    @property
    def tenant_id(self) -> TenantId:
        return self.one.who.tenant_id

    def sql(self, statement: str) -> list[tuple[object, ...]]:
        """`{t}` is the tenant."""
        with owner_connection(self.services) as owner:
            cursor = owner.execute(statement.format(t=self.tenant_id).encode())
            return cursor.fetchall() if cursor.description else []

    async def shred(self, *, settle_s: float = 0.0) -> Certificate:
        return await shredding.shred(
            self.services.owner_url,
            self.services.secrets,
            self.objects,
            self.tenant_id,
            administrator="ann",
            backups_kept_days=30,
            settle_s=settle_s,
        )

    async def names(self) -> list[str]:
        return [each.name async for page in self.objects.list(f"{self.tenant_id}/") for each in page]

    async def left(self) -> dict[str, int]:
        """Rows by table, of tables that have any."""
        connection = await psycopg.AsyncConnection.connect(self.services.owner_url)
        async with connection:
            found = {}
            for table in await tables_of_tenants(connection):
                statement = f"SELECT count(*) FROM {table.name} WHERE tenant_id = %s"  # noqa: S608
                cursor = await connection.execute(statement.encode(), (self.tenant_id,))
                ((rows,),) = await cursor.fetchall()
                if rows:
                    found[table.name] = rows
            return found

    def has_key(self) -> bool:
        return tenant_key_path(self.services.secrets, self.tenant_id).exists()


@pytest.fixture
async def firm(services: RunningServices, store: MailStore, objects: ObjectStore) -> AsyncIterator[Firm]:
    firm = await new_firm(services, store, objects)
    yield firm
    steps.listener = None


async def new_firm(services: RunningServices, store: MailStore, objects: ObjectStore) -> Firm:
    person = await asyncio.to_thread(new_person, services)
    who = person.principal
    await provision_account(store.database, who.tenant_id, who.account_id)
    firm = Firm(services, objects, Someone(store, who))
    for number in range(3):
        await firm.one.receive(plain_message(number, body=f"Letter {number}"))
    await firm.one.receive(LONG)
    await Box(store, Company(who.tenant_id, store.database)).put("bob@far.example")
    object_id = await begin_object(store.database, who.tenant_id, 2)
    await objects.put(f"{who.tenant_id}/{object_id:016x}", b"sealed")
    await objects.put(f"{who.tenant_id}/ffffffffffffffff", b"an orphan")
    firm.sql("UPDATE tenant SET status = 'suspended' WHERE id = {t}")
    return firm


async def test_nothing_is_left_but_names_and_the_certificate(firm: Firm, store: MailStore) -> None:
    other = Someone(store, await (await new_company(firm.services, store.database)).person())
    await other.receive()
    certificate = await firm.shred()
    assert await firm.left() == {}
    assert await firm.names() == []
    assert not firm.has_key()
    assert firm.sql("SELECT status FROM tenant WHERE id = {t}") == [("deleted",)]
    assert firm.sql("SELECT count(*) FROM domain WHERE tenant_id = {t}") == [(1,)]
    assert certificate.of_table("message").rows == 4
    assert certificate.of_table("account").rows == 1
    assert certificate.of_table("outgoing").rows == 1
    assert certificate.objects == Count(1, 0)
    assert len(certificate.tenant_key or "") == 16
    assert [key_id for key_id, _ in certificate.data_keys] == [2]
    assert certificate.administrator == "ann"
    assert len(await other.octets()) == 1
    assert await other.store.keys.of(other.who.tenant_id)
    assert await firm.shred() == certificate, "asked again, it gives the same"
    beside = json.loads((firm.services.secrets / "shredded" / f"{firm.tenant_id}.json").read_text())
    assert beside["tenant_key"] == certificate.tenant_key


async def test_a_process_that_runs_forgets_the_keys(firm: Firm) -> None:
    now = [0.0]
    ring = KeyRing(firm.services.secrets, firm.one.store.database, clock=lambda: now[0])
    await ring.of(firm.tenant_id)
    await firm.shred()
    now[0] = KNOWN_S - 1
    await ring.of(firm.tenant_id)
    now[0] = KNOWN_S
    with pytest.raises(KeyUnusable, match="was shredded"):
        await ring.of(firm.tenant_id)
    with pytest.raises(KeyUnusable):
        await ring.of(firm.tenant_id)
    assert shredding.SETTLE_S > KNOWN_S


async def test_it_waits_until_every_process_has_forgotten_the_keys(firm: Firm) -> None:
    """What one writes meanwhile goes too."""
    who = firm.one.who

    def write(step: str) -> None:
        if step == "shredding: key said to be destroyed":
            asyncio.get_running_loop().call_later(1.0, lambda: tasks.append(asyncio.create_task(late())))

    async def late() -> None:
        await provision_account(firm.one.store.database, who.tenant_id, who.account_id)

    tasks: list[asyncio.Task[None]] = []
    steps.listener = write
    certificate = await firm.shred(settle_s=1.5)
    await tasks[0]
    assert await firm.left() == {}
    assert (certificate.ended_at - certificate.key_destroyed_at).total_seconds() >= 1.5
    assert certificate.of_table("account_state").rows == 2


async def test_killed_at_every_step_it_goes_on_and_counts_each_row_once(
    services: RunningServices, store: MailStore, objects: ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shredding, "CHUNK_ROWS", 3)
    whole = await (await new_firm(services, store, objects)).shred()
    firm = await new_firm(services, store, objects)
    seen: set[str] = set()
    kills = 0
    while True:
        reached = 0

        def listen(step: str) -> None:
            nonlocal reached, kills
            reached += 1
            seen.add(step)
            if reached > kills % 3:  # at the first step this time, at the second the next
                kills += 1
                raise Killed(step)

        monkeypatch.setattr(steps, "listener", listen)
        try:
            certificate = await firm.shred()
        except Killed:
            if not firm.has_key():  # from here on it cannot be stopped by a hold, nor by anything else
                firm.sql("UPDATE tenant SET is_held = true WHERE id = {t}")
            continue
        break
    assert kills > 12
    assert {step.removeprefix("shredding: ") for step in seen} == {
        "begun",
        "key destroyed",
        "key said to be destroyed",
        "objects deleted",
        "chunk deleted",
        "certificate written",
        "certified",
    }
    assert await firm.left() == {}
    assert await firm.names() == []
    assert certificate.tables == whole.tables
    assert certificate.objects == whole.objects


@pytest.mark.parametrize(
    ("statement", "what"),
    [
        ("UPDATE tenant SET is_held = true WHERE id = {t}", "tenant"),
        ("UPDATE account SET is_held = true WHERE tenant_id = {t}", "accounts"),
        ("UPDATE object SET is_held = true WHERE tenant_id = {t}", "objects"),
    ],
)
async def test_legal_hold_refuses_it_and_nothing_changes(firm: Firm, statement: str, what: str) -> None:
    firm.sql(statement)
    before = await firm.left()
    with pytest.raises(UnderLegalHold) as refusal:
        await firm.shred()
    assert (refusal.value.what, refusal.value.count) == (what, 1)
    assert await firm.left() == before
    assert firm.has_key()
    assert len(await firm.names()) == 2
    assert firm.sql("SELECT status FROM tenant WHERE id = {t}") == [("suspended",)]
    assert len(await firm.one.octets()) == 4
    firm.sql(statement.replace("true", "false"))
    await firm.shred()
    assert not firm.has_key()


async def test_upkeep_goes_on_for_others_while_one_is_half_shredded(firm: Firm) -> None:
    firm.sql("UPDATE blob SET touched_at = now() - interval '9 days' WHERE tenant_id = {t}")
    firm.sql("DELETE FROM message_blob WHERE tenant_id = {t}")

    def die(step: str) -> None:
        if step == "shredding: key destroyed":
            raise Killed

    steps.listener = die
    with pytest.raises(Killed):
        await firm.shred()
    firm.one.store.keys.forget(firm.tenant_id)
    await collect_blobs(firm.one.store.database, firm.one.store.keys, firm.one.store.blobs.hot)
    steps.listener = None
    await firm.shred()
    assert await firm.left() == {}


async def test_an_active_company_is_not_shredded(firm: Firm) -> None:
    firm.sql("UPDATE tenant SET status = 'active' WHERE id = {t}")
    with pytest.raises(TenantInUse):
        await firm.shred()
    assert firm.has_key()


async def test_objects_that_cannot_be_reached_refuse_it(firm: Firm) -> None:
    with pytest.raises(ObjectsNotReached):
        await shredding.shred(
            firm.services.owner_url,
            firm.services.secrets,
            None,
            firm.tenant_id,
            administrator="ann",
            backups_kept_days=30,
            settle_s=0,
        )
    assert firm.has_key()


async def test_two_at_once_do_not_both_do_it(firm: Firm) -> None:
    results = await asyncio.gather(firm.shred(), firm.shred(), return_exceptions=True)
    done = [each for each in results if isinstance(each, Certificate)]
    assert done != []
    assert all(each == done[0] or isinstance(each, ShreddingUnderWay) for each in results)
    assert await firm.left() == {}


async def test_mail_on_its_way_in_still_reaches_the_others(firm: Firm, company: Company) -> None:
    store, other = firm.one.store, await company.person()
    both = [(firm.tenant_id, firm.one.who.account_id), (other.tenant_id, other.account_id)]
    shared = await inbound.accept(store.database, store.keys, plain_message(), NOON, both, lease_s=-1)
    alone = await inbound.accept(store.database, store.keys, plain_message(), NOON, both[:1], lease_s=-1)
    await firm.shred()
    waiting = {each.id: list(each.accounts) for each in await inbound.lease_forgotten(store.database, 100)}
    assert waiting[shared.id] == both[1:]
    assert alone.id not in waiting


async def test_what_a_restore_brings_back_is_said_and_shredded_again(firm: Firm) -> None:
    """A restored database has rows that the keys' directory has no key for any more."""
    rows = firm.sql("SELECT id, purpose, wrapped FROM data_key WHERE tenant_id = {t}")
    first = await firm.shred()
    with psycopg.connect(firm.services.owner_url) as owner:
        for row in rows:
            owner.execute(
                "INSERT INTO data_key (tenant_id, id, purpose, wrapped, created_at) VALUES (%s, %s, %s, %s, now())",
                (firm.tenant_id, *row),
            )
        owner.commit()
        problems = check_tenant_keys(firm.services.secrets, owner)
    assert [each for each in problems if f"keys shred {firm.tenant_id}" in each] != []
    again = await firm.shred()
    assert await firm.left() == {}
    assert again.tenant_key is None
    assert first.tenant_key is not None


async def test_no_other_key_is_made_for_a_shredded_company(firm: Firm) -> None:
    await firm.shred()
    with pytest.raises(KeyUnusable, match="was shredded"):
        make_tenant_keys(firm.services.secrets, firm.services.owner_url, firm.tenant_id)
    assert await firm.left() == {}


async def test_a_person_with_a_session_still_open_can_write_nothing_more(firm: Firm) -> None:
    await firm.shred()
    firm.one.store.keys.forget(firm.tenant_id)
    with pytest.raises(StorageError):
        await firm.one.append("INBOX", plain_message())
    assert await firm.left() == {}


# -- every table


FILLED = 397
ROWS_OF_OTHERS = """
SELECT (SELECT count(*) FROM message WHERE tenant_id <> %(t)s), (SELECT count(*) FROM blob WHERE tenant_id <> %(t)s),
       (SELECT count(*) FROM change WHERE tenant_id <> %(t)s), (SELECT count(*) FROM event WHERE tenant_id <> %(t)s)
"""


async def test_every_table_with_a_tenant_is_emptied(filled: RunningServices) -> None:
    """In a database where every table has rows of the tenant; the directory's are put here."""
    with owner_connection(filled) as owner:
        owner.execute(
            "INSERT INTO tenant (id, slug, name, status, cell, language, time_zone)"
            " VALUES (%s, 'mill', 'Mill', 'suspended', 'main', 'en', 'UTC')",
            (FILLED,),
        )
        owner.execute("INSERT INTO domain (tenant_id, name, status) VALUES (%s, 'mill.test', 'active')", (FILLED,))
        before = {name for name in tables_with_rows(owner) if name not in KEPT_TABLES}
        others = owner.execute(ROWS_OF_OTHERS, {"t": FILLED}).fetchall()
    certificate = await shredding.shred(
        filled.owner_url,
        filled.secrets,
        NoObjects(),  # type: ignore[arg-type]
        TenantId(FILLED),
        administrator="ann",
        backups_kept_days=30,
        settle_s=0,
    )
    with owner_connection(filled) as owner:
        assert tables_with_rows(owner) == {"domain"}
        assert owner.execute(ROWS_OF_OTHERS, {"t": FILLED}).fetchall() == others
        owner.execute("DELETE FROM domain WHERE tenant_id = %s", (FILLED,))
        owner.execute("DELETE FROM tenant WHERE id = %s", (FILLED,))
        owner.execute("DELETE FROM shredding WHERE tenant = %s", (FILLED,))
    assert len(before) > 20
    assert set(certificate.tables) == before


def tables_with_rows(owner: "psycopg.Connection[tuple[object, ...]]") -> set[str]:
    """Of the tenant; asked of every table there is, not of those that shredding knows."""
    tables = owner.execute(
        """
        SELECT c.oid::regclass::text FROM pg_class c
          JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' AND NOT a.attisdropped
         WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relnamespace = 'public'::regnamespace
        """
    ).fetchall()
    return {
        str(name)
        for (name,) in tables
        if owner.execute(f"SELECT FROM {name} WHERE tenant_id = %s LIMIT 1".encode(), (FILLED,)).rowcount
    }


class NoObjects:
    """A bucket of which nothing is asked but what it lists."""

    async def has_object_lock(self) -> bool:
        return False

    async def list(self, _prefix: str) -> AsyncIterator[list[object]]:
        for page in list[list[object]]():
            yield page


# -- the certificate


CERTIFICATE = Certificate(
    7,
    "mill",
    "磨坊 Mill",
    ["mill.test"],
    "ann",
    datetime(2026, 11, 2, 12, 0, tzinfo=UTC),
    datetime(2026, 11, 2, 12, 1, tzinfo=UTC),
    datetime(2026, 11, 2, 12, 5, tzinfo=UTC),
    tenant_key="0123456789abcdef",
    data_keys=[(2, datetime(2026, 1, 1, tzinfo=UTC)), (3, datetime(2026, 6, 1, tzinfo=UTC))],
    objects=Count(3, 1000),
    tables={"message": Count(4, 12_345), "account": Count(2, 0)},
    backups_kept_days=30,
)


def test_a_certificate_is_the_same_after_json() -> None:
    assert from_json(as_json(CERTIFICATE)) == CERTIFICATE
    assert CERTIFICATE.metadata_until == date(2026, 12, 2)


def test_an_altered_certificate_is_not_genuine() -> None:
    text = as_json(CERTIFICATE)
    assert is_genuine(text)
    assert not is_genuine(text.replace("12345", "12346"))
    assert not is_genuine("{}")
    assert not is_genuine("nothing")


@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_it_says_the_same_facts_in_both_languages(language: str) -> None:
    text = as_text(CERTIFICATE, language)
    for fact in ("磨坊 Mill", "mill.test", "ann", "0123456789abcdef", "3 (2026-06-01)", "12345", "2026-12-02", "30"):
        assert fact in text
    assert json.loads(as_json(CERTIFICATE))["sha256"] in text
