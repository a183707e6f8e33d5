"""What administrators do to tenants and accounts, one function each, all or nothing. They check; the database holds.

Deleting keeps the row and what it was called: the domains of a deleted tenant and the addresses of a deleted account
stay reserved, so that nobody receives mail meant for someone who left, until an administrator releases them by name.
"""

from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models.functions import Now

from tenants.address_rows import address_row, demand_free, insert_address, own_domain
from tenants.addresses import parse_address, parse_domain
from tenants.app_passwords import salting_of
from tenants.checks import check_password, clean_name, new_address
from tenants.errors import (
    AccountEnded,
    AccountNotDeleted,
    AccountNotFound,
    AliasNotFound,
    DomainNotLocal,
    DomainTaken,
    NameInvalid,
    PrimaryAddressProtected,
    StillInUse,
    TenantExists,
)
from tenants.locality import known_language, known_time_zone
from tenants.models import Account, Address, Domain, Tenant
from tenants.passwords import hash_password
from tenants.scram_keys import derive_keys
from tenants.selectors import find_account, find_living_account, find_living_tenant
from tenants.sign_in_ends import end_sign_ins, end_sign_ins_of_tenant
from tenants.types import Status


@dataclass(frozen=True, slots=True)
class Quota:
    """A limit for an account; None is no limit."""

    octets: int | None


@dataclass(frozen=True, slots=True)
class TenantChange:
    """What to change of a tenant; None leaves it."""

    name: str | None = None
    language: str | None = None
    time_zone: str | None = None


@dataclass(frozen=True, slots=True)
class AccountChange:
    """What to change of an account; None leaves it."""

    name: str | None = None
    password: str | None = None
    is_administrator: bool | None = None
    language: str | None = None
    time_zone: str | None = None
    quota: Quota | None = None
    app_passwords_only: bool | None = None


@transaction.atomic
def add_tenant(
    domain: str,
    *,
    name: str | None = None,
    slug: str | None = None,
    language: str = "en",
    time_zone: str = "UTC",
    cell: str = "main",
) -> Tenant:
    """A company with its first domain, which is also its slug unless another is given.

    Raises DomainInvalid, DomainTaken, TenantExists, NameInvalid, LanguageUnknown, TimeZoneUnknown.
    """
    first_domain = parse_domain(domain)
    plain_slug = (slug or first_domain).strip().lower()
    if not plain_slug.isascii() or not plain_slug.replace("-", "").replace(".", "").isalnum() or plain_slug[0] in "-.":
        raise NameInvalid("a slug has only letters a-z, digits, dots and hyphens")
    if Tenant.objects.filter(slug=plain_slug).exclude(status=Status.DELETED).exists():
        raise TenantExists(plain_slug)
    tenant = Tenant(
        slug=plain_slug,
        name=clean_name(name or domain),
        language=known_language(language),
        time_zone=known_time_zone(time_zone),
        cell=cell,
    )
    try:
        with transaction.atomic():
            tenant.save()
    except IntegrityError:
        raise TenantExists(plain_slug) from None
    _insert_domain(tenant, first_domain)
    return tenant


@transaction.atomic
def set_tenant(name: str, change: TenantChange) -> Tenant:
    tenant = find_living_tenant(name)
    if change.name is not None:
        tenant.name = clean_name(change.name)
    if change.language is not None:
        tenant.language = known_language(change.language)
    if change.time_zone is not None:
        tenant.time_zone = known_time_zone(change.time_zone)
    tenant.save(update_fields=["name", "language", "time_zone"])
    return tenant


@transaction.atomic
def suspend_tenant(name: str) -> Tenant:
    """Nobody of the company signs in or stays signed in, and mail for it is put off."""
    tenant = find_living_tenant(name)
    end_sign_ins_of_tenant(tenant)
    return _set_tenant_status(tenant, Status.SUSPENDED)


def resume_tenant(name: str) -> Tenant:
    return _set_tenant_status(find_living_tenant(name), Status.ACTIVE)


@transaction.atomic
def delete_tenant(name: str) -> Tenant:
    """Its domains are no longer served, but stay reserved until `release_domain`. There is no way back."""
    tenant = find_living_tenant(name)
    end_sign_ins_of_tenant(tenant)
    return _set_tenant_status(tenant, Status.DELETED)


@transaction.atomic
def add_domain(name: str, domain: str) -> Domain:
    """Raises TenantNotFound, TenantDeleted, DomainInvalid, DomainTaken."""
    return _insert_domain(find_living_tenant(name), parse_domain(domain))


@transaction.atomic
def release_domain(domain: str) -> None:
    """Free a domain of a deleted tenant, with its addresses, for someone else. Raises DomainNotLocal, StillInUse."""
    name = parse_domain(domain)
    row = Domain.objects.select_related("tenant").filter(name=name).first()
    if row is None:
        raise DomainNotLocal(name)
    if row.tenant.status != Status.DELETED:
        raise StillInUse(name)
    Address.objects.filter(domain=row).delete()
    row.delete()


@transaction.atomic
def add_account(
    address: str,
    *,
    password: str,
    name: str | None = None,
    is_administrator: bool = False,
    language: str | None = None,
    time_zone: str | None = None,
    quota_octets: int | None = None,
) -> Account:
    """A person with their primary address; language and time zone are the tenant's unless given.

    Raises AddressInvalid, DomainNotLocal, AddressTaken, TenantDeleted, PasswordUnacceptable, NameInvalid,
    LanguageUnknown, TimeZoneUnknown.
    """
    canonical = new_address(address)
    domain = own_domain(canonical)
    check_password(password)
    demand_free(domain, canonical)
    account = Account.objects.create(
        tenant=domain.tenant,
        display_name=clean_name(name or canonical.local_part),
        password_hash=hash_password(password),
        is_administrator=is_administrator,
        language=known_language(language or domain.tenant.language),
        time_zone=known_time_zone(time_zone or domain.tenant.time_zone),
        quota_octets=quota_octets,
    )
    insert_address(domain, canonical, account, is_primary=True)
    _keep_for_scram(account, password)
    return account


