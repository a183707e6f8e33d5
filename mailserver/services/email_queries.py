"""Which Emails an account has, filtered, in order, and one of each thread if that is asked for (RFC 8621 §4.4).

What most clients ask, a mailbox or everything by time of arrival, is a slice of an order that the view keeps, and of
threads only as many are looked at as are shown. What else is found is kept with the picture it was found in, so that
the next page of it costs nothing.
"""

import asyncio
from array import array
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Protocol

from mailserver.services import position_mask as masks
from mailserver.services.account_view import AccountView
from mailserver.services.email_filters import EVERYTHING, AllOf, EmailFilter, InMailbox, bits_of, matching
from mailserver.services.email_sorting import ARRIVAL, LATEST_FIRST, TEXTS, Comparator, Keys, keys_in_memory, ordered
from mailserver.services.email_texts import EmailTexts
from mailserver.services.errors import SearchTooLong

LIMIT_S = 60.0
"""For one query."""
_KEPT_RESULTS = 4
_IN_A_THREAD_EMAILS = 5_000
_FEW = 8
"""Fewer than one in so many: sorting those that match costs less than looking through the order of all."""


@dataclass(frozen=True, slots=True)
class EmailQuery:
    """An empty `sort`: latest first."""

    filter: EmailFilter = EVERYTHING
    sort: tuple[Comparator, ...] = ()
    is_collapsed: bool = False

    @property
    def is_by_arrival(self) -> bool:
        """Nothing but arrival decides: the order of two Emails never changes."""
        return len(self.order) == 1 and self.order[0] in (ARRIVAL, LATEST_FIRST)

    @property
    def order(self) -> tuple[Comparator, ...]:
        return self.sort or (LATEST_FIRST,)

    @property
    def is_of_mailbox(self) -> bool:
        """All that stand in one mailbox, or in any."""
        return self.filter == EVERYTHING or isinstance(self.filter, InMailbox)


class Results(Protocol):
    """Slots, in order."""

    def total(self) -> int: ...

    def between(self, begin: int, end: int) -> Sequence[int]: ...

    def index_of(self, slot: int) -> int | None: ...


@dataclass(frozen=True, slots=True)
class ByArrival:
    """An order of arrival that the view keeps, or the other way round."""

    view: AccountView
    slots: "array[int]"
    is_latest_first: bool

    def total(self) -> int:
        return len(self.slots)

    def between(self, begin: int, end: int) -> Sequence[int]:
        if not self.is_latest_first:
            return self.slots[begin:end]
        count = len(self.slots)
        return self.slots[max(count - end, 0) : max(count - begin, 0)][::-1]

    def index_of(self, slot: int) -> int | None:
        place = bisect_left(self.slots, self.view.facts.order_of(slot), key=self.view.facts.order_of)
        if place == len(self.slots) or self.slots[place] != slot:
            return None
        return len(self.slots) - 1 - place if self.is_latest_first else place


@dataclass(frozen=True, slots=True)
class InAnyOrder:
    slots: "array[int]"

    def total(self) -> int:
        return len(self.slots)

    def between(self, begin: int, end: int) -> Sequence[int]:
        return self.slots[begin:end]

    def index_of(self, slot: int) -> int | None:
        try:
            return self.slots.index(slot)
        except ValueError:
            return None


class Collapsed:
    """The first Email of each thread. Looked through as far as somebody asks, and no further."""

    def __init__(self, view: AccountView, whole: Results, known_total: int | None) -> None:
        self._threads = view.facts.threads
        self._whole = whole
        self._known_total = known_total
        self._looked_at = 0
        self._seen: set[int] = set()
        self._firsts = array("I")
        self._places = array("I")  # where those stand in the whole, ascending

    def total(self) -> int:
        if self._known_total is None:
            self._look(self._whole.total())
            self._known_total = len(self._firsts)
        return self._known_total

    def between(self, begin: int, end: int) -> Sequence[int]:
        while len(self._firsts) < end and self._looked_at < self._whole.total():
            self._look(end - len(self._firsts))
        return self._firsts[begin:end]

    def index_of(self, slot: int) -> int | None:
        whole_index = self._whole.index_of(slot)
        if whole_index is None:
            return None
        if whole_index >= self._looked_at:
            self._look(whole_index + 1 - self._looked_at)
        index = bisect_left(self._places, whole_index)
        return index if index < len(self._places) and self._places[index] == whole_index else None

    def _look(self, more: int) -> None:
        slots = self._whole.between(self._looked_at, self._looked_at + more)
        for place, slot in enumerate(slots, start=self._looked_at):
            thread = self._threads[slot]
            if thread not in self._seen:
                self._seen.add(thread)
                self._firsts.append(slot)
                self._places.append(place)
        self._looked_at += len(slots)
        if self._looked_at == self._whole.total():
            self._seen.clear()  # it takes twenty times what is found


