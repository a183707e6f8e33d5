"""STATUS, and the statuses that LIST returns (RFC 9051 §6.3.11, RFC 5819, 7889, 8438, 8474, 9208)."""

from collections.abc import AsyncIterator, Sequence

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.wire.commands import Status
from mailserver.imap.wire.list_options import StatusItem
from mailserver.imap.wire.object_ids import mailbox_object_id
from mailserver.imap.wire.responses import Condition, MailboxStatus, Response, Tagged
from mailserver.services import mailboxes
from storage.types import Mailbox


async def status(talk: Conversation, command: Status) -> AsyncIterator[Response]:
    """STATUS; of the selected mailbox too, which clients ask although they should not."""
    mailbox = await mailboxes.find_selectable(talk.services.store, talk.person, command.mailbox)
    for response in await statuses(talk, [mailbox], command.items):
        yield response
    if StatusItem.HIGHESTMODSEQ in command.items:
        for told in talk.enable_condstore():
            yield told
    yield Tagged(command.tag, Condition.OK, "Done")


async def statuses(talk: Conversation, asked: Sequence[Mailbox], items: Sequence[StatusItem]) -> list[MailboxStatus]:
    """Mostly the mailbox rows have all of it; two items are counted, for all mailboxes at once."""
    store, who = talk.services.store, talk.person
    recent, reclaimable = {}, {}
    if StatusItem.RECENT in items:
        recent = await mailboxes.count_recent(store, who, asked)
    if StatusItem.DELETED_STORAGE in items:
        reclaimable = await mailboxes.sum_deleted(store, who, asked)
    told: list[MailboxStatus] = []
    for mailbox in asked:
        is_open = talk.view is not None and talk.view.mailbox_id == mailbox.id
        values: dict[StatusItem, int | bytes | None] = {
            StatusItem.MESSAGES: mailbox.messages,
            StatusItem.RECENT: talk.selected.recent_count if is_open else recent.get(mailbox.id, 0),
            StatusItem.UIDNEXT: mailbox.uidnext,
            StatusItem.UIDVALIDITY: mailbox.uidvalidity,
            StatusItem.UNSEEN: mailbox.unseen,
            StatusItem.DELETED: mailbox.deleted,
            StatusItem.DELETED_STORAGE: reclaimable.get(mailbox.id, 0),
            StatusItem.SIZE: mailbox.octets,
            StatusItem.HIGHESTMODSEQ: mailbox.modseq,
            StatusItem.MAILBOXID: mailbox_object_id(mailbox.id),
            StatusItem.APPENDLIMIT: talk.append_limit_octets,
        }
        told.append(MailboxStatus(mailbox.name, tuple((item, values[item]) for item in items)))
    return told
