"""ESEARCH, SORT and THREAD on the wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.wire.commands import Tag
from mailserver.imap.wire.encode import encode
from mailserver.imap.wire.encode_search import thread_lists
from mailserver.imap.wire.responses import ExtendedFound, Response, Sorted, Threaded
from mailserver.imap.wire.search_options import PartialRange
from mailserver.mime.thread_tree import ThreadNode
from storage.types import Modseq

TAG = Tag(b"A1")


@pytest.mark.parametrize(
    ("response", "octets"),
    [
        (ExtendedFound(TAG, is_uid=False), b'* ESEARCH (TAG "A1")'),
        (ExtendedFound(TAG, is_uid=True, count=0), b'* ESEARCH (TAG "A1") UID COUNT 0'),
        (ExtendedFound(TAG, is_uid=False, minimum=2, count=3), b'* ESEARCH (TAG "A1") MIN 2 COUNT 3'),
        (
            ExtendedFound(TAG, is_uid=True, minimum=7, maximum=3800, all=(7, 8, 3800), modseq=Modseq(5)),
            b'* ESEARCH (TAG "A1") UID MIN 7 MAX 3800 ALL 7:8,3800 MODSEQ 5',
        ),
        (ExtendedFound(TAG, is_uid=False, all=(5, 4, 1, 2)), b'* ESEARCH (TAG "A1") ALL 5,4,1:2'),
        (
            ExtendedFound(TAG, is_uid=True, partial=(PartialRange(-1, -100), (3, 4))),
            b'* ESEARCH (TAG "A1") UID PARTIAL (-1:-100 3:4)',
        ),
        (
            ExtendedFound(TAG, is_uid=True, partial=(PartialRange(24000, 24500), ())),
            b'* ESEARCH (TAG "A1") UID PARTIAL (24000:24500 NIL)',
        ),
        (Sorted((2, 84, 882)), b"* SORT 2 84 882"),
        (Sorted(()), b"* SORT"),
        (Sorted((5, 3), Modseq(117)), b"* SORT 5 3 (MODSEQ 117)"),
        (Threaded(b""), b"* THREAD"),
        (Threaded(b"(2)(3 6)"), b"* THREAD (2)(3 6)"),
    ],
)
def test_a_result_is_written(response: Response, octets: bytes) -> None:
    assert encode(response) == octets + b"\r\n"


def node(position: int | None, *children: ThreadNode) -> ThreadNode:
    made = ThreadNode(position)
    made.children = list(children)
    return made


def test_threads_are_written_as_in_rfc_5256() -> None:
    threads = [node(0), node(1, node(2, node(3, node(4)), node(5, node(6, node(7)))))]
    assert thread_lists(threads, (2, 3, 6, 4, 23, 44, 7, 96)) == b"(2)(3 6 (4 23)(44 7 96))"


def test_siblings_without_their_parent_are_lists_in_a_list() -> None:
    assert thread_lists([node(None, node(0), node(1, node(2)))], (3, 5, 9)) == b"((3)(5 9))"


def test_a_very_deep_thread_is_written() -> None:
    deep = node(9_999)
    for position in range(9_998, -1, -1):
        deep = node(position, deep)
    numbers = range(1, 10_001)
    assert thread_lists([deep], numbers) == b"(" + b" ".join(b"%d" % number for number in numbers) + b")"


def test_a_very_deep_thread_with_branches_is_written() -> None:
    deep = node(0)
    for position in range(1, 20_001, 2):
        deep = node(position, node(position + 1), deep)
    assert thread_lists([deep], range(1, 20_003)).count(b"(") == 20_001


def trees(depth: int) -> "st.SearchStrategy[ThreadNode]":
    children = st.lists(trees(depth - 1), max_size=3) if depth else st.just([])
    return children.map(lambda some: node(0, *some))


@given(st.lists(trees(3), max_size=4))
def test_what_is_written_reads_back(threads: list[ThreadNode]) -> None:
    count = 0
    pending = list(reversed(threads))
    while pending:
        each = pending.pop()
        each.position = count
        count += 1
        pending += reversed(each.children)
    written = thread_lists(threads, range(1, count + 1))

    def read(text: bytes) -> list[bytes]:
        lists, depth, begin = [], 0, 0
        for at, character in enumerate(text):
            depth += {0x28: 1, 0x29: -1}.get(character, 0)
            if depth == 0:
                lists.append(text[begin : at + 1])
                begin = at + 1
        return lists

    def matches(text: bytes, each: ThreadNode) -> bool:
        head, _, rest = text[1:-1].partition(b"(")
        numbers = head.split()
        for number in numbers[:-1]:
            assert each.position is not None
            if int(number) != each.position + 1 or len(each.children) != 1:
                return False
            (each,) = each.children
        below = read(b"(" + rest) if rest else []
        assert each.position is not None
        return (
            int(numbers[-1]) == each.position + 1
            and len(below) == len(each.children)
            and all(matches(some, child) for some, child in zip(below, each.children, strict=True))
        )

    lists = read(written)
    assert len(lists) == len(threads)
    assert all(matches(text, each) for text, each in zip(lists, threads, strict=True))
