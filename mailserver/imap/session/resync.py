"""What a client that comes back has missed: SELECT (QRESYNC …), UID FETCH (CHANGEDSINCE … VANISHED) (RFC 7162 §3.2).

The log of changes says it. Where the log no longer reaches back, the messages that are there do: what the client knows
and is not there has vanished, and each message bears the modseq at which it last changed.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.view import MailboxView
from mailserver.imap.wire.commands import Tag
from mailserver.imap.wire.responses import Condition, Response, Tagged, Vanished
from mailserver.imap.wire.resync import Resync, among, known_up_to, without
from mailserver.imap.wire.sequence import LARGEST, Range, UidSet, uid_set
from mailserver.services import changes
from storage.changes import FlagsAt, MailboxChanges
from storage.types import Flags, Modseq

RANGES = 500
"""So many in one response at most: clients have limits on the length of a line too."""


def not_enabled(tag: Tag) -> Tagged:
    """The client may not use what it has not enabled (§3.2.5, §3.2.6)."""
    return Tagged(tag, Condition.BAD, "QRESYNC is to be enabled first")


async def missed(talk: Conversation, known: Resync) -> AsyncIterator[Response]:
    """After the answer to SELECT, what happened to the messages that the client knows.

    Nothing, if it knows another mailbox of this name (§3.2.5), or was there last.
    """
    view = talk.selected
    if known.uidvalidity != view.uidvalidity or known.modseq >= view.highest_modseq:
        return
    store, who = talk.services.store, talk.person
    found = await changes.changes_since(store, who, view.mailbox_id, known.modseq, up_to=view.cursor)
    ranges: Sequence[Range] = known.known_uids.ranges if known.known_uids is not None else ((1, view.uidnext - 1),)
    for response in vanished(view, found, ranges, above=known_up_to(known.matches, view.uids)):
        yield response
    if found.is_complete:
        changed: Iterable[FlagsAt] = (*found.changed, *found.arrived)
    else:
        changed = await changes.flags_since(store, who, view.mailbox_id, known.modseq)
    changed_at: dict[int, tuple[Flags, Modseq]] = {uid: (flags, modseq) for uid, flags, modseq in changed}
    for uid in among(ranges, sorted(changed_at)):
        number = view.number_of(uid)
        if number is None:
            continue
        flags, modseq = changed_at[uid]
        for defined in view.set_flags(number, flags):
            yield defined
        yield view.flags_response(number, flags, with_uid=True, modseq=modseq)


def vanished(
    view: MailboxView, found: MailboxChanges, ranges: Iterable[Range], *, above: int = 0
) -> Iterator[Vanished]:
    """What of `ranges` is gone by the changes found. Messages that the client still counts are left to VANISHED
    without EARLIER, and uids up to `above` to nobody."""
    ranges = [_ends(each, view.uidnext - 1) for each in ranges]
    if found.is_complete:
        gone = [uid for uid in found.expunged if uid > above and view.number_of(uid) is None]
        missing: Sequence[Range] = uid_set(among(ranges, gone)).ranges
    else:
        missing = list(without(ranges, view.uids, above=above, below=view.uidnext))
    for start in range(0, len(missing), RANGES):
        yield Vanished(UidSet(tuple(missing[start : start + RANGES])), is_earlier=True)


def _ends(ends: Range, largest: int) -> Range:
    """A range in order. `*` reaches to the largest uid there was: messages at the end may be what has vanished."""
    first, last = (largest if end == LARGEST else end for end in ends)
    return (first, last) if first <= last else (last, first)
