r"""An account in memory, as JMAP sees it: an immutable picture, led from one modseq to the next by the log. Pure.

Messages stand in *slots*, by ascending id. What never changes about them (`Facts`) is shared by all pictures of an
account and only ever added to; a picture knows how many of the slots are its own. What changes (flags, and where a
message stands) is copied when it does, which for 100,000 messages is some 100 µs; what a change does not touch is
shared with the picture before.

A placement with \Deleted is not shown, nor is it counted (RFC 8621 §4.1.1). A message that is shown nowhere keeps its
slot: it may come back, and its thread is still known when somebody asks what changed.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Any

from storage.account_contents import AccountAdvance, AccountContents, Logged, MailboxesAt, MessageFacts
from storage.contents import without
from storage.mailboxes import CHANGE_FLAGS, CHANGE_MAILBOX_MADE, CHANGE_PLACED, CHANGE_REMOVED
from storage.type_states import COUNTED_FLAGS, HIDING_FLAG, TypeStates
from storage.types import Mailbox, MailboxId, MessageId, Modseq, SystemFlag, ThreadId

READ = int(SystemFlag.SEEN | SystemFlag.DRAFT)
"""A message with neither of these flags is unread (RFC 8621 §2)."""
NO_KEYWORDS: frozenset[str] = frozenset()
RECENT_ROWS = 500


@dataclass(frozen=True, slots=True)
class Counts:
    """What a mailbox holds (RFC 8621 §2)."""

    total_emails: int = 0
    unread_emails: int = 0
    total_threads: int = 0
    unread_threads: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What never changes, slot by slot. Moments are microseconds since 2000, `search_pages.NEVER` for none.

    `relatives` has the slots of every thread but those of the one message whose id it bears.
    """

    ids: "array[int]"
    threads: "array[int]"
    received: "array[int]"
    sent: "array[int]"
    octets: "array[int]"
    attachments: bytearray
    relatives: dict[int, list[int]]

    def append(self, message_id: int, facts: MessageFacts) -> int:
        """The slot of a message whose id is greater than any before."""
        slot = len(self.ids)
        self.ids.append(message_id)
        self.threads.append(facts.thread_id)
        self.received.append(facts.received)
        self.sent.append(facts.sent)
        self.octets.append(facts.octets)
        self.attachments.append(facts.has_attachment)
        if facts.thread_id != message_id:
            self.relate(slot)
        return slot

    def relate(self, slot: int) -> None:
        """Note that a message belongs to the thread of another."""
        thread = self.threads[slot]
        known = self.relatives.get(thread)
        if known is None:
            first = self.slot_of(thread, slot)
            known = self.relatives[thread] = [] if first is None else [first]
        known.append(slot)

    def slot_of(self, message_id: int, count: int) -> int | None:
        slot = bisect_left(self.ids, message_id, 0, count)
        return slot if slot < count and self.ids[slot] == message_id else None

    def order_of(self, slot: int) -> tuple[int, int]:
        """By what messages are ordered: when they came, then as their ids are."""
        return self.received[slot], slot


class Homes:
    """The sets of mailboxes that messages stand in, by number; number 0 is nowhere. Only ever added to."""

    __slots__ = ("_numbers", "sets")

    def __init__(self) -> None:
        self.sets: list[tuple[MailboxId, ...]] = [()]
        self._numbers: dict[tuple[MailboxId, ...], int] = {(): 0}

    def number(self, mailboxes: Iterable[MailboxId]) -> int:
        found = tuple(sorted(mailboxes))
        number = self._numbers.get(found)
        if number is None:
            number = self._numbers[found] = len(self.sets)
            self.sets.append(found)
        return number

    def joined(self, number: int, mailbox: MailboxId) -> int:
        return self.number({*self.sets[number], mailbox})

    def parted(self, number: int, mailbox: MailboxId) -> int:
        return self.number(each for each in self.sets[number] if each != mailbox)


@dataclass(frozen=True, slots=True, eq=False)
class MailboxContents:
    """What is shown in one mailbox: by ascending uid, with the slots beside, and the slots in the order of arrival."""

    uids: "array[int]"
    slots: "array[int]"
    order: "array[int]"
    counts: Counts = Counts()


EMPTY = MailboxContents(array("I"), array("I"), array("I"))


