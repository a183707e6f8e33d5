"""Importing many people: everybody, or nobody and every reason."""

import pytest

from tenants import people
from tenants.errors import ImportRefused
from tenants.models import Account, Tenant
from tenants.passwords import hash_password, needs_rehash, verify_password
from tenants.people import PersonRow, import_people
from tenants.selectors import find_account, list_accounts
from tenants.services import add_tenant
from tests.tenants.conftest import PASSWORD


def test_everybody_in_the_file_gets_an_account(tenant: Tenant, domain: str) -> None:
    rows = [PersonRow(n, f"p{n}@{domain}", f"password {n}", f"人 {n}", "5GiB") for n in range(2, 1204)]
    assert len(import_people(rows)) == len(rows)
    assert len(list_accounts(tenant)) == len(rows)
    last = find_account(f"p1203@{domain}")
    assert (last.display_name, last.quota_octets, last.language) == ("人 1203", 5 * 2**30, "zh-hans")
    assert verify_password(last.password_hash, "password 1203")
    assert needs_rehash(last.password_hash)


def test_a_hash_brought_along_is_kept_as_it_is(domain: str) -> None:
    password_hash = hash_password("from the old server")
    import_people([PersonRow(2, f"bob@{domain}", password_hash, "Bob", "")])
    assert find_account(f"bob@{domain}").password_hash == password_hash


def test_a_missing_password_is_generated_and_told(domain: str) -> None:
    bob, eve = import_people(
        [PersonRow(2, f"bob@{domain}", "", "", ""), PersonRow(3, f"eve@{domain}", "her password", "", "")]
    )
    assert bob.generated_password is not None
    assert verify_password(find_account(f"bob@{domain}").password_hash, bob.generated_password)
    assert find_account(f"bob@{domain}").display_name == "bob"
    assert eve.generated_password is None


def test_one_bad_row_keeps_everybody_out_and_every_problem_is_named(ann: Account, tenant: Tenant, domain: str) -> None:
    rows = [
        PersonRow(2, f"good@{domain}", "good password", "", ""),
        PersonRow(3, f"ann@{domain}", "good password", "", ""),
        PersonRow(4, f"GOOD@{domain}", "good password", "", ""),
        PersonRow(5, "bad", "short", "two\nlines", "much"),
        PersonRow(6, "eve@elsewhere.invalid", "good password", "", ""),
        PersonRow(7, f"eve@{domain}", "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$AAAA", "", ""),
    ]
    with pytest.raises(ImportRefused) as refused:
        import_people(rows)
    assert [(problem.line, problem.column) for problem in refused.value.problems] == [
        (3, "address"),
        (4, "address"),
        (5, "address"),
        (5, "name"),
        (5, "quota"),
        (5, "password"),
        (6, "address"),
        (7, "password"),
    ]
    assert "line 2" in refused.value.problems[1].reason
    assert [account.pk for account in list_accounts(tenant)] == [ann.pk]


def test_a_file_for_one_company_adds_nobody_to_another(ann: Account, tenant: Tenant, domain: str) -> None:
    add_tenant(f"other-{domain}")
    rows = [PersonRow(2, f"bob@other-{domain}", PASSWORD, "", "")]
    with pytest.raises(ImportRefused):
        import_people(rows, tenant=tenant)
    assert len(import_people(rows)) == 1


def test_a_file_full_of_mistakes_names_the_first_hundred(domain: str) -> None:
    with pytest.raises(ImportRefused) as refused:
        import_people([PersonRow(n, "bad", "good password", "", "") for n in range(2, 1000)])
    assert len(refused.value.problems) == people.PROBLEMS_LIMIT
    assert refused.value.problems[0].line == 2
