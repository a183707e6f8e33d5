"""Groups, forwarding, catch-alls and alias domains, from administration to RCPT."""

from typing import Any

import psycopg
import pytest

from tenants import directory, routes
from tenants import services as administration
from tenants.addresses import parse_address
from tenants.errors import (
    AccountNotFound,
    AddressInvalid,
    AddressTaken,
    DomainHasAddresses,
    DomainNotLocal,
    DomainStandsForAnother,
    ExpansionTooLarge,
    ForwardingNotFound,
    GroupIsCatchAll,
    GroupNotFound,
    MemberNotFound,
    RecipientUnknown,
    TooManyTargets,
)
from tenants.models import Account
from tenants.selectors import find_account, find_group, member_texts
from tenants.types import WhoMaySend
from tests.tenants.conftest import PASSWORD

Connection = psycopg.AsyncConnection[tuple[Any, ...]]


async def reached(app: Connection, text: str) -> list[str]:
    """Addresses here by their accounts, then those elsewhere."""
    found = await directory.resolve(app, parse_address(text))
    return [str(each.address) for each in found.recipients] + [each.address for each in found.elsewhere]


@pytest.fixture
def bob(ann: Account, domain: str) -> Account:
    return administration.add_account(f"bob@{domain}", password=PASSWORD)


@pytest.fixture
def team(bob: Account, domain: str) -> str:
    routes.add_group(f"team@{domain}", members=[f"ann@{domain}", f"bob+team@{domain}", "Zoe@Elsewhere.Example"])
    return f"team@{domain}"


@pytest.fixture
def all_hands(team: str, domain: str) -> str:
    routes.add_group(f"all@{domain}", members=[team, f"ann@{domain}"])
    routes.add_members(team, [f"all@{domain}"])
    return f"all@{domain}"


async def test_a_group_reaches_its_members_with_groups_in_it_flattened(
    app: Connection, all_hands: str, team: str, domain: str
) -> None:
    members = {f"ann@{domain}", f"bob@{domain}", "Zoe@elsewhere.example"}
    assert set(await reached(app, team.upper())) == members
    assert set(await reached(app, all_hands)) == members
    found = await directory.resolve(app, parse_address(team))
    assert {each.detail for each in found.recipients} == {"", "team"}


@pytest.fixture
def passing(bob: Account, domain: str) -> str:
    routes.add_forwarding(f"ann@{domain}", f"bob@{domain}", keeps_copy=False)
    routes.add_forwarding(f"ann@{domain}", "Ann.Private@elsewhere.example")
    return f"ann@{domain}"


async def test_mail_is_passed_on_from_account_to_account_and_away(app: Connection, passing: str, domain: str) -> None:
    assert await reached(app, f"ann+x@{domain}") == [f"bob@{domain}", "Ann.Private@elsewhere.example"]


@pytest.fixture
def circle(bob: Account, domain: str) -> str:
    routes.add_forwarding(f"ann@{domain}", f"bob@{domain}", keeps_copy=False)
    routes.add_forwarding(f"bob@{domain}", f"ann@{domain}", keeps_copy=False)
    return f"ann@{domain}"


async def test_a_circle_of_forwardings_loses_nothing(app: Connection, circle: str, domain: str) -> None:
    assert set(await reached(app, circle)) == {f"ann@{domain}", f"bob@{domain}"}


@pytest.fixture
def caught(bob: Account, domain: str) -> str:
    routes.set_catch_all(domain, f"bob@{domain}")
    administration.delete_account(f"ann@{domain}")
    return domain


async def test_a_catch_all_has_what_nobody_has_and_not_what_is_reserved(app: Connection, caught: str) -> None:
    [recipient] = (await directory.resolve(app, parse_address(f"sales+x@{caught}"))).recipients
    assert (recipient.address.local_part, recipient.detail) == ("sales", "x")
    assert await reached(app, f"bob@{caught}") == [f"bob@{caught}"]
    with pytest.raises(RecipientUnknown):
        await reached(app, f"ann@{caught}")


@pytest.fixture
def caught_by_team(team: str, domain: str) -> str:
    routes.set_catch_all(domain, team)
    return domain


async def test_a_catch_all_can_be_a_group(app: Connection, caught_by_team: str) -> None:
    assert len(await reached(app, f"anything@{caught_by_team}")) == 3


