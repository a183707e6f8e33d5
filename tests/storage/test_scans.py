"""No use case reads a whole table of a busy cell, inside functions too: counted by Postgres, not read from plans."""

import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import date

import psycopg
import pytest

from mailserver.services import mailboxes, messages
from mailserver.services.delivery import Deliveries
from mailserver.services.search import Searched
from mailserver.services.search_keys import AllOf, BodyContains, DateComparison, HeaderContains, SentOn, TextContains
from mailserver.services.searching import Searches
from storage import housekeeping, inbound
from storage.blobs.hot import HotBlobs
from storage.blobs.tiered import TieredBlobs
from storage.changes import account_modseqs
from storage.database import Database, DatabaseConfig
from storage.keys import KeyRing
from storage.provisioning import make_tenant_keys, provision_account
from storage.rows import Columns
from storage.store import MailStore
from tenants.types import AccountId, Address, Principal, TenantId
from tests.conftest import NOON, RunningServices, as_recipient, plain_message
from tests.letters import attachment, lines_of, multipart
from tests.someone import ADD, DELETED, REMOVE, REPLACE, SEEN, Someone

TENANT = TenantId(9001)
_numbers = itertools.count(5_000_000)
LARGE = multipart(attachment(lines_of(bytes(range(256)) * 300, 76, ends=True)))
Act = Callable[[Someone], Awaitable[object]]


@pytest.fixture(scope="module")
async def cell(filled: RunningServices) -> AsyncIterator[MailStore]:
    """A store on the filled database, with one connection of each role so that its counters can be flushed."""
    make_tenant_keys(filled.secrets, filled.owner_url, TENANT)
    opened = Database(DatabaseConfig(filled.app_url, filled.system_url, max_connections=1))
    await opened.open()
    yield MailStore(opened, KeyRing(filled.secrets, opened), TieredBlobs(HotBlobs()), lambda *_: None)
    await opened.close()


@pytest.fixture
async def ada(cell: MailStore) -> Someone:
    account_id = AccountId(next(_numbers))
    await provision_account(cell.database, TENANT, account_id)
    someone = Someone(cell, Principal(TENANT, account_id, Address("a", "b.test"), "", "en", "UTC", 10**9, False))
    for number in range(3):
        await someone.receive(plain_message(number))
    await someone.copy("INBOX", [1], "Archive")
    return someone


async def scans(filled: RunningServices, database: Database) -> dict[str, int]:
    """How often each table was read from end to end; partitions count for their table."""
    for lent in (database.read(TENANT), database.system()):
        async with lent as connection:
            await connection.execute("SELECT pg_stat_force_next_flush()")
    async with await psycopg.AsyncConnection.connect(filled.owner_url) as owner:
        cursor = await owner.execute(
            """
            SELECT coalesce(i.inhparent, s.relid)::regclass::text, sum(s.seq_scan)::integer
              FROM pg_stat_user_tables s LEFT JOIN pg_inherits i ON i.inhrelid = s.relid
             GROUP BY 1
            """
        )
        return dict(await cursor.fetchall())


async def searched(ada: Someone, program: object) -> object:
    shown = await ada.contents()
    view = Searched(shown.mailbox.id, shown.uids, shown.flags, shown.keywords)
    searches = Searches(ada.store)
    try:
        return await searches.search(ada.who, view, program)  # type: ignore[arg-type]
    finally:
        await searches.close()


async def bring_and_take(ada: Someone, octets: bytes) -> None:
    placed = await ada.append("Sent", octets, DELETED)
    content = await messages.open_content(ada.store, ada.who, placed.message_id)
    assert await content.read(0, content.octets) == octets
    await ada.expunge("Sent")


async def make_and_remove(ada: Someone) -> None:
    await mailboxes.create(ada.store, ada.who, "a/b")
    await ada.append("a", plain_message())
    await mailboxes.subscribe(ada.store, ada.who, "a")
    await mailboxes.rename(ada.store, ada.who, "a", "c")
    await mailboxes.rename(ada.store, ada.who, "INBOX", "old")
    await mailboxes.delete(ada.store, ada.who, "c")
    await mailboxes.create(ada.store, ada.who, "c")
    await mailboxes.delete(ada.store, ada.who, "c/b")


