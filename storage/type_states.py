"""How far each JMAP type of an account has changed: the modseq of the last change that it can show (RFC 8620 §1.6).

Of mail the log says it. Types that the log does not know (Identity, EmailSubmission, VacationResponse, Quota …) move a
row of their own, at the modseq that their change took (`begin_change`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from storage.mailboxes import take_modseq
from storage.query import Connection, Query
from storage.types import Modseq, SystemFlag
from tenants.types import AccountId, TenantId


@dataclass(frozen=True, slots=True)
class TypeStates:
    r"""In `epoch`; nothing older than `floor` can be asked for, and no state is older.

    `email` moves with what is placed, removed or flagged, `thread` with what is placed, removed, or hidden by \Deleted
    (RFC 8621 §4.1.1), `mailbox` with mailboxes and whatever counts in them. `others` has types by name; one that is
    not there never changed.
    """

    epoch: int
    floor: Modseq
    email: Modseq
    thread: Modseq
    mailbox: Modseq
    others: Mapping[str, Modseq] = field(default_factory=dict)

    def of(self, type_name: str) -> Modseq:
        match type_name:
            case "Email":
                return self.email
            case "Thread":
                return self.thread
            case "Mailbox":
                return self.mailbox
            case _:
                return max(self.others.get(type_name, self.floor), self.floor)

    def from_floor(self, floor: Modseq) -> "TypeStates":
        """The same where nothing older than `floor` can be asked for."""
        return TypeStates(
            self.epoch, floor, max(self.email, floor), max(self.thread, floor), max(self.mailbox, floor), self.others
        )


@dataclass(frozen=True, slots=True)
class StateRow:
    """What `type_states` is made of."""

    epoch: int
    oldest_modseq: int
    email: int | None
    thread: int | None
    mailbox: int | None
    type_names: list[str] | None
    type_modseqs: list[int] | None


def _last(name: str, kinds: str) -> str:
    return f"""(SELECT c.modseq FROM change c
             WHERE c.tenant_id = a.tenant_id AND c.account_id = a.account_id AND {kinds}
             ORDER BY c.modseq DESC LIMIT 1) AS {name}"""  # noqa: S608 - our own pieces


HIDING_FLAG = int(SystemFlag.DELETED)
COUNTED_FLAGS = HIDING_FLAG | SystemFlag.SEEN | SystemFlag.DRAFT
"""A message counts by these."""
_HIDES = f"c.kind IN (1, 3) OR (c.flags_before # c.flags_after) & {HIDING_FLAG} <> 0"
_COUNTS = f"c.kind IN (1, 3, 4, 5, 6) OR (c.flags_before # c.flags_after) & {int(COUNTED_FLAGS)} <> 0"
OTHERS_COLUMNS = """(SELECT array_agg(t.type_name ORDER BY t.type_name) FROM type_state t
             WHERE t.tenant_id = a.tenant_id AND t.account_id = a.account_id) AS type_names,
           (SELECT array_agg(t.modseq ORDER BY t.type_name) FROM type_state t
             WHERE t.tenant_id = a.tenant_id AND t.account_id = a.account_id) AS type_modseqs"""
STATE_COLUMNS = f"""a.epoch, a.oldest_modseq,
           {_last("email", "c.kind IN (1, 2, 3)")},
           {_last("thread", f"({_HIDES})")},
           {_last("mailbox", f"({_COUNTS})")},
           {OTHERS_COLUMNS}"""
_STATES = Query(
    f"""
    SELECT {STATE_COLUMNS}
      FROM account_state a
     WHERE a.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND a.account_id = %(account_id)s
    """,  # noqa: S608 - our own column list
    row=StateRow,
)
_MOVE = Query[None](
    """
    INSERT INTO type_state (tenant_id, account_id, type_name, modseq)
    VALUES (waypost_tenant(%(tenant_id)s), %(account_id)s, %(type_name)s, %(modseq)s)
    ON CONFLICT (tenant_id, account_id, type_name) DO UPDATE SET modseq = excluded.modseq
    """
)


async def states(connection: Connection, tenant_id: TenantId, account_id: AccountId) -> TypeStates | None:
    """As the database is now; None: the account was never provisioned."""
    row = await _STATES.first(connection, tenant_id=tenant_id, account_id=account_id)
    return type_states(row) if row is not None else None


async def begin_change(connection: Connection, tenant_id: TenantId, account_id: AccountId, type_name: str) -> Modseq:
    """Lock the account, in a transaction: the state of the type moves to the modseq that its changes take."""
    modseq = await take_modseq(connection, tenant_id, account_id)
    if modseq is None:
        raise RuntimeError("the account was never provisioned")
    await _MOVE.execute(connection, tenant_id=tenant_id, account_id=account_id, type_name=type_name, modseq=modseq)
    return modseq


def type_states(row: StateRow) -> TypeStates:
    """The log may begin after the last change of a type: then that is as far as anybody can tell."""
    floor = Modseq(row.oldest_modseq - 1)
    return TypeStates(
        epoch=row.epoch,
        floor=floor,
        email=Modseq(max(row.email or 0, floor)),
        thread=Modseq(max(row.thread or 0, floor)),
        mailbox=Modseq(max(row.mailbox or 0, floor)),
        others=others_of(row.type_names, row.type_modseqs),
    )


def others_of(names: Sequence[str] | None, modseqs: Sequence[int] | None) -> dict[str, Modseq]:
    return {name: Modseq(modseq) for name, modseq in zip(names or (), modseqs or (), strict=True)}
