"""How long upkeep rests, and when it does not."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.tiers.pace import LONGEST_REST_S, is_pressing, rest_s


@pytest.mark.parametrize(
    ("worked_s", "duty", "rests_s"),
    [
        (1.0, 0.04, 24.0),
        (0.5, 0.04, 12.0),
        (1.0, 0.5, 1.0),
        (0.0, 0.04, 0.0),
        (1.0, 1.0, 0.0),  # without rests
        (100.0, 0.04, LONGEST_REST_S),  # S3 hung, or the clock leapt
        (math.inf, 0.04, LONGEST_REST_S),
        (-3600.0, 0.04, 0.0),  # the clock went back
        (math.nan, 0.04, 0.0),
    ],
)
def test_a_rest_is_as_long_as_the_duty_asks(worked_s: float, duty: float, rests_s: float) -> None:
    assert rest_s(worked_s, duty) == pytest.approx(rests_s)


@given(st.floats(), st.floats(0.001, 1))
def test_whatever_the_clock_says_a_rest_ends(worked_s: float, duty: float) -> None:
    assert 0 <= rest_s(worked_s, duty) <= LONGEST_REST_S


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=20), st.floats(0.04, 0.99))
def test_over_any_number_of_turns_the_share_of_work_is_the_duty(turns: list[float], duty: float) -> None:
    rests = sum(rest_s(worked_s, duty) for worked_s in turns)
    assert sum(turns) / (sum(turns) + rests) == pytest.approx(duty)


@pytest.mark.parametrize(
    ("hot", "may", "presses"),
    [(0, 0, False), (1, 0, True), (100, 100, False), (125, 100, False), (126, 100, True), (50, 100, False)],
)
def test_it_presses_when_a_quarter_more_is_hot_than_may_be(hot: int, may: int, presses: bool) -> None:
    assert is_pressing(hot, may) == presses