@dataclass(frozen=True, slots=True, eq=False)
class AccountView:
    """An account at `modseq` of its epoch. Nobody writes to what it holds.

    `flags` and `home` have one element for each of `count` slots; `everything` has the slots that are shown somewhere,
    in the order of arrival. `recent` is the log behind modseq `recent_since`. `memo` keeps what was found out about
    this very picture.
    """

    modseq: Modseq
    day: date
    states: TypeStates
    count: int
    facts: Facts
    homes: Homes
    flags: "array[int]"
    home: "array[int]"
    keywords: Mapping[int, frozenset[str]]
    boxes: Mapping[MailboxId, MailboxContents]
    everything: "array[int]"
    mailboxes: Mapping[MailboxId, Mailbox]
    sort_orders: Mapping[MailboxId, int | None]
    trash: MailboxId | None
    recent_since: Modseq
    recent: tuple[Logged, ...] = ()
    memo: dict[Any, Any] = field(default_factory=dict)

    @property
    def epoch(self) -> int:
        return self.states.epoch

    def slot_of(self, message: MessageId) -> int | None:
        """Also of a message that is shown nowhere."""
        return self.facts.slot_of(message, self.count)

    def is_shown(self, message: MessageId) -> bool:
        """Is there such an Email?"""
        slot = self.slot_of(message)
        return slot is not None and bool(self.home[slot])

    def id_at(self, slot: int) -> MessageId:
        return MessageId(self.facts.ids[slot])

    def thread_of(self, message: MessageId) -> ThreadId | None:
        slot = self.slot_of(message)
        return None if slot is None else ThreadId(self.facts.threads[slot])

    def mailbox_ids_of(self, message: MessageId) -> tuple[MailboxId, ...]:
        r"""Ascending; empty when there is no such Email. One where it has \Deleted is left out."""
        slot = self.slot_of(message)
        return () if slot is None else self.homes.sets[self.home[slot]]

    def flags_of(self, message: MessageId) -> SystemFlag:
        r"""Without \Deleted, which JMAP does not know."""
        slot = self.slot_of(message)
        return SystemFlag(0 if slot is None else self.flags[slot])

    def keywords_of(self, message: MessageId) -> frozenset[str]:
        """In lower case, without those that stand for system flags."""
        slot = self.slot_of(message)
        return NO_KEYWORDS if slot is None else self.keywords.get(slot, NO_KEYWORDS)

    def slots_of_thread(self, thread: int) -> list[int]:
        """Of the Emails in a thread, in the order of arrival."""
        related = self.facts.relatives.get(thread)
        if related is None:
            slot = self.facts.slot_of(thread, self.count)
            is_it = slot is not None and self.home[slot] and self.facts.threads[slot] == thread
            return [slot] if slot is not None and is_it else []
        shown = [slot for slot in related if slot < self.count and self.home[slot]]
        return shown if len(shown) < 2 else sorted(shown, key=self.facts.order_of)

    def emails_of_thread(self, thread: ThreadId) -> list[MessageId]:
        """Oldest first; empty when there is no such Thread."""
        return [self.id_at(slot) for slot in self.slots_of_thread(thread)]

    def contents(self, mailbox: MailboxId) -> MailboxContents:
        return self.boxes.get(mailbox, EMPTY)

    def counts(self, mailbox: MailboxId) -> Counts:
        return self.contents(mailbox).counts

    @property
    def octets(self) -> int:
        """About how much memory it takes."""
        placed = sum(len(contents.uids) for contents in self.boxes.values())
        return (
            4_000
            + 80 * self.count  # with what is found out about it
            + 12 * placed
            + 100 * (len(self.keywords) + len(self.facts.relatives) + len(self.boxes) + 4 * len(self.mailboxes))
        )


