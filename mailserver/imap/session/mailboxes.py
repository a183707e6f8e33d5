"""Mailboxes are made, renamed, deleted, subscribed to (RFC 9051 §6.3.4 to §6.3.8, RFC 6154 §3, RFC 8474 §4.1)."""

from collections.abc import AsyncIterator

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.listing import special_uses
from mailserver.imap.session.names import respelt
from mailserver.imap.wire.commands import Create, Delete, Rename, Subscribe, Unsubscribe
from mailserver.imap.wire.mailbox_name import DELIMITER
from mailserver.imap.wire.object_ids import mailbox_object_id
from mailserver.imap.wire.response_codes import Code, MailboxIdCode
from mailserver.imap.wire.responses import Condition, MailboxAttribute, Response, Tagged, Untagged
from mailserver.services import mailboxes


async def create(talk: Conversation, command: Create) -> AsyncIterator[Response]:
    made = await mailboxes.create(talk.services.store, talk.person, command.mailbox, uses=command.uses)
    for told in respelt(talk, command.mailbox, *special_uses(made)):
        yield told
    yield Tagged(command.tag, Condition.OK, "Created", MailboxIdCode(mailbox_object_id(made.id)))


async def delete(talk: Conversation, command: Delete) -> AsyncIterator[Response]:
    """DELETE. The client's own selected mailbox is left first; other sessions that have it open are disconnected."""
    store, who = talk.services.store, talk.person
    is_selected = talk.view and (await mailboxes.find(store, who, command.mailbox)).id == talk.view.mailbox_id
    await mailboxes.delete(store, who, command.mailbox)
    if is_selected:
        talk.deselect()
        yield Untagged(Condition.OK, "The selected mailbox is gone", Code.CLOSED)
    for told in respelt(talk, command.mailbox, MailboxAttribute.NONEXISTENT):
        yield told
    yield Tagged(command.tag, Condition.OK, "Deleted")


async def rename(talk: Conversation, command: Rename) -> AsyncIterator[Response]:
    """RENAME. Of two spellings that the server knows better, the client learns what became of the first."""
    await mailboxes.rename(talk.services.store, talk.person, command.source, command.target)
    source, target = mailboxes.canonical_name(command.source), mailboxes.canonical_name(command.target)
    if (source, target) != (command.source, command.target.removesuffix(DELIMITER)):
        for told in respelt(talk, command.source, name=target):
            yield told
    yield Tagged(command.tag, Condition.OK, "Renamed")


async def subscribe(talk: Conversation, command: Subscribe) -> AsyncIterator[Response]:
    await mailboxes.subscribe(talk.services.store, talk.person, command.mailbox)
    yield Tagged(command.tag, Condition.OK, "Subscribed")


async def unsubscribe(talk: Conversation, command: Unsubscribe) -> AsyncIterator[Response]:
    await mailboxes.unsubscribe(talk.services.store, talk.person, command.mailbox)
    yield Tagged(command.tag, Condition.OK, "Unsubscribed")
