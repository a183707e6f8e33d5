"""Mailboxes changed in thought: whatever is asked, what comes of it is a forest (RFC 8621 §2)."""

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.services.mailbox_forest import KEEP, Forest, Key, Node, Reason, Update
from storage.types import Mailbox, MailboxId, Modseq, Uid, UidValidity

NAMES = ["A", "B", "C", "a", "é"]
PARENTS = st.none() | st.integers(1, 7).map(MailboxId) | st.sampled_from(["x", "y", "nobody"])


def box(number: int, name: str, use: str | None = None, *, messages: int = 0, deleted: int = 0) -> Mailbox:
    return Mailbox(
        MailboxId(number), name, use, True, True, False, UidValidity(number), Uid(1), Modseq(1), Uid(1), messages, 0, 0,
        deleted,
    )  # fmt: skip


def forest(*boxes: Mailbox) -> Forest:
    return Forest.of(boxes, {})


def first() -> Forest:
    return forest(
        box(1, "INBOX"), box(2, "A"), box(3, "A/B"), box(4, "A/B/C"), box(5, "B", "\\Sent"), box(6, "Trash", "\\Trash")
    )


def names(of: Forest) -> list[str]:
    return sorted(map(of.full_name, of.nodes))


UPDATES = st.builds(
    Update,
    name=st.just(KEEP) | st.sampled_from(NAMES),
    parent=st.just(KEEP) | PARENTS,
    special_use=st.just(KEEP) | st.sampled_from([None, "\\Sent", "\\Trash", "\\Junk", "\\All"]),
)


@given(
    st.dictionaries(
        st.sampled_from(["x", "y"]),
        st.builds(Node, st.sampled_from(NAMES), PARENTS, st.sampled_from([None, "\\Sent", "\\Junk"])),
    ),
    st.dictionaries(st.integers(1, 7).map(MailboxId), UPDATES, max_size=5),
    st.lists(st.integers(1, 7).map(MailboxId), max_size=4, unique=True),
)
def test_what_comes_of_it_is_a_forest(
    creates: dict[str, Node], updates: dict[MailboxId, Update], destroys: list[MailboxId]
) -> None:
    found = first()
    refused_creates, refused_updates = found.change(creates, updates)
    assert set(found.nodes) == {*range(1, 7), *(creates.keys() - refused_creates.keys())}
    full = names(found)  # ends, so there is no loop
    assert len(full) == len(set(full))
    uses = [node.special_use for node in found.nodes.values() if node.special_use]
    assert len(uses) == len(set(uses))
    for key, update in updates.items():
        if key not in refused_updates:
            assert update.name in (KEEP, found.nodes[key].name)
            assert update.parent in (KEEP, found.nodes[key].parent)
    assert found.full_name(MailboxId(1)) == "INBOX"
    found.destroy(destroys, removes_emails=True)
    parents: set[Key | None] = {node.parent for node in found.nodes.values()}
    assert parents <= {None, *found.nodes}
    assert MailboxId(1) in found.nodes


def test_names_are_exchanged_in_a_ring() -> None:
    found = forest(box(1, "A"), box(2, "B"), box(3, "C"))
    ring = {MailboxId(number): Update(name=name) for number, name in ((1, "B"), (2, "C"), (3, "A"))}
    assert found.change({}, ring) == ({}, {})
    assert [found.nodes[MailboxId(number)].name for number in (1, 2, 3)] == ["B", "C", "A"]


@pytest.mark.parametrize("order", ["xy", "yx"])
def test_what_is_below_one_that_has_no_such_parent_is_refused_too(order: str) -> None:
    wanted = {"x": Node("A", "nobody"), "y": Node("B", "x")}
    refused, _ = first().change({key: wanted[key] for key in order}, {})
    assert {key: refusal.properties for key, refusal in refused.items()} == {"x": ("parentId",), "y": ("parentId",)}


def test_two_cannot_be_put_below_each_other() -> None:
    found = forest(box(1, "A"), box(2, "B"))
    both: dict[MailboxId, Update] = {
        MailboxId(1): Update(parent=MailboxId(2)),
        MailboxId(2): Update(parent=MailboxId(1)),
    }
    _, refused = found.change({}, both)
    assert len(refused) == 1
    assert next(iter(refused.values())).properties == ("parentId",)


def test_what_is_refused_leaves_no_trace() -> None:
    found = first()
    before = dict(found.nodes)
    _, refused = found.change({"x": Node("A", None)}, {MailboxId(2): Update(name="Trash", is_subscribed=False)})
    assert refused.keys() == {2}
    assert found.nodes == before


def test_levels_and_lengths_are_judged_with_what_is_below() -> None:
    deep = forest(
        box(1, "Q"), *[box(number + 2, "/".join("abcdefghijklmnopqrst"[: number + 1])) for number in range(20)]
    )
    _, refused = deep.change({}, {MailboxId(2): Update(parent=MailboxId(1))})
    assert refused[MailboxId(2)].properties == ("parentId",)
    long = forest(box(1, "Q" * 500), box(2, "a"), box(3, "a/" + "b" * 500))
    _, refused = long.change({}, {MailboxId(2): Update(parent=MailboxId(1))})
    assert refused[MailboxId(2)].properties == ("name",)


@pytest.mark.parametrize(
    ("mailbox", "removes", "reason"),
    [
        (box(9, "X"), False, None),
        (box(9, "X", messages=1), False, Reason.HAS_EMAIL),
        (box(9, "X", messages=1), True, None),
        (box(9, "X", messages=2, deleted=2), False, None),
        (box(9, "INBOX"), True, Reason.FORBIDDEN),
        (box(8, "X"), False, Reason.NOT_FOUND),
    ],
)
def test_what_stays(mailbox: Mailbox, removes: bool, reason: Any) -> None:
    refused = forest(mailbox).destroy([MailboxId(9)], removes_emails=removes)
    assert (refused[MailboxId(9)].reason if refused else None) == reason


def test_five_hundred_made_those_below_first_take_no_seconds_where_there_are_thousands() -> None:
    found = forest(*[box(number, f"m{number}") for number in range(1, 4_401)])
    creates = {
        f"{tree}-{level}": Node(f"n{tree}-{level}", f"{tree}-{level - 1}" if level else None)
        for tree in range(25)
        for level in reversed(range(20))
    }
    started = time.process_time()
    assert found.change(creates, {}) == ({}, {})
    assert time.process_time() - started < 1


def test_a_row_of_names_moves_on_by_one_in_no_time() -> None:
    found = forest(*[box(number, f"m{number}") for number in range(1, 501)])
    row = {MailboxId(number): Update(name=f"m{number + 1}") for number in range(1, 501)}
    started = time.process_time()
    assert found.change({}, row) == ({}, {})
    assert time.process_time() - started < 0.5
    assert names(found) == sorted(f"m{number}" for number in range(2, 502))