def first_view(contents: AccountContents, at: MailboxesAt) -> AccountView:
    """Of what was loaded."""
    ids, threads, received = contents.ids, contents.threads, contents.received
    count = len(ids)
    facts = Facts(ids, threads, received, contents.sent, contents.octets, bytearray(contents.attachments), {})
    for slot, (message, thread) in enumerate(zip(ids, threads, strict=True)):
        if message != thread:
            facts.relate(slot)
    slot_of = dict(zip(ids, range(count), strict=True))
    flags, home, homes = array("B", bytes(count)), array("I", bytes(4 * count)), Homes()
    boxes: dict[MailboxId, MailboxContents] = {}
    begin = 0
    while begin < len(contents.placed_in):
        mailbox = MailboxId(contents.placed_in[begin])
        end = bisect_left(contents.placed_in, mailbox + 1, begin)
        alone = homes.number((mailbox,))
        uids, slots = array("I"), array("I")
        for uid, message, bits in zip(
            contents.uids[begin:end], contents.placed[begin:end], contents.flags[begin:end], strict=True
        ):
            placed = slot_of.get(message)
            if placed is None:
                continue
            flags[placed] = bits & ~HIDING_FLAG
            if not bits & HIDING_FLAG:
                uids.append(uid)
                slots.append(placed)
                home[placed] = homes.joined(home[placed], mailbox) if home[placed] else alone
        boxes[mailbox] = MailboxContents(uids, slots, array("I", sorted(sorted(slots), key=received.__getitem__)))
        begin = end
    by_arrival = sorted(range(count), key=received.__getitem__)
    view = AccountView(
        modseq=contents.modseq,
        day=contents.day,
        states=contents.states,
        count=count,
        facts=facts,
        homes=homes,
        flags=flags,
        home=home,
        keywords={slot_of[each]: words for each, words in contents.keywords.items() if each in slot_of},
        boxes=boxes,
        everything=array("I", [slot for slot in by_arrival if home[slot]]),
        mailboxes=at.mailboxes,
        sort_orders=at.sort_orders,
        trash=_trash_of(at),
        recent_since=contents.modseq,
    )
    return _counted(view)


def with_mailboxes(view: AccountView, at: MailboxesAt) -> AccountView:
    """The same mail in the mailboxes as they were found now."""
    later = replace(view, mailboxes=at.mailboxes, sort_orders=at.sort_orders, trash=_trash_of(at), memo={})
    return later if later.trash == view.trash else _counted(later)


def with_horizon(view: AccountView, oldest_modseq: int) -> AccountView:
    """The same where the log begins with this modseq."""
    floor = Modseq(oldest_modseq - 1)
    return view if floor == view.states.floor else replace(view, states=_states_from(view.states, floor))


def _trash_of(at: MailboxesAt) -> MailboxId | None:
    return next((each.id for each in at.mailboxes.values() if "\\Trash" in (each.special_use or "").split()), None)


def _counted(view: AccountView) -> AccountView:
    """Everything counted anew, what is in the trash as if in a thread of its own (RFC 8621 §2)."""
    threads, flags, home = view.facts.threads, view.flags, view.home
    trash = view.trash
    in_trash_alone = -1 if trash is None else view.homes.number((trash,))
    unread = [slot for slot in view.everything if not flags[slot] & READ]
    elsewhere = {threads[slot] for slot in unread if home[slot] != in_trash_alone}
    boxes: dict[MailboxId, MailboxContents] = {}
    for mailbox, contents in view.boxes.items():
        unread_here = [slot for slot in contents.order if not flags[slot] & READ]
        threads_here = set(map(threads.__getitem__, contents.order))
        if mailbox == trash:
            unread_threads = len({threads[slot] for slot in unread_here})
        else:
            unread_threads = len(threads_here & elsewhere)
        counts = Counts(len(contents.order), len(unread_here), len(threads_here), unread_threads)
        boxes[mailbox] = replace(contents, counts=counts)
    return replace(view, boxes=boxes, memo={})


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
        was_shown = row.kind != CHANGE_PLACED and not row.flags_before & HIDING_FLAG
        is_shown = row.kind != CHANGE_REMOVED and not row.flags_after & HIDING_FLAG
        if row.kind != CHANGE_REMOVED:
            self.flags[slot] = row.flags_after & ~HIDING_FLAG
            self._bear(slot, row.keywords_after)
        if was_shown == is_shown:
            return
        self._placements.setdefault(mailbox, {})[row.uid] = slot if is_shown else None
        turn = self._homes.joined if is_shown else self._homes.parted
        self.home[slot] = turn(self.home[slot], mailbox)

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
    return _states_from(later, Modseq(advance.oldest_modseq - 1))


def _states_from(states: TypeStates, floor: Modseq) -> TypeStates:
    """The same where nothing older than `floor` can be asked for."""
    return replace(
        states,
        floor=floor,
        email=max(states.email, floor),
        thread=max(states.thread, floor),
        mailbox=max(states.mailbox, floor),
    )


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
