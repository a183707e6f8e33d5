"""What is remembered of addresses, and how much of it."""

from mailserver.services.known_addresses import LARGEST, KnownAddresses
from tenants.types import AccountId, Address, Recipient, Resolution, TenantId

PERSON = Recipient(TenantId(1), AccountId(1), Address("ann", "demo.test"), "", None)
ANN = Resolution(TenantId(1), (PERSON,))
TEAM = Resolution(TenantId(1), (PERSON,) * 1_000)


def test_a_group_under_many_spellings_is_remembered_within_bounds() -> None:
    known = KnownAddresses(lifetime_s=5, clock=lambda: 0)
    for number in range(200):
        known.keep(f"team+{number}@demo.test", TEAM)
    assert LARGEST - 1_001 <= known.reached <= LARGEST
    assert known.find("team+199@demo.test") is TEAM
    assert known.find("team+0@demo.test") is None


def test_an_answer_that_is_renewed_counts_once() -> None:
    known = KnownAddresses(lifetime_s=5, clock=lambda: 0)
    known.keep("ann@demo.test", ANN)
    for _ in range(100):
        known.keep("team@demo.test", TEAM)
    assert known.reached == 2 + 1_001
    assert known.find("ann@demo.test") is ANN


def test_an_answer_is_forgotten_after_a_moment() -> None:
    now = 0.0
    known = KnownAddresses(lifetime_s=5, clock=lambda: now)
    known.keep("ann@demo.test", ANN)
    now = 5.0
    assert known.find("ann@demo.test") is None
