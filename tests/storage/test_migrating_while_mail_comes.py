"""Migrations that work on all mail let deliveries go on."""

import asyncio

from storage.store import MailStore
from tests.conftest import Company, RunningServices, owner_connection, plain_message
from tests.someone import Someone

_LEAVE = """
DROP INDEX message_by_modseq;
DELETE FROM django_migrations WHERE app = 'storage' AND name = '0032_message_by_modseq';
"""
_IS_AT_IT = """
SELECT EXISTS (SELECT FROM pg_stat_activity a
                WHERE a.query LIKE '%%INDEX%%message_by_modseq%%' AND a.wait_event_type = 'Lock') AS is_at_it
"""
_IS_VALID = "SELECT i.indisvalid FROM pg_index i WHERE i.indexrelid = to_regclass('message_by_modseq')"


async def test_mail_comes_while_the_index_over_all_mail_is_made(
    services: RunningServices, store: MailStore, company: Company
) -> None:
    ada, grace = [Someone(store, await company.person(name)) for name in ("ada", "grace")]
    placed = await ada.receive()

    def has(question: str) -> bool:
        with owner_connection(services) as owner:
            return bool(owner.execute(question).fetchall()[0][0])

    def leave() -> None:
        with owner_connection(services) as owner:
            owner.execute(_LEAVE)

    await asyncio.to_thread(leave)
    async with store.database.transaction(ada.who.tenant_id) as connection:  # the index waits for whoever writes
        await connection.execute("UPDATE message SET preview = preview WHERE id = %s", (placed.message_id,))
        migrating = asyncio.create_task(asyncio.to_thread(services.manage, "migrate", "storage", "--verbosity", "0"))
        async with asyncio.timeout(60):
            while not await asyncio.to_thread(has, _IS_AT_IT):
                assert not migrating.done()
            await grace.receive(plain_message(2))
        assert not migrating.done()
    migrated = await migrating
    assert migrated.returncode == 0, migrated.stderr
    assert await asyncio.to_thread(has, _IS_VALID)
