"""Reads of the directory for commands and pages, with the ORM. They never write."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, Q

from tenants.addresses import parse_address, parse_domain
from tenants.errors import AccountNotFound, DomainInvalid, TenantNotFound
from tenants.models import Account, Address, Tenant


@dataclass(frozen=True, slots=True)
class TenantSummary:
    """A tenant with its domains, the first one first, and how many accounts are not deleted."""

    tenant: Tenant
    domains: list[str]
    people: int


def find_tenant(name: str) -> Tenant:
    """By slug or by any of its domains; one that is not deleted wins. Raises TenantNotFound."""
    slug = name.strip().lower()
    try:
        domain = parse_domain(name.strip())
    except DomainInvalid:
        domain = slug
    matches = Tenant.objects.filter(Q(slug=slug) | Q(slug=domain) | Q(domains__name=domain)).distinct()
    if found := sorted(matches, key=lambda tenant: (tenant.status == "deleted", -tenant.pk)):
        return found[0]
    raise TenantNotFound(name)


def find_account(address: str) -> Account:
    """By its primary address or an alias. Raises AddressInvalid, AccountNotFound."""
    canonical = parse_address(address.strip())
    found = (
        Address.objects.select_related("account", "account__tenant")
        .filter(domain__name=canonical.domain, local_part=canonical.local_part)
        .first()
    )
    if found is None or found.account is None:
        raise AccountNotFound(address)
    return found.account


def list_tenants(*, with_deleted: bool = False) -> Sequence[TenantSummary]:
    """By slug."""
    tenants = Tenant.objects.prefetch_related("domains").annotate(
        people=Count("accounts", filter=~Q(accounts__status="deleted"))
    )
    chosen = (tenants if with_deleted else tenants.exclude(status="deleted")).order_by("slug", "id")
    return [TenantSummary(tenant, domain_names(tenant), tenant.people) for tenant in chosen]


def list_accounts(tenant: Tenant | None, *, with_deleted: bool = False) -> Sequence[Account]:
    """Accounts with their addresses, by tenant and id."""
    accounts = Account.objects.select_related("tenant").prefetch_related("addresses__domain")
    if tenant is not None:
        accounts = accounts.filter(tenant=tenant)
    return list((accounts if with_deleted else accounts.exclude(status="deleted")).order_by("tenant__slug", "id"))


def address_texts(account: Account) -> list[str]:
    """The account's canonical addresses, the primary one first; none if they were all released."""
    rows = sorted(account.addresses.all(), key=lambda row: (not row.is_primary, row.pk))
    return [f"{row.local_part}@{row.domain.name}" for row in rows]


def domain_names(tenant: Tenant) -> list[str]:
    """Its domains, the first one first."""
    return [domain.name for domain in sorted(tenant.domains.all(), key=lambda domain: domain.pk)]
