"""Messages of the selected mailbox change or go: STORE, COPY, MOVE, EXPUNGE (RFC 3501 §6.4, RFC 4315, 6851, 7162).

None of the handlers tells of messages that go: the updates before the tagged response do, for every cause alike, and
so is HIGHESTMODSEQ told there.
A message that another session has expunged is left alone; the rest of the set is worked on (RFC 2180 §4.2), and
EXPUNGEISSUED in the tagged response says so.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.names import respelt
from mailserver.imap.session.view import MailboxView, applied, same_flags
from mailserver.imap.wire.commands import Copy, Expunge, Move, Store, UidExpunge
from mailserver.imap.wire.response_codes import Code, CopyUid, Modified
from mailserver.imap.wire.responses import Condition, Fetched, Response, Tagged, Untagged
from mailserver.imap.wire.sequence import UidSet
from mailserver.services import messages
from storage.flags import StoredFlags


def _read_only(command: Store | Expunge | UidExpunge | Move) -> Tagged:
    return Tagged(command.tag, Condition.NO, "The mailbox is open for reading only", Code.NOPERM)


async def store(talk: Conversation, command: Store) -> AsyncIterator[Response]:
    """STORE and UID STORE, conditional or not."""
    view = talk.selected
    if view.is_read_only:
        yield _read_only(command)
        return
    if command.unchanged_since is not None:
        for response in talk.enable_condstore():
            yield response
    uids = view.uids_of(command.messages)
    if not uids:
        yield Tagged(command.tag, Condition.OK, "There was nothing to change")
        return
    stored = await messages.change_flags(
        talk.services.store,
        talk.person,
        view.mailbox_id,
        uids,
        command.change,
        unchanged_since=command.unchanged_since,
    )
    for response in _stored(talk, command, stored):
        yield response
    if not view.pass_own(each.modseq for each in stored if each.is_changed):
        talk.must_look = True
    yield _store_end(view, command, stored, asked=len(uids))


def _stored(talk: Conversation, command: Store, stored: Iterable[StoredFlags]) -> Iterator[Response]:
    """What the client learns of each message it named.

    .SILENT spares it the flags it can work out itself, so they are told if another session had a hand in them (RFC
    3501 §6.4.6). A CONDSTORE-aware client learns the modseq always, and the flags of those that UNCHANGEDSINCE spared,
    so that it need not ask before it tries again (RFC 7162 §3.1.3).
    """
    view = talk.selected
    with_uid = isinstance(command.messages, UidSet) or talk.is_condstore
    for each in stored:
        number = view.number_of(each.uid)
        if number is None:
            continue
        is_expected = not each.is_spared and same_flags(each.flags, applied(command.change, view.flags_of(number)))
        yield from view.set_flags(number, each.flags)
        view.note_told(each.uid, each.modseq)
        if not command.is_silent or not is_expected:
            modseq = each.modseq if talk.is_condstore else None
            yield view.flags_response(number, each.flags, with_uid=with_uid, modseq=modseq)
        elif talk.is_condstore:
            view.sync.hear(each.modseq)
            yield Fetched(b"* %d FETCH (UID %d MODSEQ (%d))\r\n" % (number, each.uid, each.modseq))


def _store_end(view: MailboxView, command: Store, stored: Sequence[StoredFlags], *, asked: int) -> Tagged:
    is_uid = isinstance(command.messages, UidSet)
    spared = [each.uid for each in stored if each.is_spared]
    if spared:
        numbers = spared if is_uid else [number for uid in spared if (number := view.number_of(uid)) is not None]
        return Tagged(command.tag, Condition.OK, "Some messages have changed meanwhile", Modified(numbers))
    if len(stored) == asked or is_uid:
        return Tagged(command.tag, Condition.OK, "Stored")
    if not stored and not command.is_silent:
        return _gone(command)
    return Tagged(command.tag, Condition.OK, "Some of the messages are gone", Code.EXPUNGEISSUED)


def _gone(command: Store | Copy | Move) -> Tagged:
    """Nothing is left of the set. UIDs that are not there are no error (RFC 3501 §6.4.8), sequence numbers are."""
    if isinstance(command.messages, UidSet):
        return Tagged(command.tag, Condition.OK, "There are no such messages")
    return Tagged(command.tag, Condition.NO, "The messages are gone", Code.EXPUNGEISSUED)


async def copy(talk: Conversation, command: Copy) -> AsyncIterator[Response]:
    view = talk.selected
    uids = view.uids_of(command.messages)
    if not uids:
        yield Tagged(command.tag, Condition.OK, "There was nothing to copy")
        return
    copied = await messages.copy(talk.services.store, talk.person, view.mailbox_id, uids, command.mailbox)
    if not copied.source_uids:
        yield _gone(command)
        return
    for told in respelt(talk, command.mailbox):
        yield told
    code = CopyUid(copied.uidvalidity, copied.source_uids, copied.target_uids)
    yield Tagged(command.tag, Condition.OK, "Copied", code)


async def move(talk: Conversation, command: Move) -> AsyncIterator[Response]:
    """MOVE: COPYUID before the expunges, so that a client can follow each message (RFC 6851 §4.3)."""
    view = talk.selected
    if view.is_read_only:
        yield _read_only(command)
        return
    uids = view.uids_of(command.messages)
    if not uids:
        yield Tagged(command.tag, Condition.OK, "There was nothing to move")
        return
    moved = await messages.move(talk.services.store, talk.person, view.mailbox_id, uids, command.mailbox)
    if not moved.source_uids:
        yield _gone(command)
        return
    for told in respelt(talk, command.mailbox):
        yield told
    yield Untagged(Condition.OK, "Moved", CopyUid(moved.uidvalidity, moved.source_uids, moved.target_uids))
    yield Tagged(command.tag, Condition.OK, "Done")


async def expunge(talk: Conversation, command: Expunge) -> AsyncIterator[Response]:
    view = talk.selected
    if view.is_read_only:
        yield _read_only(command)
        return
    expunged = await messages.expunge(talk.services.store, talk.person, view.mailbox_id, None)
    yield _expunge_end(command, expunged)


async def uid_expunge(talk: Conversation, command: UidExpunge) -> AsyncIterator[Response]:
    """UID EXPUNGE (RFC 4315 §2.1): only those named, and of them only the \\Deleted ones."""
    view = talk.selected
    if view.is_read_only:
        yield _read_only(command)
        return
    uids = view.uids_of(command.messages)
    expunged = await messages.expunge(talk.services.store, talk.person, view.mailbox_id, uids) if uids else None
    yield _expunge_end(command, expunged)


def _expunge_end(command: Expunge | UidExpunge, expunged: messages.Expunged | None) -> Tagged:
    if expunged is None or expunged.modseq is None:
        return Tagged(command.tag, Condition.OK, "There was nothing to expunge")
    return Tagged(command.tag, Condition.OK, "Expunged")