async def place_later(ada: Someone) -> None:
    accepted = await inbound.accept(ada.store.database, ada.store.keys, LARGE, NOON, [(TENANT, ada.who.account_id)])
    await Deliveries(ada.store)._place_inbound(accepted)


async def to_several(ada: Someone) -> None:
    recipient = as_recipient(ada.who)
    await Deliveries(ada.store).deliver(LARGE, [recipient, recipient], reverse_path="", received_at=NOON)
    await Deliveries(ada.store).deliver_each(LARGE, [recipient], reverse_path="", received_at=NOON)


ACTS: dict[str, Act] = {
    "deliver": lambda ada: ada.receive(plain_message(5, in_reply_to="<1@elsewhere.test>")),
    "deliver to several": to_several,
    "accept and place later": place_later,
    "append, read and expunge": lambda ada: bring_and_take(ada, plain_message()),
    "append, read and expunge something large": lambda ada: bring_and_take(ada, LARGE),
    "open a mailbox": lambda ada: ada.contents(),
    "fetch": lambda ada: ada.rows("INBOX", Columns.WIRE | Columns.HEADER | Columns.STRUCTURE),
    "claim what is recent": lambda ada: recent(ada),
    "add flags": lambda ada: ada.flag("INBOX", [1, 2], ADD, SEEN, "work"),
    "remove flags": lambda ada: ada.flag("INBOX", [1, 2], REMOVE, SEEN, "work"),
    "replace flags": lambda ada: ada.flag("INBOX", [1, 2], REPLACE, DELETED, unchanged_since=10**6),
    "copy": lambda ada: ada.copy("INBOX", [1, 2], "Archive"),
    "move": lambda ada: ada.move("INBOX", [1, 2], "Archive"),
    "list": lambda ada: ada.names(),
    "make, rename and remove mailboxes": make_and_remove,
    "see what changed": lambda ada: changed(ada),
    "search the body": lambda ada: searched(ada, BodyContains("noon")),
    "search everything": lambda ada: searched(ada, AllOf((TextContains("noon"), HeaderContains("subject", "m")))),
    "search dates": lambda ada: searched(ada, SentOn(DateComparison.ON, date(2026, 11, 2))),
    "see what is used": lambda ada: ada.usage(),
    "poll": lambda ada: poll(ada),
    "collect blobs": lambda ada: housekeeping.collect_blobs(ada.store.database, ada.store.keys, HotBlobs()),
}


async def recent(ada: Someone) -> None:
    await messages.claim_recent(ada.store, ada.who, (await ada.box()).id)


async def changed(ada: Someone) -> None:
    cursor = (await ada.contents()).account_modseq
    await ada.receive()
    assert len((await ada.changes("INBOX", cursor)).arrived) == 1


async def poll(ada: Someone) -> None:
    async with ada.store.database.system() as connection:
        assert await account_modseqs(connection, [(TENANT, ada.who.account_id), (TENANT, AccountId(1))])


@pytest.mark.parametrize("act", ACTS.values(), ids=ACTS)
async def test_a_use_case_reads_no_table_from_end_to_end(filled: RunningServices, ada: Someone, act: Act) -> None:
    before = await scans(filled, ada.store.database)
    await act(ada)
    after = await scans(filled, ada.store.database)
    assert {table: count - before[table] for table, count in after.items() if count != before[table]} == {}


async def test_the_counters_do_count(filled: RunningServices, cell: MailStore) -> None:
    before = await scans(filled, cell.database)
    async with cell.database.read(TENANT) as connection:
        await connection.execute("SELECT max(octet_length(sealed)) FROM inbound_content")
    assert (await scans(filled, cell.database))["inbound_content"] == before["inbound_content"] + 1


async def test_upkeep_reads_whole_only_what_it_says(filled: RunningServices, cell: MailStore) -> None:
    before = await scans(filled, cell.database)
    await housekeeping.make_partitions(cell.database)
    await housekeeping.finish_deleting_mailboxes(cell.database)
    await housekeeping.forget_replays(cell.database)
    await inbound.lease_forgotten(cell.database, 1)
    after = await scans(filled, cell.database)
    read_whole = {table for table, count in after.items() if count != before.get(table, count)}
    assert read_whole <= {"mailbox", "inbound_placed", "inbound"}
