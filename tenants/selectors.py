"""Reads of the directory for commands and pages, with the ORM. They never write."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, F, Q

from tenants.address_rows import address_row
from tenants.addresses import parse_address, parse_domain
from tenants.errors import (
    AccountDeleted,
    AccountNotFound,
    DomainInvalid,
    DomainNotLocal,
    GroupNotFound,
    TenantDeleted,
    TenantNotFound,
)
from tenants.models import Account, Domain, Group, RetentionRule, Tenant
from tenants.types import Status


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
    found = address_row(parse_address(address.strip()))
    if found is None or found.account is None:
        raise AccountNotFound(address)
    return found.account


def find_living_account(address: str) -> Account:
    """Raises AddressInvalid, AccountNotFound, AccountDeleted."""
    account = find_account(address)
    if account.status == Status.DELETED:
        raise AccountDeleted(address)
    return account


def find_group(address: str) -> Group:
    """By any of its addresses. Raises AddressInvalid, GroupNotFound."""
    found = address_row(parse_address(address.strip()))
    if found is None or found.group is None:
        raise GroupNotFound(address)
    return found.group


def list_groups(tenant: Tenant | None) -> Sequence[Group]:
    """Groups with their addresses and members, by tenant and id."""
    groups = Group.objects.select_related("tenant").prefetch_related("addresses__domain", "members")
    if tenant is not None:
        groups = groups.filter(tenant=tenant)
    return list(groups.exclude(tenant__status="deleted").order_by("tenant__slug", "id"))


def member_texts(group: Group) -> list[str]:
    """As they are written to, in the order they were added."""
    return [member.written for member in sorted(group.members.all(), key=lambda member: member.pk)]


def forwarding_texts(account: Account) -> list[str]:
    """Where mail is passed on to, as it is written, in the order it was said."""
    return [each.written for each in sorted(account.forwardings.all(), key=lambda each: each.pk)]


def list_domains(tenant: Tenant | None) -> Sequence[Domain]:
    """Domains with what they stand for and their catch-all, by tenant and id; not those of deleted tenants."""
    domains = Domain.objects.select_related("tenant", "stands_for").prefetch_related(
        "catch_all_account__addresses__domain", "catch_all_group__addresses__domain"
    )
    if tenant is not None:
        domains = domains.filter(tenant=tenant)
    return list(domains.exclude(tenant__status="deleted").exclude(status="deleted").order_by("tenant__slug", "id"))


def find_domain(name: str) -> Domain:
    """One that mail is taken for. Raises DomainInvalid, DomainNotLocal."""
    canonical = parse_domain(name.strip())
    living = Domain.objects.exclude(status=Status.DELETED).exclude(tenant__status=Status.DELETED)
    if (found := living.filter(name=canonical).first()) is not None:
        return found
    raise DomainNotLocal(canonical)


def list_tenants(*, with_deleted: bool = False) -> Sequence[TenantSummary]:
    """By slug."""
    tenants = Tenant.objects.prefetch_related("domains").annotate(
        people=Count("accounts", filter=~Q(accounts__status="deleted"))
    )
    chosen = (tenants if with_deleted else tenants.exclude(status="deleted")).order_by("slug", "id")
    return [TenantSummary(tenant, domain_names(tenant), tenant.people) for tenant in chosen]


def list_accounts(tenant: Tenant | None, *, with_deleted: bool = False) -> Sequence[Account]:
    """Accounts with their addresses, by tenant and id."""
    accounts = Account.objects.select_related("tenant").prefetch_related("addresses__domain", "forwardings")
    if tenant is not None:
        accounts = accounts.filter(tenant=tenant)
    return list((accounts if with_deleted else accounts.exclude(status="deleted")).order_by("tenant__slug", "id"))


def address_texts(account: Account | Group) -> list[str]:
    """The canonical addresses, the primary one first; none if they were all released."""
    rows = sorted(account.addresses.all(), key=lambda row: (not row.is_primary, row.pk))
    return [f"{row.local_part}@{row.domain.name}" for row in rows]


def domain_names(tenant: Tenant) -> list[str]:
    """Its domains, the first one first."""
    return [domain.name for domain in sorted(tenant.domains.all(), key=lambda domain: domain.pk)]


def find_living_tenant(name: str) -> Tenant:
    """Raises TenantNotFound, TenantDeleted."""
    tenant = find_tenant(name)
    if tenant.status == Status.DELETED:
        raise TenantDeleted(tenant.slug)
    return tenant


def list_rules(tenant: Tenant) -> Sequence[RetentionRule]:
    """Those of everybody first, then by account; each in the order it was made."""
    rules = RetentionRule.objects.filter(tenant=tenant).prefetch_related("account__addresses__domain")
    return list(rules.order_by(F("account_id").asc(nulls_first=True), "id"))
