"""What became of mail that went to other systems, by what the queue says of each recipient (RFC 8621 §7)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from mailserver.services.submission_envelopes import NO, QUEUED, UNKNOWN, Fate, read_fates, write_fates
from storage import submission_closing as closing
from storage import submissions as stored
from storage.outgoing_types import EventKind, OutgoingId
from storage.query import Connection
from storage.store import MailStore
from storage.submission_closing import OpenSubmission
from storage.submissions import Recipient, is_over
from storage.type_states import begin_change
from storage.types import SubmissionId
from tenants.types import AccountId, TenantId

Known = Mapping[tuple[int, str], Recipient]
"""By the queue's id and the address."""

_AT_ONCE = 500
# That another system took it is not yet that its person has it.
_ENDS = {EventKind.DELIVERED: UNKNOWN, EventKind.BOUNCED: NO, EventKind.EXPIRED: NO, EventKind.REMOVED: NO}


async def write_fates_down(store: MailStore) -> int:
    """Upkeep: what the queue is done with is written into the submissions' records, before its events are forgotten;
    and their states move, so that clients hear of it: once for all recipients that were over since the last look.
    Returns how many records."""
    written = 0
    after = (0, 0)
    while True:
        found = await closing.open_submissions(store.database, after, _AT_ONCE)
        for each, open_recipients in found:
            if open_recipients is None:
                await _close(store, each)
                written += 1
            elif each.open_recipients is None or open_recipients < each.open_recipients:
                written += await _write_some(store, each, open_recipients)
        if len(found) < _AT_ONCE:
            return written
        last, _ = found[-1]
        after = (last.tenant_id, last.id)


async def _write_some(store: MailStore, of: OpenSubmission, open_recipients: int) -> bool:
    """The account is locked only if there is something to tell."""
    tenant_id, account_id = TenantId(of.tenant_id), AccountId(of.account_id)
    async with store.database.read(tenant_id) as connection:
        if await _news(connection, of) is None:
            await closing.look_again(connection, of, open_recipients)
            return False
    async with store.database.transaction(tenant_id) as connection:
        modseq = await begin_change(connection, tenant_id, account_id, stored.TYPE_NAME)
        fates = await _news(connection, of)
        if fates is not None:
            await closing.write_some(connection, of, write_fates(fates), open_recipients, modseq)
    store.announce(tenant_id, account_id, modseq)
    return fates is not None


async def _news(connection: Connection, of: OpenSubmission) -> list[Fate] | None:
    """With what is over by now and its record does not know. None: nothing."""
    submission_id = SubmissionId(of.id)
    found = await stored.find(connection, TenantId(of.tenant_id), AccountId(of.account_id), [submission_id])
    if submission_id not in found:
        return None
    before = read_fates(found[submission_id].fates)
    queue = known(await stored.recipients(connection, TenantId(of.tenant_id), [OutgoingId(of.outgoing_id)]))
    now = known_fates(before, of.outgoing_id, queue)
    after = [old if new.delivered == QUEUED else new for old, new in zip(before, now, strict=True)]
    return after if after != before else None


async def _close(store: MailStore, done: OpenSubmission) -> None:
    tenant_id, account_id = TenantId(done.tenant_id), AccountId(done.account_id)
    async with store.database.transaction(tenant_id) as connection:
        modseq = await begin_change(connection, tenant_id, account_id, stored.TYPE_NAME)
        found = await stored.find(connection, tenant_id, account_id, [SubmissionId(done.id)])
        record = found.get(SubmissionId(done.id))
        queue = known(await stored.recipients(connection, tenant_id, [OutgoingId(done.outgoing_id)]))
        fates = [] if record is None else known_fates(read_fates(record.fates), done.outgoing_id, queue)
        await closing.close(connection, done, write_fates(fates), modseq)
    store.announce(tenant_id, account_id, modseq)


def known(recipients: Iterable[Recipient]) -> Known:
    """What comes later says more."""
    return {(each.outgoing_id, each.address): each for each in recipients}


def known_fates(fates: Sequence[Fate], outgoing_id: int | None, queue: Known) -> list[Fate]:
    """With what is known of each."""
    return [_known_fate(fate, queue.get((outgoing_id or 0, fate.path))) for fate in fates]


def _known_fate(fate: Fate, recipient: Recipient | None) -> Fate:
    if fate.delivered:
        return fate
    if recipient is None:
        return replace(fate, delivered=UNKNOWN, reply="250 2.0.0 Nothing more is known of it")
    if recipient.kind is not None:
        delivered = _ENDS[EventKind(recipient.kind)]
    elif is_over(recipient):
        delivered = NO if (recipient.reply_code or 550) >= 400 else UNKNOWN
    else:
        delivered = QUEUED
    return replace(fate, delivered=delivered, reply=_reply(recipient))


def _reply(recipient: Recipient) -> str:
    """What another server said last, in one line; or what there is to say without one."""
    text = " ".join((recipient.reply_text or "").split())
    if recipient.reply_code:
        return " ".join(piece for piece in (str(recipient.reply_code), recipient.reply_enhanced or "", text) if piece)
    if recipient.kind is None and not is_over(recipient):
        return "250 2.0.0 Queued"
    return f"554 {recipient.reply_enhanced or '5.0.0'} {text or 'Not sent'}"
