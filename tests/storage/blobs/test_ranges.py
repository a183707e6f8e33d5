"""Which requests ranges become."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.blobs.ranges import GAP_OCTETS, RUN_OCTETS, STRETCH_OCTETS, Range, RangeReader, join_neighbours
from storage.errors import ColdTierUnavailable, StorageError

OCTETS = 3 * STRETCH_OCTETS


class Bucket:
    """Objects whose octets tell where they stand. Notes what was asked; `away` names are out of reach."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int]] = []
        self.away: set[str] = set()

    async def get(self, name: str, offset: int, length: int) -> bytes:
        self.asked.append((name, offset, length))
        if name in self.away:
            raise ColdTierUnavailable("it is away")
        assert offset + length <= OCTETS, "nothing is asked for behind the end"
        return octets_of(name, offset, length)


def octets_of(name: str, offset: int, length: int) -> bytes:
    return bytes((at * 7 + at // 251 + len(name)) % 256 for at in range(offset, offset + length))


def a_range(name: str = "a", offset: int = 0, length: int = 100) -> Range:
    return Range(name, offset, length, OCTETS)


ranges = st.lists(
    st.builds(a_range, st.sampled_from(["a", "bb"]), st.integers(0, 200_000), st.integers(0, 3_000)), max_size=12
)


@given(ranges)
async def test_everybody_gets_what_they_asked_for(wanted: list[Range]) -> None:
    found = await RangeReader(Bucket()).read_many(wanted)
    assert found == [octets_of(each.name, each.offset, each.length) for each in wanted]


@given(st.lists(st.builds(a_range, st.sampled_from("abc"), st.integers(0, 2**26), st.integers(1, 2**20)), max_size=20))
def test_runs_are_not_too_long_and_hold_everything_once(wanted: list[Range]) -> None:
    runs = join_neighbours(wanted)
    assert sorted(map(repr, (each for run in runs for each in run))) == sorted(map(repr, set(wanted)))
    for run in runs:
        assert len({each.name for each in run}) == 1
        assert len(run) == 1 or max(each.end for each in run) - run[0].offset <= RUN_OCTETS


async def test_neighbours_come_together_and_strangers_do_not() -> None:
    bucket = Bucket()
    far = 1000 + 3 * GAP_OCTETS
    await RangeReader(bucket).read_many([a_range(offset=0), a_range(offset=500), a_range(offset=far)])
    assert sorted(bucket.asked) == [("a", 0, 600), ("a", far, 100)]


async def test_who_reads_on_finds_the_next_ones_here() -> None:
    bucket = Bucket()
    reader = RangeReader(bucket)
    for number in range(50):
        assert await reader.read(a_range(offset=number * 100)) == octets_of("a", number * 100, 100)
    assert bucket.asked == [("a", 0, 100), ("a", 100, STRETCH_OCTETS)]


async def test_nothing_is_read_ahead_behind_the_end() -> None:
    reader = RangeReader(Bucket())
    for offset in range(OCTETS - 1000, OCTETS, 100):
        await reader.read(a_range(offset=offset))


async def test_here_and_there_is_no_reading_on() -> None:
    bucket = Bucket()
    reader = RangeReader(bucket)
    for offset in (0, 2_000_000, 500_000, 1_500_000):
        await reader.read(a_range(offset=offset))
    assert [length for _, _, length in bucket.asked] == [100] * 4


async def test_what_is_kept_is_bounded() -> None:
    bucket = Bucket()
    reader = RangeReader(bucket, kept_octets=2 * STRETCH_OCTETS)
    for name in ("a", "b", "c"):
        await reader.read(a_range(name, 0))
        await reader.read(a_range(name, 100))
    bucket.asked.clear()
    await reader.read(a_range("a", 300))
    await reader.read(a_range("c", 300))
    assert [name for name, _, _ in bucket.asked] == ["a"]


async def test_what_is_out_of_reach_does_not_spoil_the_others() -> None:
    bucket = Bucket()
    bucket.away = {"bb"}
    found = await RangeReader(bucket).read_many([a_range("bb"), a_range("a"), a_range("bb", 5)])
    assert [isinstance(each, StorageError) for each in found] == [True, False, True]


async def test_one_that_is_out_of_reach_says_so() -> None:
    bucket = Bucket()
    bucket.away = {"a"}
    with pytest.raises(ColdTierUnavailable):
        await RangeReader(bucket).read(a_range())
