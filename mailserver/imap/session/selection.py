"""Opening and leaving a mailbox, asking what is new: SELECT, EXAMINE, CLOSE, UNSELECT, NOOP, CHECK (RFC 3501 §6)."""

import contextlib
from collections.abc import AsyncIterator

from mailserver.imap.session.conversation import Conversation, highest_modseq
from mailserver.imap.session.names import opened
from mailserver.imap.session.resync import missed, not_enabled
from mailserver.imap.session.updates import share
from mailserver.imap.session.view import NEVER_RECENT, MailboxView
from mailserver.imap.wire.commands import Check, Close, Examine, Noop, Select, Unselect
from mailserver.imap.wire.object_ids import mailbox_object_id
from mailserver.imap.wire.response_codes import Code, MailboxIdCode, UidNext, UidValidityCode, Unseen
from mailserver.imap.wire.responses import (
    Condition,
    Exists,
    FlagsDefined,
    RecentCount,
    Response,
    Tagged,
    Untagged,
)
from mailserver.services import messages
from mailserver.services.messages import Contents
from mailserver.services.opening import open_mailbox
from storage.errors import StorageError


def select(talk: Conversation, command: Select) -> AsyncIterator[Response]:
    return _open(talk, command, is_read_only=False)


def examine(talk: Conversation, command: Examine) -> AsyncIterator[Response]:
    return _open(talk, command, is_read_only=True)


async def _open(talk: Conversation, command: Select | Examine, *, is_read_only: bool) -> AsyncIterator[Response]:
    """What SELECT and EXAMINE tell (RFC 3501 §6.3.1). The mailbox selected before is left even if this one fails."""
    if command.resync is not None and not talk.is_qresync:
        yield not_enabled(command.tag)
        return
    is_another_left = talk.view is not None
    await leave(talk)
    if is_another_left:
        yield Untagged(Condition.OK, "The previous mailbox is closed", Code.CLOSED)
    store, who = talk.services.store, talk.person
    talk.begin_watching()
    claim_recent = not is_read_only and not talk.is_rev2
    try:
        contents = await open_mailbox(store, talk.services.pictures, who, command.mailbox, claim_recent=claim_recent)
    except BaseException:
        talk.deselect()
        raise
    view = view_of(contents, is_read_only=is_read_only, with_recent=not talk.is_rev2)
    if command.condstore:
        talk.enable_condstore()
    talk.select(view)
    yield FlagsDefined(view.defined_flags())
    yield Exists(view.count)
    if not talk.is_rev2:
        yield RecentCount(view.recent_count)
        unseen = view.number_of_first_unseen()
        if unseen is not None:
            yield Untagged(Condition.OK, "The first unseen message", Unseen(unseen))
    yield view.permanent_flags()
    yield Untagged(Condition.OK, "UIDs are valid", UidValidityCode(view.uidvalidity))
    yield Untagged(Condition.OK, "The next UID", UidNext(contents.mailbox.uidnext))
    yield highest_modseq(view)
    yield Untagged(Condition.OK, "The id of the mailbox", MailboxIdCode(mailbox_object_id(view.mailbox_id)))
    if talk.is_rev2:
        yield opened(command.mailbox, contents.mailbox)
    if command.resync is not None:
        async for response in missed(talk, command.resync):
            yield response
    if is_read_only:
        yield Tagged(command.tag, Condition.OK, "Selected for reading", Code.READ_ONLY)
    else:
        yield Tagged(command.tag, Condition.OK, "Selected", Code.READ_WRITE)


def view_of(contents: Contents, *, is_read_only: bool, with_recent: bool) -> MailboxView:
    return MailboxView(
        mailbox_id=contents.mailbox.id,
        name=contents.mailbox.name,
        uidvalidity=contents.mailbox.uidvalidity,
        is_read_only=is_read_only,
        uids=contents.uids,
        flags=contents.flags,
        keywords=contents.keywords,
        recent_from=contents.recent_from if with_recent else NEVER_RECENT,
        uidnext=contents.mailbox.uidnext,
        highest_modseq=contents.modseq,
        cursor=contents.account_modseq,
        cursor_day=contents.day,
        epoch=contents.epoch,
    )


async def leave(talk: Conversation) -> None:
    """What this session was told of is not \\Recent in the next one; a client that just vanishes leaves it so."""
    view = talk.view
    if view is not None:
        share(talk, view)
    talk.deselect()
    if view is not None and view.has_arrivals and not view.is_read_only and not talk.is_rev2:
        with contextlib.suppress(StorageError):
            await messages.claim_recent(talk.services.store, talk.person, view.mailbox_id)


async def close(talk: Conversation, command: Close) -> AsyncIterator[Response]:
    """CLOSE (§6.4.2): what is \\Deleted goes without a word, unless the mailbox was opened for reading only."""
    view = talk.selected
    if not view.is_read_only:
        await messages.expunge(talk.services.store, talk.person, view.mailbox_id, None)
    await leave(talk)
    yield Tagged(command.tag, Condition.OK, "Closed")


async def unselect(talk: Conversation, command: Unselect) -> AsyncIterator[Response]:
    await leave(talk)
    yield Tagged(command.tag, Condition.OK, "Closed")


async def check(talk: Conversation, command: Check) -> AsyncIterator[Response]:
    """CHECK (§6.4.1): everything is on disk already; what is new is told as after any command."""
    yield Tagged(command.tag, Condition.OK, "Done")


async def noop(talk: Conversation, command: Noop) -> AsyncIterator[Response]:
    yield Tagged(command.tag, Condition.OK, "Done")
