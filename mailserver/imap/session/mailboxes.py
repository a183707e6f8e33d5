"""Mailboxes by name: NAMESPACE, LIST, LSUB, STATUS, CREATE, DELETE, RENAME, SUBSCRIBE (RFC 3501 §6.3)."""

from bisect import bisect_left
from collections.abc import AsyncIterator, Iterable, Iterator

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.wire.commands import (
    Create,
    Delete,
    List,
    Lsub,
    Namespace,
    Rename,
    Status,
    StatusItem,
    Subscribe,
    Unsubscribe,
)
from mailserver.imap.wire.list_pattern import ListPattern
from mailserver.imap.wire.mailbox_name import DELIMITER
from mailserver.imap.wire.response_codes import Code
from mailserver.imap.wire.responses import (
    Condition,
    Listed,
    LsubListed,
    MailboxAttribute,
    MailboxStatus,
    NamespaceEntry,
    Namespaces,
    Response,
    Tagged,
    Untagged,
)
from mailserver.services import mailboxes, messages
from storage.types import Mailbox

SPECIAL_USES = {
    attribute.value.removeprefix("\\").lower(): attribute
    for attribute in (
        MailboxAttribute.ALL,
        MailboxAttribute.ARCHIVE,
        MailboxAttribute.DRAFTS,
        MailboxAttribute.FLAGGED,
        MailboxAttribute.JUNK,
        MailboxAttribute.SENT,
        MailboxAttribute.TRASH,
    )
}
"""RFC 6154 §2, by the word that storage keeps."""


async def namespace(talk: Conversation, command: Namespace) -> AsyncIterator[Response]:
    yield Namespaces(personal=(NamespaceEntry(""),))
    yield Tagged(command.tag, Condition.OK, "Done")


async def list_mailboxes(talk: Conversation, command: List) -> AsyncIterator[Response]:
    if command.pattern is None:  # RFC 3501 §6.3.8: the delimiter and the root of the reference
        yield Listed("", (MailboxAttribute.NOSELECT,))
    else:
        for listed in listing(await mailboxes.list_mailboxes(talk.services.store, talk.person), command.pattern):
            yield listed
    yield Tagged(command.tag, Condition.OK, "Done")


async def lsub(talk: Conversation, command: Lsub) -> AsyncIterator[Response]:
    if command.pattern is None:
        yield LsubListed("", (MailboxAttribute.NOSELECT,))
    else:
        for listed in subscriptions(await mailboxes.list_mailboxes(talk.services.store, talk.person), command.pattern):
            yield listed
    yield Tagged(command.tag, Condition.OK, "Done")


def listing(found: Iterable[Mailbox], pattern: ListPattern) -> list[Listed]:
    """The LIST responses in order of names; a name that only others make necessary is \\Noselect."""
    by_name: dict[str, Mailbox | None] = {mailbox.name: mailbox for mailbox in found if not mailbox.is_deleted}
    parents = {parent for name in by_name for parent in _parents(name)}
    for parent in parents:
        by_name.setdefault(parent, None)
    return [
        Listed(name, tuple(_attributes(by_name[name], has_children=name in parents)))
        for name in sorted(by_name)
        if pattern.matches(name)
    ]


def subscriptions(found: Iterable[Mailbox], pattern: ListPattern) -> list[LsubListed]:
    """The LSUB responses: subscribed names, also of mailboxes that are gone (RFC 3501 §6.3.9).

    Where `%` stops above a subscribed name, its parent is listed as \\Noselect if it is not subscribed itself.
    """
    subscribed = {mailbox.name for mailbox in found if mailbox.is_subscribed}
    listed = {name: () for name in subscribed if pattern.matches(name)}
    above = {
        parent: (MailboxAttribute.NOSELECT,)
        for name in subscribed
        if name not in listed
        for parent in _parents(name)
        if parent not in subscribed and pattern.matches(parent)
    }
    return [LsubListed(name, attributes) for name, attributes in sorted({**listed, **above}.items())]


