"""Shares of numbers: together all, each only once."""

from hypothesis import given
from hypothesis import strategies as st

from storage.verification.slices import OBJECT_IDS, Slice, slice_of_hour


@given(st.floats(0, 3, exclude_max=True), st.binary(min_size=20, max_size=20), st.integers(0, OBJECT_IDS - 1))
def test_slices_beside_each_other_hold_everything_once(start: float, digest: bytes, number: int) -> None:
    slices = [Slice(start + at / 8, 1 / 8) for at in range(8)]
    holding = [each for each in slices for first, before in each.digests() if first <= digest < before]
    assert len(holding) == 1 or is_near_an_edge(start, digest)
    owning = [each for each in slices for first, before in each.object_ids() if first <= number < before]
    assert len(owning) == 1 or is_near_an_edge(start, number.to_bytes(8, "big"))


def is_near_an_edge(start: float, number: bytes) -> bool:
    """Where rounding decides: within a billionth of the whole of one of the edges."""
    place = int.from_bytes(number[:8], "big") / 2**64 * (2 if len(number) == 8 else 1)
    return min((place - start) * 8 % 1, -(place - start) * 8 % 1) < 1e-6


def test_the_whole_is_one_run() -> None:
    assert Slice().object_ids() == [(0, OBJECT_IDS)]
    ((first, before),) = Slice().digests()
    assert first == bytes(20)
    assert before > b"\xff" * 20


def test_what_passes_the_end_goes_on_at_the_beginning() -> None:
    runs = Slice(0.75, 0.5).object_ids()
    assert runs == [(0, OBJECT_IDS // 4), (OBJECT_IDS // 4 * 3, OBJECT_IDS)]


def test_the_hours_of_a_hundred_days_come_to_the_whole() -> None:
    held = {hour for hour in range(2400) for _ in [0] if slice_of_hour(hour, 0.01).holds_account(1_000_017)}
    assert len(held) == 1
    starts = sorted(slice_of_hour(hour, 0.01).start for hour in range(480_000, 482_400))
    assert all(abs(start - at / 2400) < 1e-6 for at, start in enumerate(starts))
