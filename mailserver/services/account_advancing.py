"""The picture of an account after what the log says happened: what that does not touch is shared. Pure."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mailserver.services.account_view import EMPTY, NO_KEYWORDS, READ, AccountView, Counts, Facts, MailboxContents
from storage.account_log import AccountAdvance, Logged
from storage.contents import without
from storage.mailboxes import CHANGE_FLAGS, CHANGE_MAILBOX_MADE, CHANGE_PLACED, CHANGE_REMOVED
from storage.type_states import COUNTED_FLAGS, HIDING_FLAG, TypeStates
from storage.types import MailboxId, Modseq

RECENT_ROWS = 500
"""Of the log, kept with a picture."""


def has_mailbox_changes(logged: Iterable[Logged]) -> bool:
    """Do mailboxes have to be read again?"""
    return any(row.kind >= CHANGE_MAILBOX_MADE for row in logged)


def advanced(view: AccountView, advance: AccountAdvance) -> AccountView | None:
    """The picture after what was logged, its mailboxes as they were; None: it has to be drawn anew."""
    if not _add_facts(view, advance.logged):
        return None
    count = len(view.facts.ids)
    more = count - view.count
    step = _Step(view, count, view.flags + array("B", bytes(more)), view.home + array("I", bytes(4 * more)))
    for row in advance.logged:
        step.take(row)
    step.settle()
    boxes = dict(view.boxes)
    touched_boxes = step.place(boxes)
    shown = [slot for slot in step.touched if bool(step.home[slot]) != (slot < view.count and bool(view.home[slot]))]
    everything = view.everything
    if shown:
        gone = [slot for slot in shown if not step.home[slot]]
        everything = _in_order(view.facts, everything, [slot for slot in shown if step.home[slot]], gone)
    recent_since, recent = _recent(view, advance.logged)
    later = replace(
        view,
        modseq=advance.modseq,
        day=advance.day,
        states=_states_after(view.states, advance),
        count=count,
        flags=step.flags,
        home=step.home,
        keywords=step.keywords,
        boxes=boxes,
        everything=everything,
        recent_since=recent_since,
        recent=recent,
        memo={},
    )
    threads = {view.facts.threads[slot] for slot in step.touched}
    _recount(view, later, boxes, threads)
    for mailbox in touched_boxes:
        if not boxes[mailbox].uids and mailbox not in view.mailboxes:
            del boxes[mailbox]
    return later


def _recent(view: AccountView, logged: Sequence[Logged]) -> tuple[Modseq, tuple[Logged, ...]]:
    """The end of the log, so that who is a little behind is told without reading it."""
    recent = (*view.recent, *logged)
    if len(recent) <= RECENT_ROWS:
        return view.recent_since, recent
    return Modseq(recent[-RECENT_ROWS - 1].modseq), recent[-RECENT_ROWS:]


def _add_facts(view: AccountView, logged: Sequence[Logged]) -> bool:
    """Give new messages their slots. False: one is older than what is there, so that slots would not ascend."""
    facts = view.facts
    new = {row.message_id: row.facts for row in logged if row.kind == CHANGE_PLACED and row.facts is not None}
    for message in sorted(new):
        if facts.ids and message <= facts.ids[-1]:
            if facts.slot_of(message, len(facts.ids)) is None:
                return False
            continue
        found = new[message]
        assert found is not None
        facts.append(message, found)
    return True


class _Step:
    """What becomes of the changing columns, row by row of the log."""

    def __init__(self, view: AccountView, count: int, flags: "array[int]", home: "array[int]") -> None:
        self._facts = view.facts
        self._homes = view.homes
        self._count = count
        self._placements: dict[MailboxId, dict[int, int | None]] = {}
        self._standing: dict[int, set[MailboxId]] = {}
        self._copied_keywords: dict[int, frozenset[str]] | None = None
        self._known_keywords = view.keywords
        self.flags = flags
        self.home = home
        self.touched: set[int] = set()

    @property
    def keywords(self) -> Mapping[int, frozenset[str]]:
        return self._known_keywords if self._copied_keywords is None else self._copied_keywords

    def take(self, row: Logged) -> None:
        if row.kind not in (CHANGE_PLACED, CHANGE_FLAGS, CHANGE_REMOVED):
            return
        slot = self._facts.slot_of(row.message_id, self._count)
        if slot is None:  # came and went for good meanwhile
            return
        self.touched.add(slot)
        mailbox = MailboxId(row.mailbox_id)
        if row.kind != CHANGE_REMOVED:
            self.flags[slot] = row.flags_after & ~HIDING_FLAG
            self._bear(slot, row.keywords_after)
        if row.was_shown == row.is_shown:
            return
        self._placements.setdefault(mailbox, {})[row.uid] = slot if row.is_shown else None
        standing = self._standing.get(slot)
        if standing is None:
            standing = self._standing[slot] = set(self._homes.sets[self.home[slot]])
        (standing.add if row.is_shown else standing.discard)(mailbox)

    def settle(self) -> None:
        """Once all rows are taken: note where messages stand now."""
        for slot, mailboxes in self._standing.items():
            self.home[slot] = self._homes.number(mailboxes)

    def _bear(self, slot: int, words: frozenset[str]) -> None:
        if self.keywords.get(slot, NO_KEYWORDS) == words:
            return
        if self._copied_keywords is None:
            self._copied_keywords = dict(self._known_keywords)
        if words:
            self._copied_keywords[slot] = words
        else:
            self._copied_keywords.pop(slot, None)

    def place(self, boxes: dict[MailboxId, MailboxContents]) -> list[MailboxId]:
        """Put into `boxes` what stands there now; returns where that changed."""
        for mailbox, placements in self._placements.items():
            boxes[mailbox] = self._placed(boxes.get(mailbox, EMPTY), placements)
        return list(self._placements)

    def _placed(self, before: MailboxContents, placements: Mapping[int, int | None]) -> MailboxContents:
        uids, slots = before.uids, before.slots
        leaving: list[int] = []
        coming: list[tuple[int, int]] = []
        gone: list[int] = []
        for uid in sorted(placements):
            slot = placements[uid]
            place = bisect_left(uids, uid)
            is_there = place < len(uids) and uids[place] == uid
            if slot is None and is_there:
                leaving.append(place)
                gone.append(slots[place])
            elif slot is not None and not is_there:
                coming.append((uid, slot))
        uids, slots = without(uids, leaving), without(slots, leaving)
        for uid, slot in coming:
            place = len(uids) if not uids or uid > uids[-1] else bisect_left(uids, uid)
            uids.insert(place, uid)
            slots.insert(place, slot)
        order = _in_order(self._facts, before.order, [slot for _, slot in coming], gone)
        return MailboxContents(uids, slots, order, before.counts)


def _in_order(facts: Facts, order: "array[int]", coming: Sequence[int], gone: Sequence[int]) -> "array[int]":
    """A copy without those that are gone, and with those that come in their places. One may go and come."""
    places = sorted(bisect_left(order, facts.order_of(slot), key=facts.order_of) for slot in gone)
    later = without(order, places)
    for slot in coming:
        if not later or facts.order_of(slot) > facts.order_of(later[-1]):
            later.append(slot)
        else:
            later.insert(bisect_left(later, facts.order_of(slot), key=facts.order_of), slot)
    return later


def _states_after(states: TypeStates, advance: AccountAdvance) -> TypeStates:
    email, thread, mailbox = states.email, states.thread, states.mailbox
    for row in advance.logged:
        modseq = Modseq(row.modseq)
        if row.kind in (CHANGE_PLACED, CHANGE_FLAGS, CHANGE_REMOVED):
            email = modseq
        changed_flags = row.flags_before ^ row.flags_after
        if row.kind in (CHANGE_PLACED, CHANGE_REMOVED) or (row.kind == CHANGE_FLAGS and changed_flags & HIDING_FLAG):
            thread = modseq
        if row.kind != CHANGE_FLAGS or changed_flags & COUNTED_FLAGS:
            mailbox = modseq
    later = replace(states, email=email, thread=thread, mailbox=mailbox, others=advance.others)
    return later.from_floor(Modseq(advance.oldest_modseq - 1))


def _recount(
    before: AccountView, after: AccountView, boxes: dict[MailboxId, MailboxContents], threads: Iterable[int]
) -> None:
    """Bring the counts of `boxes` up to date: only these threads are not as they were."""
    changes: dict[MailboxId, list[int]] = {}
    for thread in threads:
        for view, sign in ((before, -1), (after, 1)):
            for mailbox, share in _shares(view, view.slots_of_thread(thread)).items():
                sums = changes.setdefault(mailbox, [0, 0, 0, 0])
                for place, amount in enumerate(share):
                    sums[place] += sign * amount
    for mailbox, (total, unread, all_threads, unread_threads) in changes.items():
        contents = boxes.get(mailbox, EMPTY)
        counts = contents.counts
        boxes[mailbox] = replace(
            contents,
            counts=Counts(
                counts.total_emails + total,
                counts.unread_emails + unread,
                counts.total_threads + all_threads,
                counts.unread_threads + unread_threads,
            ),
        )


def _shares(view: AccountView, slots: Sequence[int]) -> dict[MailboxId, list[int]]:
    """What the Emails of one thread count for, mailbox by mailbox: as the fields of Counts."""
    trash = view.trash
    shares: dict[MailboxId, list[int]] = {}
    is_unread_elsewhere = is_unread_in_trash = False
    for slot in slots:
        is_unread = not view.flags[slot] & READ
        mailboxes = view.homes.sets[view.home[slot]]
        for mailbox in mailboxes:
            share = shares.setdefault(mailbox, [0, 0, 1, 0])
            share[0] += 1
            share[1] += is_unread
        if is_unread:
            is_unread_in_trash |= trash in mailboxes
            is_unread_elsewhere |= mailboxes != (trash,)
    for mailbox, share in shares.items():
        share[3] = int(is_unread_in_trash if mailbox == trash else is_unread_elsewhere)
    return shares