def _attributes(mailbox: Mailbox | None, *, has_children: bool) -> Iterator[MailboxAttribute]:
    if mailbox is None or not mailbox.is_selectable:
        yield MailboxAttribute.NOSELECT
    yield MailboxAttribute.HAS_CHILDREN if has_children else MailboxAttribute.HAS_NO_CHILDREN
    if mailbox is not None and mailbox.special_use is not None:
        use = SPECIAL_USES.get(mailbox.special_use.removeprefix("\\").lower())
        if use is not None:
            yield use


def _parents(name: str) -> Iterator[str]:
    """`a/b/c` has the parents `a` and `a/b`."""
    position = name.find(DELIMITER)
    while position > 0:
        yield name[:position]
        position = name.find(DELIMITER, position + 1)


async def status(talk: Conversation, command: Status) -> AsyncIterator[Response]:
    """STATUS (§6.3.10); of the selected mailbox too, which clients ask although they should not."""
    mailbox = await mailboxes.find_selectable(talk.services.store, talk.person, command.mailbox)
    recent = await _recent(talk, mailbox) if StatusItem.RECENT in command.items else 0
    values = {
        StatusItem.MESSAGES: mailbox.messages,
        StatusItem.RECENT: recent,
        StatusItem.UIDNEXT: mailbox.uidnext,
        StatusItem.UIDVALIDITY: mailbox.uidvalidity,
        StatusItem.UNSEEN: mailbox.unseen,
        StatusItem.HIGHESTMODSEQ: mailbox.modseq,
    }
    yield MailboxStatus(mailbox.name, tuple((item, values[item]) for item in command.items))
    if StatusItem.HIGHESTMODSEQ in command.items:
        for response in talk.enable_condstore():
            yield response
    yield Tagged(command.tag, Condition.OK, "Done")


async def _recent(talk: Conversation, mailbox: Mailbox) -> int:
    """How many messages no session was told of yet; mostly none, and then nothing is read."""
    if talk.view is not None and talk.view.mailbox_id == mailbox.id:
        return talk.view.recent_count
    if mailbox.first_recent_uid >= mailbox.uidnext:
        return 0
    contents = await messages.load_contents(talk.services.store, talk.person, mailbox.id, claim_recent=False)
    return len(contents.uids) - bisect_left(contents.uids, contents.recent_from)


async def create(talk: Conversation, command: Create) -> AsyncIterator[Response]:
    await mailboxes.create(talk.services.store, talk.person, command.mailbox)
    yield Tagged(command.tag, Condition.OK, "Created")


async def delete(talk: Conversation, command: Delete) -> AsyncIterator[Response]:
    """DELETE. The client's own selected mailbox is left first; other sessions that have it open are disconnected."""
    store, who = talk.services.store, talk.person
    is_selected = talk.view and (await mailboxes.find(store, who, command.mailbox)).id == talk.view.mailbox_id
    await mailboxes.delete(store, who, command.mailbox)
    if is_selected:
        talk.deselect()
        yield Untagged(Condition.OK, "The selected mailbox is gone", Code.CLOSED)
    yield Tagged(command.tag, Condition.OK, "Deleted")


async def rename(talk: Conversation, command: Rename) -> AsyncIterator[Response]:
    await mailboxes.rename(talk.services.store, talk.person, command.source, command.target)
    yield Tagged(command.tag, Condition.OK, "Renamed")


async def subscribe(talk: Conversation, command: Subscribe) -> AsyncIterator[Response]:
    await mailboxes.subscribe(talk.services.store, talk.person, command.mailbox)
    yield Tagged(command.tag, Condition.OK, "Subscribed")


async def unsubscribe(talk: Conversation, command: Unsubscribe) -> AsyncIterator[Response]:
    await mailboxes.unsubscribe(talk.services.store, talk.person, command.mailbox)
    yield Tagged(command.tag, Condition.OK, "Unsubscribed")
