"""APPEND (RFC 3501 §6.3.11, RFC 4315): refused before its message is sent where possible, and never whole in memory."""

from collections.abc import AsyncIterator

from mailserver.imap.session.conversation import Appending, Conversation
from mailserver.imap.session.names import respelt
from mailserver.imap.wire.commands import Append
from mailserver.imap.wire.response_codes import AppendUid
from mailserver.imap.wire.responses import Condition, Response, Tagged
from mailserver.services import mailboxes, messages
from mailserver.services.spool import Spool, SpoolUnavailable
from storage.errors import OverQuota


async def begin_append(talk: Conversation, command: Append) -> None:
    """Get ready for the message. Raises what must refuse it before it is sent."""
    await mailboxes.find_selectable(talk.services.store, talk.person, command.mailbox)
    quota = talk.person.quota_octets
    if quota is not None and command.octets > quota:
        raise OverQuota(0, quota)
    talk.appending = Appending(command, Spool())


def take_octets(talk: Conversation, octets: bytes) -> None:
    """Keep the next octets of the message. Raises SpoolUnavailable; the APPEND is then over."""
    assert talk.appending is not None
    try:
        talk.appending.spool.write(octets)
    except SpoolUnavailable:
        drop(talk)
        raise


async def finish_append(talk: Conversation, command: Append) -> AsyncIterator[Response]:
    """The message is complete: place it."""
    assert talk.appending is not None
    with talk.appending.spool as spool:
        talk.appending = None
        placed = await messages.append(
            talk.services.store,
            talk.person,
            command.mailbox,
            spool.octets(),
            flags=command.flags,
            received_at=command.received_at or talk.now(),
        )
    for told in respelt(talk, command.mailbox):
        yield told
    yield Tagged(command.tag, Condition.OK, "Appended", AppendUid(placed.uidvalidity, placed.uid))


def drop(talk: Conversation) -> None:
    if talk.appending is not None:
        talk.appending.spool.close()
        talk.appending = None
