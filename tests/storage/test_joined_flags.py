"""STOREs of one account that share a transaction: each does what it would do alone, at a modseq of its own."""

import asyncio
import random
from collections.abc import Mapping

import pytest

from mailserver.services import messages
from storage.errors import TooManyKeywords
from storage.store import MailStore
from storage.types import FlagChange, FlagOperation, Flags, Modseq, SystemFlag, Uid
from tests.conftest import Company, plain_message
from tests.someone import ADD, ANSWERED, DELETED, FLAGGED, REMOVE, REPLACE, SEEN, Someone, flags


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


async def filled(someone: Someone, count: int) -> Someone:
    for number in range(count):
        await someone.append("INBOX", plain_message(number))
    return someone


async def transactions(someone: Someone) -> int:
    """How many transactions gave the placements of the account what they have."""
    async with someone.store.database.read(someone.who.tenant_id) as connection:
        cursor = await connection.execute(
            "SELECT count(DISTINCT xmin::text) FROM placement WHERE account_id = %s", (someone.who.account_id,)
        )
        row = await cursor.fetchone()
        assert row is not None
        return int(row[0])


async def modseq(someone: Someone) -> Modseq:
    return (await someone.contents()).account_modseq


async def test_stores_that_come_together_share_a_transaction_and_have_a_modseq_each(ada: Someone) -> None:
    await filled(ada, 20)
    before, inbox = await modseq(ada), (await ada.box()).id
    seen = FlagChange(ADD, flags(SEEN))
    stored = await asyncio.gather(
        *(messages.change_flags(ada.store, ada.who, inbox, [Uid(uid)], seen) for uid in range(1, 21))
    )
    assert sorted(each.modseq for (each,) in stored) == list(range(before + 1, before + 21))
    assert await transactions(ada) == 2
    assert {each.system for each in (await ada.flags_of()).values()} == {SEEN}


async def test_a_store_that_changes_nothing_takes_no_modseq(ada: Someone) -> None:
    await filled(ada, 3)
    await ada.flag("INBOX", [1, 2, 3], ADD, SEEN)
    before = await modseq(ada)
    assert [each.outcome for each in await ada.flag("INBOX", [1], ADD, SEEN)] == ["same"]
    assert [each.outcome for each in await ada.flag("INBOX", [1, 2, 3], ADD, SEEN)] == ["same"] * 3
    assert [each.outcome for each in await ada.flag("INBOX", [2], REMOVE, SEEN, unchanged_since=1)] == ["newer"]
    assert await ada.flag("INBOX", [99], ADD, SEEN) == []
    assert await modseq(ada) == before


async def test_one_with_too_many_keywords_fails_alone(ada: Someone) -> None:
    await filled(ada, 3)
    words = [f"word{number}" for number in range(60)]
    await ada.flag("INBOX", [2], ADD, *words)
    more = [f"more{number}" for number in range(60)]
    results = await asyncio.gather(
        ada.flag("INBOX", [1], ADD, SEEN),
        ada.flag("INBOX", [2], ADD, *more),
        ada.flag("INBOX", [3], ADD, FLAGGED, "work"),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [list, TooManyKeywords, list]
    found = await ada.flags_of()
    assert (found[1], found[3]) == (flags(SEEN), flags(FLAGGED, "work"))
    assert len(found[2].keywords) == 60


async def test_deleted_is_of_one_mailbox_and_the_other_flags_are_of_all(ada: Someone) -> None:
    await filled(ada, 1)
    await ada.copy("INBOX", [1], "Archive")
    await ada.flag("INBOX", [1], REPLACE, DELETED, SEEN)
    assert (await ada.flags_of())[1] == flags(DELETED, SEEN)
    assert (await ada.flags_of("Archive"))[1] == flags(SEEN)
    await ada.flag("Archive", [1], REPLACE, FLAGGED)
    assert (await ada.flags_of())[1] == flags(DELETED, FLAGGED)


def after(change: FlagChange, before: Flags) -> Flags:
    match change.operation:
        case FlagOperation.REPLACE:
            return change.flags
        case FlagOperation.ADD:
            return Flags(before.system | change.flags.system, before.keywords | change.flags.keywords)
        case FlagOperation.REMOVE:
            return Flags(before.system & ~change.flags.system, before.keywords - change.flags.keywords)


@pytest.mark.parametrize("seed", range(4))
async def test_what_joined_stores_leave_is_what_they_would_leave_one_after_another(ada: Someone, seed: int) -> None:
    """Each message is changed by any number of STOREs at once; the modseqs say in which order they went."""
    rng = random.Random(seed)
    await filled(ada, 6)
    inbox = (await ada.box()).id
    expected: Mapping[int, Flags] = await ada.flags_of()
    changes: list[tuple[list[Uid], FlagChange]] = []
    for _ in range(40):
        uids = [Uid(uid) for uid in sorted(rng.sample(range(1, 7), rng.choice([1, 1, 1, 3])))]
        system = [flag for flag in (SEEN, ANSWERED, FLAGGED, DELETED) if rng.random() < 0.4]
        words: list[SystemFlag | str] = ["work"] if rng.random() < 0.3 else []
        changes.append((uids, FlagChange(rng.choice([REPLACE, ADD, REMOVE]), flags(*system, *words))))
    stored = await asyncio.gather(
        *(messages.change_flags(ada.store, ada.who, inbox, uids, change) for uids, change in changes)
    )
    last: dict[int, Modseq] = {}
    found = dict(expected)
    for (uids, change), answers in zip(changes, stored, strict=True):  # they are taken in the order they came
        assert [each.uid for each in answers] == uids
        for each in answers:
            before = found[each.uid]
            found[each.uid] = after(change, before)
            assert each.flags == found[each.uid]
            assert (each.outcome == "changed") == (found[each.uid] != before)
            assert each.modseq > last.get(each.uid, 0) or each.outcome == "same"
            last[each.uid] = each.modseq
    assert await ada.flags_of() == found
    counts = await ada.box()
    assert counts.unseen == sum(SEEN not in each.system for each in found.values())
    assert counts.deleted == sum(DELETED in each.system for each in found.values())
