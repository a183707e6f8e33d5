"""What there is only so much of: one tenant may have most of it, and never all."""

from mailserver.outbound.shares import Shares
from tenants.types import TenantId

ANN, BOB, CAT = TenantId(1), TenantId(2), TenantId(3)


def taking_all(shares: Shares, tenant_id: TenantId) -> int:
    count = 0
    while shares.may_take(tenant_id):
        shares.take(tenant_id)
        count += 1
    return count


def test_a_tenant_alone_gets_all_but_a_reserve() -> None:
    assert taking_all(Shares(200), ANN) == 150


def test_who_comes_later_gets_the_reserve_and_then_what_becomes_free() -> None:
    shares = Shares(200)
    taking_all(shares, ANN)
    assert taking_all(shares, BOB) == 50
    shares.give_back(ANN, 10)
    assert not shares.may_take(ANN)
    assert shares.may_take(CAT)


def test_one_of_one_can_be_had() -> None:
    assert taking_all(Shares(1), ANN) == 1
