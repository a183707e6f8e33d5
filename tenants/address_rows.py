"""The rows of addresses: which domain one belongs to, whether it is free, and giving it to an account or group."""

from django.db import IntegrityError, transaction

from tenants.errors import AddressTaken, DomainNotLocal, DomainStandsForAnother, TenantDeleted
from tenants.models import Account, Address, Domain, Group
from tenants.types import Address as AddressValue
from tenants.types import Status


def own_domain(address: AddressValue) -> Domain:
    """The domain in which a new address can be made. Raises DomainNotLocal, DomainStandsForAnother, TenantDeleted."""
    domain = living_domain(address.domain)
    if domain.stands_for is not None:
        raise DomainStandsForAnother(domain.name, domain.stands_for.name)
    return domain


def living_domain(name: str) -> Domain:
    """Raises DomainNotLocal, TenantDeleted."""
    domain = Domain.objects.select_related("tenant", "stands_for").filter(name=name).first()
    if domain is None or domain.status == Status.DELETED:
        raise DomainNotLocal(name)
    if domain.tenant.status == Status.DELETED:
        raise TenantDeleted(domain.tenant.slug)
    return domain


def address_row(address: AddressValue) -> Address | None:
    """The row of the address, in the domain that its domain stands for if it stands for one."""
    domain = Domain.objects.filter(name=address.domain).first()
    if domain is None:
        return None
    return (
        Address.objects.select_related("account__tenant", "group__tenant", "domain")
        .filter(domain_id=domain.stands_for_id or domain.pk, local_part=address.local_part)
        .first()
    )


def demand_free(domain: Domain, address: AddressValue) -> None:
    """Raises AddressTaken."""
    taken = Address.objects.select_related("account").filter(domain=domain, local_part=address.local_part).first()
    if taken is not None:
        is_reserved = taken.account is not None and taken.account.status == Status.DELETED
        raise AddressTaken(str(address), is_reserved=is_reserved)


def insert_address(domain: Domain, address: AddressValue, owner: Account | Group, *, is_primary: bool) -> None:
    """Raises AddressTaken, if somebody else was faster than `demand_free` could see."""
    try:
        with transaction.atomic():
            Address.objects.create(
                tenant=domain.tenant,
                domain=domain,
                local_part=address.local_part,
                account=owner if isinstance(owner, Account) else None,
                group=owner if isinstance(owner, Group) else None,
                is_primary=is_primary,
            )
    except IntegrityError:
        raise AddressTaken(str(address), is_reserved=False) from None
