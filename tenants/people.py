"""Many accounts at once, from the rows of a file: all of them, or none and the reasons."""

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from django.db import IntegrityError, transaction

from tenants.checks import check_password, clean_name, new_address
from tenants.errors import AddressInvalid, ImportRefused, NameInvalid, PasswordUnacceptable, QuotaInvalid, RowProblem
from tenants.models import Account, Address, Domain, Tenant
from tenants.passwords import generate_password, hash_password_for_import, is_acceptable_hash
from tenants.quota import parse_quota
from tenants.types import Address as AddressValue

BATCH_ROWS = 1000
PROBLEMS_LIMIT = 100


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One row as it stands in the file. `password` is in clear, a `$argon2id$` hash, or empty: one is generated."""

    line: int
    address: str
    password: str
    name: str
    quota: str


@dataclass(frozen=True, slots=True)
class ImportedPerson:
    """Someone who has an account now; the password is given only if it was generated."""

    address: str
    generated_password: str | None


@dataclass(frozen=True, slots=True)
class _Person:
    line: int
    address: AddressValue
    name: str
    quota_octets: int | None
    password: str
    is_hashed: bool
    is_generated: bool


def import_people(rows: Iterable[PersonRow], *, tenant: Tenant | None = None) -> list[ImportedPerson]:
    """Make an account for every row, in the tenants their domains belong to; `tenant` admits only its own domains.

    Passwords in clear are hashed at import cost on all cores. Raises ImportRefused with every problem found (at most
    PROBLEMS_LIMIT), and then nobody was imported.
    """
    problems: list[RowProblem] = []
    people = [person for row in rows if (person := _checked(row, problems)) is not None]
    domains = {
        domain.name: domain
        for domain in Domain.objects.select_related("tenant").filter(name__in={p.address.domain for p in people})
        if domain.status != "deleted"
        and domain.tenant.status != "deleted"
        and (tenant is None or domain.tenant.pk == tenant.pk)
    }
    _demand_own_domains(people, domains, problems)
    _demand_free_addresses(people, domains, problems)
    if problems:
        raise ImportRefused(sorted(problems, key=lambda problem: problem.line)[:PROBLEMS_LIMIT])
    hashes = _hashes(people)
    try:
        _insert(people, hashes, domains)
    except IntegrityError:
        raise ImportRefused([RowProblem(0, "address", "an address was taken while the file was imported")]) from None
    return [ImportedPerson(str(p.address), p.password if p.is_generated else None) for p in people]


def _checked(row: PersonRow, problems: list[RowProblem]) -> _Person | None:
    before = len(problems)
    address, name, quota_octets = AddressValue("", ""), "", None
    try:
        address = new_address(row.address)
        name = address.local_part
    except AddressInvalid as error:
        problems.append(RowProblem(row.line, "address", error.reason))
    if row.name.strip():
        try:
            name = clean_name(row.name)
        except NameInvalid as error:
            problems.append(RowProblem(row.line, "name", error.reason))
    if row.quota.strip():
        try:
            quota_octets = parse_quota(row.quota)
        except QuotaInvalid as error:
            problems.append(RowProblem(row.line, "quota", str(error)))
    is_hashed = row.password.startswith("$argon2")
    if is_hashed and not is_acceptable_hash(row.password):
        problems.append(RowProblem(row.line, "password", "the hash is not argon2id in PHC form, or costs too much"))
    elif row.password and not is_hashed:
        try:
            check_password(row.password)
        except PasswordUnacceptable as error:
            problems.append(RowProblem(row.line, "password", error.reason))
    if len(problems) > before:
        return None
    password = row.password or generate_password()
    return _Person(row.line, address, name, quota_octets, password, is_hashed, is_generated=not row.password)


def _demand_own_domains(people: Sequence[_Person], domains: dict[str, Domain], problems: list[RowProblem]) -> None:
    for person in people:
        domain = domains.get(person.address.domain)
        if domain is None:
            reason = f"{person.address.domain} is not served here, or belongs to another tenant"
            problems.append(RowProblem(person.line, "address", reason))
        elif domain.stands_for_id is not None:
            reason = f"{domain.name} stands for another domain and has no addresses of its own"
            problems.append(RowProblem(person.line, "address", reason))


def _demand_free_addresses(people: Sequence[_Person], domains: dict[str, Domain], problems: list[RowProblem]) -> None:
    taken: set[str] = set()
    local_parts = [person.address.local_part for person in people]
    for start in range(0, len(local_parts), BATCH_ROWS):
        rows = Address.objects.filter(
            domain__in=domains.values(), local_part__in=local_parts[start : start + BATCH_ROWS]
        ).values_list("local_part", "domain__name")
        taken.update(f"{local_part}@{domain}" for local_part, domain in rows)
    first_line: dict[str, int] = {}
    for person in people:
        text = str(person.address)
        if text in taken:
            problems.append(RowProblem(person.line, "address", f"{text} is taken"))
        elif text in first_line:
            problems.append(RowProblem(person.line, "address", f"{text} is in line {first_line[text]} already"))
        first_line.setdefault(text, person.line)


def _hashes(people: Sequence[_Person]) -> list[str]:
    """argon2 releases the GIL, so threads use every core."""
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(lambda p: p.password if p.is_hashed else hash_password_for_import(p.password), people))


@transaction.atomic
def _insert(people: Sequence[_Person], hashes: Sequence[str], domains: dict[str, Domain]) -> None:
    accounts = [
        Account(
            tenant=domains[person.address.domain].tenant,
            display_name=person.name,
            password_hash=password_hash,
            language=domains[person.address.domain].tenant.language,
            time_zone=domains[person.address.domain].tenant.time_zone,
            quota_octets=person.quota_octets,
        )
        for person, password_hash in zip(people, hashes, strict=True)
    ]
    Account.objects.bulk_create(accounts, batch_size=BATCH_ROWS)
    addresses = [
        Address(
            tenant=account.tenant,
            domain=domains[person.address.domain],
            local_part=person.address.local_part,
            account=account,
            is_primary=True,
        )
        for person, account in zip(people, accounts, strict=True)
    ]
    Address.objects.bulk_create(addresses, batch_size=BATCH_ROWS)
