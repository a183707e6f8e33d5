"""The searching criteria of SEARCH, SORT and THREAD (RFC 3501 §6.4.4, RFC 5032, 7162 §3.1.5, 8474 §6, 8514 §4.3).

Tolerated: 8-bit UTF-8 texts without CHARSET, or under US-ASCII, of which UTF-8 is an extension.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from mailserver.imap.wire.cursor import MAX_NUMBER64, Cursor
from mailserver.imap.wire.object_ids import OBJECT_ID
from mailserver.imap.wire.parse_values import day, keyword
from mailserver.imap.wire.search_keys import (
    AddressContains,
    AddressField,
    All,
    And,
    BodyContains,
    DateComparison,
    HasEmailId,
    HasFlag,
    HasKeyword,
    HasThreadId,
    HeaderContains,
    InSequence,
    InternalDate,
    InUids,
    Larger,
    ModseqAtLeast,
    Not,
    Older,
    Or,
    Recent,
    SaveDate,
    SearchKey,
    SentDate,
    Smaller,
    SubjectContains,
    TextContains,
    Younger,
)
from mailserver.imap.wire.sequence import SequenceSet, UidSet
from storage.types import Modseq, SystemFlag

_FIELD_NAME = re.compile(r"[!-9;-~]+")
_ENTRY_NAME = re.compile(rb'"/flags/[^"]*"', re.IGNORECASE)

_PLAIN: dict[bytes, SearchKey] = {
    b"ALL": All(),
    b"ANSWERED": HasFlag(SystemFlag.ANSWERED),
    b"DELETED": HasFlag(SystemFlag.DELETED),
    b"DRAFT": HasFlag(SystemFlag.DRAFT),
    b"FLAGGED": HasFlag(SystemFlag.FLAGGED),
    b"SEEN": HasFlag(SystemFlag.SEEN),
    b"UNANSWERED": Not(HasFlag(SystemFlag.ANSWERED)),
    b"UNDELETED": Not(HasFlag(SystemFlag.DELETED)),
    b"UNDRAFT": Not(HasFlag(SystemFlag.DRAFT)),
    b"UNFLAGGED": Not(HasFlag(SystemFlag.FLAGGED)),
    b"UNSEEN": Not(HasFlag(SystemFlag.SEEN)),
    b"RECENT": Recent(),
    b"OLD": Not(Recent()),
    b"NEW": And((Recent(), Not(HasFlag(SystemFlag.SEEN)))),
    b"SAVEDATESUPPORTED": All(),
}


@dataclass(frozen=True, slots=True)
class Criteria:
    """`asks_modseq`: a MODSEQ key was used, so the answer tells a mod-sequence (RFC 7162 §3.1.5)."""

    key: SearchKey
    asks_modseq: bool


def criteria(cursor: Cursor) -> Criteria:
    """One search key and all that follow; the command ends with them."""
    keys = _KeyParser(cursor)
    found = [keys.key(1)]
    while cursor.has_more():
        cursor.position += 1
        found.append(keys.key(1))
    return Criteria(_all_of(found), keys.asks_modseq)


def _all_of(keys: list[SearchKey]) -> SearchKey:
    return keys[0] if len(keys) == 1 else And(tuple(keys))


class _KeyParser:
    """Counts keys and depth while it reads them."""

    def __init__(self, cursor: Cursor) -> None:
        self._cursor = cursor
        self._count = 0
        self._bodies = 0
        self.asks_modseq = False

    def key(self, depth: int) -> SearchKey:
        cursor = self._cursor
        self._count += 1
        if self._count > cursor.limits.search_keys:
            raise cursor.error(f"more than {cursor.limits.search_keys} search keys")
        if depth > cursor.limits.search_depth:
            raise cursor.error(f"search keys nested more than {cursor.limits.search_depth} deep")
        if cursor.accept(b"("):
            return self._in_parentheses(depth)
        if cursor.text[cursor.position : cursor.position + 1] in _BEGINS_A_SET:
            return InSequence(SequenceSet(cursor.message_ranges()))
        word = cursor.word("a search key")
        plain = _PLAIN.get(word)
        if plain is not None:
            return plain
        if word == b"NOT":
            cursor.space("a search key")
            return Not(self.key(depth + 1))
        if word == b"OR":
            return self._or(depth)
        if word == b"MODSEQ":
            self.asks_modseq = True
        if word in (b"BODY", b"TEXT"):
            self._bodies += 1
            if self._bodies > cursor.limits.search_bodies:
                raise cursor.error(f"more than {cursor.limits.search_bodies} of BODY and TEXT")
        argument = _WITH_ARGUMENT.get(word)
        if argument is None:
            raise cursor.error(f"there is no search key {word.decode('ascii')}")
        cursor.space(f"what {word.decode('ascii')} is to find")
        return argument(cursor)

    def _in_parentheses(self, depth: int) -> SearchKey:
        keys = [self.key(depth + 1)]
        while not self._cursor.accept(b")"):
            self._cursor.space("another search key, or `)`")
            keys.append(self.key(depth + 1))
        return _all_of(keys)

    def _or(self, depth: int) -> SearchKey:
        """OR chained in its second key, as clients write long alternatives, is read in a loop."""
        cursor = self._cursor
        keys: list[SearchKey] = []
        while True:
            cursor.space("a search key")
            keys.append(self.key(depth + 1))
            cursor.space("the other search key of OR")
            if cursor.text[cursor.position : cursor.position + 3].upper() != b"OR ":
                keys.append(self.key(depth + 1))
                return Or(tuple(keys))
            cursor.position += 2


_BEGINS_A_SET = frozenset({b"*", b"$", *(b"%d" % digit for digit in range(10))})


def _text(cursor: Cursor) -> str:
    return cursor.text_of(cursor.astring("a search text"), "the search text")


def _header(cursor: Cursor) -> SearchKey:
    name = cursor.text_of(cursor.astring("the name of a header field"), "the name of a header field")
    if not _FIELD_NAME.fullmatch(name):
        raise cursor.error("the name of a header field is printable ASCII without a colon")
    cursor.space("a search text")
    return HeaderContains(name.lower(), _text(cursor))


def _uids(cursor: Cursor) -> SearchKey:
    return InUids(UidSet(cursor.message_ranges()))


def _modseq(cursor: Cursor) -> SearchKey:
    """`MODSEQ ["/flags/name" priv|shared|all] n`."""
    if cursor.at(b'"'):
        if not cursor.match(_ENTRY_NAME):
            raise cursor.error('a metadata entry is named "/flags/" and a flag')
        cursor.space("priv, shared or all")
        if cursor.word("priv, shared or all") not in (b"PRIV", b"SHARED", b"ALL"):
            raise cursor.error("expected priv, shared or all")
        cursor.space("a mod-sequence")
    return ModseqAtLeast(Modseq(cursor.number("a mod-sequence", largest=MAX_NUMBER64)))


def _address(field: AddressField) -> Callable[[Cursor], SearchKey]:
    return lambda cursor: AddressContains(field, _text(cursor))


def _internal(comparison: DateComparison) -> Callable[[Cursor], SearchKey]:
    return lambda cursor: InternalDate(comparison, day(cursor))


def _saved(comparison: DateComparison) -> Callable[[Cursor], SearchKey]:
    return lambda cursor: SaveDate(comparison, day(cursor))


def _interval(cursor: Cursor) -> int:
    return cursor.number("an interval in seconds", smallest=1)


def _object_id(cursor: Cursor) -> str:
    found = cursor.match(OBJECT_ID)
    if not found:
        raise cursor.error("expected an ObjectID: letters, digits, `_` and `-`")
    return found[0].decode("ascii")


def _sent(comparison: DateComparison) -> Callable[[Cursor], SearchKey]:
    return lambda cursor: SentDate(comparison, day(cursor))


_WITH_ARGUMENT: dict[bytes, Callable[[Cursor], SearchKey]] = {
    b"BCC": _address(AddressField.BCC),
    b"BEFORE": _internal(DateComparison.BEFORE),
    b"BODY": lambda cursor: BodyContains(_text(cursor)),
    b"CC": _address(AddressField.CC),
    b"EMAILID": lambda cursor: HasEmailId(_object_id(cursor)),
    b"FROM": _address(AddressField.FROM),
    b"HEADER": _header,
    b"KEYWORD": lambda cursor: HasKeyword(keyword(cursor)),
    b"LARGER": lambda cursor: Larger(cursor.number("a size in octets", largest=MAX_NUMBER64)),
    b"MODSEQ": _modseq,
    b"OLDER": lambda cursor: Older(_interval(cursor)),
    b"ON": _internal(DateComparison.ON),
    b"SAVEDBEFORE": _saved(DateComparison.BEFORE),
    b"SAVEDON": _saved(DateComparison.ON),
    b"SAVEDSINCE": _saved(DateComparison.SINCE),
    b"SENTBEFORE": _sent(DateComparison.BEFORE),
    b"SENTON": _sent(DateComparison.ON),
    b"SENTSINCE": _sent(DateComparison.SINCE),
    b"SINCE": _internal(DateComparison.SINCE),
    b"SMALLER": lambda cursor: Smaller(cursor.number("a size in octets", largest=MAX_NUMBER64)),
    b"SUBJECT": lambda cursor: SubjectContains(_text(cursor)),
    b"TEXT": lambda cursor: TextContains(_text(cursor)),
    b"THREADID": lambda cursor: HasThreadId(_object_id(cursor)),
    b"TO": _address(AddressField.TO),
    b"UID": _uids,
    b"UNKEYWORD": lambda cursor: Not(HasKeyword(keyword(cursor))),
    b"YOUNGER": lambda cursor: Younger(_interval(cursor)),
}
