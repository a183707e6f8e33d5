"""How much a site gets at once, and when it is left alone."""

import pytest

from mailserver.outbound.outcomes import Deferred, Delivered, Failed, Outcome, Reason, Reply, of_fact
from mailserver.outbound.shaping import Health, Shaping, ShapingLimits, health_of

TAKEN = Delivered(Reply(250, "2.0.0", "Taken"))
NOBODY = Failed(Reply(550, "5.1.1", "Nobody"), Reason.REFUSED)
GREYLISTED = Deferred(Reply(450, "4.2.0", "Later"), Reason.REFUSED)
TOO_FAST = Deferred(Reply(450, "4.7.1", "Too fast"), Reason.REFUSED)
GOODBYE = Deferred(Reply(421, "4.3.2", "Overloaded"), Reason.REFUSED)
LIMITS = ShapingLimits(start=4, most=8, rest_s=60.0, longest_rest_s=200.0)


def fact(reason: Reason) -> Deferred:
    outcome = of_fact(reason)
    assert isinstance(outcome, Deferred)
    return outcome


UNREACHABLE, TIMED_OUT = fact(Reason.UNREACHABLE), fact(Reason.TIMED_OUT)


@pytest.mark.parametrize(
    ("outcomes", "health"),
    [
        ([TAKEN], Health.WELL),
        ([NOBODY], Health.WELL),
        ([GREYLISTED], Health.WELL),
        ([TAKEN, TOO_FAST], Health.PUSHING_BACK),
        ([GOODBYE], Health.PUSHING_BACK),
        ([UNREACHABLE, UNREACHABLE], Health.UNWELL),
        ([TAKEN, TIMED_OUT], Health.UNWELL),
        ([fact(Reason.CONTENT_UNAVAILABLE)], Health.UNKNOWN),
        ([of_fact(Reason.TOO_BIG)], Health.UNKNOWN),
    ],
)
def test_outcomes_say_how_a_site_is(outcomes: list[Outcome], health: Health) -> None:
    assert health_of(outcomes)[0] is health


def test_a_site_that_takes_everything_gets_more_up_to_the_limit() -> None:
    shaping = Shaping(LIMITS)
    assert shaping.allowed(0.0) == 4
    grown = []
    for _ in range(100):
        shaping.learn(Health.WELL, None, 0.0)
        grown.append(shaping.allowed(0.0))
    assert grown[-1] == 8
    assert grown == sorted(grown)
    assert grown.index(5) >= 3  # one more for about as many exchanges as it was allowed


def test_a_site_that_pushes_back_gets_less_and_goes_on() -> None:
    shaping = Shaping(LIMITS)
    for _ in range(10):
        assert not shaping.learn(Health.PUSHING_BACK, TOO_FAST, 0.0)
    assert shaping.allowed(0.0) == 1


def test_a_site_that_only_pushes_back_is_left_alone_at_last() -> None:
    shaping = Shaping(LIMITS)
    rests = [shaping.learn(Health.PUSHING_BACK, TOO_FAST, 0.0) for _ in range(16)]
    assert rests == [False] * 15 + [True]
    assert shaping.evidence is TOO_FAST


def test_one_broken_connection_is_no_news_three_are() -> None:
    shaping = Shaping(LIMITS)
    assert not shaping.learn(Health.UNWELL, TIMED_OUT, 0.0)
    assert shaping.allowed(0.0) == 2
    shaping.learn(Health.WELL, None, 0.0)
    assert not shaping.learn(Health.UNWELL, TIMED_OUT, 0.0)
    assert not shaping.learn(Health.UNWELL, TIMED_OUT, 0.0)
    assert shaping.learn(Health.UNWELL, TIMED_OUT, 0.0)
    assert shaping.allowed(59.0) == 0


def test_a_site_that_nobody_reaches_rests_at_once_and_longer_each_time() -> None:
    shaping = Shaping(LIMITS)
    now_s, rests = 0.0, []
    for _ in range(4):
        assert shaping.learn(Health.UNWELL, UNREACHABLE, now_s)
        rests.append(shaping.rest_left_s(now_s))
        now_s += rests[-1]
        assert shaping.allowed(now_s) == 1  # one tries how it is
    assert rests == [60.0, 120.0, 200.0, 200.0]


def test_a_site_that_nobody_sends_to_any_more_is_forgotten_at_last() -> None:
    for evidence in (UNREACHABLE, TIMED_OUT):
        shaping = Shaping(LIMITS)
        shaping.learn(Health.UNWELL, evidence, 1_000.0)
        assert not shaping.is_fresh(1_000.0 + 19 * LIMITS.longest_rest_s)
        assert shaping.is_fresh(1_000.0 + 21 * LIMITS.longest_rest_s)


def test_exchanges_that_began_before_a_rest_do_not_make_it_longer() -> None:
    shaping = Shaping(LIMITS)
    assert shaping.learn(Health.UNWELL, UNREACHABLE, 0.0)
    assert not shaping.learn(Health.UNWELL, UNREACHABLE, 1.0)
    assert shaping.rest_left_s(1.0) == 59.0


def test_a_site_that_is_well_again_begins_anew() -> None:
    shaping = Shaping(LIMITS)
    shaping.learn(Health.UNWELL, UNREACHABLE, 0.0)
    assert not shaping.is_fresh(61.0)
    shaping.learn(Health.WELL, None, 61.0)
    assert shaping.allowed(61.0) == 4
    assert shaping.is_fresh(61.0)
