"""Mail that went cold beside the same mail hot, over IMAP, and what moving it costs the others.

    python -m tests.bench.cold [--messages 10000] [--single 500] [--rounds 3]

One person gets messages of 16 KB, another a mix of text mail, twice as many and what the rounds take. Those of 16 KB
are read one by one at random and all in a row, hot; then all are made older than 90 days. First some move in short
turns, as upkeep has it, a minute or more in each round, and as long nothing; the rest is moved by `manage.py tiers
run`, at full speed. All the while somebody else, whose mail is hot, goes on reading and getting mail. Then the mail of
16 KB is read again, cold; copies in PostgreSQL are deleted first. Everything is on this machine.
"""

import argparse
import asyncio
import itertools
import random
import re
import sys
import tempfile
import time
from itertools import islice
from pathlib import Path

import psycopg

from deploy.local.places import make_places
from deploy.local.postgres import Postgres
from tests.bench.cold_beside import in_turns
from tests.bench.cold_requests import OTHER, OTHERS_MESSAGES, Timed, somebody_else, timed
from tests.bench.installation import Waypost, remove_waypost
from tests.bench.load.options import Options
from tests.bench.load.rig import Rig
from tests.bench.target import Ports

OCTETS = 16_384
READER, BULK = 0, 2
TEXT_KINDS = {"plain", "gb18030", "utf8", "japanese", "html", "alternative"}
DAYS = 120
CALM_S = 10.0
A_ROUND = 12_000
"""More messages than move in short turns in a stretch."""


async def fill(rig: Rig, user: int, count: int) -> None:
    client = await rig.imap(user)
    for start in range(0, count, 50):
        await client.append_many(b"INBOX", [rig.corpus.sized(start + n, OCTETS) for n in range(min(50, count - start))])
    client.close()


async def fill_with_text(rig: Rig, user: int, count: int) -> None:
    letters = islice((rig.corpus.message(i) for i in itertools.count() if rig.corpus.kind(i) in TEXT_KINDS), count)
    client = await rig.imap(user)
    while some := list(islice(letters, 100)):
        await client.append_many(b"INBOX", some)
    client.close()


async def one_by_one(rig: Rig, count: int, messages: int) -> Timed:
    """Random messages, each asked for when the one before is there."""
    client = await rig.imap(READER, b"INBOX")
    dice = random.Random(16)
    wanted = [dice.randint(1, messages) for _ in range(count)]
    seconds = [await timed(client.command(b"UID FETCH %d (BODY.PEEK[])" % uid)) for uid in wanted]
    client.close()
    return Timed(sorted(seconds))


async def in_a_row(rig: Rig) -> float:
    """Seconds to download everything."""
    client = await rig.imap(READER, b"INBOX")
    seconds = await timed(client.command(b"FETCH 1:* (UID BODY.PEEK[])"))
    client.close()
    return seconds


def grow_old(url: str) -> None:
    """What all but the other one have."""
    theirs = """
        SELECT u.tenant_id, u.digest FROM account a
          JOIN placement p ON p.tenant_id = a.tenant_id AND p.account_id = a.id
          JOIN message_blob u ON u.tenant_id = p.tenant_id AND u.message_id = p.message_id
         WHERE a.id IN (SELECT account_id FROM address WHERE local_part IN ('u0000', 'u0002'))
    """
    with psycopg.connect(url, autocommit=True) as sql:
        sql.execute(
            f"UPDATE blob_content c SET content_on = c.content_on - {DAYS} FROM ({theirs}) t"  # noqa: S608
            " WHERE c.tenant_id = t.tenant_id AND c.digest = t.digest"
        )
        sql.execute(
            f"UPDATE blob b SET content_on = content_on - {DAYS}, touched_at = touched_at - interval '{DAYS} days'"  # noqa: S608
            f" FROM ({theirs}) t WHERE b.tenant_id = t.tenant_id AND b.digest = t.digest"
        )
        sql.execute("VACUUM (ANALYZE) blob, blob_content")
        sql.execute("ANALYZE")  # as autovacuum does a minute later


def forget_copies(url: str) -> None:
    with psycopg.connect(url, autocommit=True) as sql:
        sql.execute(
            "DELETE FROM blob_content c USING blob b"
            " WHERE b.tenant_id = c.tenant_id AND b.digest = c.digest AND b.object_id IS NOT NULL"
        )
        sql.execute("VACUUM (ANALYZE) blob, blob_content")
        sql.execute("ANALYZE")  # as autovacuum does a minute later


async def measure(waypost: Waypost, url: str, messages: int, single: int, rounds: int) -> None:
    rig = Rig(Options(name="waypost", imap=waypost.doors.imap, imaps=waypost.doors.imaps))
    await fill(rig, READER, messages)
    await fill(rig, OTHER, OTHERS_MESSAGES)
    await fill_with_text(rig, BULK, 2 * messages + rounds * A_ROUND)
    hot_single, hot_all = await one_by_one(rig, single, messages), await in_a_row(rig)
    print(f"hot   one by one  {hot_single.told()}   all {messages / hot_all:8,.0f} messages/s", flush=True)

    await asyncio.to_thread(grow_old, url)
    if rounds:
        await in_turns(waypost, url, rig, rounds)
    calm_until = time.monotonic() + CALM_S
    calm = await somebody_else(rig, lambda: time.monotonic() > calm_until)
    moving = asyncio.create_task(asyncio.to_thread(waypost.manage, "tiers", "run"))
    busy = await somebody_else(rig, moving.done)
    told = await moving
    print(told.strip())
    found = re.search(r"(\d+) blobs .* in ([\d.]+) s", told)
    if found:
        print(f"moved {int(found[1]) / float(found[2]):,.0f} messages/s (asked 5,000)")
    for what, during, before in zip(("reads", "gets mail"), busy, calm, strict=True):
        slower = during.at(0.95) / before.at(0.95)
        print(f"somebody else {what}  {during.told()}, before {before.told()}: {slower:.2f} (asked 1.2)")

    await asyncio.to_thread(forget_copies, url)
    cold_single, cold_all = await one_by_one(rig, single, messages), await in_a_row(rig)
    print(f"cold  one by one  {cold_single.told()}   all {messages / cold_all:8,.0f} messages/s")
    print(f"one by one, p95: {cold_single.at(0.95) / hot_single.at(0.95):.2f} of hot (asked 4)")
    print(f"in a row: {hot_all / cold_all:.2f} of hot (asked 0.5)")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000)
    parser.add_argument("--single", type=int, default=500, help="messages that are read one by one")
    parser.add_argument("--rounds", type=int, default=3, help="stretches of short turns, and as many of nothing")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="waypost-cold-") as directory:
        var = Path(directory) / "var"
        waypost = Waypost(var, Ports())
        try:
            waypost.start_for_seeding()
            url = Postgres(make_places(var)).urls().owner
            asyncio.run(measure(waypost, url, options.messages, options.single, options.rounds))
        finally:
            waypost.stop()
            remove_waypost(var)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
