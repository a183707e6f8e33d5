"""Immutable facts and header texts of a mailbox's messages, page by page: remembered, read back, or made.

A *run* is 1,024 consecutive uids. There is a page of it, kept in the database too, so that no process need make it
again; and of what came since, small ones in memory, until enough has come to keep the whole run anew. What a page says
of a message is true for ever, so a page is never wrong; in memory it may hold messages that are gone.
"""

import asyncio
from array import array
from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar
from weakref import WeakValueDictionary

from mailserver.mime.envelope_people import EnvelopePeople, people_of_envelope, people_of_fields
from mailserver.mime.fields import parse_fields
from mailserver.services.messages import fetch_rows
from mailserver.services.search_columns import (
    NO_THREADING,
    AddressColumns,
    SortColumns,
    ThreadingFacts,
    address_columns,
    aligned,
    facts_between,
    facts_joined,
    pack_columns,
    pack_facts,
    pack_threading,
    sort_columns,
    stamp_of,
    text_column,
    threading_facts,
    unpack_columns,
    unpack_facts,
    unpack_threading,
)
from storage import search_pages as stored
from storage import zstd
from storage.errors import ContentDamaged
from storage.rows import Columns, FetchRow
from storage.search_pages import RUN_BITS, Column, PackedFacts, Run
from storage.store import MailStore
from storage.types import MailboxId, Uid
from tenants.types import Principal

REMEMBERED_OCTETS = 64 * 1024 * 1024
RUNS_AT_ONCE = 8
"""Runs read by one statement, when pages are made."""
_PAGES_AT_ONCE = 64
_COLUMN_LIMIT_OCTETS = 64 * 1024 * 1024
_ADDRESS_FIELDS, _SORT_FIELDS = 4, 6
_SCATTERED = 16
"""More pages of one run than this become one."""
KEPT_MESSAGES = 64
"""Fewer new messages than this are no reason to keep a page."""

Unpacked = TypeVar("Unpacked")


@dataclass(slots=True, eq=False)
class Page:
    """`stamp` is None until the page is known to be kept. Columns are there once they were asked for; `kept`: there."""

    facts: PackedFacts
    stamp: int | None = None
    subjects: bytes | None = None
    addresses: AddressColumns | None = None
    sorting: SortColumns | None = None
    threading: list[ThreadingFacts] | None = None
    kept: set[Column] = field(default_factory=set)

    def has(self, column: Column) -> bool:
        return getattr(self, column.value) is not None

    @property
    def size(self) -> int:
        """About how many octets it takes."""
        octets = 64 * len(self.facts.uids) + len(self.subjects or b"")
        for columns in (self.addresses, self.sorting):
            if columns is not None:
                octets += sum(len(getattr(columns, name)) for name in columns.__slots__)
        if self.threading is not None:
            octets += sum(160 + 8 * len(each.references) for each in self.threading)
        return octets


@dataclass(slots=True, eq=False)
class _Remembered:
    """The pages of one run, by ascending uid; together they hold all messages up to `until`."""

    until: int
    pages: list[Page] = field(default_factory=list)


_Key = tuple[int, int, int]  # account, mailbox, run


@dataclass(frozen=True, slots=True)
class Wanted:
    """A stretch of a view within one run: positions `begin` to `end` (excluded) of its uids."""

    run: int
    begin: int
    end: int


def stretches(uids: "array[int]") -> list[Wanted]:
    """A view's uids, run by run."""
    found: list[Wanted] = []
    begin = 0
    while begin < len(uids):
        run = uids[begin] >> RUN_BITS
        end = bisect_left(uids, (run + 1) << RUN_BITS, begin)
        found.append(Wanted(run, begin, end))
        begin = end
    return found


