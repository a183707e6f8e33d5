"""SORT and THREAD over real mail, and the measures against searches without end."""

import asyncio
import random
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from mailserver.mime.folding import collation_key
from mailserver.mime.thread_tree import ThreadNode
from mailserver.mime.threads import base_subject
from mailserver.services.errors import SearchTooLong
from mailserver.services.search import Searched
from mailserver.services.search_keys import (
    AllOf,
    AnyOf,
    BodyContains,
    Everything,
    HasFlag,
    HeaderContains,
    NoneOf,
    SearchProgram,
    TextContains,
)
from mailserver.services.searching import SearchConfig, Searches, Threading
from mailserver.services.sorting import Criterion, SortBy
from tests.conftest import NOON, plain_message
from tests.someone import SEEN, Someone


async def view_of(ada: Someone) -> Searched:
    shown = await ada.contents()
    return Searched(shown.mailbox.id, shown.uids, shown.flags, shown.keywords)


SUBJECTS = ["Lunch", "re: lunch", "[team] LUNCH (fwd)", "Éclair", "eclair", "", "日本", "Zoo", "_"]
PEOPLE = ["Ann <zed@a.test>", "bob@b.test", "=?UTF-8?Q?=C3=89mile?= <M@c.test>", "", "list: x@y.test;"]


@pytest.mark.parametrize("seed", range(4))
async def test_every_order_is_that_of_its_keys_and_total(ada: Someone, seed: int) -> None:
    choose = random.Random(seed)
    letters = []
    for number in range(40):
        subject, author, to = choose.choice(SUBJECTS), choose.choice(PEOPLE), choose.choice(PEOPLE)
        sent = datetime(2026, 1, choose.randint(1, 3), choose.randint(0, 3), tzinfo=UTC)
        received = NOON + timedelta(days=choose.randint(-2, 2))
        octets = plain_message(
            number, subject=subject, to=to, date=format_datetime(sent), body="x" * choose.randint(0, 3)
        ).replace(b"From: Grace <grace@elsewhere.test>", f"From: {author}".encode())
        await ada.append("INBOX", octets, received_at=received)
        letters.append((subject, author, to, sent, received, len(octets)))
    people = {
        "Ann <zed@a.test>": ("ZED", "ANN"), "bob@b.test": ("BOB", "BOB@B.TEST"), "": ("", ""),
        "=?UTF-8?Q?=C3=89mile?= <M@c.test>": ("M", "E\u0301MILE"), "list: x@y.test;": ("LIST", "LIST"),
    }  # fmt: skip
    keys: dict[SortBy, list[Any]] = {
        SortBy.SUBJECT: [collation_key(base_subject(each[0])) for each in letters],
        SortBy.FROM: [people[each[1]][0] for each in letters],
        SortBy.DISPLAY_FROM: [people[each[1]][1] for each in letters],
        SortBy.TO: [people[each[2]][0] for each in letters],
        SortBy.DISPLAY_TO: [people[each[2]][1] for each in letters],
        SortBy.CC: [""] * len(letters),
        SortBy.DATE: [each[3] for each in letters],
        SortBy.ARRIVAL: [each[4] for each in letters],
        SortBy.SIZE: [each[5] for each in letters],
    }
    searches, view = Searches(ada.store), await view_of(ada)
    for _ in range(30):
        criteria = [Criterion(choose.choice(list(SortBy)), choose.random() < 0.5) for _ in range(choose.randint(1, 3))]
        order = await searches.sort(ada.who, view, Everything(), criteria)
        expected = list(range(len(letters)))
        for criterion in reversed(criteria):
            expected.sort(key=keys[criterion.by].__getitem__, reverse=criterion.is_reverse)
        assert order == expected, criteria
    await searches.close()


async def test_only_what_is_found_is_sorted_and_threaded(ada: Someone) -> None:
    await ada.append("INBOX", plain_message(1, message_id="<a@x>"))
    await ada.append("INBOX", plain_message(2, references="<a@x>"), SEEN)
    await ada.append("INBOX", plain_message(3, references="<a@x>"), SEEN)
    searches, view = Searches(ada.store), await view_of(ada)
    seen = HasFlag(SEEN)
    assert await searches.sort(ada.who, view, seen, [Criterion(SortBy.SUBJECT, is_reverse=True)]) == [2, 1]
    positions, threads = await searches.thread(ada.who, view, seen, Threading.REFERENCES)
    assert positions == [1, 2]
    assert [shown(thread) for thread in threads] == [(None, [(0, []), (1, [])])]
    await searches.close()


def shown(node: ThreadNode) -> tuple[int | None, list[object]]:
    return node.position, [shown(child) for child in node.children]


async def test_a_chain_of_answers_is_one_thread_whatever_it_is_that_was_searched(ada: Someone) -> None:
    for number in range(30):
        references = " ".join(f"<{each}@elsewhere.test>" for each in range(number))
        await ada.append("INBOX", plain_message(number, references=references))
    searches, view = Searches(ada.store), await view_of(ada)
    _, threads = await searches.thread(ada.who, view, Everything(), Threading.REFERENCES)
    depth = 0
    while threads:
        (node,) = threads
        threads, depth = node.children, depth + 1
    assert depth == 30
    await searches.close()


async def test_a_search_beyond_its_time_is_given_up(ada: Someone) -> None:
    for number in range(20):
        await ada.append("INBOX", plain_message(number))
    searches, view = Searches(ada.store, SearchConfig(limit_s=0.0)), await view_of(ada)
    with pytest.raises(SearchTooLong):
        await searches.search(ada.who, view, BodyContains("noon"))
    await searches.close()
    unhurried = Searches(ada.store)
    assert len(await unhurried.search(ada.who, view, BodyContains("noon"))) == 20
    await unhurried.close()


async def test_others_have_their_turn_while_bodies_are_searched(ada: Someone) -> None:
    for number in range(150):
        await ada.append("INBOX", plain_message(number, body="filler " * 20_000))
    searches, view = Searches(ada.store), await view_of(ada)
    longest = 0.0

    async def watch() -> None:
        nonlocal longest
        while True:
            before = time.perf_counter()
            await asyncio.sleep(0)
            longest = max(longest, time.perf_counter() - before)

    watching = asyncio.create_task(watch())
    assert await searches.search(ada.who, view, TextContains("not there")) == []
    watching.cancel()
    await searches.close()
    assert longest < 0.5


def nested(depth: int) -> SearchProgram:
    program: SearchProgram = HeaderContains("subject", "message")
    for level in range(depth):
        program = NoneOf(program) if level % 2 else AllOf((AnyOf((program, HasFlag(SEEN))), Everything()))
    return program


@pytest.mark.parametrize(("depth", "found"), [(200, [0]), (202, [])])
async def test_a_program_as_deep_as_the_parser_lets_through_is_evaluated(
    ada: Someone, depth: int, found: list[int]
) -> None:
    """Each second level negates."""
    await ada.append("INBOX", plain_message(1))
    searches, view = Searches(ada.store), await view_of(ada)
    assert await searches.search(ada.who, view, nested(depth)) == found
    await searches.close()


async def test_thousands_of_keys_are_evaluated(ada: Someone) -> None:
    for number in range(5):
        await ada.append("INBOX", plain_message(number))
    searches, view = Searches(ada.store), await view_of(ada)
    many = AnyOf(tuple(NoneOf(HasFlag(SEEN)) for _ in range(5_000)))
    assert await searches.search(ada.who, view, AllOf((many,) * 100)) == [0, 1, 2, 3, 4]
    await searches.close()
