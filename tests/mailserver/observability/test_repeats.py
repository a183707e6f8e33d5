"""Repeated events in the log."""

from mailserver.observability.repeats import Repeats


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_repeated_event_is_said_once_in_a_while_with_the_number_left_out() -> None:
    clock = Clock()
    repeats = Repeats(clock, every_s=30)
    assert repeats.worth_saying("postgres is away") == 0
    assert [repeats.worth_saying("postgres is away") for _ in range(5)] == [None] * 5
    clock.now = 30
    assert repeats.worth_saying("postgres is away") == 5
    assert repeats.worth_saying("redis is away") == 0


def test_after_recovery_the_next_trouble_is_news_at_once() -> None:
    repeats = Repeats(Clock(), every_s=30)
    repeats.worth_saying("postgres is away")
    repeats.forget("postgres is away")
    assert repeats.worth_saying("postgres is away") == 0


def test_many_different_events_stay_within_the_bound() -> None:
    repeats = Repeats(Clock(), every_s=30, limit=10)
    for number in range(100):
        repeats.worth_saying(number)
    assert repeats.worth_saying(99) is None
    assert repeats.worth_saying(0) == 0
