"""Failed sign-ins slow down the next ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.services.throttle import (
    NONE,
    Failures,
    LadderConfig,
    Networks,
    Standing,
    ThrottleConfig,
    delay_s,
    networks_of,
    refused_for_s,
)

CONFIG = ThrottleConfig(
    account=LadderConfig(delay_from=2, refuse_from=5),
    network=LadderConfig(delay_from=4, refuse_from=10),
    wide_network=LadderConfig(delay_from=8, refuse_from=20),
    delay_step_s=1,
    delay_most_s=3,
    refuse_first_s=30,
    refuse_most_s=120,
    forget_after_s=3600,
)
NOW = 1000.0


def failed(count: int, ago_s: float = 0.0) -> Failures:
    return Failures(count, NOW - ago_s)


@pytest.mark.parametrize(
    ("standing", "delay", "refused"),
    [
        (Standing(), 0, 0),
        (Standing(account=failed(1)), 0, 0),
        (Standing(account=failed(2)), 1, 0),
        (Standing(account=failed(3)), 2, 0),
        (Standing(account=failed(4)), 3, 0),
        (Standing(account=failed(5)), 3, 30),
        (Standing(account=failed(5, ago_s=10)), 3, 20),
        (Standing(account=failed(5, ago_s=30)), 3, 0),
        (Standing(account=failed(6, ago_s=30)), 3, 30),
        (Standing(account=failed(7)), 3, 120),
        (Standing(account=failed(5000)), 3, 120),
        (Standing(network=failed(3)), 0, 0),
        (Standing(network=failed(4)), 1, 0),
        (Standing(network=failed(10)), 3, 30),
        (Standing(wide_network=failed(10)), 3, 0),
        (Standing(wide_network=failed(20)), 3, 30),
        (Standing(account=failed(2), network=failed(11)), 3, 60),
        (Standing(pair=failed(5)), 3, 30),
        # the person's own desk is judged by its own failures only
        (Standing(account=failed(99), network=failed(99), wide_network=failed(99), is_known_pair=True), 0, 0),
        (Standing(pair=failed(2), account=failed(99), is_known_pair=True), 1, 0),
        (Standing(pair=failed(5), is_known_pair=True), 3, 30),
    ],
)
def test_failures_first_delay_and_then_refuse(standing: Standing, delay: float, refused: float) -> None:
    assert (delay_s(standing, CONFIG), refused_for_s(standing, CONFIG, NOW)) == (delay, refused)


@pytest.mark.parametrize(
    ("peer", "networks"),
    [
        ("192.0.2.77", Networks("192.0.2.77", "192.0.2.0/24")),
        ("::ffff:192.0.2.77", Networks("192.0.2.77", "192.0.2.0/24")),
        ("2001:db8:1:2:3:4:5:6", Networks("2001:db8:1:2::/64", None)),
        ("fe80::1%eth0", Networks("fe80::/64", None)),
        ("127.0.0.1", Networks(None, None)),
        ("127.9.9.9", Networks(None, None)),
        ("::1", Networks(None, None)),
        ("::ffff:127.0.0.1", Networks(None, None)),
        ("", Networks(None, None)),
        ("unix", Networks("unix", None)),
    ],
)
def test_a_peer_belongs_to_networks(peer: str, networks: Networks) -> None:
    assert networks_of(peer) == networks


failures = st.builds(Failures, st.integers(0, 10**6), st.floats(0, NOW))


@given(failures, failures, failures, st.floats(NOW, 10**6))
def test_one_failure_more_never_makes_it_easier(
    account: Failures, network: Failures, wide: Failures, now: float
) -> None:
    before = Standing(NONE, account, network, wide)
    after = Standing(NONE, Failures(account.count + 1, now), network, wide)
    assert delay_s(after, CONFIG) >= delay_s(before, CONFIG)
    assert refused_for_s(after, CONFIG, now) >= refused_for_s(before, CONFIG, now)


@given(failures, st.floats(0, 10**6))
def test_every_refusal_ends(account: Failures, now: float) -> None:
    standing = Standing(account=account)
    assert refused_for_s(standing, CONFIG, now + refused_for_s(standing, CONFIG, now)) == pytest.approx(0, abs=1e-6)


def test_counts_may_not_be_forgotten_while_they_still_refuse() -> None:
    with pytest.raises(ValueError, match="forget_after_s must not be less than refuse_most_s"):
        ThrottleConfig(forget_after_s=60, refuse_most_s=900)
