"""What EXPUNGE, and a row of the log, take of PostgreSQL: with the trigger that noted threads, and without it.

    python -m tests.bench.removals [--messages 3000] [--rounds 5]

A PostgreSQL of its own, one connection. Each round expunges messages, all at once, and logs as many that came, as each
delivery does one; in turn as it was and as it is. What is printed is the CPU time that the connection's server process
takes for each, read from /proc: the best and the median of all rounds.
"""

import argparse
import asyncio
import statistics
import tempfile
from pathlib import Path

from deploy.local.postgres import start_postgres
from storage.blobs.hot import HotBlobs
from storage.blobs.tiered import TieredBlobs
from storage.database import Database, DatabaseConfig
from storage.key_files import make_master_key
from storage.keys import KeyRing
from storage.provisioning import make_tenant_keys, provision_account
from storage.store import MailStore
from tenants.types import AccountId, Address, Principal, TenantId
from tests.conftest import RunningServices, plain_message
from tests.someone import ADD, DELETED, Someone
from tests.storage.migrating import expunge_with_trigger, expunge_without_trigger, run

TENANT = TenantId(1)
_LOG = """
DO $$ BEGIN
    FOR i IN {first} .. {last} LOOP
        INSERT INTO change (tenant_id, account_id, modseq, seq, kind, mailbox_id, uid, message_id, flags_after)
        VALUES (1, 3, i, 0, 1, 1, i, i, 0);
    END LOOP;
END $$
"""
WAYS = {"with the trigger": expunge_with_trigger, "without": expunge_without_trigger}


async def someone(store: MailStore, account_id: AccountId) -> Someone:
    await provision_account(store.database, TENANT, account_id)
    made = Someone(store, Principal(TENANT, account_id, Address("a", "b.test"), "", "en", "UTC", None, False))
    await made.box()
    return made


async def backend(database: Database) -> int:
    async with database.read(TENANT) as connection:
        row = await (await connection.execute("SELECT pg_backend_pid()")).fetchone()
    assert row is not None
    return int(row[0])


def cpu_us(process: int) -> float:
    return int(Path(f"/proc/{process}/schedstat").read_text("ascii").split()[0]) / 1000


async def one_round(ada: Someone, process: int, start: int, messages: int) -> tuple[float, float]:
    """CPU µs of what EXPUNGE takes for a message, and of logging one that came."""
    for number in range(start, start + messages):
        await ada.receive(plain_message(number))
    uids = await ada.uids()
    for first in range(0, len(uids), 1000):
        await ada.flag("INBOX", uids[first : first + 1000], ADD, DELETED)
    before = cpu_us(process)
    await ada.expunge()
    expunged = cpu_us(process) - before
    async with ada.store.database.transaction(TENANT) as connection:
        before = cpu_us(process)
        await connection.execute(_LOG.format(first=start, last=start + messages - 1).encode())
        logged = cpu_us(process) - before
    return expunged / messages, logged / messages


async def measure(services: RunningServices, messages: int, rounds: int) -> None:
    database = Database(DatabaseConfig(services.app_url, services.system_url, max_connections=1))
    await database.open()
    try:
        store = MailStore(database, KeyRing(services.secrets, database), TieredBlobs(HotBlobs()), lambda *_: None)
        ada, other = [await someone(store, AccountId(number)) for number in (1, 2)]
        for number in range(messages):  # which stay, so that the planner knows tables with mail in them
            await other.receive(plain_message(number))
        await asyncio.to_thread(run, services, "ANALYZE")
        process = await backend(database)
        figures: dict[str, list[tuple[float, float]]] = {way: [] for way in WAYS}
        for number in range(rounds * len(WAYS)):
            way = list(WAYS)[(number + 1) // 2 % 2]  # A B B A: what fills up meanwhile slows both alike
            await asyncio.to_thread(run, services, *WAYS[way]())
            figures[way].append(await one_round(ada, process, number * messages, messages))
            assert await backend(database) == process
        for way, found in figures.items():
            for what, values in zip(("EXPUNGE", "row of the log"), zip(*found, strict=True), strict=True):
                print(f"{way:17} {what:15} best {min(values):5.1f} µs  median {statistics.median(values):5.1f} µs")
    finally:
        await database.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=3000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="waypost-removals-") as directory:
        postgres = start_postgres(Path(directory), durable=False)
        try:
            secrets, urls = Path(directory) / "waypost-secrets", postgres.urls()
            make_master_key(secrets)
            services = RunningServices(urls.owner, urls.app, urls.system, "", secrets)
            migrated = services.manage("migrate", "--verbosity", "0")
            assert migrated.returncode == 0, migrated.stderr
            make_tenant_keys(secrets, urls.owner, TENANT)
            asyncio.run(measure(services, options.messages, options.rounds))
        finally:
            postgres.stop()


if __name__ == "__main__":
    main()
