"""A loop of seven commands, as of a person at work."""

import asyncio
import random
import statistics
import time
from collections.abc import Awaitable

from tests.bench.corpus import SUBJECT_KEY
from tests.bench.load.imap_client import ImapClient
from tests.bench.load.rig import Rig, close_all, work
from tests.bench.load.seeding import FIRST_WORK_USER, WORK

_COMMANDS = 7


async def mixed(rig: Rig) -> None:
    o = rig.options
    clients = [await rig.imap(FIRST_WORK_USER + worker % o.work_users, WORK) for worker in range(o.connections)]
    rng = random.Random(13)
    latencies: dict[str, list[float]] = {}
    newest = max(1, o.work_messages - 49)
    stock = rig.stock(o.loops + o.connections)

    async def step(name: str, command: Awaitable[object]) -> None:
        started = time.perf_counter()
        await command
        latencies.setdefault(name, []).append(time.perf_counter() - started)

    def any_message() -> int:
        return rng.randrange(1, o.work_messages + 1)

    async def once(client: ImapClient, number: int) -> None:
        page = b"FETCH %d:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)" % newest
        await step("append", client.append(b"INBOX", stock[number]))
        await step("select", client.command(b"SELECT " + WORK))
        await step("envelopes", client.command(page))
        await step("body", client.command(b"FETCH %d (BODY.PEEK[])" % any_message()))
        await step("store", client.command(b"STORE %d +FLAGS (\\Seen)" % any_message()))
        await step("search", client.command(b"SEARCH SUBJECT " + SUBJECT_KEY.encode()))
        await step("noop", client.command(b"NOOP"))

    await asyncio.gather(*(once(client, o.loops + worker) for worker, client in enumerate(clients)))  # untimed
    latencies.clear()
    meter, before = rig.meter().start(), sum(client.received for client in clients)
    latencies_s, errors = await work(range(o.loops), o.connections, lambda w, number: once(clients[w], number))
    octets = sum(client.received for client in clients) - before
    meter.stop().tell(
        "mixed",
        len(latencies_s),
        latencies_s=latencies_s,
        octets=octets,
        errors=errors,
        commands_per_s=round(len(latencies_s) * _COMMANDS / meter.wall_s, 1),
        p50_ms_of={name: round(statistics.median(values) * 1000, 3) for name, values in latencies.items()},
    )
    close_all(clients)
