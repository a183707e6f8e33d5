r"""What changed in an account since a state, by the log: Emails, Threads and Mailboxes made, altered, gone. Pure.

The log says what happened to placements; the picture of the account says how things stand at its end. So whether a
message was there at an earlier moment is found by undoing what the log says came after it. An Email is there while it
stands somewhere without \Deleted (RFC 8621 §4.1.1), a Thread while it has an Email.

A state is a place in the log: everything up to a modseq, or of that modseq only what concerns objects up to an id. So
there is a state between any two changes, and a client that takes one object at a time gets everywhere
(RFC 8620 §5.2).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from itertools import groupby
from operator import attrgetter

from mailserver.services.account_view import READ, AccountView
from mailserver.services.mailbox_hierarchy import places
from storage.account_log import Logged
from storage.mailboxes import (
    CHANGE_FLAGS,
    CHANGE_MAILBOX_ALTERED,
    CHANGE_MAILBOX_DELETED,
    CHANGE_MAILBOX_MADE,
    CHANGE_PLACED,
    CHANGE_REMOVED,
)
from storage.types import MailboxId, Modseq

_OF_MESSAGES = (CHANGE_PLACED, CHANGE_FLAGS, CHANGE_REMOVED)
_ALL_IDS = 2**63


class Kind(Enum):
    """Types whose changes the log of mail tells."""

    EMAIL = "Email"
    THREAD = "Thread"
    MAILBOX = "Mailbox"


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A place in the log: all before `modseq`, and of it what concerns ids up to `up_to` (None: all)."""

    modseq: Modseq
    up_to: int = _ALL_IDS

    @property
    def is_whole(self) -> bool:
        return self.up_to == _ALL_IDS

    @property
    def first_modseq(self) -> int:
        """Of what comes after it."""
        return self.modseq + 1 if self.is_whole else self.modseq


@dataclass(frozen=True, slots=True)
class Changes:
    """Ids of one type. `reached` is where whoever applies them stands; `has_more`: the log goes on behind it.

    `are_counts_only`: of the updated mailboxes, nothing but counts may differ.
    """

    created: Sequence[int]
    updated: Sequence[int]
    destroyed: Sequence[int]
    reached: Place
    has_more: bool
    are_counts_only: bool = False


@dataclass(frozen=True, slots=True)
class _Shown:
    """One row of the log as JMAP sees it: a message is shown in a mailbox, or no longer; neither: its flags changed."""

    modseq: int
    message: int
    mailbox: int
    was_shown: bool
    is_shown: bool
    is_unread_changed: bool


def changes(kind: Kind, view: AccountView, logged: Sequence[Logged], since: Place, most: int | None) -> Changes | None:
    """From `since` on, of what was logged from its `first_modseq` to the view's; `most` ids at most.

    None: a message came and went of which nobody knows any more what thread it was in.
    """
    match kind:
        case Kind.EMAIL:
            return _email_changes(view, logged, since, most)
        case Kind.THREAD:
            return _thread_changes(view, logged, since, most)
        case Kind.MAILBOX:
            return _mailbox_changes(view, logged, since, most)


