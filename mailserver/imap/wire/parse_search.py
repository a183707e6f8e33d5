"""SEARCH, SORT and THREAD, and their UID forms (RFC 3501 §6.4.4, RFC 4466 §2.6, 5256 §3, 5267 §3, 9394 §3)."""

import re

from mailserver.imap.wire.commands import Search, SearchReturns, Sort, Tag, Thread
from mailserver.imap.wire.cursor import Cursor
from mailserver.imap.wire.parse_search_keys import criteria
from mailserver.imap.wire.search_options import (
    PartialRange,
    ReturnOption,
    ReturnOptions,
    SortCriterion,
    SortKey,
    ThreadAlgorithm,
)
from mailserver.imap.wire.syntax_errors import SEARCH_CHARSETS, UnsupportedCharset

_RETURN = re.compile(rb"RETURN (?=\()", re.IGNORECASE)
_CHARSET = re.compile(rb"CHARSET ", re.IGNORECASE)
_PARTIAL_RANGE = re.compile(rb"([1-9][0-9]{0,9}):([1-9][0-9]{0,9})|-([1-9][0-9]{0,9}):-([1-9][0-9]{0,9})")
_OPTIONS: dict[bytes, ReturnOption] = {option.value: option for option in ReturnOption}
_SORT_KEYS: dict[bytes, SortKey] = {key.value: key for key in SortKey}
_ALGORITHMS: dict[bytes, ThreadAlgorithm] = {algorithm.value: algorithm for algorithm in ThreadAlgorithm}
_ALL = frozenset({ReturnOption.ALL})


def parse_search(cursor: Cursor, tag: Tag) -> Search:
    return _search(cursor, tag, SearchReturns.SEQUENCE_NUMBERS)


def parse_uid_search(cursor: Cursor, tag: Tag) -> Search:
    return _search(cursor, tag, SearchReturns.UIDS)


def parse_sort(cursor: Cursor, tag: Tag) -> Sort:
    return _sort(cursor, tag, SearchReturns.SEQUENCE_NUMBERS)


def parse_uid_sort(cursor: Cursor, tag: Tag) -> Sort:
    return _sort(cursor, tag, SearchReturns.UIDS)


def parse_thread(cursor: Cursor, tag: Tag) -> Thread:
    return _thread(cursor, tag, SearchReturns.SEQUENCE_NUMBERS)


def parse_uid_thread(cursor: Cursor, tag: Tag) -> Thread:
    return _thread(cursor, tag, SearchReturns.UIDS)


def _search(cursor: Cursor, tag: Tag, returns: SearchReturns) -> Search:
    cursor.space("a search key")
    options = _return_options(cursor)
    names_charset = cursor.match(_CHARSET) is not None
    if names_charset:
        _charset(cursor, options)
    found = criteria(cursor)
    return Search(tag, returns, found.key, found.asks_modseq, options, names_charset)


def _sort(cursor: Cursor, tag: Tag, returns: SearchReturns) -> Sort:
    cursor.space("sort criteria")
    options = _return_options(cursor)
    sorting = _sort_criteria(cursor)
    cursor.space("a charset")
    _charset(cursor, options)
    found = criteria(cursor)
    return Sort(tag, returns, sorting, found.key, found.asks_modseq, options)


def _thread(cursor: Cursor, tag: Tag, returns: SearchReturns) -> Thread:
    cursor.space("a threading algorithm")
    word = cursor.word("a threading algorithm")
    if word not in _ALGORITHMS:
        raise cursor.error("messages are threaded by ORDEREDSUBJECT or by REFERENCES")
    cursor.space("a charset")
    _charset(cursor, None)
    found = criteria(cursor)
    return Thread(tag, returns, _ALGORITHMS[word], found.key, found.asks_modseq)


def _charset(cursor: Cursor, options: ReturnOptions | None) -> None:
    charset = cursor.astring("a charset").decode("ascii", "replace")
    if charset.upper() not in SEARCH_CHARSETS:
        raise UnsupportedCharset(cursor.tag, charset, saves=options is not None and options.saves)
    cursor.space("a search key")


def _return_options(cursor: Cursor) -> ReturnOptions | None:
    """`RETURN (…)` and the space after it; None: it is not there."""
    if not cursor.match(_RETURN):
        return None
    cursor.expect(b"(", "before the return options")
    options: set[ReturnOption] = set()
    partial: PartialRange | None = None
    while not cursor.accept(b")"):
        if options or partial is not None:
            cursor.space("another return option, or `)`")
        word = cursor.word("a return option")
        if word == b"PARTIAL":
            if partial is not None:
                raise cursor.error("PARTIAL can be asked for once")
            partial = _partial(cursor)
        elif word in _OPTIONS:
            options.add(_OPTIONS[word])
        else:
            raise cursor.error(f"there is no return option {word[:64].decode('ascii')}")
    if partial is not None and ReturnOption.ALL in options:
        raise cursor.error("PARTIAL and ALL exclude each other")
    cursor.space("what follows the return options")
    return ReturnOptions(frozenset(options) if options or partial is not None else _ALL, partial)


def _partial(cursor: Cursor) -> PartialRange:
    cursor.space("a range of results")
    return partial_range(cursor)


def partial_range(cursor: Cursor) -> PartialRange:
    """`1:100` or `-1:-100` (RFC 9394 §4)."""
    found = cursor.match(_PARTIAL_RANGE)
    if not found:
        raise cursor.error("a range of results is like 1:100 or -1:-100")
    if found[1]:
        return PartialRange(int(found[1]), int(found[2]))
    return PartialRange(-int(found[3]), -int(found[4]))


def _sort_criteria(cursor: Cursor) -> tuple[SortCriterion, ...]:
    cursor.expect(b"(", "before the sort criteria")
    found: list[SortCriterion] = []
    while True:
        word = cursor.word("a sort criterion")
        is_reverse = word == b"REVERSE"
        if is_reverse:
            cursor.space("what to sort by in reverse")
            word = cursor.word("a sort criterion")
        if word not in _SORT_KEYS:
            raise cursor.error(f"there is no sort criterion {word[:64].decode('ascii')}")
        found.append(SortCriterion(_SORT_KEYS[word], is_reverse))
        if cursor.accept(b")"):
            return tuple(found)
        if len(found) == cursor.limits.sort_criteria:
            raise cursor.error(f"more than {cursor.limits.sort_criteria} sort criteria")
        cursor.space("another sort criterion, or `)`")
