"""People of the directory who can sign in, for tests of the doors."""

import itertools
import secrets
from dataclasses import dataclass
from typing import Any

import psycopg

from storage.provisioning import make_tenant_keys
from tenants.passwords import hash_password_for_import
from tenants.types import AccountId, Address, Principal, TenantId
from tests.conftest import RunningServices

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody with an empty mailbox, alone in a company."""

    principal: Principal
    password: str

    @property
    def address(self) -> str:
        return str(self.principal.address)


def new_person(services: RunningServices, *, status: str = "active") -> Person:
    """Blocks; call it in a thread."""
    password = secrets.token_urlsafe(12)
    domain = f"door{next(_numbers)}-{secrets.token_hex(4)}.test"
    with psycopg.connect(services.owner_url) as owner:
        tenant_id = _id(
            owner,
            "INSERT INTO tenant (slug, name, status, cell, language, time_zone) "
            "VALUES (%s, 'Mill', 'active', 'main', 'en', 'UTC') RETURNING id",
            domain.replace(".", "-"),
        )
        owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(tenant_id)])
        domain_id = _id(
            owner,
            "INSERT INTO domain (tenant_id, name, status) VALUES (%s, %s, 'active') RETURNING id",
            tenant_id,
            domain,
        )
        account_id = _id(
            owner,
            "INSERT INTO account (tenant_id, display_name, password_hash, is_administrator, language, time_zone,"
            " status) VALUES (%s, 'Ann', %s, false, 'en', 'UTC', %s) RETURNING id",
            tenant_id,
            hash_password_for_import(password),
            status,
        )
        owner.execute(
            "INSERT INTO address (tenant_id, domain_id, local_part, account_id, is_primary) "
            "VALUES (%s, %s, 'ann', %s, true)",
            [tenant_id, domain_id, account_id],
        )
    make_tenant_keys(services.secrets, services.owner_url, TenantId(tenant_id))
    principal = Principal(
        TenantId(tenant_id), AccountId(account_id), Address("ann", domain), "Ann", "en", "UTC", None, False
    )
    return Person(principal, password)


def new_colleague(services: RunningServices, person: Person) -> Person:
    """Somebody else in the same company. Blocks; call it in a thread."""
    password, local_part = secrets.token_urlsafe(12), f"bob{next(_numbers)}"
    known = person.principal
    with psycopg.connect(services.owner_url) as owner:
        owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(known.tenant_id)])
        account_id = _id(
            owner,
            "INSERT INTO account (tenant_id, display_name, password_hash, is_administrator, language, time_zone,"
            " status) VALUES (%s, 'Bob', %s, false, 'en', 'UTC', 'active') RETURNING id",
            known.tenant_id,
            hash_password_for_import(password),
        )
        owner.execute(
            "INSERT INTO address (tenant_id, domain_id, local_part, account_id, is_primary) "
            "SELECT tenant_id, id, %s, %s, true FROM domain WHERE name = %s",
            [local_part, account_id, known.address.domain],
        )
    address = Address(local_part, known.address.domain)
    return Person(Principal(known.tenant_id, AccountId(account_id), address, "Bob", "en", "UTC", None, False), password)


def _id(owner: "psycopg.Connection[tuple[Any, ...]]", statement: str, *values: object) -> int:
    row = owner.execute(statement.encode(), values).fetchone()
    assert row is not None
    return int(row[0])
