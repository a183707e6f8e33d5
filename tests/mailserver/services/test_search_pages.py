"""Pages that searches read: made once, kept, dropped with the messages they hold, and never wrong."""

import asyncio
from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import psycopg
import pytest

from mailserver.services.search import Searched
from mailserver.services.search_keys import (
    EnvelopeContains,
    EnvelopeField,
    Everything,
    HasFlag,
    LargerThan,
    NoneOf,
    SearchProgram,
)
from mailserver.services.search_page import stretches
from mailserver.services.search_pages import SearchPages
from mailserver.services.searching import SearchConfig, Searches, Threading
from mailserver.services.sorting import Criterion, SortBy
from storage.search_pages import Column
from storage.types import SystemFlag
from tests.conftest import RunningServices, owner_connection, plain_message
from tests.someone import DELETED, Someone

TO, SUBJECT = EnvelopeField.TO, EnvelopeField.SUBJECT
ALL_COLUMNS = tuple(Column)
NOT_WAITING = SearchConfig(keep_after_s=0)


@dataclass(frozen=True, slots=True)
class Row:
    number: int
    columns: frozenset[str]


def kept_rows(services: RunningServices, mailbox_id: int) -> list[Row]:
    with owner_connection(services) as owner:
        rows = owner.execute(
            """
            SELECT number, subjects IS NOT NULL, addresses IS NOT NULL, sorting IS NOT NULL, threading IS NOT NULL
              FROM search_page WHERE mailbox_id = %s ORDER BY number
            """,
            (mailbox_id,),
        ).fetchall()
    names = [column.value for column in Column]
    return [
        Row(int(str(number)), frozenset(name for name, is_there in zip(names, there, strict=True) if is_there))
        for number, *there in rows
    ]


async def view_of(ada: Someone, name: str = "INBOX") -> Searched:
    shown = await ada.contents(name)
    return Searched(shown.mailbox.id, shown.uids, shown.flags, shown.keywords)


async def found(searches: Searches, ada: Someone, program: SearchProgram, name: str = "INBOX") -> list[int]:
    view = await view_of(ada, name)
    return [view.uids[position] for position in await searches.search(ada.who, view, program)]


async def subjects_of(pages: SearchPages, ada: Someone, uids: Sequence[int] | None = None) -> dict[int, str]:
    """What the pages say of the messages of INBOX."""
    view = await view_of(ada)
    asked = view.uids if uids is None else array("I", uids)
    got = await pages.of(ada.who, view.mailbox_id, asked, stretches(asked), (Column.SUBJECTS,))
    told: dict[int, str] = {}
    for page in got:
        texts = (page.subjects or b"").decode().split("\0")
        told.update(zip(page.facts.uids, texts, strict=True))
    return told


@pytest.fixture
async def crowded(ada: Someone, services: RunningServices) -> Someone:
    """130 messages, the uids of which lie in two runs: from 1000 on."""
    with owner_connection(services) as owner:
        owner.execute(
            "UPDATE mailbox SET uidnext = 1000 WHERE account_id = %s AND name = 'INBOX'", (ada.who.account_id,)
        )
    for number in range(1000, 1130):
        await ada.append("INBOX", plain_message(number, to=f"p{number}@third.test"))
    return ada


async def test_pages_are_kept_and_read_by_other_processes(crowded: Someone, services: RunningServices) -> None:
    one = SearchPages(crowded.store)
    view = await view_of(crowded)
    await one.keep(crowded.who, view.mailbox_id, view.uids, ALL_COLUMNS)
    rows = kept_rows(services, view.mailbox_id)
    assert rows == [Row(1, frozenset(column.value for column in Column))]  # 24 messages in run 0 are too few
    other = SearchPages(crowded.store)
    assert await subjects_of(one, crowded) == await subjects_of(other, crowded)
    read = await other.of(crowded.who, view.mailbox_id, view.uids, stretches(view.uids), ALL_COLUMNS)
    made = await one.of(crowded.who, view.mailbox_id, view.uids, stretches(view.uids), ALL_COLUMNS)
    for page, twin in zip(read, made, strict=True):
        assert (page.facts, page.subjects, page.addresses, page.sorting, page.threading) == (
            twin.facts, twin.subjects, twin.addresses, twin.sorting, twin.threading,
        )  # fmt: skip
    assert [page.stamp is not None for page in read] == [False, True]


