r"""Retention rules at work: messages that lie in a folder for longer than a rule says are expunged, or go to the trash.

They go as if somebody had done it, so clients see it, and what is expunged is in the bin for a while. In accounts
under legal hold, and in deleted ones, nothing moves. Each chunk is a transaction of its own.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from storage import copies, flags
from storage.errors import MailboxNotFound
from storage.flags import FlagRequest
from storage.query import Connection, Query
from storage.store import MailStore
from storage.types import FlagChange, FlagOperation, Flags, MailboxId, Modseq, SystemFlag, Uid
from tenants.policies import Keeping, RetentionAction, Rule, frozen_accounts, keeping_of, policies, retention_rules
from tenants.types import AccountId, TenantId

TRASH = "\\Trash"
CHUNK_MESSAGES = 500
_MAILBOXES = 500
_DELETED = FlagChange(FlagOperation.ADD, Flags(SystemFlag.DELETED, frozenset()))


@dataclass(frozen=True, slots=True)
class _Folder:
    account_id: int
    id: int
    name: str
    special_use: str | None


@dataclass(frozen=True, slots=True)
class _Saved:
    uid: int
    is_due: bool


@dataclass(frozen=True, slots=True)
class _Id:
    id: int


_FOLDERS = Query(
    """
    SELECT m.account_id, m.id, m.name, m.special_use FROM mailbox m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.id > %(after)s AND m.deleted_at IS NULL
       AND m.messages > 0
       AND (m.name = ANY (%(names)s) OR string_to_array(m.special_use, ' ') && %(names)s)
     ORDER BY m.id LIMIT %(limit)s
    """,
    row=_Folder,
)
_SAVED = Query(
    """
    SELECT p.uid, p.saved_at <= now() - make_interval(days => %(days)s::integer) AS is_due FROM placement p
     WHERE p.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND p.mailbox_id = %(mailbox_id)s
       AND p.uid > %(after)s
     ORDER BY p.uid LIMIT %(limit)s
    """,
    row=_Saved,
)
_TRASH_OF = Query(
    """
    SELECT m.id FROM mailbox m
     WHERE m.tenant_id = (SELECT waypost_tenant(%(tenant_id)s)) AND m.account_id = %(account_id)s
       AND m.deleted_at IS NULL AND m.is_selectable AND %(use)s = ANY (string_to_array(m.special_use, ' '))
     ORDER BY m.id LIMIT 1
    """,
    row=_Id,
)


async def apply_rules(store: MailStore) -> int:
    """Of all tenants; returns how many messages were expunged or moved."""
    async with store.database.system() as connection:
        rules = await retention_rules(connection)
        held = {tenant_id for tenant_id, policy in (await policies(connection)).items() if policy.is_held}
    done = 0
    for tenant_id, of_tenant in rules.items():
        if tenant_id not in held:
            done += await _apply_to_tenant(store, tenant_id, of_tenant)
    return done


async def _apply_to_tenant(store: MailStore, tenant_id: TenantId, rules: Sequence[Rule]) -> int:
    names = sorted({rule.folder for rule in rules})
    done, after = 0, 0
    while True:
        async with store.database.read(tenant_id) as connection:
            folders = await _FOLDERS.all(connection, tenant_id=tenant_id, names=names, after=after, limit=_MAILBOXES)
            frozen = await frozen_accounts(connection, tenant_id)
        if not folders:
            return done
        after = folders[-1].id
        for folder in folders:
            rule = rule_of(rules, AccountId(folder.account_id), folder.name, folder.special_use)
            if rule is not None and folder.account_id not in frozen:
                done += await _apply(store, tenant_id, folder, rule)


def rule_of(rules: Sequence[Rule], account_id: AccountId, name: str, special_use: str | None) -> Rule | None:
    """The rule of a mailbox: one of the account's own before one of everybody, one for its name before one for its
    use; of several the shortest."""
    uses = (special_use or "").split()
    fitting = [
        (rule.account_id is None, rule.folder != name, rule.days, rule)
        for rule in rules
        if rule.account_id in (None, account_id) and (rule.folder == name or rule.folder in uses)
    ]
    return min(fitting, key=lambda each: each[:3])[3] if fitting else None


async def _apply(store: MailStore, tenant_id: TenantId, folder: _Folder, rule: Rule) -> int:
    account_id, mailbox_id = AccountId(folder.account_id), MailboxId(folder.id)
    done, after = 0, 0
    while True:
        async with store.database.read(tenant_id) as connection:
            keeping = await keeping_of(connection, tenant_id, account_id)
            if keeping.is_held:
                return done
            saved = await _SAVED.all(
                connection,
                tenant_id=tenant_id,
                mailbox_id=mailbox_id,
                days=rule.days,
                after=after,
                limit=CHUNK_MESSAGES,
            )
        due = [Uid(each.uid) for each in saved if each.is_due]
        if not due:
            return done  # uids ascend as messages came, but for clocks that were wrong
        after = saved[-1].uid
        modseq = await _take(store, tenant_id, account_id, mailbox_id, due, rule, keeping)
        if modseq is None:
            return done
        done += len(due)
        store.announce(tenant_id, account_id, modseq)


async def _take(
    store: MailStore,
    tenant_id: TenantId,
    account_id: AccountId,
    mailbox_id: MailboxId,
    uids: Sequence[Uid],
    rule: Rule,
    keeping: Keeping,
) -> Modseq | None:
    """None: there is nothing that can be done."""

    async def take() -> Modseq | None:
        async with store.database.transaction(tenant_id) as connection:
            if rule.action is RetentionAction.TRASH:
                return await _move(connection, tenant_id, account_id, mailbox_id, uids)
            await flags.change_flags(connection, tenant_id, account_id, [FlagRequest(mailbox_id, uids, _DELETED)])
            _, modseq = await flags.expunge(connection, tenant_id, account_id, mailbox_id, uids, keeping=keeping)
            return modseq

    try:
        return await store.database.retried(take)
    except MailboxNotFound:  # the trash was deleted just now
        return None


async def _move(
    connection: Connection, tenant_id: TenantId, account_id: AccountId, source: MailboxId, uids: Sequence[Uid]
) -> Modseq | None:
    trash = await _TRASH_OF.first(connection, tenant_id=tenant_id, account_id=account_id, use=TRASH)
    if trash is None or trash.id == source:
        return None
    _, modseq = await copies.copy(
        connection, tenant_id, account_id, source, uids, MailboxId(trash.id), is_move=True, quota_octets=None
    )
    return modseq
