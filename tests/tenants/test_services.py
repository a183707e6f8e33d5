"""What administrators do to tenants and accounts, against the real database."""

import pytest

from tenants import services as administration
from tenants.errors import (
    AccountDeleted,
    AccountNotFound,
    AddressInvalid,
    AddressTaken,
    AliasNotFound,
    DomainInvalid,
    DomainNotLocal,
    DomainTaken,
    LanguageUnknown,
    NameInvalid,
    PasswordUnacceptable,
    PrimaryAddressProtected,
    StillInUse,
    TenantDeleted,
    TenantExists,
    TenantNotFound,
)
from tenants.models import Account, Domain, Tenant
from tenants.passwords import verify_password
from tenants.selectors import address_texts, find_account, find_tenant, list_accounts, list_tenants
from tenants.services import AccountChange, Quota, TenantChange
from tests.tenants.conftest import PASSWORD


def test_a_tenant_begins_active_with_its_first_domain(tenant: Tenant) -> None:
    assert (tenant.status, tenant.language, tenant.time_zone) == ("active", "zh-hans", "Asia/Shanghai")
    assert [domain.name for domain in tenant.domains.all()] == [tenant.slug]
    assert find_tenant(tenant.slug.upper()) == tenant


def test_a_tenant_is_found_by_any_of_its_domains(tenant: Tenant, domain: str) -> None:
    administration.add_domain(domain, f"邮件.{domain}")
    assert find_tenant(f"邮件.{domain}") == tenant


def test_two_tenants_cannot_have_one_slug_or_one_domain(tenant: Tenant, domain: str) -> None:
    with pytest.raises(TenantExists):
        administration.add_tenant(f"other-{domain}", slug=domain)
    with pytest.raises(DomainTaken) as taken:
        administration.add_tenant(domain, slug=f"other-{domain}")
    assert not taken.value.is_reserved
    with pytest.raises(TenantNotFound):
        find_tenant(f"other-{domain}")


def test_a_tenant_needs_a_real_domain_and_a_plain_slug(orm: None) -> None:
    with pytest.raises(DomainInvalid):
        administration.add_tenant("not a domain")
    with pytest.raises(NameInvalid):
        administration.add_tenant("demo.example", slug="Größe!")
    with pytest.raises(LanguageUnknown):
        administration.add_tenant("demo.example", language="fr")


def test_a_tenant_is_renamed(domain: str) -> None:
    changed = administration.set_tenant(domain, TenantChange(name="新名称", language="en", time_zone="Europe/Berlin"))
    changed.refresh_from_db()
    assert (changed.name, changed.language, changed.time_zone) == ("新名称", "en", "Europe/Berlin")


def test_a_suspended_tenant_can_be_resumed_and_a_deleted_one_cannot(domain: str) -> None:
    assert administration.suspend_tenant(domain).status == "suspended"
    assert administration.resume_tenant(domain).status == "active"
    assert administration.delete_tenant(domain).status == "deleted"
    with pytest.raises(TenantDeleted):
        administration.resume_tenant(domain)


def test_the_domain_of_a_deleted_tenant_stays_reserved_until_it_is_released(ann: Account, domain: str) -> None:
    with pytest.raises(StillInUse):
        administration.release_domain(domain)
    administration.delete_tenant(domain)
    with pytest.raises(DomainTaken) as taken:
        administration.add_tenant(domain)
    assert taken.value.is_reserved
    administration.release_domain(domain)
    successor = administration.add_tenant(domain)
    assert successor.pk != ann.tenant_id
    assert find_tenant(domain) == successor
    with pytest.raises(AccountNotFound):
        find_account(f"ann@{domain}")


def test_an_account_takes_language_and_time_zone_of_its_company(ann: Account) -> None:
    assert (ann.language, ann.time_zone) == ("zh-hans", "Asia/Shanghai")
    assert ann.password_hash != PASSWORD
    assert verify_password(ann.password_hash, PASSWORD)


def test_an_address_has_one_account_however_it_is_written(ann: Account, domain: str) -> None:
    with pytest.raises(AddressTaken):
        administration.add_account(f"ANN@{domain.upper()}", password=PASSWORD)


@pytest.mark.parametrize("local_part", ["a+b", '"a b"', '"ann"', "", "a..b", "x" * 65])
def test_some_addresses_are_given_to_nobody(domain: str, local_part: str) -> None:
    with pytest.raises(AddressInvalid):
        administration.add_account(f"{local_part}@{domain}", password=PASSWORD)


def test_people_are_added_only_in_domains_that_are_served(orm: None) -> None:
    with pytest.raises(DomainNotLocal):
        administration.add_account("ann@elsewhere.invalid", password=PASSWORD)


