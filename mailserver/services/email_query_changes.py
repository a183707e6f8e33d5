"""What changed in a list of Emails by time of arrival since a place in the log (RFC 8620 §5.6, RFC 8621 §4.5). Pure.

The list is that of a mailbox or of all, so only coming and going changes it; the order of two Emails never does. With
threads collapsed, the one Email that stands for a thread may change when another of it comes or goes.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from mailserver.services.account_changes import Place, Undone, threads_of
from mailserver.services.account_view import AccountView
from mailserver.services.email_filters import InMailbox
from mailserver.services.email_queries import EmailQuery, Results
from mailserver.services.email_sorting import LATEST_FIRST
from storage.account_log import Logged
from storage.types import MessageId


@dataclass(frozen=True, slots=True)
class QueryChanges:
    """`added` has indexes in the list as it is now, ascending."""

    removed: Sequence[MessageId]
    added: Sequence[tuple[int, MessageId]]


def query_changes(
    view: AccountView,
    query: EmailQuery,
    now: Results,
    logged: Sequence[Logged],
    since: Place,
    up_to: MessageId | None,
) -> QueryChanges | None:
    """From `since` on. `up_to`: what stands behind it in the list may be left out.

    None: a message came and went of which nobody knows any more what it stood for.
    """
    lists = _Lists(view, query, logged, since)
    changes = lists.of_threads() if query.is_collapsed else lists.of_emails()
    if changes is None:
        return None
    removed, added = changes
    if up_to is not None:
        removed = [each for each in removed if not lists.stood_behind(each, up_to)]
    indexes: list[tuple[int, MessageId]] = []
    last = None if up_to is None else _index(view, now, up_to)
    for each in added:
        index = _index(view, now, each)
        if index is not None and (last is None or index <= last):
            indexes.append((index, each))
    return QueryChanges(removed, sorted(indexes))


def _index(view: AccountView, now: Results, message: MessageId) -> int | None:
    slot = view.slot_of(message)
    return None if slot is None else now.index_of(slot)


class _Lists:
    """A list as it was and as it is, as far as the log says they differ."""

    def __init__(self, view: AccountView, query: EmailQuery, logged: Sequence[Logged], since: Place) -> None:
        self._view = view
        self._mailbox = query.filter.mailbox if isinstance(query.filter, InMailbox) else None
        self._is_of_all = not isinstance(query.filter, InMailbox)
        self._is_collapsed = query.is_collapsed
        self._is_latest_first = query.order[0] == LATEST_FIRST
        self._logged = logged
        undone = Undone(view, logged)
        self._stood: dict[int, bool] = {}
        self._stands: dict[int, bool] = {}
        for message in undone.messages:
            before = undone.mailboxes(message, lambda row: row.modseq > since.modseq)
            after = undone.mailboxes(message, lambda _row: False)
            self._stood[message], self._stands[message] = self._is_in(before), self._is_in(after)

    def _is_in(self, mailboxes: Collection[int]) -> bool:
        return bool(mailboxes) if self._is_of_all else self._mailbox in mailboxes

    def of_emails(self) -> tuple[list[MessageId], list[MessageId]]:
        """Removed, added."""
        changed = [each for each, stood in self._stood.items() if stood != self._stands[each]]
        removed = [MessageId(each) for each in changed if self._stood[each]]
        return removed, [MessageId(each) for each in changed if self._stands[each]]

    def of_threads(self) -> tuple[list[MessageId], list[MessageId]] | None:
        """The same of those that stand for their threads."""
        threads = threads_of(self._view, self._logged)
        touched: dict[int, None] = {}
        for message, stood in self._stood.items():
            if stood == self._stands[message]:
                continue
            if message not in threads or self._view.slot_of(MessageId(message)) is None:
                return None
            touched[threads[message]] = None
        removed: list[MessageId] = []
        added: list[MessageId] = []
        for thread in touched:
            before, after = self._first(thread, was=True), self._first(thread, was=False)
            if before != after:
                removed += [] if before is None else [self._view.id_at(before)]
                added += [] if after is None else [self._view.id_at(after)]
        return removed, added

    def _first(self, thread: int, *, was: bool) -> int | None:
        """The slot that stands, or stood, for a thread."""
        view = self._view
        known = self._stood if was else self._stands
        members: list[int] = []
        for slot in view.members_of_thread(thread):
            shown = known.get(view.facts.ids[slot])
            if shown if shown is not None else self._is_in(view.homes.sets[view.home[slot]]):
                members.append(slot)
        if not members:
            return None
        return max(members, key=view.facts.order_of) if self._is_latest_first else min(members, key=view.facts.order_of)

    def stood_behind(self, message: MessageId, up_to: MessageId) -> bool:
        """Was it behind `up_to` in the list, as far as anybody knows?"""
        slot, last = self._view.slot_of(message), self._view.slot_of(up_to)
        if slot is None or last is None or not self._stood_in_list(up_to, last):
            return False
        mine, other = self._view.facts.order_of(slot), self._view.facts.order_of(last)
        return mine < other if self._is_latest_first else mine > other

    def _stood_in_list(self, message: MessageId, slot: int) -> bool:
        view = self._view
        if self._is_collapsed:
            return self._first(view.facts.threads[slot], was=True) == slot
        stood = self._stood.get(message)
        return stood if stood is not None else self._is_in(view.homes.sets[view.home[slot]])
