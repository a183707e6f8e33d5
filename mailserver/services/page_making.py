"""Search pages are read back from the database, or made of what Postgres packs: facts, subjects, ENVELOPEs, headers."""

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from mailserver.mime.envelope_people import EnvelopePeople, people_of_envelope, people_of_fields
from mailserver.mime.fields import parse_fields
from mailserver.services.messages import fetch_rows
from mailserver.services.page_keeping import opened, set_packed
from mailserver.services.search_columns import (
    NO_THREADING,
    ThreadingFacts,
    address_columns,
    aligned,
    facts_between,
    sort_columns,
    text_column,
    threading_facts,
    unpack_facts,
)
from mailserver.services.search_page import Page, Wanted
from storage import search_pages as stored
from storage.rows import Columns, FetchRow
from storage.search_pages import RUN_BITS, Column, PackedFacts, Run
from storage.store import MailStore
from storage.types import MailboxId, Uid
from tenants.types import Principal

RUNS_AT_ONCE = 8
"""Runs read by one statement, when pages are made."""
_PAGES_AT_ONCE = 64
_MADE_AT_ONCE = 3  # while one is worked on, Postgres packs others


@dataclass(slots=True, eq=False)
class PagesOfRun:
    """By ascending uid; together they hold all messages of the run up to `until`."""

    until: int
    pages: list[Page] = field(default_factory=list)


class PageMaking:
    """Reads and makes pages and columns of one mailbox."""

    def __init__(self, store: MailStore, who: Principal, mailbox_id: MailboxId) -> None:
        self._store = store
        self._who = who
        self._mailbox_id = mailbox_id

    def _run(self, first: int, last: int) -> Run:
        return Run(self._who.tenant_id, self._who.account_id, self._mailbox_id, first, last)

    async def facts(self, first: int, last: int) -> PackedFacts:
        async with self._store.database.read(self._who.tenant_id) as connection:
            return await stored.facts(connection, self._run(first, last))

    async def bring_up(self, found: dict[int, PagesOfRun], uids: "array[int]", wanted: Sequence[Wanted]) -> None:
        """Make a page for each run of what no page holds yet; runs beside one another by one statement."""
        missing = [each for each in wanted if each.run not in found or found[each.run].until < uids[each.end - 1]]
        for some in _neighbours(missing):
            known = found.get(some[0].run)
            first = some[0].run << RUN_BITS if known is None else known.until + 1
            facts = await self.facts(first, uids[some[-1].end - 1])
            for each in some:
                remembered = found.setdefault(each.run, PagesOfRun(0))
                low = bisect_left(facts.uids, max(each.run << RUN_BITS, remembered.until + 1))
                high = bisect_left(facts.uids, (each.run + 1) << RUN_BITS)
                if low < high:
                    remembered.pages.append(Page(facts_between(facts, low, high)))
                remembered.until = uids[each.end - 1]

    async def kept(self, runs: Sequence[int]) -> dict[int, Page]:
        found: dict[int, Page] = {}
        for start in range(0, len(runs), _PAGES_AT_ONCE):
            found.update(await self._kept(runs[start : start + _PAGES_AT_ONCE]))
        return found

    async def _kept(self, runs: Sequence[int]) -> dict[int, Page]:
        who = self._who
        async with self._store.database.read(who.tenant_id) as connection:
            rows = await stored.kept_facts(connection, who.tenant_id, who.account_id, self._mailbox_id, runs)
        found: dict[int, Page] = {}
        for row in rows:
            facts = opened(row.packed, unpack_facts)
            if facts is not None and facts.uids:
                found[row.number] = Page(facts, row.stamp)
        return found

    async def add_all(self, columns: Iterable[Column], page: Page) -> None:
        for column in columns:
            if not page.has(column):
                await self.add(column, [page])

    async def add(self, column: Column, pages: Sequence[Page]) -> None:
        kept = {page.facts.uids[0] >> RUN_BITS: page for page in pages if page.stamp is not None}
        numbers = list(kept)
        who = self._who
        for start in range(0, len(numbers), _PAGES_AT_ONCE):
            async with self._store.database.read(who.tenant_id) as connection:
                rows = await stored.kept_column(
                    connection,
                    who.tenant_id,
                    who.account_id,
                    self._mailbox_id,
                    numbers[start : start + _PAGES_AT_ONCE],
                    column,
                )
            for row in rows:
                page = kept[row.number]
                if row.packed and row.stamp == page.stamp:
                    set_packed(page, column, row.packed)
                    if page.has(column):
                        page.kept.add(column)
        missing = [page for page in pages if not page.has(column)]
        missing.sort(key=lambda page: page.facts.uids[0])
        for start in range(0, len(missing), RUNS_AT_ONCE):
            await self._make(column, missing[start : start + RUNS_AT_ONCE])

    async def _make(self, column: Column, pages: Sequence[Page]) -> None:
        match column:
            case Column.SUBJECTS:
                await self._make_subjects(pages)
            case Column.ADDRESSES | Column.SORTING:
                for start in range(0, len(pages), _MADE_AT_ONCE):
                    await asyncio.gather(*map(self._make_people, pages[start : start + _MADE_AT_ONCE]))
            case Column.THREADING:
                for page in pages:
                    await self._make_threading(page)

    async def _make_subjects(self, pages: Sequence[Page]) -> None:
        run = self._run(pages[0].facts.uids[0], pages[-1].facts.uids[-1])
        async with self._store.database.read(self._who.tenant_id) as connection:
            packed = await stored.subjects(connection, run)
        texts = packed.texts.decode("utf-8", "replace").split("\0") if packed.uids else []
        await asyncio.to_thread(_set_subjects, pages, packed.uids, texts)

    async def _make_people(self, page: Page) -> None:
        """Addresses and sort keys come of the same columns, so both are made."""
        run = self._run(page.facts.uids[0], page.facts.uids[-1])
        async with self._store.database.read(self._who.tenant_id) as connection:
            packed = await stored.envelopes(connection, run)
        people = await asyncio.to_thread(_people_of, packed.envelopes, packed.lengths)
        odd = [Uid(uid) for uid, each in zip(packed.uids, people, strict=True) if each is None]
        known = {uid: each for uid, each in zip(packed.uids, people, strict=True) if each is not None}
        async for rows in fetch_rows(self._store, self._who, self._mailbox_id, odd, Columns.HEADER):
            for row in rows:
                known[row.uid] = people_of_fields(parse_fields(row.header))
        aligned_people = [known.get(uid, _NOBODY) for uid in page.facts.uids]
        base_subjects = packed.base_subjects.decode("utf-8", "replace").split("\0") if packed.uids else []
        subjects = aligned(packed.uids, base_subjects, page.facts.uids)
        await asyncio.to_thread(_set_people, page, aligned_people, subjects)

    async def _make_threading(self, page: Page) -> None:
        known: dict[int, ThreadingFacts] = {}
        uids = [Uid(uid) for uid in page.facts.uids]
        async for rows in fetch_rows(self._store, self._who, self._mailbox_id, uids, Columns.HEADER):
            known.update(await asyncio.to_thread(_threading_of, rows))
        page.threading = [known.get(uid, NO_THREADING) for uid in page.facts.uids]