class Undone:
    """Where messages stood at earlier moments. `rows` are those of messages, in the order of the log."""

    def __init__(self, view: AccountView, logged: Iterable[Logged]) -> None:
        self._view = view
        self.rows = [_as_shown(row) for row in logged if row.kind in _OF_MESSAGES]
        self._of_message: dict[int, list[_Shown]] = {}
        for row in self.rows:
            self._of_message.setdefault(row.message, []).append(row)

    @property
    def messages(self) -> Iterable[int]:
        return self._of_message

    def of(self, message: int) -> Sequence[_Shown]:
        return self._of_message.get(message, ())

    def mailboxes(self, message: int, is_later: Callable[[_Shown], bool]) -> set[int]:
        """Where it was shown when nothing of what `is_later` had happened."""
        slot = self._view.facts.slot_of(message, self._view.count)
        found: set[int] = set() if slot is None else set(self._view.homes.sets[self._view.home[slot]])
        for row in reversed(self.of(message)):
            if is_later(row):
                found.discard(row.mailbox)
                if row.was_shown:
                    found.add(row.mailbox)
        return found

    def came_or_went(self, message: int, since: Callable[[_Shown], bool], until: Callable[[_Shown], bool]) -> bool:
        """Was there a modseq between two moments at whose end it was there, and not before, or the other way?

        Also if it is at the last moment as at the first: a client may have fetched what stood between.
        """
        found = self.mailboxes(message, since)
        was = bool(found)
        between = [row for row in self.of(message) if since(row) and not until(row)]
        for _, rows in groupby(between, key=attrgetter("modseq")):
            for row in rows:
                (found.add if row.is_shown else found.discard)(row.mailbox)
            if bool(found) != was:
                return True
        return False


def _as_shown(row: Logged) -> _Shown:
    return _Shown(
        modseq=row.modseq,
        message=row.message_id,
        mailbox=row.mailbox_id,
        was_shown=row.was_shown,
        is_shown=row.is_shown,
        is_unread_changed=row.kind == CHANGE_FLAGS and bool((row.flags_before ^ row.flags_after) & READ),
    )


def _counted(view: AccountView, logged: Sequence[Logged]) -> set[tuple[int, int]]:
    """Where counts may have changed, and at which modseq."""
    threads = threads_of(view, logged)
    rows = Undone(view, logged).rows
    reach: dict[int, set[int]] = {}
    for row in rows:
        reach.setdefault(threads.get(row.message, 0), set()).add(row.mailbox)
    for thread, mailboxes in reach.items():
        for slot in view.slots_of_thread(thread):
            mailboxes.update(view.homes.sets[view.home[slot]])
    counted: set[tuple[int, int]] = set()
    for row in rows:
        if row.was_shown != row.is_shown or (row.is_shown and row.is_unread_changed):
            counted.add((row.modseq, row.mailbox))
            if row.message in threads:
                counted.update((row.modseq, mailbox) for mailbox in reach[threads[row.message]])
    return counted


def _reached(steps: Iterable[tuple[int, int]], since: Place, end: Modseq, most: int | None) -> tuple[set[int], Place]:
    """The ids of the steps (modseq and id, in any order) behind `since`, `most` at most; and how far that leads."""
    touched: set[int] = set()
    last = since
    for modseq, each in sorted(set(steps)):
        step = Place(Modseq(modseq), each)
        if step <= since:
            continue
        if each not in touched:
            if most is not None and len(touched) == most:
                return touched, last
            touched.add(each)
        last = step
    return touched, Place(end)


def _email_changes(view: AccountView, logged: Sequence[Logged], since: Place, most: int | None) -> Changes:
    undone = Undone(view, logged)
    touched, reached = _reached(((row.modseq, row.message) for row in undone.rows), since, view.modseq, most)

    def is_after(place: Place, row: _Shown) -> bool:
        return (row.modseq, row.message) > (place.modseq, place.up_to)

    created: list[int] = []
    updated: list[int] = []
    destroyed: list[int] = []
    for message in sorted(touched):
        was = undone.mailboxes(message, partial(is_after, since))
        now = undone.mailboxes(message, partial(is_after, reached))
        _sort_in(message, bool(was), bool(now), created, updated, destroyed)
    return Changes(created, updated, destroyed, reached, reached < Place(view.modseq))


def _sort_in(each: int, was: bool, now: bool, created: list[int], updated: list[int], destroyed: list[int]) -> None:
    if was and now:
        updated.append(each)
    elif was:
        destroyed.append(each)
    elif now:
        created.append(each)