class SearchPages:
    """The pages of one process, the least recently used forgotten beyond `remembered_octets`."""

    def __init__(self, store: MailStore, *, remembered_octets: int = REMEMBERED_OCTETS) -> None:
        self._store = store
        self._limit = remembered_octets
        self._octets = 0
        self._remembered: OrderedDict[_Key, _Remembered] = OrderedDict()
        self._sizes: dict[_Key, int] = {}
        self._locks: WeakValueDictionary[tuple[int, int], asyncio.Lock] = WeakValueDictionary()

    async def of(
        self,
        who: Principal,
        mailbox_id: MailboxId,
        uids: "array[int]",
        wanted: Sequence[Wanted],
        columns: Sequence[Column] = (),
    ) -> list[Page]:
        """Pages that hold all messages of the wanted stretches of a view which are still there, with these columns."""
        found = self._known(who, mailbox_id, uids, wanted, columns)
        if found is None:
            lock = self._locks.setdefault((who.account_id, mailbox_id), asyncio.Lock())
            async with lock:  # who makes the same pages at the same time waits for the first
                found = self._known(who, mailbox_id, uids, wanted, columns)
                if found is None:
                    found = await self._brought(who, mailbox_id, uids, wanted, columns)
        return [page for remembered in found for page in remembered.pages]

    def _known(
        self,
        who: Principal,
        mailbox_id: MailboxId,
        uids: "array[int]",
        wanted: Sequence[Wanted],
        columns: Sequence[Column],
    ) -> list[_Remembered] | None:
        """What is remembered, if that is all."""
        found: list[_Remembered] = []
        for each in wanted:
            key = (who.account_id, mailbox_id, each.run)
            known = self._remembered.get(key)
            if known is None or known.until < uids[each.end - 1] or len(known.pages) > _SCATTERED:
                return None
            if not all(page.has(column) for column in columns for page in known.pages):
                return None
            self._remembered.move_to_end(key)
            found.append(known)
        return found

    async def _brought(
        self,
        who: Principal,
        mailbox_id: MailboxId,
        uids: "array[int]",
        wanted: Sequence[Wanted],
        columns: Sequence[Column],
    ) -> list[_Remembered]:
        loading = _Loading(self._store, who, mailbox_id)
        found: dict[int, _Remembered] = {}
        unknown: list[int] = []
        for each in wanted:
            known = self._remembered.get((who.account_id, mailbox_id, each.run))
            if known is None or len(known.pages) > _SCATTERED:
                unknown.append(each.run)
            else:
                found[each.run] = known
        for run, page in (await loading.kept(unknown)).items():
            found[run] = _Remembered(page.facts.uids[-1], [page])
        await loading.bring_up(found, uids, wanted)
        pages = [page for each in wanted for page in found[each.run].pages]
        for column in columns:
            await loading.add(column, [page for page in pages if not page.has(column)])
        for run, remembered in found.items():
            self._remember((who.account_id, mailbox_id, run), remembered)
        return [found[each.run] for each in wanted]

    async def keep(self, who: Principal, mailbox_id: MailboxId, uids: "array[int]", columns: Sequence[Column]) -> None:
        """Have pages with these columns in the database, of all that a view shows but for a few new messages."""
        wanted = stretches(uids)
        for start in range(0, len(wanted), RUNS_AT_ONCE):
            for each in wanted[start : start + RUNS_AT_ONCE]:
                pages = await self.of(who, mailbox_id, uids, [each], columns)
                page = pages[0] if len(pages) == 1 else None
                loose = sum(len(page.facts.uids) for page in pages if page.stamp is None)
                if loose >= KEPT_MESSAGES and len(pages) > 1:
                    page = Page(facts_joined([page.facts for page in pages]))
                    await _Loading(self._store, who, mailbox_id).add_all(columns, page)
                    remembered = _Remembered(max(page.facts.uids[-1], uids[each.end - 1]), [page])
                    self._remember((who.account_id, mailbox_id, each.run), remembered)
                if page is not None and (page.stamp is not None or len(page.facts.uids) >= KEPT_MESSAGES):
                    await _Keeping(self._store, who, mailbox_id).keep(page)

    def _remember(self, key: _Key, remembered: _Remembered) -> None:
        size = 256 + sum(page.size for page in remembered.pages)
        self._octets += size - self._sizes.get(key, 0)
        self._sizes[key] = size
        self._remembered[key] = remembered
        self._remembered.move_to_end(key)
        while self._octets > self._limit and len(self._remembered) > 1:
            oldest, _ = self._remembered.popitem(last=False)
            self._octets -= self._sizes.pop(oldest)


