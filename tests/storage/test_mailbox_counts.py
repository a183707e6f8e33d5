"""What a mailbox says of itself is what stands in it: messages, unseen and deleted ones, octets."""

import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg

import storage.migrations
from mailserver.services import mailboxes
from storage.store import MailStore
from storage.types import SystemFlag
from tests.conftest import Company, RunningServices, plain_message
from tests.someone import ADD, ANSWERED, DELETED, FLAGGED, REMOVE, REPLACE, SEEN, Someone

Counts = Mapping[str, tuple[int, int, int, int]]
BOXES = ("INBOX", "Sent", "Archive")
COUNT_MAILBOXES = Path(storage.migrations.__file__).parent / "sql" / "count_mailboxes.sql"


async def said(someone: Someone) -> Counts:
    found = await mailboxes.list_mailboxes(someone.store, someone.who)
    return {box.name: (box.messages, box.unseen, box.deleted, box.octets) for box in found}


async def counted(someone: Someone) -> Counts:
    counts = {}
    for name in await someone.names():
        flags = [each.system for each in (await someone.flags_of(name)).values()]
        counts[name] = (
            len(flags),
            sum(SEEN not in each for each in flags),
            sum(DELETED in each for each in flags),
            sum(row.octets for row in await someone.rows(name)),
        )
    return counts


async def random_act(someone: Someone, rng: random.Random) -> None:
    box = rng.choice(BOXES)
    uids = rng.sample(held, rng.randint(1, min(4, len(held)))) if (held := await someone.uids(box)) else []
    some: list[SystemFlag | str] = [*rng.sample([SEEN, ANSWERED, FLAGGED, DELETED], rng.randint(1, 3)), "work"]
    match rng.randrange(8):
        case 0:
            await someone.receive(plain_message(rng.randrange(1000)))
        case 1:
            await someone.append(box, plain_message(rng.randrange(1000)), *some)
        case 2 | 3 if uids:
            await someone.flag(box, uids, rng.choice([REPLACE, ADD, REMOVE]), *some)
        case 4 if uids:
            await someone.copy(box, uids, rng.choice(BOXES))
        case 5 if uids:
            await someone.move(box, uids, rng.choice([other for other in BOXES if other != box]))
        case 6:
            await someone.expunge(box, rng.choice([None, uids]))
        case _:
            await someone.append(box, plain_message(rng.randrange(1000)))


async def test_random_acts_leave_exact_counts(store: MailStore, company: Company) -> None:
    someone = Someone(store, await company.person())
    rng = random.Random(20)
    for _ in range(150):
        await random_act(someone, rng)
        assert await said(someone) == await counted(someone)
    assert any(deleted for _, _, deleted, _ in (await said(someone)).values())


async def test_the_counts_of_mailboxes_of_before_are_made_once(
    store: MailStore, company: Company, services: RunningServices
) -> None:
    """The migration's statement, over mailboxes whose counts are not kept yet."""
    someone = Someone(store, await company.person())
    for number in range(5):
        await someone.append("INBOX", plain_message(number), *([DELETED] if number % 2 else []))
    await someone.append("Sent", plain_message())
    before = await said(someone)
    with psycopg.connect(services.owner_url) as owner:
        forget: dict[str, Any] = {"account": someone.who.account_id}
        owner.execute("UPDATE mailbox SET octets = 0, deleted = 0 WHERE account_id = %(account)s", forget)
        owner.execute(COUNT_MAILBOXES.read_bytes())
    assert await said(someone) == before
