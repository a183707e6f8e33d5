"""What SEARCH, SORT and THREAD found, as octets (RFC 3501 §7.2.5, RFC 4466 §2.6.2, RFC 5256 §4, RFC 9394 §3.1)."""

from collections.abc import Sequence

from mailserver.imap.wire.responses import ExtendedFound, Found, Sorted
from mailserver.imap.wire.search_options import PartialRange
from mailserver.imap.wire.sequence import compact
from mailserver.mime.thread_tree import ThreadNode


def found_line(response: Found) -> bytes:
    return _numbers_line(b"SEARCH", response.numbers, response.modseq)


def sorted_line(response: Sorted) -> bytes:
    return _numbers_line(b"SORT", response.numbers, response.modseq)


def _numbers_line(name: bytes, numbers: Sequence[int], modseq: int | None) -> bytes:
    listed = " ".join(map(str, numbers)).encode("ascii")
    told = b"" if modseq is None else b" (MODSEQ %d)" % modseq
    return b"* %b%b%b%b\r\n" % (name, b" " if numbers else b"", listed, told)


def extended_found_line(response: ExtendedFound) -> bytes:
    """Ranges only ascend, also in the answer to SORT, whose order they keep (RFC 5267 §3.2)."""
    pieces = [b'* ESEARCH (TAG "%b")' % response.tag]
    if response.is_uid:
        pieces.append(b"UID")
    if response.minimum is not None:
        pieces.append(b"MIN %d" % response.minimum)
    if response.maximum is not None:
        pieces.append(b"MAX %d" % response.maximum)
    if response.count is not None:
        pieces.append(b"COUNT %d" % response.count)
    if response.all:
        pieces.append(b"ALL " + compact(response.all))
    if response.partial is not None:
        asked, numbers = response.partial
        pieces.append(b"PARTIAL (%b %b)" % (partial_range(asked), compact(numbers) or b"NIL"))
    if response.modseq is not None:
        pieces.append(b"MODSEQ %d" % response.modseq)
    return b" ".join(pieces) + b"\r\n"


def partial_range(asked: PartialRange) -> bytes:
    return b"%d:%d" % (asked.first, asked.last)


def thread_lists(threads: Sequence[ThreadNode], numbers: Sequence[int]) -> bytes:
    """`1*thread-list`: what `Threaded` holds. `numbers` gives for a node's position the number to be told.

    A chain stands in one list; where it parts, each branch is a list of its own. Depth has no bound here, so no
    recursion.
    """
    out: list[bytes] = []
    pending: list[ThreadNode | None] = list(reversed(threads))
    while pending:
        node = pending.pop()
        if node is None:
            out.append(b")")
            continue
        out.append(b"(")
        chain: list[bytes] = []
        if node.position is not None:
            chain.append(b"%d" % numbers[node.position])
        while len(node.children) == 1:
            (node,) = node.children
            assert node.position is not None  # a dummy has two children at least, and none above it
            chain.append(b"%d" % numbers[node.position])
        out.append(b" ".join(chain))
        if node.children and chain:
            out.append(b" ")
        pending.append(None)
        pending.extend(reversed(node.children))
    return b"".join(out)
