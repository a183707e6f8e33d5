"""APPEND of one message or many, and REPLACE (RFC 3501 §6.3.11, RFC 3502, RFC 4315, RFC 8508).

What must be refused is refused before its message is sent, if the client waits for that; nothing is in memory whole but
small messages, and those packed as soon as they have come.
"""

import asyncio
from collections.abc import AsyncIterator

from mailserver.imap.session.conversation import Appending, Conversation
from mailserver.imap.session.names import respelt
from mailserver.imap.wire.commands import Append, AppendMessage, MessageForm, Replace
from mailserver.imap.wire.response_codes import AppendUids
from mailserver.imap.wire.responses import Condition, Response, Tagged, Untagged
from mailserver.mime.nul import without_nul
from mailserver.services import appending, mailboxes
from mailserver.services.spool import MEMORY_LIMIT_OCTETS, Spool, SpoolUnavailable
from storage.errors import MessageGone, OverQuota
from storage.placing import PreparedMessage
from storage.types import Flags, MailboxId, Uid


class MessageEmpty(Exception):
    """A message of no octets cancels the APPEND (RFC 3502)."""


class NulInLiteral(Exception):
    """A NUL in a message that was not sent as literal8 (RFC 3501 §4.3)."""


class MailboxReadOnly(Exception):
    """REPLACE in a mailbox that is open for reading only."""


async def begin_append(talk: Conversation, command: Append | Replace, *, is_synchronizing: bool) -> None:
    """Get ready for the first message. Raises what must refuse it before it is sent."""
    replaced = _replaced(talk, command) if isinstance(command, Replace) else None
    if is_synchronizing:
        await mailboxes.find_selectable(talk.services.store, talk.person, command.mailbox)
    appending_now = Appending(command, command.message, Spool(), replaced)
    _check_size(talk, appending_now)
    talk.appending = appending_now


async def next_message(talk: Conversation, message: AppendMessage) -> None:
    """One message has come, and another one is announced. Raises what must refuse it; the APPEND is then over."""
    appending_now = talk.appending
    assert appending_now is not None
    try:
        await _take_up(talk, appending_now)
        appending_now.message = message
        appending_now.spool = Spool()
        _check_size(talk, appending_now)
    except BaseException:
        drop(talk)
        raise


def take_octets(talk: Conversation, octets: bytes) -> None:
    """Keep the next octets of the message. Raises NulInLiteral, SpoolUnavailable; the APPEND is then over."""
    appending_now = talk.appending
    assert appending_now is not None
    try:
        if b"\0" in octets:
            if appending_now.message.form is MessageForm.LITERAL:
                raise NulInLiteral
            appending_now.has_nul = True
        appending_now.spool.write(octets)
    except (NulInLiteral, SpoolUnavailable):
        drop(talk)
        raise


async def finish_append(talk: Conversation, command: Append) -> AsyncIterator[Response]:
    """All messages have come: place them."""
    code = await _place(talk)
    for told in respelt(talk, command.mailbox):
        yield told
    yield Tagged(command.tag, Condition.OK, "Appended", code)


async def finish_replace(talk: Conversation, command: Replace) -> AsyncIterator[Response]:
    """APPENDUID before the client learns that the old message is gone, so that it can follow (RFC 8508 §4.3)."""
    code = await _place(talk)
    for told in respelt(talk, command.mailbox):
        yield told
    talk.must_look = True
    yield Untagged(Condition.OK, "Replacement message ready", code)
    yield Tagged(command.tag, Condition.OK, "Replaced")


def drop(talk: Conversation) -> None:
    if talk.appending is not None:
        talk.appending.close()
        talk.appending = None


def _replaced(talk: Conversation, command: Replace) -> tuple[MailboxId, Uid]:
    view = talk.selected
    if view.is_read_only:
        raise MailboxReadOnly
    uids = view.uids_of(command.messages)
    if not uids or view.is_ghost(uids[0]):
        raise MessageGone(0)
    return view.mailbox_id, uids[0]


def _check_size(talk: Conversation, appending_now: Appending) -> None:
    octets = appending_now.message.octets
    if not octets:
        raise MessageEmpty
    appending_now.announced_octets += octets
    quota = talk.person.quota_octets
    if quota is not None and appending_now.announced_octets > quota:
        raise OverQuota(0, quota)


async def _place(talk: Conversation) -> AppendUids:
    appending_now = talk.appending
    assert appending_now is not None
    try:
        await _take_up(talk, appending_now)
        messages = [await _prepared(talk, each) for each in appending_now.messages]
        command = appending_now.command
        appended = await appending.append_all(
            talk.services.store, talk.person, command.mailbox, messages, replaced=appending_now.replaced
        )
    finally:
        drop(talk)
    return AppendUids(appended.uidvalidity, appended.uids)


Waiting = tuple[PreparedMessage | Spool, AppendMessage]


async def _take_up(talk: Conversation, appending_now: Appending) -> None:
    """The message that was on its way has come. A small one is packed at once: what waits is no longer than must be."""
    message, spool = appending_now.message, appending_now.spool
    if appending_now.has_nul:
        appending_now.spool = spool = await asyncio.to_thread(_spooled_without_nul, spool)
        appending_now.has_nul = False
    if spool.octets_written > MEMORY_LIMIT_OCTETS:
        appending_now.messages.append((spool, message))
        return
    received_at = message.received_at or talk.now()
    with spool:
        prepared = await appending.prepare(talk.services.store, talk.person, spool.octets(), received_at)
    appending_now.messages.append((prepared, message))


def _spooled_without_nul(spool: Spool) -> Spool:
    with spool:
        octets = without_nul(bytes(spool.octets()))
    changed = Spool()
    changed.write(octets)
    return changed


async def _prepared(talk: Conversation, waiting: Waiting) -> tuple[PreparedMessage, Flags]:
    content, message = waiting
    if isinstance(content, Spool):
        received_at = message.received_at or talk.now()
        content = await appending.prepare(talk.services.store, talk.person, content.octets(), received_at)
    return content, message.flags
