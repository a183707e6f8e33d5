"""The circuit breaker: a table of what it lets through, and when."""

from storage.blobs.breaker import Breaker, BreakerState


def opened(failures: int = 3, rest_s: float = 10.0, at: float = 100.0) -> Breaker:
    breaker = Breaker(failures, rest_s)
    for _ in range(failures):
        assert breaker.admit(at)
        breaker.failed(at)
    return breaker


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    breaker = Breaker(3, 10.0)
    for _ in range(2):
        breaker.failed(0.0)
    breaker.succeeded()
    for _ in range(2):
        breaker.failed(0.0)
    assert breaker.state(0.0) is BreakerState.CLOSED
    breaker.failed(0.0)
    assert breaker.state(0.0) is BreakerState.OPEN


def test_while_it_rests_nobody_is_let_through() -> None:
    breaker = opened()
    assert breaker.refuses(109.9)
    assert not breaker.admit(109.9)


def test_after_the_rest_one_at_a_time_may_try() -> None:
    breaker = opened()
    assert breaker.state(110.0) is BreakerState.HALF_OPEN
    assert breaker.admit(110.0)
    assert not breaker.admit(110.0)


def test_a_trial_that_goes_well_lets_all_through() -> None:
    breaker = opened()
    assert breaker.admit(110.0)
    breaker.succeeded()
    assert breaker.admit(110.1)
    assert breaker.admit(110.1)


def test_a_trial_that_fails_begins_the_rest_anew() -> None:
    breaker = opened()
    assert breaker.admit(110.0)
    breaker.failed(112.0)
    assert not breaker.admit(121.9)
    assert breaker.admit(122.0)


def test_a_trial_of_which_nothing_is_heard_is_given_up() -> None:
    breaker = opened()
    assert breaker.admit(110.0)
    assert breaker.admit(120.0)
