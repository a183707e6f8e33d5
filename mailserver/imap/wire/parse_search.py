"""SEARCH and UID SEARCH (RFC 3501 §6.4.4, RFC 7162 §3.1.5).

Tolerated: 8-bit UTF-8 texts without CHARSET, or under US-ASCII, of which UTF-8 is an extension.
"""

import re
from collections.abc import Callable

from mailserver.imap.wire.commands import Search, SearchReturns, Tag
from mailserver.imap.wire.cursor import MAX_NUMBER64, Cursor
from mailserver.imap.wire.parse_values import day, keyword
from mailserver.imap.wire.search_keys import (
    AddressContains,
    AddressField,
    All,
    And,
    BodyContains,
    DateComparison,
    HasFlag,
    HasKeyword,
    HeaderContains,
    InSequence,
    InternalDate,
    InUids,
    Larger,
    ModseqAtLeast,
    Not,
    Or,
    Recent,
    SearchKey,
    SentDate,
    Smaller,
    SubjectContains,
    TextContains,
)
from mailserver.imap.wire.sequence import SequenceSet, UidSet
from mailserver.imap.wire.syntax_errors import SEARCH_CHARSETS, UnsupportedCharset
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
}


def parse_search(cursor: Cursor, tag: Tag) -> Search:
    return _search(cursor, tag, SearchReturns.SEQUENCE_NUMBERS)


def parse_uid_search(cursor: Cursor, tag: Tag) -> Search:
    return _search(cursor, tag, SearchReturns.UIDS)


def _search(cursor: Cursor, tag: Tag, returns: SearchReturns) -> Search:
    cursor.space("a search key")
    _charset(cursor)
    keys = _KeyParser(cursor)
    found = [keys.key(1)]
    while cursor.has_more():
        cursor.position += 1
        found.append(keys.key(1))
    return Search(tag, returns, _all_of(found), keys.asks_modseq)


def _charset(cursor: Cursor) -> None:
    start = cursor.position
    if cursor.text[start : start + 8].upper() != b"CHARSET ":
        return
    cursor.position = start + 8
    charset = cursor.astring("a charset").decode("ascii", "replace")
    if charset.upper() not in SEARCH_CHARSETS:
        raise UnsupportedCharset(cursor.tag, charset)
    cursor.space("a search key")


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
        if cursor.text[cursor.position : cursor.position + 1] in (b"*", *_DIGITS):
            return InSequence(SequenceSet(cursor.ranges()))
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


_DIGITS = tuple(b"%d" % digit for digit in range(10))


def _text(cursor: Cursor) -> str:
    return cursor.text_of(cursor.astring("a search text"), "the search text")


def _header(cursor: Cursor) -> SearchKey:
    name = cursor.text_of(cursor.astring("the name of a header field"), "the name of a header field")
    if not _FIELD_NAME.fullmatch(name):
        raise cursor.error("the name of a header field is printable ASCII without a colon")
    cursor.space("a search text")
    return HeaderContains(name.lower(), _text(cursor))


def _uids(cursor: Cursor) -> SearchKey:
    return InUids(UidSet(cursor.ranges()))


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


def _sent(comparison: DateComparison) -> Callable[[Cursor], SearchKey]:
    return lambda cursor: SentDate(comparison, day(cursor))


_WITH_ARGUMENT: dict[bytes, Callable[[Cursor], SearchKey]] = {
    b"BCC": _address(AddressField.BCC),
    b"BEFORE": _internal(DateComparison.BEFORE),
    b"BODY": lambda cursor: BodyContains(_text(cursor)),
    b"CC": _address(AddressField.CC),
    b"FROM": _address(AddressField.FROM),
    b"HEADER": _header,
    b"KEYWORD": lambda cursor: HasKeyword(keyword(cursor)),
    b"LARGER": lambda cursor: Larger(cursor.number("a size in octets", largest=MAX_NUMBER64)),
    b"MODSEQ": _modseq,
    b"ON": _internal(DateComparison.ON),
    b"SENTBEFORE": _sent(DateComparison.BEFORE),
    b"SENTON": _sent(DateComparison.ON),
    b"SENTSINCE": _sent(DateComparison.SINCE),
    b"SINCE": _internal(DateComparison.SINCE),
    b"SMALLER": lambda cursor: Smaller(cursor.number("a size in octets", largest=MAX_NUMBER64)),
    b"SUBJECT": lambda cursor: SubjectContains(_text(cursor)),
    b"TEXT": lambda cursor: TextContains(_text(cursor)),
    b"TO": _address(AddressField.TO),
    b"UID": _uids,
    b"UNKEYWORD": lambda cursor: Not(HasKeyword(keyword(cursor))),
}
