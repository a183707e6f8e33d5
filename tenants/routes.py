"""Where mail for an address goes beyond one account: groups, forwarding, catch-alls, domains that stand for others.

What administrators do, one function each, all or nothing. Members and targets are kept as addresses, not as references:
whoever has the address when a message comes gets it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.db import transaction

from tenants.address_rows import address_row, demand_free, insert_address, living_domain, own_domain
from tenants.addresses import parse_address, parse_domain, parse_target
from tenants.checks import clean_name, new_address
from tenants.errors import (
    AccountDeleted,
    AccountNotFound,
    DomainHasAddresses,
    DomainNotLocal,
    DomainStandsForAnother,
    ForwardingNotFound,
    GroupIsCatchAll,
    MemberNotFound,
    TooManyTargets,
)
from tenants.models import Account, Address, Domain, Forwarding, Group, GroupMember
from tenants.selectors import find_account, find_group, find_living_account
from tenants.types import Status, WhoMaySend

MEMBERS_LIMIT = 5_000  # of one group
FORWARDINGS_LIMIT = 20  # of one account


@dataclass(frozen=True, slots=True)
class GroupChange:
    """What to change of a group; None leaves it, an empty owner takes the owner away."""

    name: str | None = None
    who_may_send: WhoMaySend | None = None
    owner: str | None = None


@transaction.atomic
def add_group(
    address: str,
    *,
    name: str | None = None,
    who_may_send: WhoMaySend = WhoMaySend.ANYONE,
    owner: str = "",
    members: Sequence[str] = (),
) -> Group:
    """An address that stands for many. Raises AddressInvalid, DomainNotLocal, DomainStandsForAnother, AddressTaken,
    TenantDeleted, NameInvalid, TooManyTargets."""
    canonical = new_address(address)
    domain = own_domain(canonical)
    demand_free(domain, canonical)
    group = Group.objects.create(
        tenant=domain.tenant,
        name=clean_name(name or canonical.local_part),
        who_may_send=who_may_send,
        owner_address=parse_target(owner).written if owner else "",
    )
    insert_address(domain, canonical, group, is_primary=True)
    _insert_members(group, members)
    return group


@transaction.atomic
def set_group(address: str, change: GroupChange) -> Group:
    """Raises AddressInvalid, GroupNotFound, NameInvalid."""
    group = find_group(address)
    if change.name is not None:
        group.name = clean_name(change.name)
    if change.who_may_send is not None:
        group.who_may_send = change.who_may_send
    if change.owner is not None:
        group.owner_address = parse_target(change.owner).written if change.owner else ""
    group.save(update_fields=["name", "who_may_send", "owner_address"])
    return group


@transaction.atomic
def delete_group(address: str) -> None:
    """Its addresses are free at once: no mail rests with a group. Raises AddressInvalid, GroupNotFound,
    GroupIsCatchAll."""
    group = find_group(address)
    caught = Domain.objects.filter(catch_all_group=group).first()
    if caught is not None:
        raise GroupIsCatchAll(address, caught.name)
    group.delete()


@transaction.atomic
def add_members(address: str, members: Sequence[str]) -> Group:
    """Who is a member already stays one. Raises AddressInvalid, GroupNotFound, TooManyTargets."""
    group = find_group(address)
    _insert_members(group, members)
    return group


@transaction.atomic
def remove_members(address: str, members: Sequence[str]) -> Group:
    """Raises AddressInvalid, GroupNotFound, MemberNotFound."""
    group = find_group(address)
    for text in members:
        canonical = parse_address(text.strip())
        removed, _ = group.members.filter(domain=canonical.domain, local_part=canonical.local_part).delete()
        if not removed:
            raise MemberNotFound(address, text)
    return group


@transaction.atomic
def add_forwarding(address: str, target: str, *, keeps_copy: bool | None = None) -> Account:
    """Pass the account's mail on to `target` too; `keeps_copy` None leaves what was said before (at first: it does).

    Raises AddressInvalid, AccountNotFound, AccountDeleted, TooManyTargets.
    """
    account = find_living_account(address)
    parsed = parse_target(target)
    Forwarding.objects.get_or_create(
        account=account,
        domain=parsed.address.domain,
        local_part=parsed.address.local_part,
        defaults={"tenant": account.tenant, "written": parsed.written},
    )
    if account.forwardings.count() > FORWARDINGS_LIMIT:
        raise TooManyTargets(address, FORWARDINGS_LIMIT)
    if keeps_copy is not None:
        account.keeps_copy = keeps_copy
        account.save(update_fields=["keeps_copy"])
    return account


@transaction.atomic
def remove_forwarding(address: str, target: str) -> Account:
    """The last one that goes has the account keep its mail again. Raises AddressInvalid, AccountNotFound,
    ForwardingNotFound."""
    account = find_account(address)
    canonical = parse_address(target.strip())
    removed, _ = account.forwardings.filter(domain=canonical.domain, local_part=canonical.local_part).delete()
    if not removed:
        raise ForwardingNotFound(address, target)
    if not account.forwardings.exists():
        account.keeps_copy = True
        account.save(update_fields=["keeps_copy"])
    return account


@transaction.atomic
def set_catch_all(domain_name: str, address: str | None) -> Domain:
    """Where mail goes for what nobody has in the domain: an account or group of the same tenant, or None: nowhere.

    Raises DomainInvalid, DomainNotLocal, TenantDeleted, DomainStandsForAnother, AddressInvalid, AccountNotFound,
    AccountDeleted.
    """
    domain = living_domain(parse_domain(domain_name))
    if domain.stands_for is not None:
        raise DomainStandsForAnother(domain.name, domain.stands_for.name)
    domain.catch_all_account, domain.catch_all_group = None, None
    if address is not None:
        row = address_row(parse_address(address.strip()))
        if row is None or row.tenant_id != domain.tenant_id:
            raise AccountNotFound(address)
        if row.account is not None and row.account.status == Status.DELETED:
            raise AccountDeleted(address)
        domain.catch_all_account, domain.catch_all_group = row.account, row.group
    domain.save(update_fields=["catch_all_account", "catch_all_group"])
    return domain


@transaction.atomic
def stand_for(domain_name: str, other_name: str | None) -> Domain:
    """Every address of the other domain is good in this one too, which has none of its own; None ends it.

    Raises DomainInvalid, DomainNotLocal (also if they are of two tenants), TenantDeleted, DomainStandsForAnother (the
    other does), DomainHasAddresses (this one has its own, a catch-all, or is stood for itself).
    """
    domain = living_domain(parse_domain(domain_name))
    if other_name is None:
        domain.stands_for = None
    else:
        other = living_domain(parse_domain(other_name))
        if other.tenant_id != domain.tenant_id or other.pk == domain.pk:
            raise DomainNotLocal(other.name)
        if other.stands_for is not None:
            raise DomainStandsForAnother(other.name, other.stands_for.name)
        is_used = (
            Address.objects.filter(domain=domain).exists()
            or domain.stood_for_by.exists()
            or domain.catch_all_account_id is not None
            or domain.catch_all_group_id is not None
        )
        if is_used:
            raise DomainHasAddresses(domain.name)
        domain.stands_for = other
    domain.save(update_fields=["stands_for"])
    return domain


def _insert_members(group: Group, members: Sequence[str]) -> None:
    targets = [parse_target(text) for text in members]
    GroupMember.objects.bulk_create(
        [
            GroupMember(
                tenant=group.tenant,
                group=group,
                written=target.written,
                local_part=target.address.local_part,
                domain=target.address.domain,
            )
            for target in targets
        ],
        ignore_conflicts=True,
    )
    if group.members.count() > MEMBERS_LIMIT:
        raise TooManyTargets(group.name, MEMBERS_LIMIT)
