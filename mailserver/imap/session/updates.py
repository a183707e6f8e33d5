"""What has happened to the selected mailbox since the client was last told (RFC 3501 §5.2)."""

from bisect import bisect_right
from collections.abc import Iterable

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.view import NO_KEYWORDS, MailboxView
from mailserver.imap.wire.responses import Bye, Response
from mailserver.services import changes, messages
from mailserver.services.messages import Contents
from storage.changes import FlagsAt, MailboxChanges
from storage.errors import MailboxNotFound
from storage.types import Flags, SystemFlag, Uid

MAILBOX_GONE = Bye("The selected mailbox was deleted")


async def look(talk: Conversation, *, may_expunge: bool) -> list[Response]:
    """Ask what changed and take it into the view. If the mailbox is gone, the session ends (RFC 2180 §3.3)."""
    view = talk.selected
    found = await changes.changes_since(
        talk.services.store, talk.person, view.mailbox_id, view.cursor, since_day=view.cursor_day
    )
    if not found.is_deleted and not found.is_complete:
        found = await _compared_afresh(talk, view)
    if found.is_deleted:
        talk.close()
        return [MAILBOX_GONE]
    responses = view.take_in(found, may_expunge=may_expunge, manner=talk.manner)
    share(talk, view)
    return responses


def share(talk: Conversation, view: MailboxView) -> None:
    """One picture of the mailbox is enough for all sessions that are as far as this one."""
    if not view.is_exact:
        return
    pictures, tenant_id = talk.services.pictures, talk.person.tenant_id
    kept = pictures.of(tenant_id, view.mailbox_id)
    if kept is None or (kept.epoch, kept.modseq) < (view.epoch, view.highest_modseq):
        pictures.keep(tenant_id, view.picture())
    elif (kept.epoch, kept.modseq) == (view.epoch, view.highest_modseq):
        view.adopt(kept)


async def _compared_afresh(talk: Conversation, view: MailboxView) -> MailboxChanges:
    """The log no longer reaches back to the cursor: read the mailbox, and what bears a later modseq in it."""
    store, who = talk.services.store, talk.person
    try:
        contents = await messages.load_contents(store, who, view.mailbox_id)
    except MailboxNotFound:
        return MailboxChanges(view.cursor, None, (), (), (), is_deleted=True, is_complete=True)
    return difference(view, contents, await changes.flags_since(store, who, view.mailbox_id, view.cursor))


def difference(view: MailboxView, contents: Contents, touched: Iterable[FlagsAt]) -> MailboxChanges:
    """What led from the view to `contents`.

    `touched` was read after these, and says only at which modseqs: what changed once more in between stands as
    `contents` has it, and the log tells the rest.
    """
    last = view.uids[-1] if view.uids else 0
    first_new = bisect_right(contents.uids, last)
    at = {uid: modseq for uid, _, modseq in touched if modseq <= contents.account_modseq}
    before = dict(zip(view.uids, view.flags, strict=True))

    def flags_of(uid: int, bits: int) -> FlagsAt:
        keywords = contents.keywords.get(uid, NO_KEYWORDS)
        return Uid(uid), Flags(SystemFlag(bits), keywords), at.get(Uid(uid), contents.modseq)

    return MailboxChanges(
        contents.account_modseq,
        contents.modseq,
        [flags_of(*each) for each in zip(contents.uids[first_new:], contents.flags[first_new:], strict=True)],
        [
            flags_of(uid, bits)
            for uid, bits in zip(contents.uids[:first_new], contents.flags[:first_new], strict=True)
            if uid in at
            or before.get(uid) != bits
            or view.keywords.get(uid, NO_KEYWORDS) != contents.keywords.get(uid, NO_KEYWORDS)
        ],
        [Uid(uid) for uid in sorted(before.keys() - set(contents.uids))],
        is_deleted=False,
        is_complete=True,
        day=contents.day,
    )