async def test_new_messages_are_beside_the_kept_page_until_there_are_many(
    crowded: Someone, services: RunningServices
) -> None:
    pages = SearchPages(crowded.store)
    view = await view_of(crowded)
    await pages.keep(crowded.who, view.mailbox_id, view.uids, (Column.SUBJECTS,))
    for number in range(1130, 1133):
        await crowded.append("INBOX", plain_message(number))
        assert (await subjects_of(pages, crowded))[number] == f"message {number}"
        assert (await subjects_of(SearchPages(crowded.store), crowded))[number] == f"message {number}"
    for number in range(1133, 1200):
        await crowded.append("INBOX", plain_message(number))
    view = await view_of(crowded)
    await pages.keep(crowded.who, view.mailbox_id, view.uids, (Column.SUBJECTS,))
    fresh = SearchPages(crowded.store)
    got = await fresh.of(crowded.who, view.mailbox_id, view.uids, stretches(view.uids), (Column.SUBJECTS,))
    assert [len(page.facts.uids) for page in got] == [24, 176]


@pytest.mark.parametrize("way", ["expunge", "move", "delete"])
async def test_what_leaves_a_mailbox_takes_its_page_along(
    crowded: Someone, services: RunningServices, way: str
) -> None:
    pages = SearchPages(crowded.store)
    view = await view_of(crowded)
    await pages.keep(crowded.who, view.mailbox_id, view.uids, (Column.SUBJECTS,))
    assert len(kept_rows(services, view.mailbox_id)) == 1
    if way == "expunge":
        await crowded.append("INBOX", plain_message(1130), DELETED)
        await crowded.expunge()
    elif way == "move":
        await crowded.move("INBOX", [1050], "Archive")
    else:
        with owner_connection(services) as owner:
            owner.execute("DELETE FROM placement WHERE mailbox_id = %s AND uid = 1050", (view.mailbox_id,))
    assert kept_rows(services, view.mailbox_id) == []
    there = await crowded.uids()
    assert sorted(await subjects_of(SearchPages(crowded.store), crowded)) == there


async def test_a_page_of_messages_that_went_meanwhile_is_not_kept(crowded: Someone, services: RunningServices) -> None:
    """It was read before they went, and is written after."""
    pages = SearchPages(crowded.store)
    view = await view_of(crowded)
    await subjects_of(pages, crowded)
    await crowded.move("INBOX", [1050], "Archive")
    await pages.keep(crowded.who, view.mailbox_id, view.uids, (Column.SUBJECTS,))
    assert kept_rows(services, view.mailbox_id) == []
    await pages.keep(crowded.who, view.mailbox_id, view.uids, (Column.SUBJECTS,))  # made anew
    assert len(kept_rows(services, view.mailbox_id)) == 1
    assert 1050 not in await subjects_of(SearchPages(crowded.store), crowded)


async def test_a_column_is_added_to_the_page_that_is_there(crowded: Someone, services: RunningServices) -> None:
    view = await view_of(crowded)
    await SearchPages(crowded.store).keep(crowded.who, view.mailbox_id, view.uids, (Column.SUBJECTS,))
    pages = SearchPages(crowded.store)
    await pages.keep(crowded.who, view.mailbox_id, view.uids, (Column.THREADING,))
    (row,) = kept_rows(services, view.mailbox_id)
    assert row.columns == {"subjects", "threading"}


@pytest.mark.parametrize("column", ["facts", "subjects", "addresses", "sorting", "threading"])
async def test_a_column_that_does_not_open_is_made_anew(
    crowded: Someone, services: RunningServices, column: str
) -> None:
    view = await view_of(crowded)
    await SearchPages(crowded.store).keep(crowded.who, view.mailbox_id, view.uids, ALL_COLUMNS)
    with owner_connection(services) as owner:
        owner.execute(f"UPDATE search_page SET {column} = 'xx' WHERE mailbox_id = %s".encode(), (view.mailbox_id,))  # noqa: S608
    pages = SearchPages(crowded.store)
    got = await pages.of(crowded.who, view.mailbox_id, view.uids, stretches(view.uids), ALL_COLUMNS)
    assert [uid for page in got for uid in page.facts.uids] == list(view.uids)
    assert all(page.has(each) for page in got for each in Column)


