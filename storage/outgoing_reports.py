"""What senders are still to be told of their queued mail: claimed, written, ended, in such a way that a crash between
these neither loses a report nor sends it twice.

A claim gives the recipients of one message that ended alike the id of their report, and commits. Whoever claims them
again after a crash finds the id: the report is placed under it once (`Order.inbound_id`), or queued in the very
transaction that ends it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage.database import Database
from storage.outbox import MessageRow, message_of
from storage.outgoing_types import LastReply, ReportedRecipient, ReportId, ReportKind, ReportWork
from storage.query import Connection, Query


@dataclass(frozen=True, slots=True)
class _ClaimedRow:
    tenant_id: int
    outgoing_id: int
    ordinal: int
    report_id: int | None
    report: int
    address: str
    original_recipient: str | None
    reply_code: int
    reply_enhanced: str
    reply_text: str
    reply_host: str
    attempted_at: datetime | None
    waits_since: datetime
    token: int
    unsettled_leases: int


@dataclass(frozen=True, slots=True)
class _Ended:
    recipients: int


_CLAIM = Query(
    """
    WITH told AS MATERIALIZED (
        SELECT DISTINCT r.tenant_id, r.outgoing_id, r.report FROM outgoing_recipient r
         WHERE r.report <> 0 AND (r.leased_until IS NULL OR r.leased_until < now())
         ORDER BY r.tenant_id, r.outgoing_id LIMIT %(limit)s
    ), ripe AS MATERIALIZED (
        -- with those that ended a moment later and would wait alone: nobody has claimed them
        SELECT r.tenant_id, r.outgoing_id, r.ordinal, r.report, r.report_id
          FROM outgoing_recipient r
          JOIN told t ON t.tenant_id = r.tenant_id AND t.outgoing_id = r.outgoing_id AND t.report = r.report
         WHERE r.report <> 0
           AND (r.leased_until IS NULL OR r.leased_until < now() OR (r.state = 2 AND r.report_id IS NULL))
         ORDER BY r.tenant_id, r.outgoing_id, r.ordinal LIMIT %(limit)s FOR UPDATE OF r SKIP LOCKED
    ), grouped AS MATERIALIZED (
        SELECT tenant_id, outgoing_id, report, report_id AS old_id, coalesce(report_id, nextval('mail_id')) AS id
          FROM ripe GROUP BY tenant_id, outgoing_id, report, report_id
    )
    UPDATE outgoing_recipient r
       SET report_id = g.id, token = r.token + 1, leased_until = now() + make_interval(secs => %(lease_s)s),
           unsettled_leases = least(r.unsettled_leases + 1, 1000)
      FROM ripe p
      JOIN grouped g ON g.tenant_id = p.tenant_id AND g.outgoing_id = p.outgoing_id AND g.report = p.report
                    AND g.old_id IS NOT DISTINCT FROM p.report_id
     WHERE r.tenant_id = p.tenant_id AND r.outgoing_id = p.outgoing_id AND r.ordinal = p.ordinal
    RETURNING r.tenant_id, r.outgoing_id, r.ordinal, r.report_id, r.report, r.address, r.original_recipient,
              r.reply_code, r.reply_enhanced, r.reply_text, r.reply_host, r.attempted_at, r.waits_since, r.token,
              r.unsettled_leases
    """,
    row=_ClaimedRow,
    role="waypost_system",
    scans=["outgoing_recipient"],  # its partial index of rows with a report: those few
)
_MESSAGES = Query(
    """
    SELECT o.tenant_id, o.id AS outgoing_id, o.account_id, o.reverse_path, o.envelope_id, o.return_content,
           o.needs_utf8, o.body, o.octets, o.queued_at, o.content_name, o.future_release
      FROM unnest(%(tenant_ids)s::bigint[], %(ids)s::bigint[]) AS w (tenant_id, id)
      JOIN outgoing o ON o.tenant_id = w.tenant_id AND o.id = w.id
    """,
    row=MessageRow,
    role="waypost_system",
)
_END = Query(
    """
    SELECT end_report_v2(
        %(tenant_id)s, %(outgoing_id)s, %(report_id)s, %(ordinals)s::integer[], %(tokens)s::integer[]) AS recipients
    """,
    row=_Ended,
)


async def claim(database: Database, limit: int, *, lease_s: float) -> list[ReportWork]:
    """Reports to write, of at most `limit` recipients together; committed when it returns."""
    async with database.system() as connection:
        rows = await _CLAIM.all(connection, limit=limit, lease_s=lease_s)
        ids = list(dict.fromkeys((row.tenant_id, row.outgoing_id) for row in rows))
        found = (
            await _MESSAGES.all(connection, tenant_ids=[tenant for tenant, _ in ids], ids=[each for _, each in ids])
            if ids
            else []
        )
    messages = {(row.tenant_id, row.outgoing_id): message_of(row) for row in found}
    groups: dict[int, list[_ClaimedRow]] = {}
    for row in rows:
        assert row.report_id is not None
        groups.setdefault(row.report_id, []).append(row)
    for group in groups.values():
        group.sort(key=lambda row: row.ordinal)
    return [
        ReportWork(
            ReportId(report_id),
            ReportKind(group[0].report),
            message,
            _recipients(group),
            [row.token for row in group],
            max(row.unsettled_leases for row in group),
        )
        for report_id, group in groups.items()
        if (message := messages.get((group[0].tenant_id, group[0].outgoing_id)))
    ]


async def end(connection: Connection, work: ReportWork) -> bool:
    """The sender is told, in this transaction of the tenant. False if another process has done it before."""
    ended = await _END.one(
        connection,
        tenant_id=work.message.tenant_id,
        outgoing_id=work.message.id,
        report_id=work.id,
        ordinals=[each.ordinal for each in work.recipients],
        tokens=work.tokens,
    )
    return ended.recipients > 0


def _recipients(group: Sequence[_ClaimedRow]) -> list[ReportedRecipient]:
    return [
        ReportedRecipient(
            row.ordinal,
            row.address,
            row.original_recipient,
            LastReply(row.reply_code, row.reply_enhanced, row.reply_text, row.reply_host),
            row.attempted_at,
            row.waits_since,
        )
        for row in group
    ]
