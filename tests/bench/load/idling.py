"""IDLE: how soon a delivery is told, and what a waiting connection costs."""

import asyncio
import contextlib
import time
from collections.abc import Callable

from tests.bench.load.imap_client import ImapClient
from tests.bench.load.meter import tell
from tests.bench.load.processes import available_memory_kb
from tests.bench.load.rig import Rig, close_all, work
from tests.bench.load.smtp_client import stuffed

_FIRST_USER = 500
_MESSAGE_OCTETS = 4096
_PATIENCE_S = 35.0
_SIGNING_IN_AT_ONCE = 16


async def idle_push(rig: Rig) -> None:
    await _push(rig, is_lmtp=False)


async def idle_push_lmtp(rig: Rig) -> None:
    await _push(rig, is_lmtp=True)


async def _push(rig: Rig, *, is_lmtp: bool) -> None:
    """One message to each of the people who idle; from its 250 until EXISTS has arrived."""
    o = rig.options
    seen: dict[int, float] = {}
    all_seen = asyncio.Event()

    def watcher(number: int) -> Callable[[bytes], None]:
        def watch(data: bytes) -> None:
            if b" EXISTS" in data and number not in seen:
                seen[number] = time.perf_counter()
                if len(seen) == o.idle:
                    all_seen.set()

        return watch

    clients: list[ImapClient] = []
    for number in range(o.idle):
        client = await rig.imap(_FIRST_USER + number, b"INBOX")
        await client.idle(watcher(number))
        clients.append(client)
    stock = [stuffed(message) for message in rig.stock(o.idle)]
    sender = await rig.smtp(is_lmtp=is_lmtp)
    await asyncio.sleep(1)
    seen.clear()
    accepted: list[float] = []
    sent: list[float] = []
    meter = rig.meter().start()
    for number in range(o.idle):
        started = time.perf_counter()
        sent.append(await sender.send([rig.address(_FIRST_USER + number).encode()], stock[number]))
        accepted.append(time.perf_counter())
        await asyncio.sleep(max(0.0, 1.0 / o.push_rate - (time.perf_counter() - started)))
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(all_seen.wait(), _PATIENCE_S)
    meter.stop()
    sender.quit()
    whole = sorted(seen[number] - sent[number] for number in seen)
    meter.tell(
        "idle_push_lmtp" if is_lmtp else "idle_push",
        len(seen),
        latencies_s=[seen[number] - accepted[number] for number in seen],
        errors=o.idle - len(seen),
        connections=o.idle,
        rate=o.push_rate,
        from_data_p50_ms=round(whole[len(whole) // 2] * 1000, 2) if whole else None,
        from_data_p99_ms=round(whole[min(len(whole) - 1, len(whole) * 99 // 100)] * 1000, 2) if whole else None,
    )
    close_all(clients)


async def idle_memory(rig: Rig) -> None:
    await _memory(rig, "idle_memory", starttls=True)


async def idle_memory_tls(rig: Rig) -> None:
    await _memory(rig, "idle_memory_tls", starttls=False)


async def _memory(rig: Rig, name: str, *, starttls: bool) -> None:
    """What each further connection costs, once the first of `idle_steps` stand: what a server takes once, whoever comes
    (caches that fill, processes and database connections kept at hand), is not counted among connections. Nor is what
    a person's first visit leaves behind: everybody has been there before.

    To be run at a server that has just started: processes kept for later use would count as there before.
    """
    o = rig.options
    assert rig.server is not None
    first, *steps = (int(text) for text in o.idle_steps.split(","))
    clients: list[ImapClient] = []

    async def wait_there(_worker: int, number: int) -> None:
        client = await rig.imap(number, b"INBOX", starttls=starttls)
        await client.idle()
        clients.append(client)

    async def visit(_worker: int, number: int) -> None:
        client = await rig.imap(number, b"INBOX", starttls=starttls)
        await client.command(b"LOGOUT")
        client.close()

    await work(range(max(first, *steps)), _SIGNING_IN_AT_ONCE, visit)
    _, errors = await work(range(first), _SIGNING_IN_AT_ONCE, wait_there)
    await asyncio.sleep(o.settle_s)
    before, available, cpu_s, few = rig.server.memory(), available_memory_kb(), rig.server.cpu_s(), len(clients)
    for step in steps:
        _, more_errors = await work(range(len(clients), step), _SIGNING_IN_AT_ONCE, wait_there)
        errors += more_errors
        await asyncio.sleep(o.settle_s)
        now, cpu_now_s, count = rig.server.memory(), rig.server.cpu_s(), max(len(clients) - few, 1)
        lost = sum(not client.is_open for client in clients)
        tell(
            target=o.name,
            workload=f"{name}_{step}",
            operations=len(clients),
            beyond=few,
            errors=errors + lost,
            pss_kb_each=round((now.pss_mb - before.pss_mb) * 1024 / count, 1),
            rss_kb_each=round((now.rss_mb - before.rss_mb) * 1024 / count, 1),
            machine_kb_each=round((available - available_memory_kb()) / count, 1),
            processes_each=round((now.processes - before.processes) / count, 3),
            server_cpu_ms_each=round((cpu_now_s - cpu_s) * 1000 / count, 3),
        )
    close_all(clients)
    await asyncio.sleep(2)
