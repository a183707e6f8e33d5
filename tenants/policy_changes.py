"""What administrators say of keeping mail: policies, legal holds, retention rules."""

from collections.abc import Mapping

from django.db import transaction

from tenants.errors import DomainNotLocal, FolderInvalid, ReasonMissing, RuleNotFound
from tenants.models import Account, RetentionRule, Tenant
from tenants.policies import RetentionAction
from tenants.selectors import find_account, find_living_account, find_living_tenant, find_tenant

POLICY_COLUMNS = (
    "cold_after_days",
    "hot_budget_octets",
    "promote_within_days",
    "quota_octets",
    "recoverable_days",
    "account_recovery_days",
)
SPECIAL_USES = {use.lower(): use for use in ("\\Archive", "\\Drafts", "\\Junk", "\\Sent", "\\Trash")}
_FOLDER_LIMIT = 1000


@transaction.atomic
def set_policy(name: str, changed: Mapping[str, int | None]) -> Tenant:
    """`changed`: columns of POLICY_COLUMNS; what is not named stays. Raises TenantNotFound, TenantDeleted."""
    assert set(changed) <= set(POLICY_COLUMNS)
    tenant = find_living_tenant(name)
    for column, value in changed.items():
        setattr(tenant, column, value)
    tenant.save(update_fields=list(changed))
    return tenant


@transaction.atomic
def hold_tenant(name: str, reason: str) -> Tenant:
    """Nothing of the tenant is deleted for good until `free_tenant`, not even when the tenant is deleted.

    Raises TenantNotFound, ReasonMissing.
    """
    return _set_hold(find_tenant(name), _demanded(reason))


@transaction.atomic
def free_tenant(name: str) -> Tenant:
    return _set_hold(find_tenant(name), "")


@transaction.atomic
def hold_account(address: str, reason: str) -> Account:
    """As `hold_tenant`, for one account; it may be a deleted one. Raises AddressInvalid, AccountNotFound,
    ReasonMissing."""
    return _set_account_hold(find_account(address), _demanded(reason))


@transaction.atomic
def free_account(address: str) -> Account:
    return _set_account_hold(find_account(address), "")


@transaction.atomic
def set_rule(
    name: str, folder: str, *, days: int, action: RetentionAction, address: str | None = None
) -> RetentionRule:
    """Make or change the rule of a folder: of everybody in the tenant, or of one account.

    Raises TenantNotFound, TenantDeleted, FolderInvalid, AddressInvalid, AccountNotFound, AccountDeleted, DomainNotLocal
    (the account is another tenant's).
    """
    tenant = find_living_tenant(name)
    rule, _made = RetentionRule.objects.update_or_create(
        tenant=tenant,
        account=_account_in(tenant, address),
        folder=_folder(folder),
        defaults={"days": days, "action": action.value},
    )
    return rule


@transaction.atomic
def remove_rule(name: str, folder: str, *, address: str | None = None) -> None:
    """Raises as `set_rule`, and RuleNotFound."""
    tenant = find_living_tenant(name)
    plain = _folder(folder)
    removed, _ = RetentionRule.objects.filter(
        tenant=tenant, account=_account_in(tenant, address), folder=plain
    ).delete()
    if not removed:
        raise RuleNotFound(plain)


def _folder(text: str) -> str:
    """As it is compared: a special use in its own spelling, INBOX in capitals (RFC 3501 §5.1)."""
    plain = text.strip()
    if plain.startswith("\\"):
        if (use := SPECIAL_USES.get(plain.lower())) is None:
            raise FolderInvalid(text)
        return use
    if not plain or len(plain) > _FOLDER_LIMIT or not plain.isprintable():
        raise FolderInvalid(text)
    return "INBOX" if plain.upper() == "INBOX" else plain


def _account_in(tenant: Tenant, address: str | None) -> Account | None:
    if address is None:
        return None
    account = find_living_account(address)
    if account.tenant.pk != tenant.pk:
        raise DomainNotLocal(address.rpartition("@")[2])
    return account


def _demanded(reason: str) -> str:
    if not reason.strip():
        raise ReasonMissing
    return reason.strip()[:500]


def _set_hold(tenant: Tenant, reason: str) -> Tenant:
    tenant.is_held, tenant.hold_reason = bool(reason), reason
    tenant.save(update_fields=["is_held", "hold_reason"])
    return tenant


def _set_account_hold(account: Account, reason: str) -> Account:
    account.is_held, account.hold_reason = bool(reason), reason
    account.save(update_fields=["is_held", "hold_reason"])
    return account
