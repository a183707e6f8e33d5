"""SEARCH, SORT and THREAD as a process offers them: within a time limit, fairly, and remembering what comes again."""

import asyncio
import contextlib
from array import array
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from functools import partial
from typing import TypeVar

from mailserver.mime.thread_tree import Conversations, ThreadNode, by_ordered_subject, by_references
from mailserver.observability.logs import get_logger
from mailserver.services.content_search import Reader
from mailserver.services.errors import SearchTooLong
from mailserver.services.search import Evaluation, Searched, cost, positions_in
from mailserver.services.search_columns import NO_THREADING, ThreadingFacts
from mailserver.services.search_keys import SearchProgram
from mailserver.services.search_page import Page
from mailserver.services.search_pages import KEPT_MESSAGES, REMEMBERED_OCTETS, SearchPages
from mailserver.services.sorting import (
    Criterion,
    SortBy,
    columns_for,
    fact_keys,
    ordered,
    sent_dates,
    text_keys,
)
from mailserver.services.vocabularies import Vocabularies
from mailserver.tasks import end_task
from storage.errors import StorageError
from storage.search_pages import Column
from storage.store import MailStore
from storage.types import MailboxId
from tenants.types import Principal

log = get_logger()

_IN_A_THREAD_MESSAGES = 5_000
_WAITING = 100
_KEPT_REMEMBERED = 10_000

Result = TypeVar("Result")
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class SearchConfig:
    """Of SEARCH, SORT and THREAD, in one process."""

    limit_s: float = field(default=60.0, metadata={"least": 1})
    """how long one search may take; a longer one ends in NO [LIMIT]"""
    keep_after_s: float = 1.0  # how long after a search the pages it will need the next time are written
    at_once: int = field(default=2, metadata={"least": 1})  # how many searches read bodies at the same time
    remembered_octets: int = REMEMBERED_OCTETS  # memory for what searches and sorts found out about messages


class Threading(Enum):
    ORDERED_SUBJECT = "ordered subject"
    REFERENCES = "references"


@dataclass(frozen=True, slots=True)
class _ToKeep:
    who: Principal
    mailbox_id: MailboxId
    uids: "array[int]"
    columns: Sequence[Column]


_ALWAYS_KEPT = frozenset({Column.SUBJECTS, Column.ADDRESSES})


