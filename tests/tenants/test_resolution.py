"""What an address reaches, by the graph behind it: pure."""

from dataclasses import replace

import pytest

from tenants.errors import AccountSuspended, DomainNotLocal, RecipientUnknown, TenantSuspended
from tenants.resolution import Edge, judge
from tenants.types import AccountId, Address, Resolution, WhoMaySend

ASKED = Address("asked", "demo.test")
NOBODY = Edge(
    source_account_id=None,
    source_group_id=None,
    written=None,
    asked_local_part="asked",
    asked_domain="demo.test",
    local_part="asked",
    domain="demo.test",
    tenant_id=1,
    tenant_status="active",
    domain_status="active",
    account_id=None,
    account_status=None,
    quota_octets=None,
    language=None,
    time_zone=None,
    keeps_copy=None,
    is_forwarding=False,
    group_id=None,
    group_address=None,
    group_owner=None,
    who_may_send=None,
)


def person(number: int, *, forwards: bool = False, keeps_copy: bool = True, status: str = "active") -> Edge:
    name = f"person{number}"
    return replace(
        NOBODY,
        written=f"{name}@demo.test",
        asked_local_part=name,
        local_part=name,
        account_id=number,
        account_status=status,
        language="en",
        time_zone="UTC",
        keeps_copy=keeps_copy,
        is_forwarding=forwards,
    )


def group(number: int, who: WhoMaySend = WhoMaySend.ANYONE, *, tenant: int = 1, owner: str = "") -> Edge:
    return replace(
        NOBODY,
        tenant_id=tenant,
        group_id=number,
        group_address=f"group{number}@demo.test",
        group_owner=owner,
        who_may_send=who,
    )


def outside(text: str) -> Edge:
    local_part, _, domain = text.partition("@")
    return replace(
        NOBODY,
        written=text,
        asked_local_part=local_part.lower(),
        asked_domain=domain,
        domain=None,
        tenant_id=None,
        tenant_status=None,
        domain_status=None,
    )


def of_group(number: int, edge: Edge) -> Edge:
    return replace(edge, source_group_id=number)


def of_account(number: int, edge: Edge) -> Edge:
    return replace(edge, source_account_id=number)


def accounts(found: Resolution) -> list[int]:
    return sorted(each.account_id for each in found.recipients)


def outsiders(found: Resolution) -> list[str]:
    return sorted(each.address for each in found.elsewhere)


def test_a_group_is_its_members_here_and_elsewhere_each_once() -> None:
    edges = [
        group(9, owner="chief@demo.test"),
        of_group(9, person(1)),
        of_group(9, person(2)),
        of_group(9, person(1)),
        of_group(9, outside("Zoe@elsewhere.example")),
    ]
    found = judge(ASKED, edges, detail="")
    assert accounts(found) == [1, 2]
    [zoe] = found.elsewhere
    assert (zoe.address, zoe.group, zoe.group_owner, zoe.through) == (
        "Zoe@elsewhere.example",
        "group9@demo.test",
        "chief@demo.test",
        None,
    )
    assert {each.group for each in found.recipients} == {"group9@demo.test"}


def test_groups_within_groups_are_flattened_and_circles_end() -> None:
    edges = [
        group(8),
        of_group(8, group(9)),
        of_group(8, person(1)),
        of_group(9, group(8)),
        of_group(9, person(2)),
    ]
    assert accounts(judge(ASKED, edges, detail="")) == [1, 2]


def test_suspended_members_are_left_out_and_a_group_of_nobody_is_unknown() -> None:
    edges = [group(9), of_group(9, person(1, status="suspended")), of_group(9, NOBODY)]
    with pytest.raises(RecipientUnknown):
        judge(ASKED, edges, detail="")
    assert accounts(judge(ASKED, [*edges, of_group(9, person(2))], detail="")) == [2]


def test_forwarded_mail_leaves_a_copy_only_if_it_is_wanted() -> None:
    target = of_account(1, outside("me@elsewhere.example"))
    keeping = judge(ASKED, [person(1, forwards=True), target], detail="")
    assert (accounts(keeping), outsiders(keeping)) == ([1], ["me@elsewhere.example"])
    passing = judge(ASKED, [person(1, forwards=True, keeps_copy=False), target], detail="")
    assert (accounts(passing), outsiders(passing)) == ([], ["me@elsewhere.example"])
    [forward] = passing.elsewhere
    assert forward.through is not None
    assert forward.through.account_id == 1


def test_people_who_forward_to_each_other_keep_what_would_go_in_circles() -> None:
    one, two = person(1, forwards=True, keeps_copy=False), person(2, forwards=True, keeps_copy=False)
    found = judge(ASKED, [one, of_account(1, two), of_account(2, one)], detail="")
    assert accounts(found) == [1, 2]
    with_an_end = judge(ASKED, [one, of_account(1, two), of_account(2, one), of_account(2, person(3))], detail="")
    assert accounts(with_an_end) == [3]


def test_mail_passed_on_to_nobody_stays() -> None:
    one = person(1, forwards=True, keeps_copy=False)
    assert accounts(judge(ASKED, [one, of_account(1, NOBODY)], detail="")) == [1]
    assert accounts(judge(ASKED, [one, of_account(1, person(2, status="suspended"))], detail="")) == [1]


@pytest.mark.parametrize("who", [WhoMaySend.TENANT, WhoMaySend.MEMBERS])
def test_a_restricted_group_has_no_back_door(who: WhoMaySend) -> None:
    closed = [of_group(9, person(2))]
    by_forwarding = judge(ASKED, [person(1, forwards=True), of_account(1, group(9, who)), *closed], detail="")
    assert accounts(by_forwarding) == [1]
    by_strangers = judge(
        ASKED, [group(5, tenant=2), of_group(5, person(1)), of_group(5, group(9, who)), *closed], detail=""
    )
    assert accounts(by_strangers) == [1]
    by_colleagues = judge(ASKED, [group(5), of_group(5, group(9, who)), *closed], detail="")
    assert accounts(by_colleagues) == [2]
    assert by_colleagues.posting is None


def test_members_of_a_group_are_also_those_who_pass_everything_on() -> None:
    edges = [
        group(9, WhoMaySend.MEMBERS),
        of_group(9, person(1, forwards=True, keeps_copy=False)),
        of_account(1, person(2)),
    ]
    found = judge(ASKED, edges, detail="")
    assert accounts(found) == [2]
    assert found.posting is not None
    assert found.posting.members == frozenset({AccountId(1)})


def test_details_belong_to_whoever_was_named_with_them() -> None:
    with_detail = replace(of_group(9, person(1)), asked_local_part="person1+lists")
    [recipient] = judge(ASKED, [group(9), with_detail], detail="ignored").recipients
    assert recipient.detail == "lists"
    [recipient] = judge(ASKED, [person(1)], detail="bills").recipients
    assert recipient.detail == "bills"


@pytest.mark.parametrize(
    ("first", "refusal"),
    [
        (replace(person(1), account_status="suspended"), AccountSuspended),
        (replace(person(1), account_status="deleted"), RecipientUnknown),
        (replace(group(9), tenant_status="suspended"), TenantSuspended),
        (replace(group(9), domain_status="deleted"), DomainNotLocal),
        (NOBODY, RecipientUnknown),
    ],
)
def test_what_was_asked_for_is_judged_itself(first: Edge, refusal: type[Exception]) -> None:
    with pytest.raises(refusal):
        judge(ASKED, [first, of_group(9, person(2))], detail="")
