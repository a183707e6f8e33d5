"""What clients fetch: lists of a whole mailbox, a page of it, bodies; and a check that the big answers are whole."""

import random
import re

from tests.bench.load.imap_client import Failed, ImapClient
from tests.bench.load.meter import tell
from tests.bench.load.rig import Rig, close_all, work
from tests.bench.load.seeding import FIRST_WORK_USER, HUGE, HUGE_USER, LISTED, WORK, headers_user, listing_user

ENVELOPES = b"UID FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)"
THUNDERBIRD = (
    b"UID FETCH 1:* (UID RFC822.SIZE FLAGS BODY.PEEK[HEADER.FIELDS (From To Cc Bcc Subject Date Message-ID "
    b"Priority X-Priority References Newsgroups In-Reply-To Content-Type Reply-To)])"
)
FLAGS = b"FETCH 1:* (FLAGS)"
PAGE_MESSAGES = 50
RANGE_MESSAGES = 50
_WARM = 2
_HUGE_TIMES = 5
_AROUND_A_BODY_OCTETS = 100
"""of FETCH (UID ... BODY[] {...}), and a share of the tagged line"""


async def fetch_envelope(rig: Rig) -> None:
    """ENVELOPE and BODYSTRUCTURE of the whole mailbox: the first time, then again from new sessions."""
    await _first_and_again(rig, "fetch_envelope", listing_user(rig.options.rep), ENVELOPES)


async def fetch_headers_list(rig: Rig) -> None:
    """What Thunderbird asks when it meets a mailbox."""
    await _first_and_again(rig, "fetch_headers_list", headers_user(rig.options.rep), THUNDERBIRD)


async def fetch_flags(rig: Rig) -> None:
    o = rig.options
    for _ in range(3):
        await _fetch_all(rig, "fetch_flags", listing_user(o.rep), LISTED, FLAGS, o.listed)


async def fetch_flags_huge(rig: Rig) -> None:
    """Of a mailbox of 100,000, which somebody has listed a moment ago; each time from a new session."""
    o = rig.options
    client = await rig.imap(HUGE_USER, HUGE)
    lines = count_fetches(await client.whole_answer(FLAGS))
    client.close()
    if lines != o.huge:
        raise Failed(f"FLAGS of {lines} messages, not of {o.huge}")
    for _ in range(_HUGE_TIMES):
        await _fetch_all(rig, "fetch_flags_huge", HUGE_USER, HUGE, FLAGS, o.huge)


async def _first_and_again(rig: Rig, name: str, user: int, command: bytes) -> None:
    await _fetch_all(rig, name + "_first", user, LISTED, command, rig.options.listed)
    for _ in range(_WARM):
        await _fetch_all(rig, name + "_again", user, LISTED, command, rig.options.listed)


async def _fetch_all(rig: Rig, name: str, user: int, mailbox: bytes, command: bytes, messages: int) -> None:
    client = await rig.imap(user, mailbox)
    meter, before = rig.meter().start(), client.received
    await client.command(command)
    meter.stop().tell(name, 1, octets=client.received - before, messages=messages)
    await client.command(b"LOGOUT")
    client.close()


def count_fetches(answer: bytes) -> int:
    return len(re.findall(rb"(?:^|\r\n)\* \d+ FETCH ", answer))


async def check_fetch(rig: Rig) -> None:
    """Not timed: the whole-mailbox answers hold one FETCH line for each message."""
    o = rig.options
    client = await rig.imap(listing_user(o.rep), LISTED)
    for name, command in (("envelope", ENVELOPES), ("headers_list", THUNDERBIRD), ("flags", FLAGS)):
        lines = count_fetches(await client.whole_answer(command))
        tell(target=o.name, workload=f"check_{name}", lines=lines, right=lines == o.listed)
    client.close()


async def fetch_page(rig: Rig) -> None:
    """Envelopes of 50 messages in a row somewhere in the big mailbox: what a webmail list or a phone asks."""
    o = rig.options
    clients = [await rig.imap(listing_user(o.rep)) for _ in range(o.connections)]
    for client in clients:
        await client.command(b"EXAMINE " + LISTED)
    rng = random.Random(3)
    firsts = [rng.randrange(1, max(2, o.listed - PAGE_MESSAGES)) for _ in range(o.fetches // 5)]
    commands = [
        b"FETCH %d:%d (UID FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)" % (first, first + PAGE_MESSAGES - 1)
        for first in firsts
    ]
    meter, before = rig.meter().start(), sum(client.received for client in clients)
    latencies_s, errors = await work(commands, o.connections, lambda worker, command: clients[worker].command(command))
    octets = sum(client.received for client in clients) - before
    meter.stop().tell("fetch_page", len(latencies_s), latencies_s=latencies_s, octets=octets, errors=errors)
    close_all(clients)


async def fetch_body(rig: Rig) -> None:
    o = rig.options
    clients = [await rig.imap(FIRST_WORK_USER + worker % o.work_users, WORK) for worker in range(o.connections)]
    rng = random.Random(5)
    commands = [b"FETCH %d (BODY.PEEK[])" % rng.randrange(1, o.work_messages + 1) for _ in range(o.fetches)]
    meter, before = rig.meter().start(), sum(client.received for client in clients)
    latencies_s, errors = await work(commands, o.connections, lambda worker, command: clients[worker].command(command))
    octets = sum(client.received for client in clients) - before
    meter.stop().tell("fetch_body", len(latencies_s), latencies_s=latencies_s, octets=octets, errors=errors)
    close_all(clients)


async def body_ranges(rig: Rig) -> None:
    """50 bodies in a row: what a client asks that keeps a copy. Per second: bodies. The octets must be those of the
    messages, and little more."""
    o = rig.options
    clients = [await rig.imap(FIRST_WORK_USER + worker % o.work_users, WORK) for worker in range(o.connections)]
    sizes = [await _sizes(client) for client in clients]
    rng = random.Random(17)
    firsts = [rng.randrange(1, max(2, o.work_messages - RANGE_MESSAGES + 2)) for _ in range(o.ranges)]
    expected = 0

    async def fetch(worker: int, first: int) -> None:
        nonlocal expected
        await clients[worker].command(b"UID FETCH %d:%d (BODY.PEEK[])" % (first, first + RANGE_MESSAGES - 1))
        expected += sum(sizes[worker][first - 1 : first - 1 + RANGE_MESSAGES])

    meter, before = rig.meter().start(), sum(client.received for client in clients)
    latencies_s, errors = await work(firsts, o.connections, fetch)
    octets = sum(client.received for client in clients) - before
    bodies = len(latencies_s) * RANGE_MESSAGES
    meter.stop().tell(
        "body_ranges",
        bodies,
        latencies_s=latencies_s,
        octets=octets,
        errors=errors,
        right=expected < octets < expected + bodies * _AROUND_A_BODY_OCTETS,
    )
    close_all(clients)


async def _sizes(client: ImapClient) -> list[int]:
    """In the order of the messages, whose UIDs are 1, 2, 3, ..."""
    answer = await client.whole_answer(b"UID FETCH 1:* (RFC822.SIZE)")
    found = re.findall(rb"\* (\d+) FETCH \(([^)]*)\)", answer)
    sizes: list[int] = []
    for number, items in found:
        uid, size = (int(items.split(name + b" ")[1].split()[0]) for name in (b"UID", b"RFC822.SIZE"))
        if not uid == int(number) == len(sizes) + 1:
            raise Failed(f"message {number!r} has the UID {uid}")
        sizes.append(size)
    return sizes