async def test_pages_of_another_format_are_not_read(
    crowded: Someone, services: RunningServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    view = await view_of(crowded)
    await SearchPages(crowded.store).keep(crowded.who, view.mailbox_id, view.uids, (Column.SUBJECTS,))
    with owner_connection(services) as owner:
        owner.execute("UPDATE search_page SET format = 0, subjects = 'xx' WHERE mailbox_id = %s", (view.mailbox_id,))
    pages = SearchPages(crowded.store)
    assert (await subjects_of(pages, crowded))[1100] == "message 1100"
    await pages.keep(crowded.who, view.mailbox_id, view.uids, (Column.SUBJECTS,))
    assert (await subjects_of(SearchPages(crowded.store), crowded))[1100] == "message 1100"


async def test_pages_of_others_are_nobodys(crowded: Someone, services: RunningServices) -> None:
    """Row-level security and the account in each statement keep them apart."""
    view = await view_of(crowded)
    await SearchPages(crowded.store).keep(crowded.who, view.mailbox_id, view.uids, (Column.SUBJECTS,))
    with psycopg.connect(services.app_url, autocommit=True) as app:
        app.execute("SELECT set_config('waypost.tenant', %s, false)", (str(crowded.who.tenant_id + 1),))
        assert app.execute("SELECT count(*) FROM search_page").fetchone() == (0,)


async def test_little_memory_forgets_and_finds_all_the_same(crowded: Someone) -> None:
    searches = Searches(crowded.store, SearchConfig(remembered_octets=1))
    for _ in range(2):
        assert await found(searches, crowded, EnvelopeContains(TO, "p1000@")) == [1000]
        assert await found(searches, crowded, EnvelopeContains(SUBJECT, "message 1129")) == [1129]
    await searches.close()


async def test_searches_at_once_make_pages_once(crowded: Someone) -> None:
    pages = SearchPages(crowded.store)
    view = await view_of(crowded)
    asked = [
        pages.of(crowded.who, view.mailbox_id, view.uids, stretches(view.uids), (Column.ADDRESSES,)) for _ in range(5)
    ]
    first, *others = await asyncio.gather(*asked)
    assert all(page is twin for other in others for page, twin in zip(first, other, strict=True))


async def test_a_search_has_pages_kept_in_the_end(crowded: Someone, services: RunningServices) -> None:
    searches = Searches(crowded.store, NOT_WAITING)
    view = await view_of(crowded)
    assert await searches.search(crowded.who, view, LargerThan(10**6)) == []
    await searches.settle()
    (row,) = kept_rows(services, view.mailbox_id)
    assert row.columns == {"subjects", "addresses"} | {"sorting"}  # sort keys are made of the same, and kept with them
    await searches.thread(crowded.who, view, Everything(), Threading.REFERENCES)
    await searches.settle()
    (row,) = kept_rows(services, view.mailbox_id)
    assert "threading" in row.columns
    await searches.close()


async def test_who_asks_for_flags_alone_has_nothing_made(crowded: Someone, services: RunningServices) -> None:
    """Programs that look for new mail do so again and again; a large mailbox costs seconds."""
    searches = Searches(crowded.store, NOT_WAITING)
    view = await view_of(crowded)
    assert len(await searches.search(crowded.who, view, NoneOf(HasFlag(SystemFlag.SEEN)))) == len(view.uids)
    await searches.settle()
    assert kept_rows(services, view.mailbox_id) == []
    await searches.close()


async def test_messages_gone_from_the_store_sort_first_and_are_found_by_nothing_read(crowded: Someone) -> None:
    searches = Searches(crowded.store)
    view = await view_of(crowded)
    await crowded.move("INBOX", [1005], "Archive")
    order = await searches.sort(crowded.who, view, Everything(), [Criterion(SortBy.SUBJECT)])
    assert view.uids[order[0]] == 1005
    assert sorted(order) == list(range(130))
    positions, threads = await searches.thread(crowded.who, view, Everything(), Threading.REFERENCES)
    assert len(threads) == len(positions) == 130
    await searches.close()


async def test_uids_beyond_31_bits_are_as_good_as_others(ada: Someone, services: RunningServices) -> None:
    with owner_connection(services) as owner:
        owner.execute(
            "UPDATE mailbox SET uidnext = 4294967000 WHERE account_id = %s AND name = 'INBOX'", (ada.who.account_id,)
        )
    for number in range(70):
        await ada.append("INBOX", plain_message(number))
    view = await view_of(ada)
    await SearchPages(ada.store).keep(ada.who, view.mailbox_id, view.uids, ALL_COLUMNS)
    assert len(kept_rows(services, view.mailbox_id)) == 1
    searches = Searches(ada.store)
    assert await found(searches, ada, EnvelopeContains(SUBJECT, "message 69")) == [4294967069]
    await searches.close()


async def test_an_empty_mailbox_has_no_pages(ada: Someone) -> None:
    searches = Searches(ada.store)
    view = await view_of(ada)
    assert await searches.search(ada.who, view, EnvelopeContains(SUBJECT, "x")) == []
    assert await searches.sort(ada.who, view, Everything(), [Criterion(SortBy.DATE)]) == []
    assert await searches.thread(ada.who, view, Everything(), Threading.REFERENCES) == ([], [])
    assert await searches.modseqs(ada.who, view) == {}
    await searches.close()