@pytest.mark.parametrize("password", ["short", "", "x" * 1025, "tab\tinside it", "line\nbreak in it"])
def test_unusable_passwords_are_refused(domain: str, password: str) -> None:
    with pytest.raises(PasswordUnacceptable):
        administration.add_account(f"bob@{domain}", password=password)
    with pytest.raises(AccountNotFound):
        find_account(f"bob@{domain}")


def test_an_account_is_changed_where_asked_and_nowhere_else(ann: Account, domain: str) -> None:
    changed = administration.set_account(f"ann@{domain}", AccountChange(quota=Quota(2**30), is_administrator=True))
    changed.refresh_from_db()
    assert (changed.quota_octets, changed.is_administrator) == (2**30, True)
    assert (changed.display_name, changed.language) == ("Ann Lee", "zh-hans")
    assert changed.password_hash == ann.password_hash
    unlimited = administration.set_account(f"ann@{domain}", AccountChange(quota=Quota(None)))
    assert unlimited.quota_octets is None


def test_a_new_password_replaces_the_old_one_and_is_dated(ann: Account, domain: str) -> None:
    ann.refresh_from_db()
    administration.set_account(f"ann@{domain}", AccountChange(password="another password"))
    changed = find_account(f"ann@{domain}")
    assert verify_password(changed.password_hash, "another password")
    assert not verify_password(changed.password_hash, PASSWORD)
    assert changed.password_changed_at > ann.password_changed_at


def test_the_address_of_a_deleted_account_stays_reserved_until_it_is_released(ann: Account, domain: str) -> None:
    with pytest.raises(StillInUse):
        administration.release_address(f"ann@{domain}")
    administration.delete_account(f"ann@{domain}")
    with pytest.raises(AccountDeleted):
        administration.resume_account(f"ann@{domain}")
    with pytest.raises(AddressTaken) as taken:
        administration.add_account(f"ann@{domain}", password=PASSWORD)
    assert taken.value.is_reserved
    administration.release_address(f"ann@{domain}")
    assert administration.add_account(f"ann@{domain}", password=PASSWORD).pk != ann.pk


def test_an_account_is_suspended_and_resumed(ann: Account, domain: str) -> None:
    assert administration.suspend_account(f"ann@{domain}").status == "suspended"
    assert administration.resume_account(f"ann@{domain}").status == "active"


def test_aliases_come_and_go_and_the_primary_address_stays(ann: Account, domain: str) -> None:
    administration.add_alias(f"ann@{domain}", f"Office@{domain}")
    assert address_texts(find_account(f"office@{domain}")) == [f"ann@{domain}", f"office@{domain}"]
    with pytest.raises(AddressTaken):
        administration.add_account(f"office@{domain}", password=PASSWORD)
    with pytest.raises(PrimaryAddressProtected):
        administration.remove_alias(f"ann@{domain}", f"ann@{domain}")
    administration.remove_alias(f"ann@{domain}", f"office@{domain}")
    with pytest.raises(AliasNotFound):
        administration.remove_alias(f"ann@{domain}", f"office@{domain}")


def test_an_alias_stays_within_the_company(ann: Account, domain: str) -> None:
    administration.add_tenant(f"other-{domain}")
    with pytest.raises(DomainNotLocal):
        administration.add_alias(f"ann@{domain}", f"ann@other-{domain}")


def test_an_alias_of_someone_else_is_not_taken_away_by_mistake(ann: Account, domain: str) -> None:
    administration.add_account(f"bob@{domain}", password=PASSWORD)
    administration.add_alias(f"bob@{domain}", f"office@{domain}")
    with pytest.raises(AliasNotFound):
        administration.remove_alias(f"ann@{domain}", f"office@{domain}")


def test_nobody_is_added_to_a_deleted_tenant_or_domain(ann: Account, domain: str) -> None:
    administration.add_domain(domain, f"second-{domain}")
    Domain.objects.filter(name=f"second-{domain}").update(status="deleted")
    with pytest.raises(DomainNotLocal):
        administration.add_account(f"bob@second-{domain}", password=PASSWORD)
    administration.delete_tenant(domain)
    with pytest.raises(TenantDeleted):
        administration.add_account(f"bob@{domain}", password=PASSWORD)


def test_lists_leave_out_what_was_deleted_unless_asked(ann: Account, tenant: Tenant, domain: str) -> None:
    administration.add_account(f"bob@{domain}", password=PASSWORD)
    administration.delete_account(f"bob@{domain}")
    assert [account.pk for account in list_accounts(tenant)] == [ann.pk]
    assert len(list_accounts(tenant, with_deleted=True)) == 2
    [summary] = [each for each in list_tenants() if each.tenant == tenant]
    assert (summary.people, summary.domains) == (1, [domain])
