"""Putting mail into the queue: messages of one tenant, one or many, in one statement and one commit."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from storage import outgoing_content
from storage.database import Database
from storage.errors import SendingLimitReached
from storage.keys import TenantKeys
from storage.outgoing_content import SealedChunk
from storage.outgoing_types import Envelope, HeldReason, OutgoingId, Submitter
from storage.query import Connection, Query
from tenants.types import TenantId


@dataclass(frozen=True, slots=True)
class SendingLimits:
    """How many recipients of other systems, in an hour and in a day."""

    person_hour: int
    person_day: int
    tenant_hour: int
    tenant_day: int


NO_LIMITS = SendingLimits(0, 0, 0, 0)  # for mail of the installation itself, which is not counted


@dataclass(frozen=True, slots=True)
class NewOutgoing:
    """A message ready to be queued. `content` is all of it, or its chunks were put under `id` before."""

    who: Submitter
    envelope: Envelope
    octets: int
    queued_at: datetime
    name: bytes
    content: SealedChunk | None
    id: OutgoingId | None = None


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


@dataclass(frozen=True, slots=True)
class _Enqueued:
    outcome: str
    id: int | None
    limit_recipients: int | None
    limit_hours: int | None
    is_tenants: bool | None


_NEXT_ID = Query("SELECT nextval('mail_id') AS id", row=_Id)
_ENQUEUE = Query(
    """
    SELECT outcome, id, limit_recipients, limit_hours, is_tenants FROM enqueue_v2(
        %(tenant_id)s, %(accounts)s::bigint[], %(ids)s::bigint[], %(reverse_paths)s::text[],
        %(envelope_ids)s::text[], %(returns)s::smallint[], %(needs_utf8)s::boolean[], %(bodies)s::smallint[],
        %(octets)s::bigint[], %(queued_at)s::timestamptz[], %(content_names)s::bytea[], %(counts)s::integer[],
        %(key_ids)s::integer[], %(codecs)s::smallint[], %(sealed)s::bytea[],
        %(messages)s::integer[], %(ordinals)s::integer[], %(addresses)s::text[], %(domains)s::text[],
        %(originals)s::text[], %(notifies)s::smallint[],
        %(held)s::smallint, %(first_attempt_at)s, %(lease_s)s, %(person_hour)s, %(person_day)s, %(tenant_hour)s,
        %(tenant_day)s)
    """,
    row=_Enqueued,
)


async def prepare(
    keys: TenantKeys, who: Submitter, envelope: Envelope, octets: memoryview, *, queued_at: datetime
) -> NewOutgoing:
    """Pack and seal a message that is one chunk; long packing goes to a thread."""
    name = outgoing_content.new_content_name()
    content = await outgoing_content.seal(keys, name, octets, 0)
    return NewOutgoing(who, envelope, len(octets), queued_at, name, content)


async def enqueue(
    database: Database,
    keys: TenantKeys,
    who: Submitter,
    envelope: Envelope,
    octets: memoryview,
    *,
    queued_at: datetime,
    limits: SendingLimits,
    held: HeldReason | None = None,
    first_attempt_at: datetime | None = None,
    lease_s: float = 0.0,
) -> OutgoingId:
    """Put a message into the queue; durable when it returns. One round trip, unless it has several chunks.

    With `lease_s` it is not sent before `let_go` (or before so long). Raises SendingLimitReached, StoreUnavailable.
    """
    if outgoing_content.last_chunk(len(octets)) == 0:
        message = await prepare(keys, who, envelope, octets, queued_at=queued_at)
        async with database.read(who.tenant_id) as connection:
            (result,) = await _enqueue(connection, who.tenant_id, [message], limits, held, first_attempt_at, lease_s)
    else:
        async with database.transaction(who.tenant_id) as connection:
            message = await _put_chunks(connection, keys, who, envelope, octets, queued_at)
            (result,) = await _enqueue(connection, who.tenant_id, [message], limits, held, first_attempt_at, lease_s)
            if isinstance(result, SendingLimitReached):
                raise result
    return _id_of(result)


async def enqueue_together(
    database: Database, messages: Sequence[NewOutgoing], *, limits: SendingLimits, held: HeldReason | None
) -> list[OutgoingId | SendingLimitReached]:
    """Put messages of one tenant into the queue, all in one commit; durable when it returns.

    A refusal concerns its message alone. Raises StoreUnavailable.
    """
    tenant_id = messages[0].who.tenant_id
    async with database.read(tenant_id) as connection:
        results = await _enqueue(connection, tenant_id, messages, limits, held, None, 0.0)
        for index, result in enumerate(results):
            if result is None:
                (results[index],) = await _enqueue(connection, tenant_id, [messages[index]], limits, held, None, 0.0)
    return [result for result in results if result is not None]


async def enqueue_within(
    connection: Connection,
    keys: TenantKeys,
    who: Submitter,
    envelope: Envelope,
    octets: memoryview,
    *,
    queued_at: datetime,
    held: HeldReason | None,
) -> OutgoingId:
    """The same in a transaction that does more: mail of the installation itself, which no limit counts."""
    message = await _put_chunks(connection, keys, who, envelope, octets, queued_at)
    (result,) = await _enqueue(connection, who.tenant_id, [message], NO_LIMITS, held, None, 0.0)
    return _id_of(result)


async def enqueue_kept(
    connection: Connection, message: NewOutgoing, *, limits: SendingLimits, held: HeldReason | None
) -> OutgoingId:
    """Queue, in a transaction, a message whose chunks are there under its id. Raises SendingLimitReached."""
    (result,) = await _enqueue(connection, message.who.tenant_id, [message], limits, held, None, 0.0)
    return _id_of(result)


async def _put_chunks(
    connection: Connection,
    keys: TenantKeys,
    who: Submitter,
    envelope: Envelope,
    octets: memoryview,
    queued_at: datetime,
) -> NewOutgoing:
    name = outgoing_content.new_content_name()
    outgoing_id = OutgoingId((await _NEXT_ID.one(connection)).id)
    for chunk in range(outgoing_content.last_chunk(len(octets)) + 1):
        sealed = await outgoing_content.seal(keys, name, octets, chunk)
        await outgoing_content.put(connection, keys, outgoing_id, sealed)
    return NewOutgoing(who, envelope, len(octets), queued_at, name, None, outgoing_id)


async def _enqueue(
    connection: Connection,
    tenant_id: TenantId,
    messages: Sequence[NewOutgoing],
    limits: SendingLimits,
    held: HeldReason | None,
    first_attempt_at: datetime | None,
    lease_s: float,
) -> list[OutgoingId | SendingLimitReached | None]:
    """None: nothing was queued, for together they would pass a limit. Never of a single message."""
    envelopes = [message.envelope for message in messages]
    recipients = [(number, each) for number, of in enumerate(envelopes, 1) for each in of.recipients]
    contents = [message.content for message in messages]
    rows = await _ENQUEUE.all(
        connection,
        tenant_id=tenant_id,
        accounts=[message.who.account_id for message in messages],
        ids=[message.id for message in messages],
        reverse_paths=[of.reverse_path for of in envelopes],
        envelope_ids=[of.envelope_id for of in envelopes],
        returns=[None if of.return_content is None else int(of.return_content) for of in envelopes],
        needs_utf8=[of.needs_utf8 for of in envelopes],
        bodies=[int(of.body) for of in envelopes],
        octets=[message.octets for message in messages],
        queued_at=[message.queued_at for message in messages],
        content_names=[message.name for message in messages],
        counts=[len(of.recipients) for of in envelopes],
        key_ids=[None if content is None else content.key_id for content in contents],
        codecs=[None if content is None else content.codec for content in contents],
        sealed=[None if content is None else content.sealed for content in contents],
        messages=[number for number, _ in recipients],
        ordinals=[ordinal for of in envelopes for ordinal in range(1, len(of.recipients) + 1)],
        addresses=[each.address for _, each in recipients],
        domains=[each.domain for _, each in recipients],
        originals=[each.original_recipient for _, each in recipients],
        notifies=[None if each.notify is None else int(each.notify) for _, each in recipients],
        held=None if held is None else int(held),
        first_attempt_at=first_attempt_at,
        lease_s=lease_s,
        person_hour=limits.person_hour,
        person_day=limits.person_day,
        tenant_hour=limits.tenant_hour,
        tenant_day=limits.tenant_day,
    )
    return [_result(row) for row in rows]


def _result(row: _Enqueued) -> OutgoingId | SendingLimitReached | None:
    if row.id is not None:
        return OutgoingId(row.id)
    if row.outcome == "singly":
        return None
    assert row.limit_recipients is not None
    assert row.limit_hours is not None
    return SendingLimitReached(row.limit_recipients, row.limit_hours, is_tenants=bool(row.is_tenants))


def _id_of(result: OutgoingId | SendingLimitReached | None) -> OutgoingId:
    if isinstance(result, SendingLimitReached):
        raise result
    assert result is not None
    return result