class Searches:
    """One per process. What is found is positions of the view that was searched."""

    def __init__(self, store: MailStore, config: SearchConfig | None = None) -> None:
        self._store = store
        self._config = config or SearchConfig()
        self._pages = SearchPages(store, remembered_octets=self._config.remembered_octets)
        self._vocabularies = Vocabularies(store)
        self._turns = asyncio.Semaphore(self._config.at_once)
        self._keeping: asyncio.Task[None] | None = None
        self._to_keep: OrderedDict[tuple[int, int], _ToKeep] = OrderedDict()
        self._kept: OrderedDict[tuple[int, int], tuple[int, frozenset[Column]]] = OrderedDict()

    async def close(self) -> None:
        self._to_keep.clear()
        await end_task(self._keeping)

    async def settle(self) -> None:
        """Wait until what is to be kept is kept."""
        while self._keeping is not None and not self._keeping.done():
            await asyncio.wait({self._keeping})

    async def search(self, who: Principal, searched: Searched, program: SearchProgram) -> list[int]:
        """Positions that match, ascending. Messages that are gone match nothing that must be read.

        Raises SearchTooLong.
        """
        async with self._limited():
            positions = await self._evaluation(who, searched).positions(program)
        if cost(program):  # who asks for flags and numbers alone may never ask for more
            self._keep_later(who, searched, ())
        return positions

    async def sort(
        self, who: Principal, searched: Searched, program: SearchProgram, criteria: Sequence[Criterion]
    ) -> list[int]:
        """Positions that match, in the order asked for. Raises SearchTooLong."""
        columns = columns_for(criteria)
        async with self._limited():
            evaluation = self._evaluation(who, searched)
            positions = await evaluation.positions(program)
            pages = await evaluation.pages_at(positions, *columns)
            order = await _perhaps_in_a_thread(len(positions), lambda: _sorted(searched, pages, positions, criteria))
        self._keep_later(who, searched, columns)
        return order

    async def thread(
        self, who: Principal, searched: Searched, program: SearchProgram, threading: Threading
    ) -> tuple[list[int], list[ThreadNode]]:
        """Positions that match, ascending; and their threads, whose nodes are indexes into these positions.

        Raises SearchTooLong.
        """
        is_by_references = threading is Threading.REFERENCES
        columns = (Column.SORTING, Column.THREADING) if is_by_references else (Column.SORTING,)
        async with self._limited():
            evaluation = self._evaluation(who, searched)
            positions = await evaluation.positions(program)
            pages = await evaluation.pages_at(positions, *columns)
            threads = await _perhaps_in_a_thread(
                len(positions), lambda: _threaded(searched, pages, positions, threading)
            )
        self._keep_later(who, searched, columns)
        return positions, threads

    async def texts_to_sort_by(
        self, who: Principal, searched: Searched, positions: Sequence[int], by: SortBy
    ) -> Sequence[bytes]:
        """What the messages at these positions are compared by (i;unicode-casemap), one for each position of the view.

        Raises SearchTooLong.
        """
        columns = (Column.SORTING,)
        async with self._limited():
            pages = await self._evaluation(who, searched).pages_at(positions, *columns)
        self._keep_later(who, searched, columns)
        return _over_view(searched, pages, partial(text_keys, by=by), b"")

    async def modseqs(self, who: Principal, searched: Searched) -> dict[int, int]:
        """The modseq of each message that is still there, by uid."""
        return await self._evaluation(who, searched).modseqs() if searched.uids else {}

    def _evaluation(self, who: Principal, searched: Searched) -> Evaluation:
        reader = Reader(self._store, who, searched.mailbox_id, self._turns)
        return Evaluation(self._store, self._pages, who, searched, reader, self._vocabularies)

    @contextlib.asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._config.limit_s):
                yield
        except TimeoutError:
            raise SearchTooLong(self._config.limit_s) from None

    # Who searches once will search again: pages are kept for the mailbox, a while after, one mailbox at a time.

    def _keep_later(self, who: Principal, searched: Searched, columns: Sequence[Column]) -> None:
        if not searched.uids:
            return
        key = (who.account_id, searched.mailbox_id)
        until, kept = self._kept.get(key, (0, frozenset()))
        wanted = kept.union(_ALWAYS_KEPT, columns)
        if (searched.uids[-1] < until + KEPT_MESSAGES and wanted == kept) or len(self._to_keep) >= _WAITING:
            return
        self._kept[key] = (searched.uids[-1], wanted)
        self._kept.move_to_end(key)
        if len(self._kept) > _KEPT_REMEMBERED:
            self._kept.popitem(last=False)
        self._to_keep[key] = _ToKeep(who, searched.mailbox_id, searched.uids[:], [*wanted])
        if self._keeping is None or self._keeping.done():
            self._keeping = asyncio.create_task(self._keep_all(), name="search pages")

    async def _keep_all(self) -> None:
        while self._to_keep:
            await asyncio.sleep(self._config.keep_after_s)
            _, kept = self._to_keep.popitem(last=False)
            try:
                await self._pages.keep(kept.who, kept.mailbox_id, kept.uids, kept.columns)
            except StorageError as error:
                log.info("search pages were not kept", error=type(error).__name__)


async def _perhaps_in_a_thread(count: int, work: Callable[[], Result]) -> Result:
    return await asyncio.to_thread(work) if count > _IN_A_THREAD_MESSAGES else work()


def _sorted(
    searched: Searched, pages: Sequence[Page], positions: Sequence[int], criteria: Sequence[Criterion]
) -> list[int]:
    """A message of which no page knows has gone meanwhile; it comes first."""
    values: list[Sequence[int] | Sequence[bytes]] = []
    for criterion in criteria:
        if criterion.is_of_facts:
            values.append(_over_view(searched, pages, partial(fact_keys, by=criterion.by), 0))
        else:
            values.append(_over_view(searched, pages, partial(text_keys, by=criterion.by), b""))
    return ordered(positions, criteria, values)


def _threaded(
    searched: Searched, pages: Sequence[Page], positions: Sequence[int], threading: Threading
) -> list[ThreadNode]:
    sent = _over_view(searched, pages, sent_dates, 0)
    subjects = _over_view(searched, pages, partial(text_keys, by=SortBy.SUBJECT), b"")
    of_messages: list[ThreadingFacts] = []
    if threading is Threading.REFERENCES:
        known = _over_view(searched, pages, _threading_of, NO_THREADING)
        of_messages = [known[position] for position in positions]
    conversations = Conversations(
        sent=[sent[position] for position in positions],
        subjects=[subjects[position] for position in positions],
        are_replies=[each.is_reply for each in of_messages],
        ids=[each.message_id for each in of_messages],
        references=[each.references for each in of_messages],
    )
    return by_references(conversations) if threading is Threading.REFERENCES else by_ordered_subject(conversations)


def _threading_of(page: Page) -> list[ThreadingFacts]:
    assert page.threading is not None
    return page.threading


def _over_view(
    searched: Searched, pages: Sequence[Page], values: Callable[[Page], Sequence[Value]], missing: Value
) -> list[Value]:
    """What the pages know, one for each position of the view."""
    column = [missing] * len(searched.uids)
    for page in pages:
        places = positions_in(searched.uids, page.facts.uids)
        if isinstance(places, range):
            column[places.start : places.stop] = values(page)
            continue
        for place, value in zip(places, values(page), strict=True):
            if place >= 0:
                column[place] = value
    return column
