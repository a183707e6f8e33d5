"""Random deeds of several clients at two imap processes, and mail by SMTP and LMTP at the same time: every client ends
with what a fresh SELECT shows, and so does every cache of a QRESYNC client that comes back.

The test prints its seed; WAYPOST_SEED gives it again. WAYPOST_SOAK=1 goes on for WAYPOST_SOAK_S seconds (two hours).
"""

import asyncio
import os
import random
import time

from tests.flows.believing import Believer
from tests.flows.clients import deliver, deliver_by_lmtp
from tests.flows.installation import Installation, Person
from tests.flows.letters import letter
from tests.imap_cache import Kept, Speaks

IS_SOAK = os.environ.get("WAYPOST_SOAK") == "1"
LASTS_S = float(os.environ.get("WAYPOST_SOAK_S", "7200")) if IS_SOAK else 12.0
NAMES = ("INBOX", "Work", "Box")
DEEDS = 60
DELIVERIES = 6
FULL = 80
KINDS = ((Speaks.PLAIN, False), (Speaks.CONDSTORE, False), (Speaks.QRESYNC, False), (Speaks.QRESYNC, True))
OLD_CACHES = 2  # of each mailbox and client that come back at each check

Picture = dict[int, frozenset[str]]


async def test_every_view_ends_with_what_is_there(installation: Installation) -> None:
    seed = int(os.environ.get("WAYPOST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"WAYPOST_SEED={seed}")
    person = await asyncio.to_thread(installation.person)
    believers = [
        Believer(installation, person, speaks, is_rev2, random.Random(f"{seed} {number}"))
        for number, (speaks, is_rev2) in enumerate(KINDS)
    ]
    for believer in believers:
        await believer.connect()
    for name in NAMES[1:]:
        await believers[0].say(f"CREATE {name}")
    dice = random.Random(seed)
    end = time.monotonic() + LASTS_S
    rounds = 0
    while time.monotonic() < end or rounds < 2:
        await asyncio.gather(*(work(believer) for believer in believers), deliveries(installation, person, dice))
        await check(installation, person, believers, dice)
        rounds += 1
    for believer in believers:
        believer.wire.close()
    print(f"{rounds} rounds without a difference")


async def work(believer: Believer) -> None:
    for _ in range(DEEDS):
        await believer.step(NAMES)


async def deliveries(installation: Installation, person: Person, dice: random.Random) -> None:
    for _ in range(DELIVERIES):
        send = dice.choice((deliver, deliver_by_lmtp))
        await asyncio.to_thread(send, installation, [person], letter(f"Number {dice.random()}"))


async def check(installation: Installation, person: Person, believers: list[Believer], dice: random.Random) -> None:
    for believer in believers:
        if believer.is_idling:
            await believer.end_idle()
    truth = {name: await truth_of(installation, person, name) for name in NAMES}
    for believer in believers:
        if believer.cache.is_over or not believer.cache.is_selected:
            continue
        await believer.say("NOOP")
        await believer.catch_up()
        assert believer.cache.picture() == truth[believer.name], believer.cache.said
        believer.remember()
    for believer in believers:
        for name, history in believer.kept.items():
            for kept in dice.sample(history, min(OLD_CACHES, len(history))):
                await come_back(believer, name, kept, truth[name])
            del history[:-40]
    await empty_what_is_full(believers, truth)


async def truth_of(installation: Installation, person: Person, name: str) -> Picture:
    """What a fresh SELECT shows."""
    stranger = Believer(installation, person, Speaks.PLAIN, False, random.Random(0))
    await stranger.connect()
    await stranger.say(f"EXAMINE {name}")
    await stranger.catch_up()
    stranger.wire.close()
    return stranger.cache.picture()


async def come_back(believer: Believer, name: str, kept: Kept, now: Picture) -> None:
    """A client with an old cache of the mailbox synchronises it."""
    returning = Believer(believer.installation, believer.person, Speaks.QRESYNC, believer.is_rev2, believer.dice)
    await returning.connect()
    await returning.select(name, kept)
    await returning.catch_up()
    assert returning.cache.picture() == now, (kept, returning.cache.said)
    returning.wire.close()


async def empty_what_is_full(believers: list[Believer], truth: dict[str, Picture]) -> None:
    for name, picture in truth.items():
        if len(picture) > FULL:
            await believers[0].say(f"SELECT {name}")
            believers[0].name = name
            await believers[0].say("STORE 1:* +FLAGS.SILENT (\\Deleted)")
            await believers[0].say("CLOSE")
