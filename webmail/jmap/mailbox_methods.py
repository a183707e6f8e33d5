"""Mailbox/get and Mailbox/changes (RFC 8621 §2.1, §2.2)."""

from collections.abc import Mapping

from mailserver.services.account_changes import Kind
from mailserver.services.account_view import AccountView
from mailserver.services.mailbox_hierarchy import Place, places
from mailserver.services.mailboxes import INBOX
from storage.types import Mailbox, MailboxId
from webmail.jmap import ids
from webmail.jmap.arguments import Arguments
from webmail.jmap.errors import JsonObject
from webmail.jmap.limits import MAIL
from webmail.jmap.method import Context, Method
from webmail.jmap.states import state_of, told_changes

COUNTS = ("totalEmails", "unreadEmails", "totalThreads", "unreadThreads")
PROPERTIES = frozenset(
    {"id", "name", "parentId", "role", "sortOrder", *COUNTS, "myRights", "isSubscribed"},
)
_ORDER = {"inbox": 10, "drafts": 20, "scheduled": 25, "sent": 30, "archive": 40, "junk": 50, "trash": 60}
_LAST = 100


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    wanted = taken.standard_get(PROPERTIES)
    taken.end()
    view = await context.parts.account_views.of(context.who)
    tree = tree_of(view)
    if wanted.ids is None:  # all of them, however many: clients that may not have all can show none (RFC 8621 §2.1)
        chosen, not_found = list(view.mailboxes), []
    else:
        read = {each: ids.parse_mailbox_id(each) for each in wanted.ids}
        chosen = [found for found in read.values() if found is not None and found in view.mailboxes]
        not_found = [each for each, found in read.items() if found is None or found not in view.mailboxes]
    return {
        "accountId": context.account_id,
        "state": state_of(view, "Mailbox"),
        "list": [wanted.shown(shown(view, tree, each)) for each in chosen],
        "notFound": not_found,
    }


async def changes(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_changes()
    taken.end()
    told, found = await told_changes(context, asked, Kind.MAILBOX, lambda each: ids.mailbox_id(MailboxId(each)))
    return {**told, "updatedProperties": list(COUNTS) if found.are_counts_only else None}


def tree_of(view: AccountView) -> Mapping[MailboxId, Place]:
    """Worked out once for a picture."""
    tree: Mapping[MailboxId, Place] | None = view.memo.get("mailbox tree")
    if tree is None:
        tree = view.memo["mailbox tree"] = places(view.mailboxes.values())
    return tree


def role_of(mailbox: Mailbox) -> str | None:
    r"""The first of its special uses in lower case, as IANA has them; Inbox has none over IMAP (RFC 6154)."""
    if mailbox.name == INBOX:
        return "inbox"
    uses = (mailbox.special_use or "").split()
    return uses[0].removeprefix("\\").lower() if uses else None


def sort_order_of(view: AccountView, mailbox: Mailbox) -> int:
    """What the person chose, else by role."""
    chosen = view.sort_orders.get(mailbox.id)
    return chosen if chosen is not None else _ORDER.get(role_of(mailbox) or "", _LAST)


def shown(view: AccountView, tree: Mapping[MailboxId, Place], mailbox_id: MailboxId) -> JsonObject:
    """Every property of a Mailbox."""
    mailbox = view.mailboxes[mailbox_id]
    place, counts = tree[mailbox_id], view.counts(mailbox_id)
    return {
        "id": ids.mailbox_id(mailbox_id),
        "name": place.name,
        "parentId": None if place.parent is None else ids.mailbox_id(place.parent),
        "role": role_of(mailbox),
        "sortOrder": sort_order_of(view, mailbox),
        "totalEmails": counts.total_emails,
        "unreadEmails": counts.unread_emails,
        "totalThreads": counts.total_threads,
        "unreadThreads": counts.unread_threads,
        "myRights": rights_of(mailbox),
        "isSubscribed": mailbox.is_subscribed,
    }


def rights_of(mailbox: Mailbox) -> JsonObject:
    r"""Everybody owns what they see. A \Noselect name holds no mail, and Inbox stays where it is."""
    has_mail, is_inbox = mailbox.is_selectable, mailbox.name == INBOX
    return {
        "mayReadItems": has_mail,
        "mayAddItems": has_mail,
        "mayRemoveItems": has_mail,
        "maySetSeen": has_mail,
        "maySetKeywords": has_mail,
        "mayCreateChild": True,
        "mayRename": not is_inbox,
        "mayDelete": not is_inbox,
        "maySubmit": has_mail,
    }


METHODS = (Method("Mailbox/get", MAIL, get), Method("Mailbox/changes", MAIL, changes))