class _Loading:
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

    async def bring_up(self, found: dict[int, _Remembered], uids: "array[int]", wanted: Sequence[Wanted]) -> None:
        """Make a page for each run of what no page holds yet; runs beside one another by one statement."""
        missing = [each for each in wanted if each.run not in found or found[each.run].until < uids[each.end - 1]]
        for some in _neighbours(missing):
            known = found.get(some[0].run)
            first = some[0].run << RUN_BITS if known is None else known.until + 1
            facts = await self.facts(first, uids[some[-1].end - 1])
            for each in some:
                remembered = found.setdefault(each.run, _Remembered(0))
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
            facts = _undone(row.packed, unpack_facts)
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
                    _set_packed(page, column, row.packed)
                    if page.has(column):
                        page.kept.add(column)
        missing = [page for page in pages if not page.has(column) and page.facts.uids]
        missing.sort(key=lambda page: page.facts.uids[0])
        for start in range(0, len(missing), RUNS_AT_ONCE):
            await self._make(column, missing[start : start + RUNS_AT_ONCE])
        for page in pages:
            if not page.facts.uids:
                _fill_empty(page, column)

    async def _make(self, column: Column, pages: Sequence[Page]) -> None:
        match column:
            case Column.SUBJECTS:
                await self._make_subjects(pages)
            case Column.ADDRESSES | Column.SORTING:
                for page in pages:
                    await self._make_people(page)
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


def _fill_empty(page: Page, column: Column) -> None:
    match column:
        case Column.SUBJECTS:
            page.subjects = b""
        case Column.ADDRESSES | Column.SORTING:
            _set_people(page, [], [])
        case Column.THREADING:
            page.threading = []


def _undone(packed: bytes, unpack: Callable[[bytes], Unpacked]) -> Unpacked | None:
    """What a kept column holds; None: it is not readable, so it is made anew."""
    try:
        return unpack(zstd.unpack(packed, limit_octets=_COLUMN_LIMIT_OCTETS))
    except (ContentDamaged, ValueError):
        return None


def _set_packed(page: Page, column: Column, packed: bytes) -> None:
    match column:
        case Column.SUBJECTS:
            page.subjects = _undone(packed, bytes)
        case Column.ADDRESSES:
            addresses = _undone(packed, lambda octets: unpack_columns(octets, _ADDRESS_FIELDS))
            page.addresses = None if addresses is None else AddressColumns(*addresses)
        case Column.SORTING:
            keys = _undone(packed, lambda octets: unpack_columns(octets, _SORT_FIELDS))
            page.sorting = None if keys is None else SortColumns(*keys)
        case Column.THREADING:
            threading = _undone(packed, unpack_threading)
            page.threading = threading if threading and len(threading) == len(page.facts.uids) else None


class _Keeping:
    """Writes pages of one mailbox to the database."""

    def __init__(self, store: MailStore, who: Principal, mailbox_id: MailboxId) -> None:
        self._store = store
        self._who = who
        self._mailbox_id = mailbox_id

    async def keep(self, page: Page) -> None:
        uids = page.facts.uids
        if not uids:
            return
        number = uids[0] >> RUN_BITS
        run = Run(self._who.tenant_id, self._who.account_id, self._mailbox_id, uids[0], uids[-1])
        if page.stamp is None:
            stamp = stamp_of(uids)
            packed = await asyncio.to_thread(lambda: zstd.pack(pack_facts(page.facts)))
            async with self._store.database.read(run.tenant_id) as connection:
                if not await stored.keep(
                    connection, run, number=number, stamp=stamp, messages=len(uids), packed_facts=packed
                ):
                    return
            page.stamp = stamp
        for column in Column:
            if page.has(column) and column not in page.kept:
                await self._keep_column(run, number, page, column)
                page.kept.add(column)

    async def _keep_column(self, run: Run, number: int, page: Page, column: Column) -> None:
        packed = await asyncio.to_thread(_packed, page, column)
        assert page.stamp is not None
        async with self._store.database.read(run.tenant_id) as connection:
            await stored.keep_column(connection, run, number=number, stamp=page.stamp, column=column, packed=packed)


def _packed(page: Page, column: Column) -> bytes:
    match column:
        case Column.SUBJECTS:
            octets = page.subjects or b""
        case Column.ADDRESSES:
            assert page.addresses is not None
            octets = pack_columns(_values(page.addresses))
        case Column.SORTING:
            assert page.sorting is not None
            octets = pack_columns(_values(page.sorting))
        case Column.THREADING:
            octets = pack_threading(page.threading or [])
    return zstd.pack(octets)


def _values(columns: AddressColumns | SortColumns) -> list[bytes]:
    return [getattr(columns, name) for name in columns.__slots__]
