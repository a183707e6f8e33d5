"""The accounts that a process has in memory for JMAP: loaded when first asked for, then led on by the log of changes.

Every question is answered as the database is now. Who asks while another's question is on its way waits for the next,
which all share: an answer that was begun before one's own change must not be taken for what came after it.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field

from mailserver.services.account_advancing import advanced, has_mailbox_changes
from mailserver.services.account_drawing import first_view, with_horizon, with_mailboxes
from mailserver.services.account_view import AccountView, Counts, MailboxContents
from storage import account_contents as stored
from storage import account_log
from storage.account_log import AccountAdvance, Logged
from storage.errors import StoreUnavailable
from storage.provisioning import provision_account
from storage.store import MailStore
from tenants.types import AccountId, Principal, TenantId

__all__ = ["AccountView", "AccountViews", "Counts", "MailboxContents"]

VIEWS_OCTETS = 256 * 1024 * 1024
CATCH_UP_ROWS = 4_000
"""A picture that more has happened to is drawn anew."""
LOG_ROWS = 30_000
"""Changes are told from at most so many rows of the log; whoever is further behind reads everything again."""
_IN_A_THREAD_MESSAGES = 5_000
_ATTEMPTS = 10

_Key = tuple[TenantId, AccountId]


@dataclass(slots=True, eq=False)
class _Account:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    next: "asyncio.Task[AccountView] | None" = None
    view: AccountView | None = None
    octets: int = 0


class AccountViews:
    """One per process; the least recently used are forgotten beyond about `limit_octets`."""

    def __init__(self, store: MailStore, *, limit_octets: int = VIEWS_OCTETS) -> None:
        self._store = store
        self._limit_octets = limit_octets
        self._octets = 0
        self._accounts: OrderedDict[_Key, _Account] = OrderedDict()

    async def of(self, who: Principal) -> AccountView:
        """The account as the database is now. Makes its first folders at the first call of its life.

        Raises StoreUnavailable.
        """
        key = (who.tenant_id, who.account_id)
        account = self._accounts.get(key)
        if account is None:
            account = self._accounts[key] = _Account()
        self._accounts.move_to_end(key)
        if account.next is None:
            if not account.lock.locked():  # nobody asks about it now: no other has to hear the answer
                return await self._answer(key, account)
            account.next = asyncio.create_task(self._next(key, account), name="account view")
            account.next.add_done_callback(_heard)
        return await asyncio.shield(account.next)

    async def log(self, who: Principal, view: AccountView, first: int) -> Sequence[Logged] | None:
        """What was logged from modseq `first` to that of the view; None: more than anybody wants to hear, or the log
        begins later by now."""
        if first > view.recent_since:
            return [row for row in view.recent if row.modseq >= first]
        known_from, known = view.memo.get("log", (0, None))
        if known is None or first < known_from:
            async with self._store.database.read(who.tenant_id) as connection:
                known = await account_log.log_between(
                    connection, who.tenant_id, who.account_id, first=first, last=view.modseq, limit=LOG_ROWS
                )
            if known is None:
                return None
            view.memo["log"] = first, known  # who takes a few changes at a time comes again
            self._weigh((who.tenant_id, who.account_id), view)
            return known
        return [row for row in known if row.modseq >= first]

    async def close(self) -> None:
        """Nobody asks any more: let what is on its way end."""
        under_way = [account.next for account in self._accounts.values() if account.next is not None]
        self._accounts.clear()
        for task in under_way:
            task.cancel()
        await asyncio.gather(*under_way, return_exceptions=True)

    async def _next(self, key: _Key, account: _Account) -> AccountView:
        """Of those who asked while another's question was on its way."""
        async with account.lock:
            account.next = None  # who comes from now on is not told what this finds
            return await self._brought_up(key, account)

    async def _answer(self, key: _Key, account: _Account) -> AccountView:
        async with account.lock:
            return await self._brought_up(key, account)

    def _keep(self, key: _Key, account: _Account, view: AccountView) -> None:
        if account.view is not view:
            account.view = view
            self._weigh(key, view)

    def _weigh(self, key: _Key, view: AccountView) -> None:
        """Count what an account takes with this picture, if it is the one that is kept."""
        account = self._accounts.get(key)
        if account is None or account.view is not view:
            return
        octets = view.octets
        self._octets += octets - account.octets
        account.octets = octets
        while self._octets > self._limit_octets and len(self._accounts) > 1:
            _, forgotten = self._accounts.popitem(last=False)
            self._octets -= forgotten.octets
            forgotten.octets = 0

    async def _brought_up(self, key: _Key, account: _Account) -> AccountView:
        view = await self._found(key, account.view)
        self._keep(key, account, view)
        return view

    async def _found(self, key: _Key, view: AccountView | None) -> AccountView:
        if view is None:
            return await self._loaded(key)
        async with self._store.database.read(key[0]) as connection:
            standing = await stored.standing(connection, *key)
        if standing is not None and (standing.epoch, standing.modseq) == (view.epoch, view.modseq):
            return with_horizon(view, standing.oldest_modseq)
        later = await self._led_on(key, view)
        return later if later is not None else await self._loaded(key)

    async def _loaded(self, key: _Key) -> AccountView:
        for _attempt in range(_ATTEMPTS):
            async with self._store.database.read(key[0]) as connection:
                contents = await stored.load(connection, *key)
                if contents is not None:
                    mailboxes = await stored.mailboxes(connection, *key)
            if contents is None:
                await provision_account(self._store.database, *key)
                continue
            if len(contents.ids) > _IN_A_THREAD_MESSAGES:
                view = await asyncio.to_thread(first_view, contents, mailboxes)
            else:
                view = first_view(contents, mailboxes)
            if mailboxes.modseq == view.modseq:
                return view
            later = await self._led_on(key, view, mailboxes_at=mailboxes.modseq)
            if later is not None:
                return later
        raise StoreUnavailable("the account changes faster than it can be read")

    async def _led_on(self, key: _Key, view: AccountView, *, mailboxes_at: int | None = None) -> AccountView | None:
        """The picture as the log leads on from it, its mailboxes those of its modseq; None: it must be drawn anew."""
        known_at = view.modseq if mailboxes_at is None else mailboxes_at
        for _attempt in range(_ATTEMPTS):
            step = await self._advance(key, view)
            if step is None or not step.is_whole:
                return None
            later = advanced(view, step)
            if later is None:
                return None
            view = later
            if not has_mailbox_changes(row for row in step.logged if row.modseq > known_at) and known_at <= view.modseq:
                return view
            if known_at < view.modseq:
                async with self._store.database.read(key[0]) as connection:
                    mailboxes = await stored.mailboxes(connection, *key)
                view, known_at = with_mailboxes(view, mailboxes), mailboxes.modseq
                if known_at == view.modseq:
                    return view
        return None

    async def _advance(self, key: _Key, view: AccountView) -> AccountAdvance | None:
        async with self._store.database.read(key[0]) as connection:
            return await account_log.advance(
                connection, *key, epoch=view.epoch, modseq=view.modseq, since_day=view.day, limit=CATCH_UP_ROWS
            )


def _heard(task: "asyncio.Task[AccountView]") -> None:
    """What it raised was raised to whoever still waited."""
    if not task.cancelled():
        task.exception()
