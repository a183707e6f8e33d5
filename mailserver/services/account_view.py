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
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from storage.account_log import Logged, MessageFacts
from storage.type_states import TypeStates
from storage.types import Mailbox, MailboxId, MessageId, Modseq, SystemFlag, ThreadId

LOGGED_OCTETS = 500
"""About how much memory a row of the log takes."""
READ = int(SystemFlag.SEEN | SystemFlag.DRAFT)
"""A message with neither of these flags is unread (RFC 8621 §2)."""
NO_KEYWORDS: frozenset[str] = frozenset()


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
    """The sets of mailboxes that messages stand in, by number; number 0 is nowhere. `octets` is about what they take.

    Only ever added to, so ask for whole sets: of a message in a thousand mailboxes, not for those on the way there.
    """

    __slots__ = ("_numbers", "octets", "sets")

    def __init__(self) -> None:
        self.sets: list[tuple[MailboxId, ...]] = [()]
        self._numbers: dict[tuple[MailboxId, ...], int] = {(): 0}
        self.octets = 0

    def number(self, mailboxes: Iterable[MailboxId]) -> int:
        found = tuple(sorted(mailboxes))
        number = self._numbers.get(found)
        if number is None:
            number = self._numbers[found] = len(self.sets)
            self.sets.append(found)
            self.octets += 150 + 8 * len(found)
        return number


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

    def members_of_thread(self, thread: int) -> list[int]:
        """The slots of all messages in a thread, also of those that are shown nowhere."""
        related = self.facts.relatives.get(thread)
        if related is not None:
            return [slot for slot in related if slot < self.count]
        slot = self.facts.slot_of(thread, self.count)
        return [slot] if slot is not None and self.facts.threads[slot] == thread else []

    def slots_of_thread(self, thread: int) -> list[int]:
        """Of the Emails in a thread, in the order of arrival."""
        shown = [slot for slot in self.members_of_thread(thread) if self.home[slot]]
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
            + self.homes.octets
            + LOGGED_OCTETS * (len(self.recent) + len(self.memo.get("log", (0, ()))[1]))
        )
