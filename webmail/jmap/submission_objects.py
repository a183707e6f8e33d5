"""EmailSubmission objects (RFC 8621 §7): what a row and the queue say, as JMAP tells it."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence

from mailserver.services.submission_envelopes import read_fates
from mailserver.services.submission_fates import Known, known, known_fates
from storage import submissions as stored
from storage.outgoing_types import OutgoingId
from storage.submissions import Submission, UndoStatus
from storage.types import IdentityId, MessageId, SubmissionId, ThreadId
from webmail.jmap.email_headers import utc_date
from webmail.jmap.errors import JsonObject
from webmail.jmap.ids import MessageBlob, blob_id, email_id, identity_id, submission_id, thread_id
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


async def submissions(context: Context, numbers: Iterable[SubmissionId]) -> dict[SubmissionId, Submission]:
    """Those of the person."""
    who = context.who
    async with context.parts.store.database.read(who.tenant_id) as connection:
        return await stored.find(connection, who.tenant_id, who.account_id, list(numbers))


async def submission_objects(context: Context, found: Sequence[Submission], *, with_status: bool) -> list[JsonObject]:
    """`with_status`: the queue is asked what became of them."""
    queue: Known = {}
    ids = [OutgoingId(each.outgoing_id) for each in found if each.outgoing_id is not None]
    if with_status and ids:
        who = context.who
        async with context.parts.store.database.read(who.tenant_id) as connection:
            queue = known(await stored.recipients(connection, who.tenant_id, ids))
    reports: set[int] = set()
    if any(each.report_ids for each in found):
        view = await context.parts.account_views.of(context.who)
        reports = {number for each in found for number in each.report_ids if view.is_shown(MessageId(number))}
    return [_shown(each, queue, reports) for each in found]


def _shown(found: Submission, queue: Known, reports: Collection[int]) -> JsonObject:
    return {
        "id": submission_id(SubmissionId(found.id)),
        "identityId": identity_id(IdentityId(found.identity_id)),
        "emailId": email_id(MessageId(found.message_id)),
        "threadId": thread_id(ThreadId(found.thread_id)),
        "envelope": json.loads(found.envelope),
        "sendAt": utc_date(found.send_at.replace(microsecond=0)),
        "undoStatus": UNDO_STATUS[found.undo_status],
        "deliveryStatus": _delivery_status(found, queue),
        "dsnBlobIds": [blob_id(MessageBlob(MessageId(each), None)) for each in found.report_ids if each in reports],
        "mdnBlobIds": [],
    }


def _delivery_status(found: Submission, queue: Known) -> JsonObject | None:
    if found.undo_status == UndoStatus.CANCELED:
        return None
    return {
        fate.given: {"smtpReply": fate.reply, "delivered": fate.delivered, "displayed": "unknown"}
        for fate in known_fates(read_fates(found.fates), found.outgoing_id, queue)
    }
