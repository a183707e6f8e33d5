"""The selected mailbox as one client knows it: uids and flags in packed arrays, numbered by position (RFC 3501 §2.3.1).

The view changes only together with what is told to the client, so both agree on sequence numbers at all times:

* arrivals and changed flags may be told at any time, so they are taken in as they are told;
* an expunge may not be told while FETCH, STORE or SEARCH is answered (§7.4.1). Until it may be, the message keeps its
  number as a *ghost*: it is in the view, and nothing is told of it any more.

The arrays may be shared with other sessions of the process, so each is copied before this one writes to it.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date

from mailserver.imap.session.sync_point import SyncPoint
from mailserver.imap.wire.response_codes import PermanentFlags
from mailserver.imap.wire.responses import (
    Condition,
    Exists,
    Expunged,
    FlagsDefined,
    FlagsFetched,
    RecentCount,
    Response,
    Untagged,
    Vanished,
)
from mailserver.imap.wire.sequence import (
    SAVED,
    SequenceSet,
    UidSet,
    joined,
    positions_of_numbers,
    positions_of_saved,
    positions_of_uids,
    require_within,
    uid_set,
)
from storage.changes import FlagsAt, MailboxChanges
from storage.contents import Picture, without
from storage.types import (
    FlagChange,
    FlagOperation,
    Flags,
    MailboxId,
    Modseq,
    SystemFlag,
    Uid,
    UidValidity,
)

NO_KEYWORDS: frozenset[str] = frozenset()
SYSTEM_FLAGS = SystemFlag.SEEN | SystemFlag.ANSWERED | SystemFlag.FLAGGED | SystemFlag.DELETED | SystemFlag.DRAFT
NEVER_RECENT = Uid(2**32)
"""`recent_from` in a session without \\Recent: IMAP4rev2 has none (RFC 9051 appendix E)."""
_UNSEEN = re.compile(b"[%b]" % bytes(range(0, 32, 2)))


@dataclass(frozen=True, slots=True)
class Manner:
    """How a client is told of changes.

    `with_modseq`: it is CONDSTORE-aware, so FETCH responses carry UID and MODSEQ (RFC 7162 §3.1, §3.2.4), and a new
    modseq is told even where the flags are again what they were. `by_uid`: QRESYNC is enabled, so VANISHED stands for
    EXPUNGE (§3.2.10). `with_recent`: not in IMAP4rev2. `with_uid`: FETCH responses that nobody asked for carry UID, as
    in IMAP4rev2 (RFC 9051 §7.5.2).
    """

    with_modseq: bool = False
    by_uid: bool = False
    with_recent: bool = True
    with_uid: bool = False


PLAINLY = Manner()


class MailboxView:
    """`cursor` is the account's modseq up to which changes are in the view, read on `cursor_day`; `highest_modseq` is
    the mailbox's, `epoch` the account's. Uids from `uidnext` on were not heard of yet.

    `recent_from`: uids from it on are \\Recent in this session. What arrives while the mailbox is selected is too, in
    every session that has it open: to find out who was told first would cost a write for each push. Once one of them
    leaves the mailbox it is recent no more for those who come later (RFC 3501 §2.3.2).
    """

    __slots__ = (
        "_ghosts",
        "_has_own_flags",
        "_has_own_keywords",
        "_has_own_uids",
        "_is_ahead",
        "_keyword_names",
        "_told",
        "cursor",
        "cursor_day",
        "epoch",
        "flags",
        "has_arrivals",
        "highest_modseq",
        "is_read_only",
        "keywords",
        "mailbox_id",
        "name",
        "recent_from",
        "saved",
        "sync",
        "uidnext",
        "uids",
        "uidvalidity",
    )

    def __init__(
        self,
        *,
        mailbox_id: MailboxId,
        name: str,
        uidvalidity: UidValidity,
        is_read_only: bool,
        uids: "array[int]",
        flags: "array[int]",
        keywords: dict[int, frozenset[str]],
        recent_from: Uid,
        uidnext: Uid,
        highest_modseq: Modseq,
        cursor: Modseq,
        cursor_day: date,
        epoch: int,
    ) -> None:
        """The arrays are not written to: `flags` holds SystemFlag bits ("B") beside ascending `uids` ("I")."""
        self.mailbox_id = mailbox_id
        self.name = name
        self.uidvalidity = uidvalidity
        self.is_read_only = is_read_only
        self.uids = uids
        self.flags = flags
        self.keywords = keywords
        self._has_own_uids = self._has_own_flags = self._has_own_keywords = False
        self.recent_from = recent_from
        self.uidnext = uidnext
        self.highest_modseq = highest_modseq
        self.sync = SyncPoint(highest_modseq)
        self.cursor = cursor
        self.cursor_day = cursor_day
        self.epoch = epoch
        self.saved: array[int] = array("I")  # what `$` means: uids, maybe of messages that are gone (RFC 5182)
        self.has_arrivals = False  # since it was opened
        self._ghosts: set[int] = set()
        self._is_ahead = False  # flags beyond the cursor were taken in
        self._told: dict[int, Modseq] = {}  # modseqs beyond the cursor that answers have told
        self._keyword_names: dict[str, str] = {}  # casefolded to as first seen
        for names in set(self.keywords.values()):
            self._learn_keywords(names)

    # What is there

    @property
    def count(self) -> int:
        return len(self.uids)

    @property
    def recent_count(self) -> int:
        return len(self.uids) - bisect_left(self.uids, self.recent_from)

    @property
    def has_ghosts(self) -> bool:
        return bool(self._ghosts)

    def is_ghost(self, uid: int) -> bool:
        return uid in self._ghosts

    @property
    def is_exact(self) -> bool:
        """Do the arrays hold just what the mailbox held at `highest_modseq`?"""
        return not (self._ghosts or self._is_ahead)

    def number_of_first_unseen(self) -> int | None:
        found = _UNSEEN.search(self.flags)
        return found.start() + 1 if found else None

    def defined_flags(self) -> Flags:
        """All system flags, and the keywords that messages of this mailbox bear or bore."""
        return Flags(SYSTEM_FLAGS, frozenset(self._keyword_names.values()))

    def permanent_flags(self) -> Untagged:
        flags = Flags() if self.is_read_only else self.defined_flags()
        return Untagged(Condition.OK, "Flags that last", PermanentFlags(flags, can_create=not self.is_read_only))

    def positions(self, messages: SequenceSet | UidSet) -> list[range]:
        """Where the messages named stand. Raises SequenceNumberTooLarge; uids that are not there name nothing."""
        if isinstance(messages, SequenceSet):
            require_within(messages, len(self.uids))
        return self.positions_within(messages)

    def positions_within(self, messages: SequenceSet | UidSet) -> list[range]:
        """As `positions`, but sequence numbers beyond the mailbox name nothing."""
        if isinstance(messages, UidSet):
            found = positions_of_uids(messages, self.uids)
        else:
            found = positions_of_numbers(messages, len(self.uids))
        if SAVED in messages.ranges:
            found = joined(found, positions_of_saved(self.saved, self.uids))
        return found

    def uids_of(self, messages: SequenceSet | UidSet) -> list[Uid]:
        """The uids named, ascending; raises as `positions`."""
        found: list[Uid] = []
        for span in self.positions(messages):
            found.extend(map(Uid, self.uids[span.start : span.stop]))
        return found

    def number_of(self, uid: int) -> int | None:
        """The sequence number of a message in the view."""
        position = bisect_left(self.uids, uid)
        return position + 1 if position < len(self.uids) and self.uids[position] == uid else None

    def flags_of(self, number: int) -> Flags:
        return Flags(
            SystemFlag(self.flags[number - 1]),
            self.keywords.get(self.uids[number - 1], NO_KEYWORDS),
        )

    def is_recent(self, uid: int) -> bool:
        return uid >= self.recent_from

    # What changes

    def take_in(self, changes: MailboxChanges, *, may_expunge: bool, manner: Manner = PLAINLY) -> list[Response]:
        """Advance to the changes' modseq; the responses tell the client, in an order that keeps its numbers right."""
        expunged = set(changes.expunged)
        self._ghosts.update(uid for uid in expunged if self.number_of(uid) is not None)
        if expunged:
            self.uidnext = max(self.uidnext, Uid(max(expunged) + 1))
        responses = self.expunge_ghosts(by_uid=manner.by_uid) if may_expunge else []
        responses += self._add_arrivals(changes.arrived, with_recent=manner.with_recent)
        for uid, flags, modseq in changes.changed:
            number = self.number_of(uid)
            if number is None or uid in self._ghosts:
                continue
            was_same = self.flags_of(number) == flags
            responses += self.set_flags(number, flags)
            is_known = modseq <= self._told.get(uid, 0) if manner.with_modseq else was_same
            if not is_known:
                told_modseq = modseq if manner.with_modseq else None
                with_uid = manner.with_modseq or manner.with_uid
                responses.append(self.flags_response(number, flags, with_uid=with_uid, modseq=told_modseq))
        self._told.clear()
        self._is_ahead = False
        self.cursor = changes.modseq
        self.cursor_day = changes.day
        if changes.highest_modseq is not None:
            self.highest_modseq = changes.highest_modseq
        self._note_safe()
        return responses

    def expunge_ghosts(self, *, by_uid: bool = False) -> list[Response]:
        """Remove the ghosts and tell of them: by number, highest first, so that no number moves before it is told."""
        if not self._ghosts:
            return []
        gone = sorted(self._ghosts)
        positions = [number - 1 for uid in gone if (number := self.number_of(uid)) is not None]
        for uid in gone:
            self._told.pop(uid, None)
        if not self.keywords.keys().isdisjoint(gone):
            keywords = self._own_keywords()
            for uid in gone:
                keywords.pop(uid, None)
        self._ghosts.clear()
        self.uids = without(self.uids, positions)
        self.flags = without(self.flags, positions)
        self._has_own_uids = self._has_own_flags = True
        self._note_safe()
        if by_uid:
            return [Vanished(uid_set(gone))]
        return [Expunged(position + 1) for position in reversed(positions)]

    def set_flags(self, number: int, flags: Flags) -> list[Response]:
        """Take in flags that the client is told of elsewhere; the responses tell of keywords that are new here.

        A flag in FLAGS that is not in PERMANENTFLAGS would be one that does not last (RFC 3501 §7.1), so both are told.
        """
        self._is_ahead = True
        uid = self.uids[number - 1]
        if self.flags[number - 1] != flags.system:
            if not self._has_own_flags:
                self.flags = self.flags[:]
                self._has_own_flags = True
            self.flags[number - 1] = flags.system
        if self.keywords.get(uid, NO_KEYWORDS) == flags.keywords:
            return []
        keywords = self._own_keywords()
        if flags.keywords:
            keywords[uid] = flags.keywords
        else:
            del keywords[uid]
        if not self._learn_keywords(flags.keywords):
            return []
        defined = FlagsDefined(self.defined_flags())
        return [defined] if self.is_read_only else [defined, self.permanent_flags()]

    def flags_response(self, number: int, flags: Flags, *, with_uid: bool, modseq: Modseq | None) -> FlagsFetched:
        uid = Uid(self.uids[number - 1])
        if modseq is not None:
            self.sync.hear(modseq)
        return FlagsFetched(number, flags, self.is_recent(uid), uid if with_uid else None, modseq)

    def note_told(self, uid: Uid, modseq: Modseq) -> None:
        """The client knows of this change, which lies beyond the cursor, from the answer of its own command."""
        self._told[uid] = modseq

    def pass_own(self, modseqs: Iterable[Modseq]) -> bool:
        """Move the cursor over changes that are all in the view already, if nothing else can lie between.

        Every change of the account takes the next modseq, so those that follow the cursor without a gap are all there
        were. False: something happened in between, and the mailbox is to be asked.
        """
        own = sorted(set(modseqs))
        if own != list(range(self.cursor + 1, self.cursor + 1 + len(own))):
            return False
        if own:
            self.cursor = self.highest_modseq = own[-1]
            self._told.clear()
            self._is_ahead = False
            self._note_safe()
        return True

    def picture(self) -> Picture:
        """What an exact view holds; others may hold it too from now on."""
        self._has_own_uids = self._has_own_flags = self._has_own_keywords = False
        return Picture(
            self.mailbox_id,
            self.epoch,
            self.highest_modseq,
            self.cursor,
            self.cursor_day,
            self.uids,
            self.flags,
            self.keywords,
        )

    def adopt(self, picture: Picture) -> None:
        """Let go of arrays of one's own for the equal ones that other sessions have."""
        self.uids, self.flags, self.keywords = picture.uids, picture.flags, picture.keywords
        self._has_own_uids = self._has_own_flags = self._has_own_keywords = False

    def _add_arrivals(self, arrived: Sequence[FlagsAt], *, with_recent: bool) -> list[Response]:
        before = len(self.uids)
        responses: list[Response] = []
        for uid, flags, _ in arrived:
            if self.uids and uid <= self.uids[-1]:
                continue  # told already; uids ascend, so nothing new can come below
            if not (self._has_own_uids and self._has_own_flags):
                self.uids, self.flags = self.uids[:], self.flags[:]
                self._has_own_uids = self._has_own_flags = True
            self.uids.append(uid)
            self.flags.append(flags.system)
            if flags.keywords:
                responses += self.set_flags(len(self.uids), flags)
        if len(self.uids) > before:
            self.has_arrivals = True
            self.uidnext = max(self.uidnext, Uid(self.uids[-1] + 1))
            responses.append(Exists(len(self.uids)))
            if with_recent:
                responses.append(RecentCount(self.recent_count))
        return responses

    def _own_keywords(self) -> dict[int, frozenset[str]]:
        if not self._has_own_keywords:
            self.keywords = dict(self.keywords)
            self._has_own_keywords = True
        return self.keywords

    def _note_safe(self) -> None:
        """While an expunge is held back, the client is safe only up to what it was told before."""
        if not self._ghosts:
            self.sync.safe = self.highest_modseq

    def _learn_keywords(self, names: frozenset[str]) -> bool:
        before = len(self._keyword_names)
        for name in names:
            self._keyword_names.setdefault(name.casefold(), name)
        return len(self._keyword_names) > before


def applied(change: FlagChange, flags: Flags) -> Flags:
    """The flags after a STORE of `change`; keywords compare without regard to case (RFC 3501 §2.3.2)."""
    named = {keyword.casefold() for keyword in change.flags.keywords}
    match change.operation:
        case FlagOperation.REPLACE:
            return change.flags
        case FlagOperation.ADD:
            present = {keyword.casefold() for keyword in flags.keywords}
            added = {keyword for keyword in change.flags.keywords if keyword.casefold() not in present}
            return Flags(flags.system | change.flags.system, flags.keywords | added)
        case FlagOperation.REMOVE:
            kept = frozenset(keyword for keyword in flags.keywords if keyword.casefold() not in named)
            return Flags(flags.system & ~change.flags.system, kept)


def same_flags(one: Flags, other: Flags) -> bool:
    """Equal, the spelling of keywords aside."""
    return one.system == other.system and {keyword.casefold() for keyword in one.keywords} == {
        keyword.casefold() for keyword in other.keywords
    }