@pytest.fixture
def other_name(bob: Account, domain: str) -> str:
    name = f"邮件.{domain}"
    administration.add_domain(domain, name)
    routes.stand_for(name, domain)
    return name


async def test_every_address_is_good_in_a_domain_that_stands_for_another(
    app: Connection, other_name: str, domain: str
) -> None:
    assert await reached(app, f"Ann+bills@{other_name}") == [f"ann@{domain}"]
    with pytest.raises(RecipientUnknown):
        await reached(app, f"nobody@{other_name}")


def test_a_domain_that_stands_for_another_has_nothing_of_its_own(other_name: str, domain: str) -> None:
    assert find_account(f"ann@{other_name}") == find_account(f"ann@{domain}")
    with pytest.raises(DomainStandsForAnother):
        administration.add_account(f"carl@{other_name}", password=PASSWORD)
    with pytest.raises(DomainStandsForAnother):
        routes.add_group(f"team@{other_name}")
    with pytest.raises(DomainStandsForAnother):
        routes.set_catch_all(other_name, f"ann@{domain}")
    assert routes.stand_for(other_name, None).stands_for is None
    with pytest.raises(DomainHasAddresses):
        routes.stand_for(domain, other_name)


@pytest.fixture
def crowd(ann: Account, domain: str) -> str:
    routes.add_group(f"crowd@{domain}", members=[f"p{n}@elsewhere.example" for n in range(5000)])
    routes.add_group(f"crowds@{domain}", members=[f"crowd@{domain}", f"crowd2@{domain}"])
    routes.add_group(f"crowd2@{domain}", members=[f"q{n}@elsewhere.example" for n in range(4999)])
    return f"crowds@{domain}"


async def test_expansion_has_an_end(app: Connection, crowd: str, domain: str) -> None:
    with pytest.raises(ExpansionTooLarge):
        await reached(app, crowd)
    assert len(await reached(app, f"crowd@{domain}")) == 5000


def test_what_administrators_may_not_do(team: str, domain: str) -> None:
    with pytest.raises(AddressTaken):
        administration.add_account(team, password=PASSWORD)
    with pytest.raises(AccountNotFound):
        find_account(team)
    with pytest.raises(GroupNotFound):
        find_group(f"ann@{domain}")
    with pytest.raises(MemberNotFound):
        routes.remove_members(team, ["nobody@elsewhere.example"])
    with pytest.raises(AddressInvalid):
        routes.add_members(team, ["ann@[192.0.2.1]"])
    with pytest.raises(ForwardingNotFound):
        routes.remove_forwarding(f"ann@{domain}", f"bob@{domain}")
    with pytest.raises(AccountNotFound):
        routes.set_catch_all(domain, f"nobody@{domain}")
    with pytest.raises(DomainNotLocal):
        routes.set_catch_all("elsewhere.example", f"ann@{domain}")
    routes.set_catch_all(domain, team)
    with pytest.raises(GroupIsCatchAll):
        routes.delete_group(team)
    with pytest.raises(TooManyTargets):
        routes.add_members(team, [f"p{n}@elsewhere.example" for n in range(5000)])


def test_a_deleted_group_frees_its_address_at_once(team: str) -> None:
    routes.delete_group(team)
    administration.add_account(team, password=PASSWORD)


def test_a_group_changes(team: str, domain: str) -> None:
    routes.add_members(team, ["zoe@elsewhere.example"])
    assert len(member_texts(find_group(team))) == 3
    routes.remove_members(team, ["ZOE@elsewhere.example"])
    assert member_texts(find_group(team)) == [f"ann@{domain}", f"bob+team@{domain}"]
    routes.set_group(team, routes.GroupChange(name="Team", who_may_send=WhoMaySend.MEMBERS, owner="Ann@x.example"))
    group = find_group(team)
    assert (group.name, group.who_may_send, group.owner_address) == ("Team", "members", "Ann@x.example")


def test_the_last_forwarding_that_goes_has_mail_stay_again(passing: str, domain: str) -> None:
    routes.remove_forwarding(passing, f"bob@{domain}")
    assert not find_account(passing).keeps_copy
    routes.remove_forwarding(passing, "ann.private@elsewhere.example")
    assert find_account(passing).keeps_copy
