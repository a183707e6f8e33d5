"""Migrations that work on all mail let deliveries go on, and lose nothing of what happens meanwhile."""

import asyncio
from typing import Any

from storage.store import MailStore
from tests.conftest import Company, RunningServices, plain_message
from tests.someone import ADD, DELETED, Someone
from tests.storage.migrating import expunge_with_trigger, run, to_come

_IS_AT_IT = """
SELECT EXISTS (SELECT FROM pg_stat_activity a
                WHERE a.query LIKE '%INDEX%message_by_modseq%' AND a.wait_event_type = 'Lock'
                  AND a.query_start < clock_timestamp() - interval '0.3 s') AS is_at_it
"""
_IS_VALID = "SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass('message_by_modseq')"
_WAITS_FOR = "SELECT EXISTS (SELECT FROM pg_locks l WHERE NOT l.granted AND l.{}) AS waits"
_HAS_TRIGGER = "SELECT EXISTS (SELECT FROM pg_trigger t WHERE t.tgname = 'note_thread') AS has"
_REMOVED = "SELECT message_id, thread_id FROM change WHERE account_id = %s AND kind = 3"


async def _until(services: RunningServices, question: str, task: "asyncio.Task[Any]") -> None:
    async with asyncio.timeout(60):
        while not await asyncio.to_thread(run, services, question):
            assert not task.done()


async def test_mail_comes_while_the_index_over_all_mail_is_made(
    services: RunningServices, store: MailStore, company: Company
) -> None:
    ada, grace = [Someone(store, await company.person(name)) for name in ("ada", "grace")]
    placed = await ada.receive()
    name = "0032_message_by_modseq"
    # what may only wait shortly for a lock on a table may wait long for transactions of others
    shortly = ("--lock-timeout", "0.1", "--tries", "1", "--verbosity", "0")
    with to_come(services, name):
        await asyncio.to_thread(run, services, "DROP INDEX message_by_modseq")
        async with store.database.transaction(ada.who.tenant_id) as connection:  # the index waits for whoever writes
            await connection.execute("UPDATE message SET preview = preview WHERE id = %s", (placed.message_id,))
            migrating = asyncio.create_task(asyncio.to_thread(services.manage, "migrate", "storage", name, *shortly))
            await _until(services, _IS_AT_IT, migrating)
            await grace.receive(plain_message(2))
            assert not migrating.done()
        migrated = await migrating
    assert migrated.returncode == 0, migrated.stderr
    assert await asyncio.to_thread(run, services, _IS_VALID)


async def test_a_removal_that_began_before_the_trigger_went_names_its_thread(
    services: RunningServices, store: MailStore, company: Company
) -> None:
    ada, name = Someone(store, await company.person("ada")), "0033_threads_of_removed"
    placed = await ada.receive()
    await ada.flag("INBOX", [placed.uid], ADD, DELETED)
    with to_come(services, name):
        await asyncio.to_thread(run, services, *expunge_with_trigger())
        async with store.database.transaction(ada.who.tenant_id) as connection:
            await connection.execute(
                "SELECT FROM account_state WHERE tenant_id = %s AND account_id = %s FOR UPDATE",
                (ada.who.tenant_id, ada.who.account_id),
            )
            expunging = asyncio.create_task(ada.expunge())
            await _until(services, _WAITS_FOR.format("locktype = 'transactionid'"), expunging)
            migrating = asyncio.create_task(asyncio.to_thread(services.manage, "migrate", "storage", name))
            await _until(services, _WAITS_FOR.format("relation = 'account_state'::regclass"), migrating)
            assert await asyncio.to_thread(run, services, _HAS_TRIGGER)
        await expunging
        migrated = await migrating
    assert migrated.returncode == 0, migrated.stderr
    assert not await asyncio.to_thread(run, services, _HAS_TRIGGER)
    async with store.database.read(ada.who.tenant_id) as connection:
        rows = await (await connection.execute(_REMOVED, (ada.who.account_id,))).fetchall()
    assert rows == [(placed.message_id, placed.message_id)]
