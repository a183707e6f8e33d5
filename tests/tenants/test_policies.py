"""Policies, holds, rules and the end of accounts, as the processes of mail read them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, TypeVar

import psycopg
import pytest

from tenants import policy_changes, services
from tenants.errors import (
    AccountEnded,
    AccountNotDeleted,
    DomainNotLocal,
    FolderInvalid,
    ReasonMissing,
    RuleNotFound,
    TenantDeleted,
)
from tenants.models import Account, Tenant
from tenants.policies import (
    Keeping,
    RetentionAction,
    Rule,
    TenantPolicy,
    account_is_gone,
    end_accounts,
    keeping_of,
    policies,
    policy_of,
    retention_rules,
)
from tenants.selectors import find_account
from tenants.types import AccountId, TenantId
from tests.conftest import RunningServices

Connection = psycopg.AsyncConnection[tuple[Any, ...]]
Result = TypeVar("Result")


class Asking:
    """What a process of mail hears, on a connection of its own: the ORM and a loop do not live in one thread."""

    def __init__(self, services: RunningServices) -> None:
        self._services = services

    def of_all(self, question: Callable[[Connection], Awaitable[Result]]) -> Result:
        return asyncio.run(self._ask(self._services.system_url, "", question))

    def of(self, tenant_id: int, question: Callable[..., Awaitable[Result]], *arguments: int) -> Result:
        async def asked(connection: Connection) -> Result:
            return await question(connection, TenantId(tenant_id), *arguments)

        return asyncio.run(self._ask(self._services.app_url, str(tenant_id), asked))

    async def _ask(self, url: str, tenant: str, question: Callable[[Connection], Awaitable[Result]]) -> Result:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("SELECT set_config('waypost.tenant', %s, false)", (tenant,))
            return await question(connection)


@pytest.fixture
def asking(services: RunningServices) -> Asking:
    return Asking(services)


def test_a_tenant_has_the_defaults_until_somebody_says_otherwise(asking: Asking, tenant: Tenant) -> None:
    tenant_id = TenantId(tenant.pk)
    assert asking.of_all(policies)[tenant_id] == TenantPolicy() == asking.of(tenant_id, policy_of)
    policy_changes.set_policy(tenant.slug, {"cold_after_days": None, "quota_octets": 2**40, "recoverable_days": 0})
    policy_changes.hold_tenant(tenant.slug, "case 7")
    assert asking.of_all(policies)[tenant_id] == TenantPolicy(
        cold_after_days=None, quota_octets=2**40, recoverable_days=0, is_held=True
    )
    assert asking.of(tenant_id, policy_of) == asking.of_all(policies)[tenant_id]


def test_a_tenant_that_only_the_mail_store_knows_has_the_defaults(asking: Asking) -> None:
    assert asking.of(987_654_321, policy_of) == TenantPolicy()
    assert asking.of(987_654_321, keeping_of, 1) == Keeping()


def test_a_hold_of_tenant_or_account_counts_for_the_account(asking: Asking, ann: Account) -> None:
    tenant_id = TenantId(ann.tenant.pk)
    account_id = AccountId(ann.pk)
    policy_changes.set_policy(ann.tenant.slug, {"recoverable_days": 0})
    assert not asking.of(tenant_id, keeping_of, account_id).keeps
    policy_changes.hold_account(f"ann@{ann.tenant.slug}", "case 7")
    assert asking.of(tenant_id, keeping_of, account_id) == Keeping(0, is_held=True)
    policy_changes.free_account(f"ann@{ann.tenant.slug}")
    policy_changes.hold_tenant(ann.tenant.slug, "case 8")
    assert asking.of(tenant_id, keeping_of, account_id).keeps
    assert not policy_changes.free_tenant(ann.tenant.slug).is_held


def test_a_hold_says_why(ann: Account) -> None:
    with pytest.raises(ReasonMissing):
        policy_changes.hold_tenant(ann.tenant.slug, "  ")


def test_a_deleted_tenant_takes_no_policy(tenant: Tenant) -> None:
    services.delete_tenant(tenant.slug)
    with pytest.raises(TenantDeleted):
        policy_changes.set_policy(tenant.slug, {"cold_after_days": 1})


def test_rules_are_of_everybody_or_of_one(asking: Asking, ann: Account) -> None:
    slug = ann.tenant.slug
    policy_changes.set_rule(slug, "\\trash", days=30, action=RetentionAction.REMOVE)
    policy_changes.set_rule(slug, "inbox", days=400, action=RetentionAction.TRASH, address=f"ann@{slug}")
    policy_changes.set_rule(slug, "\\Trash", days=14, action=RetentionAction.REMOVE)
    assert asking.of_all(retention_rules)[TenantId(ann.tenant.pk)] == [
        Rule(None, "\\Trash", 14, RetentionAction.REMOVE),
        Rule(AccountId(ann.pk), "INBOX", 400, RetentionAction.TRASH),
    ]
    policy_changes.remove_rule(slug, "\\TRASH")
    with pytest.raises(RuleNotFound):
        policy_changes.remove_rule(slug, "\\Trash")
    assert len(asking.of_all(retention_rules)[TenantId(ann.tenant.pk)]) == 1


@pytest.mark.parametrize("folder", ["", "  ", "\\Nonsense", "a\nb", "x" * 1001])
def test_a_rule_needs_a_folder(tenant: Tenant, folder: str) -> None:
    with pytest.raises(FolderInvalid):
        policy_changes.set_rule(tenant.slug, folder, days=1, action=RetentionAction.REMOVE)


def test_a_rule_is_for_people_of_the_tenant(tenant: Tenant, ann: Account) -> None:
    other = services.add_tenant(f"other-{tenant.slug}")
    with pytest.raises(DomainNotLocal):
        policy_changes.set_rule(
            other.slug, "INBOX", days=1, action=RetentionAction.REMOVE, address=f"ann@{tenant.slug}"
        )


def test_a_deleted_account_can_be_restored_until_its_window_is_over(asking: Asking, ann: Account) -> None:
    address, key = f"ann@{ann.tenant.slug}", (TenantId(ann.tenant.pk), AccountId(ann.pk))
    with pytest.raises(AccountNotDeleted):
        services.restore_account(address)
    services.delete_account(address)
    assert key not in asking.of_all(end_accounts)
    restored = services.restore_account(address)
    assert (restored.status, restored.deleted_at, restored.password_hash) == ("active", None, ann.password_hash)

    deleted = services.delete_account(address)
    assert deleted.deleted_at is not None
    Account.objects.filter(pk=ann.pk).update(deleted_at=deleted.deleted_at - timedelta(days=31))
    assert key in asking.of_all(end_accounts)
    assert key in asking.of_all(end_accounts)
    with pytest.raises(AccountEnded):
        services.restore_account(address)
    asking.of_all(lambda connection: account_is_gone(connection, key[1]))
    assert key not in asking.of_all(end_accounts)


def test_an_account_under_hold_does_not_end(asking: Asking, ann: Account) -> None:
    address, key = f"ann@{ann.tenant.slug}", (TenantId(ann.tenant.pk), AccountId(ann.pk))
    policy_changes.set_policy(ann.tenant.slug, {"account_recovery_days": 0})
    services.delete_account(address)
    policy_changes.hold_account(address, "case 7")
    assert key not in asking.of_all(end_accounts)
    assert find_account(address).ended_at is None
    policy_changes.free_account(address)
    assert key in asking.of_all(end_accounts)
    policy_changes.hold_account(address, "case 8")
    assert key not in asking.of_all(end_accounts), "also what is half deleted stays as it is"
