"""When a recipient is tried again, and when no more."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.outbound.schedule import Schedule

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
USUAL = Schedule(first_retry_s=60.0, tell_delay_after_s=14_400.0, expire_after_s=432_000.0)


@pytest.mark.parametrize(
    ("attempts", "minutes"), [(1, 1), (2, 5), (3, 15), (4, 30), (5, 60), (6, 120), (7, 240), (8, 240), (50, 240)]
)
def test_waits_grow_to_four_hours(attempts: int, minutes: int) -> None:
    at = USUAL.next_attempt(attempts, waits_since=NOON, now=NOON, chance=0.5)
    assert at == NOON + timedelta(minutes=minutes)


def test_mail_that_failed_together_is_not_tried_again_together() -> None:
    early = USUAL.next_attempt(7, waits_since=NOON, now=NOON, chance=0.0)
    late = USUAL.next_attempt(7, waits_since=NOON, now=NOON, chance=1.0)
    assert early == NOON + timedelta(minutes=192)
    assert late == NOON + timedelta(minutes=288)


def test_a_site_that_rests_is_left_alone_until_its_rest_is_over() -> None:
    rest_over = NOON + timedelta(minutes=10)
    at = USUAL.next_attempt(1, waits_since=NOON, now=NOON, chance=0.5, not_before=rest_over)
    assert at == rest_over + timedelta(seconds=30)
    far = USUAL.next_attempt(7, waits_since=NOON, now=NOON, chance=0.5, not_before=rest_over)
    assert far == NOON + timedelta(hours=4)


def test_the_last_attempt_comes_when_the_time_is_over_and_none_after_it() -> None:
    almost = NOON + timedelta(days=5, minutes=-1)
    assert USUAL.next_attempt(40, waits_since=NOON, now=almost, chance=0.5) == NOON + timedelta(days=5)
    assert USUAL.next_attempt(41, waits_since=NOON, now=NOON + timedelta(days=5), chance=0.5) is None


def test_delay_is_due_after_its_time() -> None:
    assert not USUAL.is_delay_due(NOON, NOON + timedelta(hours=3, minutes=59))
    assert USUAL.is_delay_due(NOON, NOON + timedelta(hours=4))


@given(
    attempts=st.integers(1, 1_000),
    waited_s=st.floats(0, 500_000),
    chance=st.floats(0, 1),
    rest_s=st.none() | st.floats(0, 100_000),
)
def test_the_next_attempt_is_later_and_never_after_expiry(
    attempts: int, waited_s: float, chance: float, rest_s: float | None
) -> None:
    now = NOON + timedelta(seconds=waited_s)
    not_before = None if rest_s is None else now + timedelta(seconds=rest_s)
    at = USUAL.next_attempt(attempts, waits_since=NOON, now=now, chance=chance, not_before=not_before)
    expires_at = USUAL.expires_at(NOON)
    if now >= expires_at:
        assert at is None
    else:
        assert at is not None
        assert now < at <= expires_at
