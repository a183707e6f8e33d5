r"""STORE \Seen on one message after another."""

import random

from tests.bench.load.rig import Rig, close_all, work
from tests.bench.load.seeding import FIRST_WORK_USER, WORK


async def store_flags(rig: Rig) -> None:
    o = rig.options
    clients = [await rig.imap(FIRST_WORK_USER + worker % o.work_users, WORK) for worker in range(o.connections)]
    rng = random.Random(11)
    orders = []
    for client in clients:
        await client.command(b"STORE 1:* -FLAGS.SILENT (\\Seen)")
        orders.append(rng.sample(range(1, o.work_messages + 1), o.work_messages))
    done = [0] * o.connections

    async def store(worker: int, _number: int) -> None:
        """Each once with +, then each with -: every STORE changes something."""
        at = done[worker]
        done[worker] += 1
        sign = b"+" if at // o.work_messages % 2 == 0 else b"-"
        await clients[worker].command(b"STORE %d %sFLAGS (\\Seen)" % (orders[worker][at % o.work_messages], sign))

    meter = rig.meter().start()
    latencies_s, errors = await work(range(o.stores), o.connections, store)
    meter.stop().tell("store_flags", len(latencies_s), latencies_s=latencies_s, errors=errors)
    close_all(clients)
