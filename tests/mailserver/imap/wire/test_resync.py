"""What a client that comes back knows: read, compared with what is there, and never expanded (RFC 7162 §3.2.5)."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.wire.commands import Examine, Fetch, Select, Tag
from mailserver.imap.wire.fetch_items import FetchAttribute
from mailserver.imap.wire.parse import parse_command
from mailserver.imap.wire.resync import Resync, among, known_up_to, paired, without
from mailserver.imap.wire.sequence import Range, UidSet
from storage.types import Modseq, UidValidity

UIDS = st.sets(st.integers(1, 40)).map(sorted)
RANGES = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 9)).map(lambda span: (span[0], span[0] + span[1])))


def known(uids: tuple[Range, ...] | None, *matches: tuple[Range, Range]) -> Resync:
    return Resync(
        UidValidity(67890007), Modseq(90060115194045000), None if uids is None else UidSet(uids), tuple(matches)
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (b"", known(None)),
        (b" 41:211,214:541", known(((41, 211), (214, 541)))),
        (b" 541:214", known(((214, 541),))),
        (b" 1:9 (2 3)", known(((1, 9),), ((2, 2), (3, 3)))),
        (b" (2:3,7 3:4,9)", known(None, ((2, 3), (3, 4)), ((7, 7), (9, 9)))),
        (b" (2,3,4 5:7)", known(None, ((2, 2), (5, 5)), ((3, 3), (6, 6)), ((4, 4), (7, 7)))),
    ],
)
def test_the_parameter_of_select(arguments: bytes, expected: Resync) -> None:
    resync = b"QRESYNC (67890007 90060115194045000" + arguments + b")"
    assert parse_command(b"A SELECT x (%b)" % resync) == Select(Tag(b"A"), "x", resync=expected)
    assert parse_command(b"A EXAMINE x (CONDSTORE %b)" % resync) == Examine(Tag(b"A"), "x", True, expected)


def test_the_modifier_of_uid_fetch() -> None:
    items = (FetchAttribute.UID, FetchAttribute.FLAGS, FetchAttribute.MODSEQ)
    asked = Fetch(Tag(b"A"), UidSet(((300, 500),)), items, Modseq(12345), vanished=True)
    assert parse_command(b"A UID FETCH 300:500 (FLAGS) (CHANGEDSINCE 12345 VANISHED)") == asked
    assert parse_command(b"A UID FETCH 300:500 (FLAGS) (VANISHED CHANGEDSINCE 12345)") == asked


def test_pairs_of_the_example_of_rfc_7162() -> None:
    """§3.2.5.2: only uids divisible by three are there."""
    uids = array("I", range(3, 30013, 3))
    numbers = ((5000, 5000), (7500, 7500), (9000, 9000), (9990, 9999))
    named = (15000, 22500, 27000, *range(29970, 29998, 3))
    assert known_up_to(paired(numbers, [(uid, uid) for uid in named]), uids) == 29997
    assert known_up_to(paired([(4, 4), (12, 12)], [(8, 8), (24, 24)]), [1, 2, 5, 8, *range(18, 31)]) == 8


@given(there=UIDS, gone=st.sets(st.integers(1, 40)), numbers=RANGES)
def test_whoever_counts_as_many_messages_knows_of_every_expunge_below(
    there: list[int], gone: set[int], numbers: list[Range]
) -> None:
    """Whatever of its messages a client names, it is spared nothing that it does not know."""
    client = sorted({*there, *gone})
    chosen = sorted({number for first, last in numbers for number in range(first, last + 1) if number <= len(client)})
    matches = list(paired([(each, each) for each in chosen], [(client[each - 1], client[each - 1]) for each in chosen]))
    assert all(uid > known_up_to(matches, there) for uid in set(client) - set(there))
    right = [client[each - 1] for each in chosen if there[each - 1 : each] == [client[each - 1]]]
    assert known_up_to(matches, there) == max(right, default=0)


@given(there=UIDS, ranges=RANGES, above=st.integers(0, 45), below=st.integers(0, 55))
def test_what_is_known_and_not_there(there: list[int], ranges: list[Range], above: int, below: int) -> None:
    named = {uid for first, last in ranges for uid in range(first, last + 1)}
    found = list(without(ranges, array("I", there), above=above, below=below))
    assert found == sorted(found)
    assert all(first <= last for first, last in found)
    listed = [uid for first, last in found for uid in range(first, last + 1)]
    assert listed == sorted(uid for uid in named - set(there) if above < uid < below)


@given(uids=UIDS, ranges=RANGES)
def test_those_among_the_ranges(uids: list[int], ranges: list[Range]) -> None:
    assert list(among(ranges, uids)) == [uid for uid in uids if any(first <= uid <= last for first, last in ranges)]


def test_a_set_of_all_uids_there_can_be_is_not_expanded() -> None:
    assert list(without([(1, 4294967295)], array("I", [7]), above=0, below=2**32)) == [(1, 6), (8, 4294967295)]
    assert list(paired([(1, 4294967295)], [(1, 4294967295)])) == [((1, 4294967295), (1, 4294967295))]
    assert known_up_to([((1, 4294967295), (1, 4294967295))], array("I", [1, 2, 4])) == 2
