"""Mail arriving: by SMTP and LMTP until it is durable and every recipient's STATUS shows it, and by APPEND."""

import asyncio
import time

from tests.bench.load.imap_client import Failed
from tests.bench.load.rig import Rig, close_all, work
from tests.bench.load.smtp_client import SmtpClient, stuffed

_FIRST_RECIPIENT = 100
_FIRST_APPENDER = 200
_POLL_S = 0.1


async def smtp_deliver(rig: Rig) -> None:
    await _deliver(rig, is_lmtp=False)


async def lmtp_deliver(rig: Rig) -> None:
    await _deliver(rig, is_lmtp=True)


async def _deliver(rig: Rig, *, is_lmtp: bool) -> None:
    """The clock runs from the first connection until the STATUS of all recipients adds up."""
    o = rig.options
    users = range(_FIRST_RECIPIENT, _FIRST_RECIPIENT + o.users)
    stock = [stuffed(message) for message in rig.stock(o.messages)]
    recipients = [rig.address(users[number % o.users]).encode() for number in range(o.messages)]
    readers = [await rig.imap(user) for user in users]
    before = await rig.count_messages(readers)
    clients: list[SmtpClient | None] = [None] * o.connections
    left = [0] * o.connections

    async def deliver(worker: int, number: int) -> None:
        client = clients[worker]
        if client is None or left[worker] <= 0:
            if client is not None:
                client.quit()
            clients[worker] = None
            client = clients[worker] = await rig.smtp(is_lmtp=is_lmtp)
            left[worker] = o.per_connection
        left[worker] -= 1
        try:
            await client.send([recipients[number]], stock[number])
        except Failed:
            client.quit()
            clients[worker] = None
            raise

    meter = rig.meter().start()
    latencies_s, errors = await work(range(o.messages), o.connections, deliver)
    accepted_s = time.perf_counter() - meter.started
    visible, polls = 0, 0
    while visible < len(latencies_s) and time.perf_counter() - meter.started < o.timeout_s:
        if polls:
            await asyncio.sleep(_POLL_S)
        visible = await rig.count_messages(readers) - before
        polls += 1
    meter.stop()
    for client in clients:
        if client is not None:
            client.quit()
    close_all(readers)
    meter.tell(
        "lmtp_deliver" if is_lmtp else "smtp_deliver",
        len(latencies_s),
        latencies_s=latencies_s,
        octets=sum(map(len, stock)),
        errors=errors,
        connections=o.connections,
        per_connection=o.per_connection,
        accepted_per_s=round(len(latencies_s) / accepted_s, 1),
        visible=visible,
        right=visible == len(latencies_s),
        status_polls=polls,
    )


async def append(rig: Rig) -> None:
    o = rig.options
    stock = rig.stock(o.messages)
    clients = [await rig.imap(_FIRST_APPENDER + worker) for worker in range(o.connections)]
    meter = rig.meter().start()
    latencies_s, errors = await work(
        range(o.messages), o.connections, lambda worker, number: clients[worker].append(b"INBOX", stock[number])
    )
    meter.stop().tell("append", len(latencies_s), latencies_s=latencies_s, octets=sum(map(len, stock)), errors=errors)
    close_all(clients)