_NOBODY = EnvelopePeople([], [], [], [])


def _neighbours(missing: Sequence[Wanted]) -> list[list[Wanted]]:
    """Stretches whose runs follow one another, RUNS_AT_ONCE at most."""
    found: list[list[Wanted]] = []
    for each in missing:
        if found and each.run == found[-1][-1].run + 1 and len(found[-1]) < RUNS_AT_ONCE:
            found[-1].append(each)
        else:
            found.append([each])
    return found


def _people_of(envelopes: bytes, lengths: "array[int]") -> list[EnvelopePeople | None]:
    text = envelopes.decode("latin-1")
    found: list[EnvelopePeople | None] = []
    position = 0
    for length in lengths:
        found.append(people_of_envelope(text[position : position + length]) if length else None)
        position += length
    return found


def _threading_of(rows: Sequence[FetchRow]) -> dict[int, ThreadingFacts]:
    return {row.uid: threading_facts(parse_fields(row.header)) for row in rows}


def _set_subjects(pages: Sequence[Page], uids: "array[int]", texts: Sequence[str]) -> None:
    for page in pages:
        begin, end = bisect_left(uids, page.facts.uids[0]), bisect_right(uids, page.facts.uids[-1])
        page.subjects = text_column(aligned(uids[begin:end], texts[begin:end], page.facts.uids))


def _set_people(page: Page, people: Sequence[EnvelopePeople], base_subjects: Sequence[str]) -> None:
    page.addresses = address_columns(people)
    page.sorting = sort_columns(people, base_subjects)
