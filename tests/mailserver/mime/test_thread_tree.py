"""THREAD's algorithms against a plain reading of RFC 5256 §3, and what nobody should be able to do to them."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mime.thread_tree import Conversations, ThreadNode, by_ordered_subject, by_references

Tree = tuple[int | None, tuple["Tree", ...]]


@dataclass(frozen=True)
class Letter:
    """A message: `id` 0 is none, `sent` in any unit."""

    id: int = 0
    references: Sequence[int] = ()
    subject: bytes = b""
    is_reply: bool = False
    sent: int = 0


def conversations(letters: Sequence[Letter]) -> Conversations:
    return Conversations(
        sent=[letter.sent for letter in letters],
        subjects=[letter.subject for letter in letters],
        are_replies=[letter.is_reply for letter in letters],
        ids=[letter.id for letter in letters],
        references=[letter.references for letter in letters],
    )


def trees(threads: Sequence[ThreadNode]) -> list[Tree]:
    return [(node.position, tuple(trees(node.children))) for node in threads]


def leaf(position: int) -> Tree:
    return (position, ())


CASES: dict[str, tuple[list[Letter], list[Tree]]] = {
    "nothing": ([], []),
    "strangers": ([Letter(1), Letter(2)], [leaf(0), leaf(1)]),
    "an answer": ([Letter(1), Letter(2, [1])], [(0, (leaf(1),))]),
    "the answer came first": ([Letter(2, [1]), Letter(1)], [(1, (leaf(0),))]),
    "siblings of an absent message stay together": (
        [Letter(2, [1]), Letter(3, [1])],
        [(None, (leaf(0), leaf(1)))],
    ),
    "one child of an absent message stands for it": ([Letter(2, [1])], [leaf(0)]),
    "absent messages in between are spliced out": (
        [Letter(1), Letter(4, [1, 2, 3]), Letter(5, [1, 2, 3])],
        [(0, (leaf(1), leaf(2)))],
    ),
    "who has the id first keeps it": ([Letter(1), Letter(1), Letter(2, [1])], [(0, (leaf(2),)), leaf(1)]),
    "messages without an id have none in common": ([Letter(), Letter()], [leaf(0), leaf(1)]),
    "its own parent": ([Letter(1, [1])], [leaf(0)]),
    "two that answer each other": ([Letter(1, [2]), Letter(2, [1])], [(1, (leaf(0),))]),
    "a circle of three": ([Letter(1, [3]), Letter(2, [1]), Letter(3, [2])], [(2, ((0, (leaf(1),)),))]),
    "its own word counts more than that of others": (
        [Letter(3, [1, 2]), Letter(1), Letter(2), Letter(4), Letter(2, [4])],
        [(1, ()), (2, (leaf(0),)), (3, (leaf(4),))],
    ),
    "a message with no references leaves the parent others gave it": (
        [Letter(9, [1, 2]), Letter(1), Letter(2)],
        [leaf(1), (2, (leaf(0),))],
    ),
    "nothing is linked across a gap": ([Letter(1), Letter(2), Letter(3, [1, 0, 2])], [leaf(0), (1, (leaf(2),))]),
    "siblings go by date, then by place": (
        [Letter(1, sent=9), Letter(2, [1], sent=5), Letter(3, [1], sent=4), Letter(4, [1], sent=5)],
        [(0, (leaf(2), leaf(1), leaf(3)))],
    ),
    "threads go by the date of their first message": (
        [Letter(1, sent=5), Letter(2, sent=3), Letter(3, [2], sent=1)],
        [(1, (leaf(2),)), leaf(0)],
    ),
    "an absent message goes by its first child": (
        [Letter(1, sent=5), Letter(2, [9], sent=7), Letter(3, [9], sent=4)],
        [(None, (leaf(2), leaf(1))), leaf(0)],
    ),
    "a reply joins the thread of its subject": (
        [Letter(1, subject=b"S"), Letter(2, subject=b"S", is_reply=True)],
        [(0, (leaf(1),))],
    ),
    "also when it is older": (
        [Letter(1, subject=b"S", is_reply=True, sent=1), Letter(2, subject=b"S", sent=2)],
        [(1, (leaf(0),))],
    ),
    "equal subjects become siblings": (
        [Letter(1, subject=b"S"), Letter(2, subject=b"S"), Letter(3, subject=b"S")],
        [(None, (leaf(0), leaf(1), leaf(2)))],
    ),
    "a reply joins those too": (
        [Letter(1, subject=b"S"), Letter(2, subject=b"S"), Letter(3, subject=b"S", is_reply=True)],
        [(None, (leaf(0), leaf(1), leaf(2)))],
    ),
    "two absent messages of one subject become one": (
        [
            Letter(1, [11], subject=b"S"), Letter(2, [11], subject=b"S"),
            Letter(3, [12], subject=b"S"), Letter(4, [12], subject=b"S"),
        ],
        [(None, (leaf(0), leaf(1), leaf(2), leaf(3)))],
    ),
    "a message joins an absent one of its subject": (
        [Letter(1, subject=b"S"), Letter(2, [11], subject=b"S", sent=1), Letter(3, [11], subject=b"S", sent=1)],
        [(None, (leaf(0), leaf(1), leaf(2)))],
    ),
    "empty subjects have nothing in common": ([Letter(1), Letter(2, is_reply=True)], [leaf(0), leaf(1)]),
}  # fmt: skip


@pytest.mark.parametrize(("letters", "expected"), CASES.values(), ids=CASES.keys())
def test_references(letters: list[Letter], expected: list[Tree]) -> None:
    assert trees(by_references(conversations(letters))) == expected


def test_ordered_subject_has_no_grandchildren() -> None:
    letters = [
        Letter(subject=b"A", sent=3), Letter(subject=b"B", sent=1), Letter(subject=b"A", sent=2),
        Letter(subject=b"A", sent=2), Letter(sent=9), Letter(sent=8),
    ]  # fmt: skip
    assert trees(by_ordered_subject(conversations(letters))) == [
        leaf(1),
        (2, (leaf(3), leaf(0))),
        (5, (leaf(4),)),
    ]


# -- a plain reading of the RFC, without regard to time


@dataclass(eq=False)
class Naive:
    position: int | None
    parent: "Naive | None" = None
    children: list["Naive"] = field(default_factory=list)

    def is_under(self, other: "Naive") -> bool:
        return self is other or (self.parent is not None and self.parent.is_under(other))

    def put_under(self, parent: "Naive | None") -> None:
        if self.parent is not None:
            self.parent.children.remove(self)
        self.parent = parent
        if parent is not None:
            parent.children.append(self)


def read_plainly(letters: Sequence[Letter]) -> list[Tree]:
    def date(node: Naive) -> tuple[int, int]:
        position = node.position if node.position is not None else node.children[0].position
        assert position is not None
        return letters[position].sent, position

    def subject(node: Naive) -> bytes:
        return letters[date(node)[1]].subject

    def is_reply(node: Naive) -> bool:
        return node.position is not None and letters[node.position].is_reply

    table: dict[int, Naive] = {}
    every = [Naive(position) for position in range(len(letters))]
    for node, letter in zip(every, letters, strict=True):
        if letter.id:
            table.setdefault(letter.id, node)
    for node, letter in zip(list(every), letters, strict=True):  # (1)
        before = None
        for reference in letter.references:
            if reference not in table:
                table[reference] = Naive(None)
                every.append(table[reference])
            referred = table[reference]
            if before is not None and referred.parent is None and not before.is_under(referred):
                referred.put_under(before)
            before = referred
        if before is not node.parent:
            node.put_under(None)
            if before is not None and not before.is_under(node):
                node.put_under(before)
    root = Naive(None)
    for node in every:  # (2)
        if node.parent is None:
            node.put_under(root)

    def prune(node: Naive) -> None:  # (3)
        for child in list(node.children):
            prune(child)
            if child.position is not None:
                continue
            if not child.children or node is not root or len(child.children) == 1:
                at = node.children.index(child)
                node.children[at : at + 1] = child.children
                for each in child.children:
                    each.parent = node

    prune(root)
    for node in root.children:  # (4)
        if node.position is None:
            node.children.sort(key=date)
    root.children.sort(key=date)
    subjects: dict[bytes, Naive] = {}  # (5)
    for node in root.children:
        there = subjects.get(subject(node))
        if not subject(node):
            continue
        if there is None or (
            there.position is not None and (node.position is None or (is_reply(there) and not is_reply(node)))
        ):
            subjects[subject(node)] = node
    for node in list(root.children):
        there = subjects.get(subject(node))
        if there is None or there is node or not subject(node):
            continue
        root.children.remove(node)
        if node.position is None and there.position is None:
            there.children += node.children
        elif there.position is None or (is_reply(node) and not is_reply(there)):
            there.children.append(node)
        else:
            dummy = Naive(None, children=[there, node])
            root.children[root.children.index(there)] = dummy
            subjects[subject(node)] = dummy

    def sort(node: Naive) -> None:  # (6)
        for child in node.children:
            sort(child)
        node.children.sort(key=date)

    sort(root)

    def tree(node: Naive) -> Tree:
        return (node.position, tuple(tree(child) for child in node.children))

    return [tree(node) for node in root.children]


few_ids = st.integers(min_value=1, max_value=7)
some_letters = st.lists(
    st.builds(
        Letter,
        id=st.integers(min_value=0, max_value=7),
        references=st.lists(few_ids, max_size=4),
        subject=st.sampled_from([b"", b"S", b"T"]),
        is_reply=st.booleans(),
        sent=st.integers(min_value=0, max_value=3),
    ),
    max_size=9,
)


@given(some_letters)
def test_references_are_threaded_as_the_rfc_reads(letters: list[Letter]) -> None:
    assert trees(by_references(conversations(letters))) == read_plainly(letters)


@given(some_letters)
def test_every_message_stands_in_one_place(letters: list[Letter]) -> None:
    for threads in (by_references(conversations(letters)), by_ordered_subject(conversations(letters))):
        found = []
        pending = list(threads)
        while pending:
            node = pending.pop()
            found.append(node.position)
            assert node.position is not None or len(node.children) > 1
            pending += node.children
        assert sorted(position for position in found if position is not None) == list(range(len(letters)))


@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("kept", [1, 100])
def test_a_chain_of_ten_thousand_answers_is_one_thread(backwards: bool, kept: int) -> None:
    letters = [Letter(number, range(max(1, number - kept), number), sent=number) for number in range(1, 10_001)]
    if backwards:
        letters.reverse()
    started = time.process_time()
    (node,) = by_references(conversations(letters))
    assert time.process_time() - started < 5
    depth = 1
    while node.children:
        (node,) = node.children
        depth += 1
    assert depth == 10_000


def test_references_made_to_close_loops_again_and_again_are_given_up() -> None:
    """A deep chain, and many messages that want its last to be the parent of its first."""
    chain = [Letter(number, [number - 1] if number > 1 else [], sent=number) for number in range(1, 5_001)]
    hostile = [Letter(10_000 + number, [5_000, 1] * 50, sent=9_999) for number in range(2_000)]
    started = time.process_time()
    threads = by_references(conversations([*chain, *hostile]))
    assert time.process_time() - started < 10
    assert [thread.position for thread in threads] == [0]


def test_fifty_thousand_messages_that_leave_an_absent_parent_take_no_time() -> None:
    """Each is first said to answer a message that nobody has, and says itself that it answers another one."""
    absent, other = 100_001, 100_002
    said = [
        [each for number in range(start, start + 50) for each in (absent, number)] for start in range(1, 50_001, 50)
    ]
    letters = [Letter(200_000 + count, references) for count, references in enumerate(said)]
    letters += [Letter(number, [other]) for number in range(50_000, 0, -1)]
    started = time.process_time()
    threads = by_references(conversations(letters))
    assert time.process_time() - started < 5
    assert len(threads) == 1
