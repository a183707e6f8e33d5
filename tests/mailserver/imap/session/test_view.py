"""The selected mailbox, and a client that believes what it is told."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.session.view import MailboxView, Manner, applied, same_flags
from mailserver.imap.wire.responses import (
    Exists,
    Expunged,
    FlagsDefined,
    FlagsFetched,
    RecentCount,
    Response,
)
from mailserver.imap.wire.sequence import SequenceNumberTooLarge, SequenceSet, UidSet
from storage.changes import MailboxChanges
from storage.types import FlagChange, FlagOperation, Flags, MailboxId, Modseq, SystemFlag, Uid, UidValidity

SEEN, FLAGGED, DELETED = Flags(SystemFlag.SEEN), Flags(SystemFlag.FLAGGED), Flags(SystemFlag.DELETED)
PLAIN = Flags()
MODSEQS = Manner(with_modseq=True)


def view_of(uids: Sequence[int], *, recent_from: int = 1_000_000, cursor: int = 10) -> MailboxView:
    return MailboxView(
        mailbox_id=MailboxId(1),
        name="INBOX",
        uidvalidity=UidValidity(1),
        is_read_only=False,
        uids=array("I", uids),
        flags=array("B", [0] * len(uids)),
        keywords={},
        recent_from=Uid(recent_from),
        uidnext=Uid(uids[-1] + 1 if uids else 1),
        highest_modseq=Modseq(cursor),
        cursor=Modseq(cursor),
        cursor_day=date(2026, 11, 2),
        epoch=1,
    )


def happened(
    modseq: int,
    *,
    arrived: Iterable[tuple[int, Flags]] = (),
    changed: Iterable[tuple[int, Flags]] = (),
    expunged: Iterable[int] = (),
) -> MailboxChanges:
    return MailboxChanges(
        modseq=Modseq(modseq),
        highest_modseq=Modseq(modseq),
        arrived=[(Uid(uid), flags, Modseq(modseq)) for uid, flags in arrived],
        changed=[(Uid(uid), flags, Modseq(modseq)) for uid, flags in changed],
        expunged=[Uid(uid) for uid in expunged],
        is_deleted=False,
        is_complete=True,
    )


def told(view: MailboxView, changes: MailboxChanges, *, may_expunge: bool = True) -> list[Response]:
    return view.take_in(changes, may_expunge=may_expunge)


def test_expunges_come_first_and_highest_first_then_arrivals_then_flags() -> None:
    view = view_of([1, 2, 3, 4], recent_from=5)
    changes = happened(11, arrived=[(5, PLAIN)], changed=[(4, SEEN)], expunged=[1, 3])
    assert told(view, changes) == [Expunged(3), Expunged(1), Exists(3), RecentCount(1), FlagsFetched(2, SEEN)]
    assert list(view.uids) == [2, 4, 5]


def test_an_expunge_that_may_not_be_told_leaves_the_numbers_alone() -> None:
    view = view_of([1, 2, 3])
    assert told(view, happened(11, expunged=[1]), may_expunge=False) == []
    assert view.number_of(3) == 3
    assert view.is_ghost(1)
    assert view.expunge_ghosts() == [Expunged(1)]
    assert view.number_of(3) == 2
    assert not view.has_ghosts


def test_nothing_is_told_of_a_ghost() -> None:
    view = view_of([1, 2])
    told(view, happened(11, expunged=[2]), may_expunge=False)
    assert told(view, happened(12, changed=[(2, SEEN)]), may_expunge=False) == []


def test_what_came_and_went_unseen_is_not_told() -> None:
    view = view_of([1])
    assert told(view, happened(11, expunged=[2])) == []


def test_flags_that_are_what_they_were_are_not_told() -> None:
    view = view_of([1])
    assert told(view, happened(11, changed=[(1, PLAIN)])) == []


def test_a_condstore_client_learns_a_new_modseq_of_the_same_flags() -> None:
    view = view_of([7])
    responses = view.take_in(happened(11, changed=[(7, PLAIN)]), may_expunge=True, manner=MODSEQS)
    assert responses == [FlagsFetched(1, PLAIN, uid=Uid(7), modseq=Modseq(11))]


def test_an_own_change_is_not_echoed() -> None:
    view = view_of([7])
    view.set_flags(1, SEEN)
    view.note_told(Uid(7), Modseq(11))
    assert view.take_in(happened(11, changed=[(7, SEEN)]), may_expunge=True, manner=MODSEQS) == []


def test_a_later_change_by_another_session_is_told() -> None:
    view = view_of([7])
    view.set_flags(1, SEEN)
    view.note_told(Uid(7), Modseq(11))
    responses = view.take_in(happened(12, changed=[(7, FLAGGED)]), may_expunge=True, manner=MODSEQS)
    assert responses == [FlagsFetched(1, FLAGGED, uid=Uid(7), modseq=Modseq(12))]


def test_own_changes_without_a_gap_move_the_cursor() -> None:
    view = view_of([1, 2], cursor=10)
    assert view.pass_own([Modseq(11), Modseq(12), Modseq(11)])
    assert view.cursor == view.highest_modseq == 12


def test_a_gap_before_or_within_own_changes_may_hide_others() -> None:
    view = view_of([1, 2], cursor=10)
    assert not view.pass_own([Modseq(12)])
    assert not view.pass_own([Modseq(11), Modseq(13)])
    assert view.cursor == 10


def test_a_keyword_that_is_new_here_is_told_before_it_is_used() -> None:
    view = view_of([1])
    labelled = Flags(keywords=frozenset({"$Label1"}))
    defined, permanent, fetched = told(view, happened(11, changed=[(1, labelled)]))
    assert isinstance(defined, FlagsDefined)
    assert defined.flags.keywords == {"$Label1"}
    assert permanent == view.permanent_flags()
    assert fetched == FlagsFetched(1, labelled)
    assert told(view, happened(12, changed=[(1, PLAIN)])) == [FlagsFetched(1, PLAIN)]


def test_numbers_are_refused_and_uids_ignored_where_there_is_no_message() -> None:
    view = view_of([5, 9])
    assert view.uids_of(UidSet(((1, 5), (7, 7)))) == [5]
    assert view.uids_of(SequenceSet(((2, 0),))) == [9]
    with pytest.raises(SequenceNumberTooLarge):
        view.uids_of(SequenceSet(((1, 3),)))


def test_the_first_unseen_message() -> None:
    view = view_of([5, 9])
    assert view.number_of_first_unseen() == 1
    view.set_flags(1, SEEN)
    assert view.number_of_first_unseen() == 2
    view.set_flags(2, SEEN)
    assert view.number_of_first_unseen() is None


@pytest.mark.parametrize(
    ("operation", "before", "named", "after"),
    [
        (FlagOperation.ADD, {"Work"}, {"work", "$x"}, {"Work", "$x"}),
        (FlagOperation.REMOVE, {"Work", "$x"}, {"WORK"}, {"$x"}),
        (FlagOperation.REPLACE, {"Work"}, {"$x"}, {"$x"}),
    ],
)
def test_keywords_have_no_case(operation: FlagOperation, before: set[str], named: set[str], after: set[str]) -> None:
    change = FlagChange(operation, Flags(keywords=frozenset(named)))
    assert applied(change, Flags(keywords=frozenset(before))).keywords == after


def test_flags_are_the_same_whatever_the_case_of_keywords() -> None:
    assert same_flags(Flags(keywords=frozenset({"Work"})), Flags(keywords=frozenset({"work"})))
    assert not same_flags(SEEN, PLAIN)


@dataclass(slots=True)
class BelievingClient:
    """Numbers messages as it is told to; `uids` knows what a real client would ask for after EXISTS."""

    uids: list[int]
    flags: dict[int, Flags] = field(default_factory=dict)

    def hear(self, responses: Iterable[Response], view: MailboxView) -> None:
        for response in responses:
            match response:
                case Expunged(number):
                    del self.flags[self.uids.pop(number - 1)]
                case Exists(count):
                    assert count > len(self.uids), "EXISTS must not shrink the mailbox"
                    new = view.uids[len(self.uids) : count]
                    self.uids += new
                    self.flags.update((uid, view.flags_of(view.number_of(uid) or 0)) for uid in new)
                case FlagsFetched(number, flags):
                    self.flags[self.uids[number - 1]] = flags


FLAGS = st.sampled_from([PLAIN, SEEN, FLAGGED, DELETED, Flags(SystemFlag.SEEN, frozenset({"$Junk"}))])


@dataclass(slots=True)
class Mailbox:
    """What is true: the messages, and the next uid."""

    messages: dict[int, Flags]
    next_uid: int
    modseq: int = 10


@given(st.data())
def test_a_client_that_believes_the_responses_agrees_with_the_view(data: st.DataObject) -> None:
    """Whatever others do, in however many steps, with expunges held back or not."""
    mailbox = Mailbox(dict.fromkeys(range(1, data.draw(st.integers(0, 6)) + 1), PLAIN), 10)
    view = view_of(list(mailbox.messages))
    client = BelievingClient(list(mailbox.messages), dict(mailbox.messages))
    for _ in range(data.draw(st.integers(1, 8))):
        before = list(client.uids)
        changes = data.draw(steps(mailbox))
        may_expunge = data.draw(st.booleans())
        client.hear(told(view, changes, may_expunge=may_expunge), view)
        assert client.uids == list(view.uids)
        if not may_expunge:
            assert client.uids[: len(before)] == before
    client.hear(view.expunge_ghosts(), view)
    assert client.uids == list(view.uids) == list(mailbox.messages)
    assert client.flags == mailbox.messages


@st.composite
def steps(draw: st.DrawFn, mailbox: Mailbox) -> MailboxChanges:
    """Some arrivals, changes and removals, done to `mailbox` and described as the log does."""
    mailbox.modseq += 1
    expunged = draw(st.lists(st.sampled_from(sorted(mailbox.messages)), unique=True)) if mailbox.messages else []
    for uid in expunged:
        del mailbox.messages[uid]
    changed: dict[int, Flags] = {}
    if mailbox.messages:
        changed = draw(st.dictionaries(st.sampled_from(sorted(mailbox.messages)), FLAGS))
    arrived = {}
    for flags in draw(st.lists(FLAGS, max_size=3)):
        arrived[mailbox.next_uid] = flags
        mailbox.next_uid += draw(st.integers(1, 3))
    mailbox.messages.update(changed)
    mailbox.messages.update(arrived)
    return happened(mailbox.modseq, arrived=arrived.items(), changed=changed.items(), expunged=expunged)