async def results(texts: EmailTexts, query: EmailQuery) -> Results:
    """What the account of `texts`, as its view shows it, holds for a query. Raises SearchTooLong."""
    view = texts.view
    found: Results | None = view.memo.get(query)
    if found is None:
        try:
            async with asyncio.timeout(LIMIT_S):
                found = await _found(texts, query)
        except TimeoutError:
            raise SearchTooLong(LIMIT_S) from None
        if query.is_collapsed:
            found = Collapsed(view, found, _threads_known(view, query))
        kept = [each for each in view.memo if isinstance(each, EmailQuery)]
        if len(kept) >= _KEPT_RESULTS:
            view.memo.pop(kept[0], None)
        view.memo[query] = found
    return found


def _threads_known(view: AccountView, query: EmailQuery) -> int | None:
    match query.filter:
        case InMailbox(mailbox):
            return 0 if mailbox is None else view.counts(mailbox).total_threads
        case _:
            return None


async def _found(texts: EmailTexts, query: EmailQuery) -> Results:
    view, order = texts.view, query.order
    base, remaining = _base(view, query.filter)
    if remaining == EVERYTHING and query.is_by_arrival:
        return ByArrival(view, base, is_latest_first=order[0] == LATEST_FIRST)
    slots: Sequence[int] = base
    if remaining != EVERYTHING:
        among = masks.everything(view.count) if base is view.everything else masks.of_positions(base, view.count)
        slots = await _perhaps_in_a_thread(view, base, await matching(view, remaining, among, texts))
    if query.is_by_arrival:
        return ByArrival(view, array("I", slots), is_latest_first=order[0] == LATEST_FIRST)
    if order[-1] == LATEST_FIRST:  # then those that are alike in what comes before stand so
        slots, order = slots[::-1], order[:-1]
    keys: list[tuple[Comparator, Keys]] = []
    for each in order:
        if each.by in TEXTS:
            keys.append((each, await texts.keys(slots, each.by, each.collation)))
        else:
            keys.append((each, keys_in_memory(view, each)))
    if len(slots) > _IN_A_THREAD_EMAILS:
        return InAnyOrder(array("I", await asyncio.to_thread(ordered, slots, keys)))
    return InAnyOrder(array("I", ordered(slots, keys)))


def _base(view: AccountView, filter_: EmailFilter) -> "tuple[array[int], EmailFilter]":
    """The smallest order of arrival in which all that matches stands, and what is left to be asked about it."""
    match filter_:
        case InMailbox(mailbox):
            return (array("I") if mailbox is None else view.contents(mailbox).order), EVERYTHING
        case AllOf(filters):
            orders = [(_base(view, each)[0], each) for each in filters if isinstance(each, InMailbox)]
            if orders:
                order, chosen = min(orders, key=lambda each: len(each[0]))
                return order, AllOf(tuple(each for each in filters if each is not chosen))
    return view.everything, filter_


async def _perhaps_in_a_thread(view: AccountView, base: "array[int]", mask: int) -> Sequence[int]:
    if len(base) > _IN_A_THREAD_EMAILS:
        return await asyncio.to_thread(_chosen, view, base, mask)
    return _chosen(view, base, mask)


def _chosen(view: AccountView, base: "array[int]", mask: int) -> Sequence[int]:
    """Those of the mask, in the order of arrival."""
    if mask.bit_count() * _FEW < len(base):
        shown = [slot for slot in masks.positions_of(mask) if view.home[slot]]
        return sorted(shown, key=view.facts.order_of)
    return list(compress(base, map(bits_of(view, mask).__getitem__, base)))
