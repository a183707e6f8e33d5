"""Mail that waits for its time, as administrators see it in the queue: listed, sent now, canceled.

A message is chosen as a whole, by any of its recipients. What is being sent at this moment is left out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage import held_mail
from storage.database import Database
from storage.held_mail import ReleaseLost
from storage.outgoing_acts import CHOSEN, Chosen
from storage.query import Query
from storage.submissions import TYPE_NAME
from storage.type_states import begin_change
from storage.types import SubmissionId
from tenants.types import AccountId, TenantId

HELD_RECIPIENTS = """
    SELECT h.tenant_id, h.submission_id AS outgoing_id, f.ordinal::integer AS ordinal, f.address,
           lower(substring(f.address FROM '[^@]*$')) AS domain, 0::smallint AS state, 4::smallint AS held_reason,
           h.leased_until, h.release_at AS next_attempt_at, 0 AS attempts, 0::smallint AS reply_code,
           '' AS reply_enhanced, '' AS reply_text, '' AS reply_host
      FROM held_submission h
     CROSS JOIN LATERAL (
        SELECT w.ordinal, coalesce(w.fate ->> 'path', w.given) AS address
          FROM json_each(coalesce(h.fates, (SELECT s.fates FROM email_submission s
                                             WHERE s.tenant_id = h.tenant_id AND s.id = h.submission_id), '{}')::json)
               WITH ORDINALITY AS w (given, fate, ordinal)) f
"""
"""Whom it is for, as rows of the queue: queued for later (`HeldReason.SCHEDULED`)."""


@dataclass(frozen=True, slots=True)
class Held:
    tenant_id: int
    submission_id: int
    account_id: int
    is_recorded: bool


@dataclass(frozen=True, slots=True)
class Waiting:
    """All that waits. `first_at` None: nothing does."""

    messages: int
    first_at: datetime | None


_CHOSEN_HELD = Query(
    f"""
    SELECT h.tenant_id, h.submission_id, h.account_id, h.fates IS NULL AS is_recorded
      FROM held_submission h JOIN outgoing o ON o.tenant_id = h.tenant_id AND o.id = h.submission_id
     WHERE (h.leased_until IS NULL OR h.leased_until < now())
       AND EXISTS (SELECT FROM ({HELD_RECIPIENTS}) r
                    WHERE r.tenant_id = h.tenant_id AND r.outgoing_id = h.submission_id AND {CHOSEN})
     ORDER BY h.tenant_id, h.submission_id
    """,  # noqa: S608 - our own constants
    row=Held,
    role="waypost_system",
    scans=["held_submission", "outgoing"],
)
_WAITING = Query(
    "SELECT count(*)::integer AS messages, min(release_at) AS first_at FROM held_submission",
    row=Waiting,
    role="waypost_system",
    scans=["held_submission"],
)
_SEND_NOW = Query[None](
    """
    UPDATE held_submission SET release_at = least(release_at, now())
     WHERE tenant_id = waypost_tenant(%(tenant_id)s) AND submission_id = %(id)s
    """
)


async def find(database: Database, chosen: Chosen) -> Sequence[Held]:
    async with database.system() as connection:
        return await _CHOSEN_HELD.all(connection, **chosen.values())


async def waiting(database: Database) -> Waiting:
    async with database.system() as connection:
        return await _WAITING.one(connection)


async def send_now(database: Database, chosen: Chosen) -> int:
    """Their time has come; upkeep sends them within seconds. Returns how many messages."""
    count = 0
    for each in await find(database, chosen):
        async with database.transaction(TenantId(each.tenant_id)) as connection:
            count += await _SEND_NOW.execute(connection, tenant_id=each.tenant_id, id=each.submission_id)
    return count


async def cancel(database: Database, chosen: Chosen) -> int:
    """As their writers would do it: Emails in Scheduled are drafts again. Returns how many messages."""
    count = 0
    for each in await find(database, chosen):
        tenant_id, account_id = TenantId(each.tenant_id), AccountId(each.account_id)
        try:
            async with database.transaction(tenant_id) as connection:
                modseq = await begin_change(connection, tenant_id, account_id, TYPE_NAME) if each.is_recorded else None
                await held_mail.cancel(connection, tenant_id, account_id, SubmissionId(each.submission_id), modseq)
        except ReleaseLost:
            continue
        count += 1
    return count
