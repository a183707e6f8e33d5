"""Filling mailboxes alike at every server, by APPEND. Not timed for comparison, and counted by STATUS at the end."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial

from tests.bench.corpus import Corpus, needles
from tests.bench.load.imap_client import Failed
from tests.bench.load.meter import tell
from tests.bench.load.rig import Rig, messages_of

LISTED = b"Listed"
"""10,000 realistic messages; every repetition of a first fetch has its own user."""
HUGE = b"Huge"
WORK = b"Work"

HUGE_USER = 99
FIRST_WORK_USER = 10

_BATCH_OCTETS = 4_000_000
_BATCH_MESSAGES = 500
_AT_ONCE = 6
_COPIED_AT_ONCE = 5_000


def listing_user(rep: int) -> int:
    return 2 * rep


def headers_user(rep: int) -> int:
    return 2 * rep + 1


async def seed(rig: Rig) -> None:
    o = rig.options
    started = time.perf_counter()
    listed = [listing_user(rep) for rep in range(o.fresh)] + [headers_user(rep) for rep in range(o.fresh_headers)]
    fillings = [_fill(rig, user, LISTED, o.listed, rig.corpus.message) for user in listed]
    if o.huge:
        fillings.append(_fill_by_copies(rig, HUGE_USER, HUGE, o.huge, rig.corpus.tiny))
    for user in range(FIRST_WORK_USER, FIRST_WORK_USER + o.work_users):
        make = partial(_work_message, rig.corpus, user * 100_000)
        fillings.append(_fill(rig, user, WORK, o.work_messages, make))
    turns = asyncio.Semaphore(_AT_ONCE)

    async def in_turn(filling: Awaitable[int]) -> int:
        async with turns:
            return await filling

    octets = sum(await asyncio.gather(*map(in_turn, fillings)))
    seconds = round(time.perf_counter() - started, 1)
    tell(target=o.name, workload="seed", wall_s=seconds, mb=round(octets / 1e6, 1), needles=needles(o.listed))


def _work_message(corpus: Corpus, first: int, i: int, to: str) -> bytes:
    return corpus.message(first + i, to, largest_attachment=60_000)


async def _fill(rig: Rig, user: int, mailbox: bytes, count: int, make: Callable[[int, str], bytes]) -> int:
    """Go on from what is there; the octets that were appended."""
    client = await rig.imap(user)
    await client.command(b"CREATE " + mailbox, may_fail=True)
    status = b"STATUS %s (MESSAGES)" % mailbox
    have = messages_of(await client.whole_answer(status))
    octets = 0
    for batch in _batches(make(i, rig.address(user)) for i in range(have, count)):
        await client.append_many(mailbox, batch)
        octets += sum(map(len, batch))
    have = messages_of(await client.whole_answer(status))
    client.close()
    if have != count:
        raise Failed(f"{mailbox!r} of {rig.address(user)} holds {have}, not {count}")
    return octets


async def _fill_by_copies(rig: Rig, user: int, mailbox: bytes, count: int, make: Callable[[int, str], bytes]) -> int:
    """Some by APPEND, the others copies of those: the list of a large mailbox is the same, and it is there sooner."""
    first = min(count, _COPIED_AT_ONCE)
    client = await rig.imap(user)
    await client.command(b"CREATE " + mailbox, may_fail=True)
    status = b"STATUS %s (MESSAGES)" % mailbox
    have = messages_of(await client.whole_answer(status))
    octets = await _fill(rig, user, mailbox, first, make) if have < first else 0
    have = max(have, first)
    await client.command(b"SELECT " + mailbox)
    while have < count:
        await client.command(b"COPY 1:%d %s" % (min(first, count - have), mailbox))
        have = messages_of(await client.whole_answer(status))
    client.close()
    if have != count:
        raise Failed(f"{mailbox!r} of {rig.address(user)} holds {have}, not {count}")
    return octets


def _batches(messages: Iterator[bytes]) -> Iterator[list[bytes]]:
    batch: list[bytes] = []
    octets = 0
    for message in messages:
        batch.append(message)
        octets += len(message)
        if octets >= _BATCH_OCTETS or len(batch) >= _BATCH_MESSAGES:
            yield batch
            batch, octets = [], 0
    if batch:
        yield batch