@transaction.atomic
def set_account(address: str, change: AccountChange) -> Account:
    """A new password ends everything that the person has open."""
    account = find_living_account(address)
    if change.name is not None:
        account.display_name = clean_name(change.name)
    if change.is_administrator is not None:
        account.is_administrator = change.is_administrator
    if change.language is not None:
        account.language = known_language(change.language)
    if change.time_zone is not None:
        account.time_zone = known_time_zone(change.time_zone)
    if change.quota is not None:
        account.quota_octets = change.quota.octets
    if change.app_passwords_only is not None:
        if change.app_passwords_only and not account.app_passwords_only:
            end_sign_ins(account)
        account.app_passwords_only = change.app_passwords_only
    account.save(
        update_fields=[
            "display_name",
            "is_administrator",
            "language",
            "time_zone",
            "quota_octets",
            "app_passwords_only",
        ]
    )
    if change.password is not None:
        check_password(change.password)
        _set_password(account, change.password)
        end_sign_ins(account)
    return account


@transaction.atomic
def suspend_account(address: str) -> Account:
    """The person does not sign in or stay signed in, and mail for them is put off."""
    account = find_living_account(address)
    end_sign_ins(account)
    return _set_account_status(account, Status.SUSPENDED)


def resume_account(address: str) -> Account:
    return _set_account_status(find_living_account(address), Status.ACTIVE)


@transaction.atomic
def delete_account(address: str) -> Account:
    """Mail is refused from now on; the addresses stay reserved until `release_address`.

    `restore_account` is the way back while the tenant's policy lets it. Under legal hold its mail stays, whatever the
    policy says.
    """
    account = find_living_account(address)
    end_sign_ins(account)
    Account.objects.filter(pk=account.pk).update(status=Status.DELETED, deleted_at=Now())
    account.refresh_from_db()
    return account


@transaction.atomic
def restore_account(address: str) -> Account:
    """As it was: addresses, password, mail. Raises AddressInvalid, AccountNotFound, AccountNotDeleted, AccountEnded."""
    account = find_account(address)
    if account.status != Status.DELETED:
        raise AccountNotDeleted(address)
    rows = Account.objects.filter(pk=account.pk, ended_at__isnull=True)
    if not rows.update(status=Status.ACTIVE, deleted_at=None):
        raise AccountEnded(address)
    account.refresh_from_db()
    return account


@transaction.atomic
def release_address(address: str) -> None:
    """Free an address of a deleted account for someone else. Raises AddressInvalid, AccountNotFound, StillInUse."""
    row = address_row(parse_address(address))
    if row is None:
        raise AccountNotFound(address)
    if row.account is None or row.account.status != Status.DELETED:
        raise StillInUse(address)
    row.delete()


@transaction.atomic
def add_alias(address: str, alias: str) -> Account:
    """Another address of the account, in any domain of its tenant.

    Raises AddressInvalid, AccountNotFound, AccountDeleted, DomainNotLocal, AddressTaken.
    """
    account = find_living_account(address)
    canonical = new_address(alias)
    domain = own_domain(canonical)
    if domain.tenant.pk != account.tenant.pk:
        raise DomainNotLocal(canonical.domain)
    demand_free(domain, canonical)
    insert_address(domain, canonical, account, is_primary=False)
    return account


@transaction.atomic
def remove_alias(address: str, alias: str) -> Account:
    """Raises AddressInvalid, AccountNotFound, AliasNotFound, PrimaryAddressProtected."""
    account = find_account(address)
    row = address_row(parse_address(alias))
    if row is None or row.account is None or row.account.pk != account.pk:
        raise AliasNotFound(address, alias)
    if row.is_primary:
        raise PrimaryAddressProtected(alias)
    row.delete()
    return account


def _set_tenant_status(tenant: Tenant, status: Status) -> Tenant:
    tenant.status = status
    tenant.save(update_fields=["status"])
    return tenant


def _set_account_status(account: Account, status: Status) -> Account:
    account.status = status
    account.save(update_fields=["status"])
    return account


def _insert_domain(tenant: Tenant, name: str) -> Domain:
    taken = Domain.objects.select_related("tenant").filter(name=name).first()
    if taken is not None:
        raise DomainTaken(name, is_reserved=taken.tenant.status == Status.DELETED)
    try:
        with transaction.atomic():
            return Domain.objects.create(tenant=tenant, name=name)
    except IntegrityError:
        raise DomainTaken(name, is_reserved=False) from None


def _set_password(account: Account, password: str) -> None:
    account.password_hash = hash_password(password)
    Account.objects.filter(pk=account.pk).update(password_hash=account.password_hash, password_changed_at=Now())
    _keep_for_scram(account, password)


def _keep_for_scram(account: Account, password: str) -> None:
    """Unless SCRAM is switched off. Salt and iterations begin anew only where no app password was made with them."""
    if not settings.WAYPOST_SCRAM_ITERATIONS:
        return
    if not account.app_passwords.exists():
        account.scram_salt = account.scram_iterations = None
    keys = derive_keys(password, salting_of(account))
    if keys is None:
        return
    account.scram_stored_key, account.scram_server_key = keys.stored_key, keys.server_key
    account.scram_made_for = account.password_hash
    account.save(update_fields=["scram_stored_key", "scram_server_key", "scram_made_for"])
