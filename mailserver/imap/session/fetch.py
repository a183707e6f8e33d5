"""FETCH and UID FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4).

FLAGS and UID alone come from the view, without a question to the database; `fetching` answers the rest.

Messages that another session has expunged while this client still counts them (ghosts): their FLAGS and UID are
answered from the view, everything else of them is left out, and EXPUNGEISSUED in the tagged response tells the client
to look; a sequence set of which nothing is left ends in NO (RFC 2180 §4.1.2, §4.1.3). UID FETCH never tells: a uid that
is not there names nothing.
"""

from collections.abc import AsyncIterator, Sequence

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.fetch_plan import plan_fetch
from mailserver.imap.session.fetch_view import fetched_from_view
from mailserver.imap.session.fetching import Fetching
from mailserver.imap.session.resync import not_enabled, vanished
from mailserver.imap.wire.commands import Fetch
from mailserver.imap.wire.fetch_items import FetchAttribute
from mailserver.imap.wire.response_codes import Code
from mailserver.imap.wire.responses import Condition, Fetched, Response, Tagged
from mailserver.imap.wire.sequence import SAVED, UidSet, part_of, uids_at
from mailserver.services import changes
from storage.changes import MailboxChanges
from storage.types import Modseq, Uid


async def fetch(talk: Conversation, command: Fetch) -> AsyncIterator[Response]:
    view = talk.selected
    if command.vanished and not talk.is_qresync:
        yield not_enabled(command.tag)
        return
    if FetchAttribute.MODSEQ in command.items or command.changed_since is not None:
        for response in talk.enable_condstore():
            yield response
    plan = plan_fetch(command.items, is_condstore=talk.is_condstore)
    positions = view.positions(command.messages)
    if command.partial is not None:
        positions = part_of(positions, command.partial.positions(sum(map(len, positions))))
    if plan.is_in_view and command.changed_since is None:
        has_flags, has_uid = FetchAttribute.FLAGS in plan.items, FetchAttribute.UID in plan.items
        for spread in positions:
            for octets in fetched_from_view(view, spread, has_flags=has_flags, has_uid=has_uid):
                yield Fetched(octets)
        yield Tagged(command.tag, Condition.OK, "Done")
        return
    uids: Sequence[Uid] = [Uid(uid) for uid in uids_at(positions, view.uids)]
    if command.changed_since is not None and command.changed_since >= view.highest_modseq:
        uids = []  # what came since is told before the end
    elif command.changed_since is not None:
        found = await _changed_since(talk, command.changed_since)
        if command.vanished:
            named = [each for each in command.messages.ranges if each != SAVED]  # what is gone is in `$` no more
            for gone in vanished(view, found, named):
                yield gone
        if found.is_complete:
            touched = {uid for uid, _, _ in (*found.arrived, *found.changed)}
            uids = [uid for uid in uids if uid in touched]
    fetching = Fetching(talk, plan, command.changed_since or Modseq(0))
    async for response in fetching.responses(uids):
        yield response
    if fetching.failure is not None:
        raise fetching.failure
    yield _end(command, asked=len(uids), answered=fetching.answered)


def _end(command: Fetch, *, asked: int, answered: int) -> Tagged:
    if answered >= asked or isinstance(command.messages, UidSet) or command.changed_since is not None:
        return Tagged(command.tag, Condition.OK, "Done")
    if not answered:
        return Tagged(command.tag, Condition.NO, "The messages are gone", Code.EXPUNGEISSUED)
    return Tagged(command.tag, Condition.OK, "Some of the messages are gone", Code.EXPUNGEISSUED)


async def _changed_since(talk: Conversation, modseq: Modseq) -> MailboxChanges:
    """CHANGEDSINCE: the log names the messages that changed. Where it no longer reaches back, all are looked at."""
    view = talk.selected
    return await changes.changes_since(talk.services.store, talk.person, view.mailbox_id, modseq)
