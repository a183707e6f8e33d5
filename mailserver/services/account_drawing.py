"""The picture of an account, drawn of what was loaded. Pure."""

from array import array
from bisect import bisect_left
from dataclasses import replace

from mailserver.services.account_view import READ, AccountView, Counts, Facts, Homes, MailboxContents
from storage.account_contents import AccountContents, MailboxesAt
from storage.type_states import HIDING_FLAG
from storage.types import MailboxId, Modseq


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
    several: dict[int, list[MailboxId]] = {}
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
                if home[placed]:
                    several.setdefault(placed, list(homes.sets[home[placed]])).append(mailbox)
                else:
                    home[placed] = alone
        boxes[mailbox] = MailboxContents(uids, slots, array("I", sorted(sorted(slots), key=received.__getitem__)))
        begin = end
    for placed, mailboxes in several.items():
        home[placed] = homes.number(mailboxes)
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
    return view if floor == view.states.floor else replace(view, states=view.states.from_floor(floor))


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