def _thread_changes(view: AccountView, logged: Sequence[Logged], since: Place, most: int | None) -> Changes | None:
    undone = Undone(view, logged)
    threads = threads_of(view, logged)
    steps: set[tuple[int, int]] = set()
    members: dict[int, list[int]] = {}
    for message in undone.messages:
        rows = undone.of(message)
        if all(row.was_shown == row.is_shown for row in rows):
            continue
        thread = threads.get(message)
        if thread is None:
            return None
        members.setdefault(thread, []).append(message)
        steps.update((row.modseq, thread) for row in rows if row.was_shown != row.is_shown)
    touched, reached = _reached(steps, since, view.modseq, most)
    created: list[int] = []
    updated: list[int] = []
    destroyed: list[int] = []
    for thread in sorted(touched):

        def is_after(place: Place, row: _Shown, thread: int = thread) -> bool:
            return (row.modseq, thread) > (place.modseq, place.up_to)

        came_or_went = partial(undone.came_or_went, since=partial(is_after, since), until=partial(is_after, reached))
        if not any(map(came_or_went, members[thread])):
            continue
        was = any(undone.mailboxes(each, partial(is_after, since)) for each in members[thread])
        now = any(undone.mailboxes(each, partial(is_after, reached)) for each in members[thread])
        others = {view.facts.ids[slot] for slot in view.slots_of_thread(thread)}.difference(members[thread])
        _sort_in(thread, was or bool(others), now or bool(others), created, updated, destroyed)
    return Changes(created, updated, destroyed, reached, reached < Place(view.modseq))


def threads_of(view: AccountView, logged: Iterable[Logged]) -> Mapping[int, int]:
    """The thread of each message that the log names, where anybody knows it."""
    threads: dict[int, int] = {}
    for row in logged:
        if row.kind not in _OF_MESSAGES or row.message_id in threads:
            continue
        slot = view.facts.slot_of(row.message_id, view.count)
        if slot is not None:
            threads[row.message_id] = view.facts.threads[slot]
        elif row.thread_id:
            threads[row.message_id] = row.thread_id
    return threads


def _mailbox_changes(view: AccountView, logged: Sequence[Logged], since: Place, most: int | None) -> Changes:
    """Counts may have changed wherever a thread has an Email that came, went, or was read or unread."""
    altered: set[tuple[int, int]] = set()
    made: dict[int, int] = {}
    deleted: dict[int, int] = {}
    for row in logged:
        if row.kind == CHANGE_MAILBOX_MADE:
            made[row.mailbox_id] = row.modseq
        elif row.kind == CHANGE_MAILBOX_DELETED:
            deleted[row.mailbox_id] = row.modseq
        elif row.kind == CHANGE_MAILBOX_ALTERED:
            altered.add((row.modseq, row.mailbox_id))
    if made:  # one that takes another's name, as \Noselect when that is deleted, is a new parent to what stands below
        parents = ((each, place.parent) for each, place in places(view.mailboxes.values()).items())
        altered.update((made[parent], each) for each, parent in parents if parent is not None and parent in made)
    counted = _counted(view, logged)
    existence = {(modseq, mailbox) for found in (made, deleted) for mailbox, modseq in found.items()}
    touched, reached = _reached(counted | altered | existence, since, view.modseq, most)

    def exists(mailbox: int, place: Place) -> bool:
        def is_behind(modseq: int) -> bool:
            return (modseq, mailbox) > (place.modseq, place.up_to)

        if mailbox in made and is_behind(made[mailbox]):
            return False
        if mailbox in deleted:
            return is_behind(deleted[mailbox])
        return MailboxId(mailbox) in view.mailboxes

    created: list[int] = []
    updated: list[int] = []
    destroyed: list[int] = []
    for mailbox in sorted(touched):
        _sort_in(mailbox, exists(mailbox, since), exists(mailbox, reached), created, updated, destroyed)
    of_themselves = {mailbox for modseq, mailbox in altered if since < Place(Modseq(modseq), mailbox) <= reached}
    return Changes(
        created,
        updated,
        destroyed,
        reached,
        reached < Place(view.modseq),
        are_counts_only=bool(updated) and of_themselves.isdisjoint(updated),
    )
