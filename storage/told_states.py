"""What devices are told of an account, in one statement: the states of all its types, of EmailDelivery, what it uses.

EmailDelivery moves with a message that came (RFC 8621 §1.5): placed, and not taken out elsewhere by the same change.
"""

from dataclasses import dataclass

from storage.mailboxes import CHANGE_PLACED, CHANGE_REMOVED
from storage.query import Connection, Query
from storage.type_states import STATE_COLUMNS, StateRow, type_states
from storage.types import Modseq
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class ToldStates:
    """`modseq` is that of the last change that any type shows. `limit_octets` is what the account may have, None where
    nothing limits it: as `told_states` gives it without its tenant's pool."""

    epoch: int
    modseq: Modseq
    types: dict[str, Modseq]
    used_octets: int = 0
    limit_octets: int | None = None


@dataclass(frozen=True, slots=True)
class _Row(StateRow):
    delivered: int | None
    used_octets: int
    quota_octets: int | None


_STATES = Query(
    f"""
    SELECT {STATE_COLUMNS},
           (SELECT c.modseq FROM change c
             WHERE c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND c.kind = {CHANGE_PLACED}
               AND NOT EXISTS (SELECT FROM change r
                                WHERE r.tenant_id = c.tenant_id AND r.account_id = c.account_id
                                  AND r.modseq = c.modseq AND r.message_id = c.message_id
                                  AND r.kind = {CHANGE_REMOVED})
             ORDER BY c.modseq DESC LIMIT 1) AS delivered,
           a.used_octets,
           (SELECT o.quota_octets FROM account o
             WHERE o.tenant_id = a.tenant_id AND o.id = a.account_id) AS quota_octets
      FROM account_state a
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
    """,  # noqa: S608 - our own pieces
    row=_Row,
)


async def told_states(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> ToldStates | None:
    """As the database is now; None: the account was never provisioned."""
    row = await _STATES.first(connection, tenant_id=tenant_id, account_id=account_id)
    if row is None:
        return None
    states = type_states(row)
    names = ("Email", "Thread", "Mailbox", *states.others)
    types = {name: states.of(name) for name in names}
    types["EmailDelivery"] = Modseq(max(row.delivered or 0, states.floor))
    return ToldStates(states.epoch, max(types.values()), types, row.used_octets, row.quota_octets)
