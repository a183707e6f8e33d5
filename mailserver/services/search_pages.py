"""Immutable facts and header texts of a mailbox's messages, page by page: remembered, read back, or made.

A *run* is 1,024 consecutive uids. There is a page of it, kept in the database too, so that no process need make it
again; and of what came since, small ones in memory, until enough has come to keep the whole run anew. What a page says
of a message is true for ever, so a page is never wrong; in memory it may hold messages that are gone.
"""

import asyncio
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from weakref import WeakValueDictionary

from mailserver.services.page_keeping import PageKeeping
from mailserver.services.page_making import RUNS_AT_ONCE, PageMaking, PagesOfRun
from mailserver.services.search_columns import facts_joined
from mailserver.services.search_page import Page, Wanted, stretches
from storage.search_pages import Column
from storage.store import MailStore
from storage.types import MailboxId
from tenants.types import Principal

REMEMBERED_OCTETS = 64 * 1024 * 1024
KEPT_MESSAGES = 64
"""Fewer new messages than this are no reason to keep a page."""
_SCATTERED = 16
"""More pages of one run than this become one."""

_Key = tuple[int, int, int]  # account, mailbox, run


class SearchPages:
    """The pages of one process, the least recently used forgotten beyond `remembered_octets`."""

    def __init__(self, store: MailStore, *, remembered_octets: int = REMEMBERED_OCTETS) -> None:
        self._store = store
        self._limit = remembered_octets
        self._octets = 0
        self._remembered: OrderedDict[_Key, PagesOfRun] = OrderedDict()
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
    ) -> list[PagesOfRun] | None:
        """What is remembered, if that is all."""
        found: list[PagesOfRun] = []
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
    ) -> list[PagesOfRun]:
        loading = PageMaking(self._store, who, mailbox_id)
        found: dict[int, PagesOfRun] = {}
        unknown: list[int] = []
        for each in wanted:
            known = self._remembered.get((who.account_id, mailbox_id, each.run))
            if known is None or len(known.pages) > _SCATTERED:
                unknown.append(each.run)
            else:
                found[each.run] = known
        for run, page in (await loading.kept(unknown)).items():
            found[run] = PagesOfRun(page.facts.uids[-1], [page])
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
            some = wanted[start : start + RUNS_AT_ONCE]
            await self.of(who, mailbox_id, uids, some, columns)
            for each in some:
                pages = await self.of(who, mailbox_id, uids, [each], columns)
                page = pages[0] if len(pages) == 1 else None
                loose = sum(len(page.facts.uids) for page in pages if page.stamp is None)
                if loose >= KEPT_MESSAGES and len(pages) > 1:
                    page = Page(facts_joined([page.facts for page in pages]))
                    await PageMaking(self._store, who, mailbox_id).add_all(columns, page)
                    remembered = PagesOfRun(max(page.facts.uids[-1], uids[each.end - 1]), [page])
                    self._remember((who.account_id, mailbox_id, each.run), remembered)
                if page is None or (page.stamp is None and len(page.facts.uids) < KEPT_MESSAGES):
                    continue
                if not await PageKeeping(self._store, who, mailbox_id).keep(page):
                    self._forget((who.account_id, mailbox_id, each.run))

    def _forget(self, key: _Key) -> None:
        if self._remembered.pop(key, None) is not None:
            self._octets -= self._sizes.pop(key)

    def _remember(self, key: _Key, remembered: PagesOfRun) -> None:
        size = 256 + sum(page.size for page in remembered.pages)
        self._octets += size - self._sizes.get(key, 0)
        self._sizes[key] = size
        self._remembered[key] = remembered
        self._remembered.move_to_end(key)
        while self._octets > self._limit and len(self._remembered) > 1:
            self._forget(next(iter(self._remembered)))
