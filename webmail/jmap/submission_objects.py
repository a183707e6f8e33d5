"""EmailSubmission objects (RFC 8621 §7): what a row and the queue say, as JMAP tells it."""

import json
from collections.abc import Iterable, Mapping, Sequence

from mailserver.services.submission_envelopes import NO, QUEUED, UNKNOWN, Fate, read_fates
from storage import submissions as stored
from storage.outgoing_types import EventKind, OutgoingId
from storage.submissions import Recipient, Submission, UndoStatus, is_over
from storage.types import IdentityId, MessageId, SubmissionId, ThreadId
from webmail.jmap.email_headers import utc_date
from webmail.jmap.errors import JsonObject
from webmail.jmap.ids import email_id, identity_id, submission_id, thread_id
from webmail.jmap.method import Context

PROPERTIES = frozenset(
    {
        "id",
        "identityId",
        "emailId",
        "threadId",
        "envelope",
        "sendAt",
        "undoStatus",
        "deliveryStatus",
        "dsnBlobIds",
        "mdnBlobIds",
    }
)
UNDO_STATUS: Mapping[int, str] = {
    UndoStatus.PENDING: "pending",
    UndoStatus.FINAL: "final",
    UndoStatus.CANCELED: "canceled",
}
_ENDS = {EventKind.DELIVERED: UNKNOWN, EventKind.BOUNCED: NO, EventKind.EXPIRED: NO, EventKind.REMOVED: NO}

_Queue = Mapping[tuple[int, str], Recipient]


async def submissions(context: Context, numbers: Iterable[SubmissionId]) -> dict[SubmissionId, Submission]:
    """Those of the person."""
    who = context.who
    async with context.parts.store.database.read(who.tenant_id) as connection:
        return await stored.find(connection, who.tenant_id, who.account_id, list(numbers))


async def submission_objects(context: Context, found: Sequence[Submission], *, with_status: bool) -> list[JsonObject]:
    """`with_status`: the queue is asked what became of them."""
    queue: dict[tuple[int, str], Recipient] = {}
    ids = [OutgoingId(each.outgoing_id) for each in found if each.outgoing_id is not None]
    if with_status and ids:
        who = context.who
        async with context.parts.store.database.read(who.tenant_id) as connection:
            for recipient in await stored.recipients(connection, who.tenant_id, ids):
                queue[recipient.outgoing_id, recipient.address] = recipient  # what comes later says more
    return [_shown(each, queue) for each in found]


def _shown(found: Submission, queue: _Queue) -> JsonObject:
    return {
        "id": submission_id(SubmissionId(found.id)),
        "identityId": identity_id(IdentityId(found.identity_id)),
        "emailId": email_id(MessageId(found.message_id)),
        "threadId": thread_id(ThreadId(found.thread_id)),
        "envelope": json.loads(found.envelope),
        "sendAt": utc_date(found.send_at.replace(microsecond=0)),
        "undoStatus": UNDO_STATUS[found.undo_status],
        "deliveryStatus": _delivery_status(found, queue),
        "dsnBlobIds": [],
        "mdnBlobIds": [],
    }


def _delivery_status(found: Submission, queue: _Queue) -> JsonObject | None:
    if found.undo_status == UndoStatus.CANCELED:
        return None
    return {
        fate.given: _status(fate, queue.get((found.outgoing_id or 0, fate.path))) for fate in read_fates(found.fates)
    }


def _status(fate: Fate, recipient: Recipient | None) -> JsonObject:
    delivered, reply = fate.delivered, fate.reply
    if not delivered and recipient is None:
        delivered, reply = UNKNOWN, "250 2.0.0 Nothing more is known of it"
    elif not delivered and recipient is not None:
        reply = _reply(recipient)
        if recipient.kind is not None:
            delivered = _ENDS[EventKind(recipient.kind)]
        else:
            failed = is_over(recipient) and (recipient.reply_code or 550) >= 400
            delivered = NO if failed else UNKNOWN if is_over(recipient) else QUEUED
    return {"smtpReply": reply, "delivered": delivered, "displayed": "unknown"}


def _reply(recipient: Recipient) -> str:
    """What another server said last, in one line; or what there is to say without one."""
    if not recipient.reply_code:
        if recipient.kind is None and not is_over(recipient):
            return "250 2.0.0 Queued"
        return f"554 {recipient.reply_enhanced or '5.0.0'} {' '.join((recipient.reply_text or 'Not sent').split())}"
    pieces = (str(recipient.reply_code), recipient.reply_enhanced or "", " ".join((recipient.reply_text or "").split()))
    return " ".join(piece for piece in pieces if piece)
