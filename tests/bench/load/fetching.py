"""What clients fetch: lists of a whole mailbox, a page of it, bodies; and a check that the big answers are whole."""

import random
import re

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
_WARM = 2


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
    if o.huge:
        for _ in range(2):
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


async def check_fetch(rig: Rig) -> None:
    """Not timed: the whole-mailbox answers hold one FETCH line for each message."""
    o = rig.options
    client = await rig.imap(listing_user(o.rep), LISTED)
    for name, command in (("envelope", ENVELOPES), ("headers_list", THUNDERBIRD), ("flags", FLAGS)):
        lines = len(re.findall(rb"(?:^|\r\n)\* \d+ FETCH ", await client.whole_answer(command)))
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
