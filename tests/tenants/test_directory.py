"""What RCPT and sign-in learn from the directory, asked as the application's role without a tenant."""

from typing import Any

import psycopg
import pytest

from storage.sign_in import find_login
from tenants import directory
from tenants import services as administration
from tenants.addresses import parse_address
from tenants.errors import AccountSuspended, DomainNotLocal, RecipientUnknown, TenantSuspended
from tenants.models import Account, Domain
from tenants.passwords import hash_password, verify_password
from tenants.types import AccountId, Address, Status, TenantId
from tests.conftest import RunningServices
from tests.tenants.conftest import PASSWORD

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


async def test_mail_to_an_address_reaches_its_account(app: Connection, ann: Account, domain: str) -> None:
    (found,) = (await directory.resolve(app, parse_address(f"ANN@{domain.upper()}"))).recipients
    assert (found.tenant_id, found.account_id) == (ann.tenant_id, ann.pk)
    assert (found.address, found.detail, found.quota_octets) == (Address("ann", domain), "", None)


async def test_a_detail_reaches_the_person_and_is_told(app: Connection, ann: Account, domain: str) -> None:
    (found,) = (await directory.resolve(app, parse_address(f"ann+bills@{domain}"))).recipients
    assert (found.account_id, found.address, found.detail) == (ann.pk, Address("ann", domain), "bills")


@pytest.fixture
def office(ann: Account, domain: str) -> str:
    administration.add_alias(f"ann@{domain}", f"office@{domain}")
    return f"office@{domain}"


async def test_an_alias_reaches_its_account(app: Connection, ann: Account, office: str) -> None:
    (found,) = (await directory.resolve(app, parse_address(office))).recipients
    assert (found.account_id, str(found.address)) == (ann.pk, office)


@pytest.fixture
def chief(domain: str) -> Account:
    return administration.add_account(f"chief@{domain}", password=PASSWORD, name="Chief", is_administrator=True)


@pytest.fixture
def postmaster(ann: Account, domain: str) -> str:
    administration.add_alias(f"ann@{domain}", f"postmaster@{domain}")
    return f"postmaster@{domain}"


async def test_the_postmaster_is_an_administrator(app: Connection, ann: Account, chief: Account, domain: str) -> None:
    (found,) = (await directory.resolve(app, parse_address(f"Postmaster@{domain}"))).recipients
    assert (found.tenant_id, found.account_id, found.address) == (
        chief.tenant_id,
        chief.pk,
        Address("postmaster", domain),
    )


async def test_the_postmaster_is_who_has_that_address(
    app: Connection, chief: Account, ann: Account, postmaster: str
) -> None:
    assert [each.account_id for each in (await directory.resolve(app, parse_address(postmaster))).recipients] == [
        ann.pk
    ]


async def test_without_an_administrator_there_is_no_postmaster(app: Connection, ann: Account, domain: str) -> None:
    with pytest.raises(RecipientUnknown):
        await directory.resolve(app, parse_address(f"postmaster@{domain}"))


async def test_an_unknown_person_of_our_domain_is_unknown(app: Connection, domain: str) -> None:
    with pytest.raises(RecipientUnknown):
        await directory.resolve(app, parse_address(f"nobody@{domain}"))


async def test_a_domain_of_others_is_not_local(app: Connection, ann: Account) -> None:
    with pytest.raises(DomainNotLocal):
        await directory.resolve(app, parse_address("ann@elsewhere.invalid"))
    with pytest.raises(DomainNotLocal):
        await directory.resolve(app, parse_address("ann@[192.0.2.1]"))


@pytest.mark.parametrize(
    ("of_tenant", "of_domain", "of_account", "refusal"),
    [
        ("suspended", "active", "active", TenantSuspended),
        ("active", "suspended", "active", TenantSuspended),
        ("suspended", "active", "suspended", TenantSuspended),
        ("active", "active", "suspended", AccountSuspended),
        ("active", "active", "deleted", RecipientUnknown),
        ("suspended", "active", "deleted", RecipientUnknown),
        ("deleted", "active", "active", DomainNotLocal),
        ("active", "deleted", "active", DomainNotLocal),
    ],
)
async def test_rcpt_obeys_every_status(
    services: RunningServices,
    ann: Account,
    domain: str,
    of_tenant: str,
    of_domain: str,
    of_account: str,
    refusal: type[Exception],
) -> None:
    async with await psycopg.AsyncConnection.connect(services.owner_url, autocommit=True) as owner:
        await owner.execute("UPDATE tenant SET status = %s WHERE id = %s", (of_tenant, ann.tenant_id))
        await owner.execute("UPDATE domain SET status = %s WHERE name = %s", (of_domain, domain))
        await owner.execute("UPDATE account SET status = %s WHERE id = %s", (of_account, ann.pk))
    async with await psycopg.AsyncConnection.connect(services.app_url, autocommit=True) as app:
        with pytest.raises(refusal):
            await directory.resolve(app, parse_address(f"ann@{domain}"))


async def test_sign_in_by_any_address_finds_the_account_under_its_primary_one(
    app: Connection, ann: Account, domain: str, office: str
) -> None:
    record = await find_login(app, parse_address(office))
    assert record is not None
    assert (record.account_id, record.address) == (ann.pk, Address("ann", domain))
    assert verify_password(record.password_hash, PASSWORD)
    assert (record.display_name, record.is_administrator) == ("Ann Lee", False)
    assert (record.language, record.time_zone) == ("zh-hans", "Asia/Shanghai")
    assert (record.tenant_status, record.account_status) == (Status.ACTIVE, Status.ACTIVE)


async def test_nobody_signs_in_by_an_unknown_address_or_a_detail(app: Connection, ann: Account, domain: str) -> None:
    assert await find_login(app, parse_address(f"nobody@{domain}")) is None
    assert await find_login(app, parse_address("ann@elsewhere.invalid")) is None
    assert await find_login(app, parse_address(f"ann+x@{domain}")) is None


@pytest.fixture
def suspended_domain(ann: Account, domain: str) -> str:
    Domain.objects.filter(name=domain).update(status="suspended")
    return domain


async def test_sign_in_sees_a_suspended_domain_as_its_tenants(app: Connection, suspended_domain: str) -> None:
    record = await find_login(app, parse_address(f"ann@{suspended_domain}"))
    assert record is not None
    assert record.tenant_status is Status.SUSPENDED


async def test_people_may_send_as_their_primary_address_and_aliases(
    app: Connection, ann: Account, domain: str, office: str
) -> None:
    own = await directory.sender_addresses(app, TenantId(ann.tenant_id), AccountId(ann.pk))
    assert own == frozenset({f"ann@{domain}", office})
    stranger = TenantId(ann.tenant_id + 1)
    assert await directory.sender_addresses(app, stranger, AccountId(ann.pk)) == frozenset()


async def test_a_hash_is_upgraded_only_while_it_is_the_one_that_was_verified(
    app: Connection, ann: Account, domain: str
) -> None:
    record = await find_login(app, parse_address(f"ann@{domain}"))
    assert record is not None
    fresh = hash_password(PASSWORD)
    assert await directory.upgrade_password_hash(app, record, fresh)
    assert not await directory.upgrade_password_hash(app, record, hash_password("late"))
    again = await find_login(app, parse_address(f"ann@{domain}"))
    assert again is not None
    assert again.password_hash == fresh
