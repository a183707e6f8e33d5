"""Lists of Emails, one of each thread, without a database."""

import time
from array import array
from datetime import date

import pytest

from mailserver.services.account_drawing import first_view
from mailserver.services.account_view import AccountView
from mailserver.services.email_queries import ByArrival, Collapsed
from storage.account_contents import AccountContents, MailboxesAt
from storage.type_states import TypeStates
from storage.types import Modseq


def view_of(threads: list[int]) -> AccountView:
    """One mailbox of messages 1, 2, 3 … that came in this order, each in the thread that stands at its place."""
    count = len(threads)
    ids, one = array("q", range(1, count + 1)), Modseq(1)
    contents = AccountContents(
        modseq=one,
        day=date(2026, 11, 2),
        states=TypeStates(1, Modseq(0), one, one, one),
        ids=ids,
        threads=array("q", threads),
        received=array("q", range(count)),
        sent=array("q", range(count)),
        octets=array("q", [100] * count),
        attachments=bytes(count),
        placed_in=array("q", [7] * count),
        uids=array("I", range(1, count + 1)),
        placed=ids,
        flags=bytes(count),
        keywords={},
    )
    return first_view(contents, MailboxesAt(one, {}, {}))


def collapsed(threads: list[int], *, is_latest_first: bool) -> Collapsed:
    view = view_of(threads)
    return Collapsed(view, ByArrival(view, view.everything, is_latest_first=is_latest_first), None)


@pytest.mark.parametrize("is_latest_first", [False, True])
def test_an_email_that_stands_for_its_thread_has_the_index_at_which_it_is_listed(is_latest_first: bool) -> None:
    threads = [1, 2, 1, 4, 2, 6, 1, 8]
    found = collapsed(threads, is_latest_first=is_latest_first)
    indexes = {slot: found.index_of(slot) for slot in range(len(threads))}
    listed = list(found.between(0, 100))
    assert listed == ([7, 6, 5, 4, 3] if is_latest_first else [0, 1, 3, 5, 7])
    assert indexes == {slot: listed.index(slot) if slot in listed else None for slot in range(len(threads))}


def test_the_indexes_of_very_many_are_found_in_little_time() -> None:
    found = collapsed(list(range(1, 100_001)), is_latest_first=True)
    started = time.perf_counter()
    assert [found.index_of(slot) for slot in range(30_000)] == list(range(99_999, 69_999, -1))
    assert time.perf_counter() - started < 5
