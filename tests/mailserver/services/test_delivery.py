"""Delivery: one recipient, several, many, of several tenants; replays; threads; what a crash leaves behind."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from mailserver.services.delivery import DIRECT_RECIPIENTS, Deliveries
from mailserver.services.ingest import ingest
from storage import inbound, placing
from storage.blobs.hot import HotBlobs
from storage.blobs.tiered import TieredBlobs
from storage.database import Database, DatabaseConfig
from storage.errors import KeyUnusable, MailboxNotFound, OverQuota, StoreUnavailable
from storage.keys import KeyRing
from storage.placing import AlreadyPlaced, Order
from storage.store import MailStore
from storage.types import Destination, InboundId, MailboxId, Placed
from tenants.types import AccountId, Recipient
from tests.conftest import NOON, Announcements, Company, RunningServices, as_recipient, new_company, plain_message
from tests.someone import Someone


async def people(store: MailStore, company: Company, number: int) -> list[Someone]:
    return [Someone(store, await company.person(f"p{each}")) for each in range(number)]


def recipients(*everyone: Someone) -> list[Recipient]:
    return [as_recipient(someone.who) for someone in everyone]


async def waiting(services: RunningServices, inbound_id: InboundId | None = None) -> int:
    """How much accepted mail is not yet placed."""
    async with await psycopg.AsyncConnection.connect(services.system_url) as system:
        cursor = await system.execute(
            "SELECT count(*) FROM inbound WHERE %s::bigint IS NULL OR id = %s", (inbound_id, inbound_id)
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])


async def expire_leases(services: RunningServices) -> None:
    async with await psycopg.AsyncConnection.connect(services.system_url) as system:
        await system.execute("UPDATE inbound SET leased_until = now() - interval '1 second'")


async def test_several_of_one_tenant_get_it_before_the_answer(
    store: MailStore, deliveries: Deliveries, company: Company, announcements: Announcements
) -> None:
    everyone = await people(store, company, 3)
    outcomes = await deliveries.deliver(
        plain_message(), recipients(*reversed(everyone)), reverse_path="", received_at=NOON
    )
    assert [each.account_id for each in outcomes if isinstance(each, Placed)] == [
        someone.who.account_id for someone in reversed(everyone)
    ]
    assert [await someone.octets() for someone in everyone] == [[plain_message()]] * 3
    assert {account for _, account, _ in announcements.heard} == {someone.who.account_id for someone in everyone}


async def test_recipients_share_the_octets_and_not_the_message(
    services: RunningServices, store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    bob, eve = await people(store, company, 2)
    await deliveries.deliver(plain_message(), recipients(bob, eve), reverse_path="", received_at=NOON)
    (of_bob,), (of_eve,) = await bob.rows(), await eve.rows()
    assert of_bob.message_id != of_eve.message_id
    async with store.database.read(company.tenant_id) as connection:
        cursor = await connection.execute("SELECT count(*) FROM blob")
        assert await cursor.fetchone() == (1,)


async def test_people_of_two_tenants_get_it_after_the_answer(
    services: RunningServices, database: Database, store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    other = await new_company(services, database)
    everyone = [*await people(store, company, 2), *await people(store, other, 2)]
    outcomes = await deliveries.deliver(plain_message(), recipients(*everyone), reverse_path="", received_at=NOON)
    assert outcomes == [None] * 4
    await deliveries.settle()
    assert [await someone.octets() for someone in everyone] == [[plain_message()]] * 4
    assert await waiting(services) == 0


async def test_more_than_a_hundred_get_it_after_the_answer(
    services: RunningServices, store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    first = await company.person()
    accounts = [AccountId(first.account_id + 700_000 + each) for each in range(DIRECT_RECIPIENTS + 5)]
    everyone = [Someone(store, replace(first, account_id=account)) for account in accounts]  # not provisioned yet
    outcomes = await deliveries.deliver(plain_message(), recipients(*everyone), reverse_path="", received_at=NOON)
    assert outcomes == [None] * len(everyone)
    await deliveries.settle()
    for someone in everyone:
        assert await someone.uids() == [1]
    assert await waiting(services) == 0


async def test_a_long_message_on_its_way_in_is_kept_in_chunks(
    services: RunningServices, database: Database, store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    other = await new_company(services, database)
    everyone = [*await people(store, company, 1), *await people(store, other, 1)]
    message = plain_message(1, body="\r\n".join(f"line {number}" for number in range(200_000)))
    assert len(message) > 2 * 1024 * 1024
    await deliveries.deliver(message, recipients(*everyone), reverse_path="", received_at=NOON)
    await deliveries.settle()
    for someone in everyone:
        assert await someone.octets() == [message]


async def test_what_was_accepted_before_a_crash_is_placed_by_whoever_finds_it(
    services: RunningServices, database: Database, store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    """The process ends after the 250, before placing: only `accept` ran."""
    other = await new_company(services, database)
    everyone = [*await people(store, company, 2), *await people(store, other, 1)]
    accounts = [(someone.who.tenant_id, someone.who.account_id) for someone in everyone]
    await inbound.accept(database, store.keys, plain_message(), NOON, accounts)
    assert await deliveries.place_forgotten() == 0, "its lease has not ended"
    await expire_leases(services)
    assert await deliveries.place_forgotten() == 1
    assert [await someone.octets() for someone in everyone] == [[plain_message()]] * 3
    assert await waiting(services) == 0


@pytest.mark.parametrize("placed_tenants", [1, 2])
async def test_placing_again_what_was_placed_doubles_nothing(
    services: RunningServices,
    database: Database,
    store: MailStore,
    deliveries: Deliveries,
    company: Company,
    placed_tenants: int,
) -> None:
    """The process ends after placing for one tenant, or for both, and before the row is removed."""
    other = await new_company(services, database)
    everyone = [*await people(store, company, 2), *await people(store, other, 1)]
    accounts = [(someone.who.tenant_id, someone.who.account_id) for someone in everyone]
    accepted = await inbound.accept(database, store.keys, plain_message(), NOON, accounts)
    new = await ingest(b"".join([piece async for piece in inbound.read(database, store.keys, accepted)]), NOON)
    for tenant_id in (company.tenant_id, other.tenant_id)[:placed_tenants]:
        chosen = [account for tenant, account in accounts if tenant == tenant_id]
        await deliveries._place_for_tenant(tenant_id, chosen, new, accepted.id)
    await expire_leases(services)
    assert await deliveries.place_forgotten() == 1
    assert [await someone.uids() for someone in everyone] == [[1]] * 3
    assert [(await someone.usage()).used_messages for someone in everyone] == [1] * 3
    assert await waiting(services, accepted.id) == 0


async def test_a_lease_is_held_by_one_process(
    services: RunningServices, database: Database, store: MailStore, company: Company
) -> None:
    ada = await company.person()
    ids = [
        (await inbound.accept(database, store.keys, plain_message(n), NOON, [(ada.tenant_id, ada.account_id)])).id
        for n in range(6)
    ]
    await expire_leases(services)
    taken = await asyncio.gather(*(inbound.lease_forgotten(database, 2) for _ in range(4)))
    assert sorted(each.id for batch in taken for each in batch) == sorted(ids)
    for each in ids:
        await inbound.remove(database, each)


async def test_one_tenants_trouble_does_not_hold_up_the_mail_of_others(
    services: RunningServices, database: Database, store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    other = await new_company(services, database)
    (bob,) = await people(store, company, 1)
    (eve,) = await people(store, other, 1)
    key = services.secrets / "tenants" / f"{company.tenant_id}.key"
    away = key.rename(key.with_suffix(".away"))
    await deliveries.deliver(plain_message(), recipients(bob, eve), reverse_path="", received_at=NOON)
    await deliveries.settle()
    assert await eve.octets() == [plain_message()]
    assert await waiting(services) == 1
    await expire_leases(services)
    with pytest.raises(KeyUnusable):
        await deliveries.place_forgotten()
    away.rename(key)
    await expire_leases(services)
    assert await deliveries.place_forgotten() == 1
    assert await bob.octets() == await eve.octets() == [plain_message()]


async def test_what_found_no_mailbox_is_not_remembered_as_placed(store: MailStore, company: Company) -> None:
    (bob,) = await people(store, company, 1)
    keys = await store.keys.of(company.tenant_id)
    message = await placing.prepare(keys, await ingest(plain_message(), NOON))

    async def place(mailbox_id: MailboxId | None) -> object:
        order = Order(message, Destination(bob.who.account_id, mailbox_id), InboundId(77))
        (result,) = await placing.place(store.database, store.blobs.hot, keys, company.tenant_id, [order])
        return result

    assert isinstance(await place(MailboxId(1)), MailboxNotFound)
    assert (await bob.usage()).used_messages == 0
    assert isinstance(await place(None), Placed)
    assert isinstance(await place(None), AlreadyPlaced)
    assert await bob.uids() == [1]
    used = await bob.usage()
    assert (used.used_octets, used.used_messages) == (len(plain_message()), 1)


async def test_copies_for_several_are_all_or_nothing_while_accounts_are_made(
    services: RunningServices, store: MailStore, company: Company
) -> None:
    """One of them was never provisioned, and the process may not make it: then nobody has the message."""
    (bob,) = await people(store, company, 1)
    stranger = replace(bob.who, account_id=AccountId(bob.who.account_id + 800_000))
    keys = await store.keys.of(company.tenant_id)
    message = await placing.prepare(keys, await ingest(plain_message(), NOON))
    orders = [Order(message, Destination(who.account_id, None)) for who in (bob.who, stranger)]
    with pytest.raises(placing._NotProvisioned):
        await placing._place_once(store.database, store.blobs.hot, keys, orders)
    assert await bob.uids() == []
    results = await placing.place(store.database, store.blobs.hot, keys, company.tenant_id, orders)
    assert [type(result) for result in results] == [Placed, Placed]
    assert await bob.uids() == await Someone(store, stranger).uids() == [1]


async def test_each_recipient_of_lmtp_has_an_answer_of_his_own(
    services: RunningServices, database: Database, store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    other = await new_company(services, database)
    (bob, eve), (zoe,) = await people(store, company, 2), await people(store, other, 1)
    full = replace(as_recipient(eve.who), quota_octets=5)
    outcomes = await deliveries.deliver_each(
        plain_message(), [*recipients(zoe), full, *recipients(bob)], reverse_path="", received_at=NOON
    )
    assert [type(outcome) for outcome in outcomes] == [Placed, OverQuota, Placed]
    assert [await someone.uids() for someone in (zoe, eve, bob)] == [[1], [], [1]]


async def test_several_recipients_are_not_refused_for_the_quota_of_one(
    store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    bob, eve = await people(store, company, 2)
    full = replace(as_recipient(eve.who), quota_octets=5)
    outcomes = await deliveries.deliver(plain_message(), [*recipients(bob), full], reverse_path="", received_at=NOON)
    assert [type(outcome) for outcome in outcomes] == [Placed, Placed]


async def test_one_who_was_filled_since_rcpt_gets_no_more_in_company(
    services: RunningServices, database: Database, store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    other = await new_company(services, database)
    (bob, eve), (zoe,) = await people(store, company, 2), await people(store, other, 1)
    filled = replace(as_recipient(eve.who), quota_octets=5)
    for companion, expected in ((bob, Placed), (bob, OverQuota), (zoe, OverQuota)):
        outcomes = await deliveries.deliver(
            plain_message(), [*recipients(companion), filled], reverse_path="", received_at=NOON
        )
        assert [type(outcome) for outcome in outcomes] == [expected, expected]
    await deliveries.settle()
    assert [len(await someone.uids()) for someone in (bob, eve, zoe)] == [1, 1, 0]


async def test_a_quota_is_exact_to_the_octet(deliveries: Deliveries, store: MailStore, company: Company) -> None:
    (bob,) = await people(store, company, 1)
    exactly = replace(as_recipient(bob.who), quota_octets=2 * len(plain_message()))
    for expected in (Placed, Placed, OverQuota):
        (outcome,) = await deliveries.deliver(plain_message(), [exactly], reverse_path="", received_at=NOON)
        assert isinstance(outcome, expected)


async def test_many_messages_to_groups_in_different_orders_never_lock_each_other_out(
    store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    """Several blobs and several accounts in each transaction, named in every order."""
    everyone = await people(store, company, 4)
    parts = [f"part {number} ".encode() * 9000 for number in range(3)]

    def message(number: int) -> bytes:
        order = [parts[(number + each) % 3] for each in range(3)]
        inner = b"".join(b"--b\r\nContent-Type: application/x-n\r\n\r\n%s\r\n" % part for part in order)
        return b"Subject: %d\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n%s--b--\r\n" % (number, inner)

    def chosen(number: int) -> list[Recipient]:
        turned = everyone[number % 4 :] + everyone[: number % 4]
        return recipients(*(turned[:3] if number % 2 else reversed(turned[:3])))

    outcomes = await asyncio.gather(
        *(deliveries.deliver(message(n), chosen(n), reverse_path="", received_at=NOON) for n in range(24))
    )
    assert all(isinstance(each, Placed) for outcome in outcomes for each in outcome)
    counts = [len(await someone.uids()) for someone in everyone]
    assert sum(counts) == 24 * 3
    assert {octets for someone in everyone for octets in await someone.octets()} == {message(n) for n in range(24)}


async def test_a_reply_joins_the_thread_and_the_oldest_thread_wins(store: MailStore, company: Company) -> None:
    (bob,) = await people(store, company, 1)
    sent = [
        plain_message(1),
        plain_message(2),
        plain_message(3, in_reply_to="<1@elsewhere.test>"),
        plain_message(4, references="<2@elsewhere.test> <3@elsewhere.test>"),  # of both: the older one
        plain_message(5, in_reply_to="<2@elsewhere.test>"),  # threads never merge
        plain_message(6, in_reply_to="<unknown@elsewhere.test>"),
        plain_message(7, references="<unknown@elsewhere.test>"),  # answers the same message, which never came
    ]
    for message in sent:
        await bob.receive(message)
    threads = [row.thread_id for row in await bob.rows()]
    first, second, sixth = threads[0], threads[1], threads[5]
    assert threads == [first, second, first, first, second, sixth, sixth]
    assert len({first, second, sixth}) == 3


async def test_threads_of_one_person_are_not_those_of_another(store: MailStore, company: Company) -> None:
    bob, eve = await people(store, company, 2)
    await bob.receive(plain_message(1))
    await eve.receive(plain_message(2, in_reply_to="<1@elsewhere.test>"))
    assert (await bob.rows())[0].thread_id != (await eve.rows())[0].thread_id


async def test_while_postgres_is_away_nothing_is_accepted(
    services: RunningServices, store: MailStore, company: Company, tmp_path: Path
) -> None:
    ada = await company.person()
    nowhere = f"postgresql://waypost_app@/waypost?host={tmp_path}"
    away = Database(DatabaseConfig(nowhere, nowhere))
    deliveries = Deliveries(MailStore(away, KeyRing(services.secrets, away), TieredBlobs(HotBlobs()), lambda *_: None))
    with pytest.raises(StoreUnavailable):
        await deliveries.deliver(plain_message(), [as_recipient(ada)], reverse_path="", received_at=NOON)


async def test_a_delivery_survives_a_deadlock_whomever_postgres_chooses_to_end_it(
    services: RunningServices, store: MailStore, deliveries: Deliveries, company: Company
) -> None:
    """Somebody takes the accounts' locks in the wrong order. The delivery waits first, so that it is usually chosen."""
    bob, eve = sorted(await people(store, company, 2), key=lambda someone: someone.who.account_id)
    lock = "SELECT FROM account_state WHERE account_id = %s FOR UPDATE"
    async with await psycopg.AsyncConnection.connect(services.app_url) as rude:
        await rude.execute("SELECT set_config('waypost.tenant', %s, false)", (str(company.tenant_id),))
        await rude.execute(lock, (eve.who.account_id,))
        delivering = asyncio.create_task(
            deliveries.deliver(plain_message(), recipients(bob, eve), reverse_path="", received_at=NOON)
        )
        asked = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
        while await (await rude.execute(asked, (rude.info.backend_pid,))).fetchone() == (0,):
            await rude.execute("SELECT pg_stat_clear_snapshot()")
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            await rude.execute(lock, (bob.who.account_id,))  # closes the circle
        await rude.rollback()
    assert [type(outcome) for outcome in await delivering] == [Placed, Placed]
    assert await bob.octets() == await eve.octets() == [plain_message()]
