r"""Where an Email stands that waits for its time: in the mailbox for \Scheduled, and what becomes of it there.

Its writer's program puts it there. Whoever sends or cancels takes it away again, in the same transaction, so that what
is sent never stands among what waits. An Email that is elsewhere, or gone, is the program's own business.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from storage import rearranging
from storage.query import Connection, Query
from storage.rearranging import Addition, Placement, Rearrangement
from storage.types import NO_FLAGS, Flags, MailboxId, MessageId, Modseq, SystemFlag
from tenants.policies import keeping_of
from tenants.types import AccountId, TenantId

SCHEDULED, SENT, DRAFTS = "\\Scheduled", "\\Sent", "\\Drafts"
"""IANA's names of what these mailboxes are for (RFC 6154; JMAP has them as roles, RFC 8621 §2)."""


@dataclass(frozen=True, slots=True)
class _Use:
    id: int
    special_use: str | None


@dataclass(frozen=True, slots=True)
class _Waits:
    waits: bool


_USES = Query(
    """
    SELECT m.id, m.special_use FROM mailbox m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.deleted_at IS NULL AND m.is_selectable AND m.special_use IS NOT NULL
     ORDER BY m.id
    """,
    row=_Use,
)
_WAITS = Query(
    """
    SELECT EXISTS (
        SELECT FROM held_submission h JOIN email_submission s ON s.tenant_id = h.tenant_id AND s.id = h.submission_id
         WHERE h.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND h.account_id = %(account_id)s
           AND s.message_id = %(message_id)s) AS waits
    """,
    row=_Waits,
)


async def put_among_sent(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, message_id: MessageId
) -> Modseq | None:
    """It is sent: read, and no draft any more. None: nothing changed. Under the account's lock."""
    return await _move(connection, tenant_id, account_id, message_id, SENT, SystemFlag.SEEN, SystemFlag.DRAFT)


async def put_back_among_drafts(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, message_id: MessageId
) -> Modseq | None:
    """It is not sent: a draft again. None: nothing changed. Under the account's lock."""
    return await _move(connection, tenant_id, account_id, message_id, DRAFTS, SystemFlag.DRAFT, NO_FLAGS)


async def _move(
    connection: Connection,
    tenant_id: TenantId,
    account_id: AccountId,
    message_id: MessageId,
    use: str,
    add: SystemFlag,
    remove: SystemFlag,
) -> Modseq | None:
    """Where there is no mailbox for `use`, only its flags change. One that waits for another time too, stays."""
    uses = {
        word: MailboxId(row.id)
        for row in reversed(await _USES.all(connection, tenant_id=tenant_id, account_id=account_id))
        for word in (row.special_use or "").split()
    }
    if SCHEDULED not in uses:
        return None
    whose = {"tenant_id": tenant_id, "account_id": account_id}
    if (await _WAITS.one(connection, **whose, message_id=message_id)).waits:
        return None
    found = await rearranging.placements(connection, tenant_id, account_id, [message_id])
    wanted = moved(found.get(message_id, ()), uses[SCHEDULED], uses.get(use), add, remove)
    if not wanted:
        return None
    keeping = await keeping_of(connection, tenant_id, account_id)
    return await rearranging.rearrange(connection, tenant_id, account_id, wanted, keeping=keeping)


def moved(
    placements: Sequence[Placement],
    scheduled: MailboxId,
    target: MailboxId | None,
    add: SystemFlag,
    remove: SystemFlag,
) -> Rearrangement:
    r"""What moving one message from `scheduled` comes to: nothing, unless it stands there without \Deleted.

    All its placements get the same flags; one in `target` that was \Deleted is seen again. `target` None: it stays.
    """
    wanted = Rearrangement()
    here = next((each for each in placements if each.mailbox_id == scheduled), None)
    if here is None or here.flags.system & SystemFlag.DELETED:
        return wanted
    flags = Flags((here.flags.system | add) & ~remove, here.flags.keywords)
    if target is not None and target != scheduled:
        wanted.removed.append(here)
        placements = [each for each in placements if each is not here]
        if all(each.mailbox_id != target for each in placements):
            wanted.added.append(Addition(here.message_id, target, flags))
    for each in placements:
        is_deleted = each.flags.system & SystemFlag.DELETED if each.mailbox_id != target else NO_FLAGS
        after = Flags(flags.system | is_deleted, flags.keywords)
        if after != each.flags:
            wanted.changed.append(replace(each, flags=after))
    return wanted
