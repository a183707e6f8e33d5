"""SELECT and EXAMINE with their parameters (RFC 3501 §6.3.1, RFC 4466 §2.1, RFC 7162 §3.1.8, §3.2.5)."""

from itertools import pairwise

from mailserver.imap.wire.commands import Examine, Select, Tag
from mailserver.imap.wire.cursor import MAX_NUMBER64, Cursor
from mailserver.imap.wire.parse_values import mailbox
from mailserver.imap.wire.resync import Resync, paired
from mailserver.imap.wire.sequence import LARGEST, Range, UidSet
from storage.types import Modseq, UidValidity


def parse_select(cursor: Cursor, tag: Tag) -> Select:
    return Select(tag, _mailbox(cursor), *_parameters(cursor))


def parse_examine(cursor: Cursor, tag: Tag) -> Examine:
    return Examine(tag, _mailbox(cursor), *_parameters(cursor))


def _mailbox(cursor: Cursor) -> str:
    cursor.space("a mailbox name")
    return mailbox(cursor)


def _parameters(cursor: Cursor) -> tuple[bool, Resync | None]:
    """`select-params`: CONDSTORE and QRESYNC, in any order."""
    condstore, resync = False, None
    if not cursor.accept(b" ("):
        return condstore, resync
    while True:
        name = cursor.word("a parameter")
        if name == b"CONDSTORE":
            condstore = True
        elif name == b"QRESYNC" and resync is None:
            resync = _resync(cursor)
        else:
            raise cursor.error("the parameters are CONDSTORE and QRESYNC, each once")
        if cursor.accept(b")"):
            return condstore, resync
        cursor.space("another parameter, or `)`")


def _resync(cursor: Cursor) -> Resync:
    cursor.space("what is known")
    cursor.expect(b"(", "before what is known")
    uidvalidity = UidValidity(cursor.number("the uidvalidity", smallest=1))
    cursor.space("a mod-sequence")
    modseq = Modseq(cursor.number("a mod-sequence", smallest=1, largest=MAX_NUMBER64))
    known_uids: UidSet | None = None
    if cursor.has_more() and not cursor.at(b" ("):
        cursor.space("the uids that are known")
        known_uids = UidSet(_known(cursor))
    matches: tuple[tuple[Range, Range], ...] = ()
    if cursor.accept(b" ("):
        numbers = _known(cursor)
        cursor.space("the uids of these messages")
        uids = _known(cursor)
        cursor.expect(b")", "after the uids of these messages")
        matches = _matches(cursor, numbers, uids)
    cursor.expect(b")", "after what is known")
    return Resync(uidvalidity, modseq, known_uids, matches)


def _matches(cursor: Cursor, numbers: tuple[Range, ...], uids: tuple[Range, ...]) -> tuple[tuple[Range, Range], ...]:
    for ranges in (numbers, uids):
        if any(second[0] <= first[1] for first, second in pairwise(ranges)):
            raise cursor.error("message numbers and their uids come in ascending order")
    try:
        return tuple(paired(numbers, uids))
    except ValueError as reason:
        raise cursor.error(str(reason)) from None


def _known(cursor: Cursor) -> tuple[Range, ...]:
    """A set without `*`, each range with its smaller end first."""
    ranges = cursor.ranges()
    if any(LARGEST in ends for ends in ranges):
        raise cursor.error("what is known has no `*`")
    return tuple([(min(ends), max(ends)) for ends in ranges])
