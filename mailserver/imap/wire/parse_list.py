"""LIST, LSUB and STATUS (RFC 9051 §6.3.9, §6.3.11, RFC 5258 §6, RFC 5819, RFC 3501 §6.3.9).

A pattern that no name could match, such as one that is no modified UTF-7, is not refused: it lists nothing (§6.3.9).
"""

from mailserver.imap.wire.commands import List, Lsub, Status, Tag
from mailserver.imap.wire.cursor import LIST_CHARACTERS, Cursor
from mailserver.imap.wire.list_options import ListOptions, ReturnOption, Selection, StatusItem
from mailserver.imap.wire.list_pattern import ListPattern
from mailserver.imap.wire.mailbox_name import MailboxNameUndecodable, canonical, decode_mailbox_name
from mailserver.imap.wire.parse_values import mailbox

_STATUS_ITEMS = {item.value: item for item in StatusItem}
_SELECTIONS = {option.value: option for option in Selection}
_RETURN_OPTIONS = {option.value: option for option in ReturnOption}

_IMPLIED = {Selection.SUBSCRIBED: ReturnOption.SUBSCRIBED, Selection.SPECIAL_USE: ReturnOption.SPECIAL_USE}


def parse_list(cursor: Cursor, tag: Tag) -> List:
    cursor.space("a reference name")
    is_extended = cursor.at(b"(")
    selection = _selection(cursor) if is_extended else frozenset()
    if is_extended:
        cursor.space("a reference name")
    reference = _reference(cursor)
    cursor.space("a mailbox pattern")
    if cursor.at(b"("):
        is_extended = True
        texts = _pattern_texts(cursor)
    else:
        texts = [_pattern_text(cursor)]
    returns: frozenset[ReturnOption] = frozenset()
    status: tuple[StatusItem, ...] = ()
    if cursor.has_more():
        is_extended = True
        returns, status = _returns(cursor)
    if not is_extended and texts == [b""]:
        return List(tag, (), asks_root=True)
    patterns = _patterns(cursor, reference, texts)
    if not is_extended:
        return List(tag, patterns)
    implied = {_IMPLIED[each] for each in selection if each in _IMPLIED}
    return List(tag, patterns, ListOptions(selection, returns | implied, status))


def parse_lsub(cursor: Cursor, tag: Tag) -> Lsub:
    cursor.space("a reference name")
    reference = _reference(cursor)
    cursor.space("a mailbox pattern")
    text = _pattern_text(cursor)
    return Lsub(tag, _patterns(cursor, reference, [text]), asks_root=not text)


def parse_status(cursor: Cursor, tag: Tag) -> Status:
    cursor.space("a mailbox name")
    name = mailbox(cursor)
    cursor.space("the items asked for")
    return Status(tag, name, _status_items(cursor))


def _status_items(cursor: Cursor) -> tuple[StatusItem, ...]:
    cursor.expect(b"(", "before the items")
    items: dict[StatusItem, None] = {}
    while True:
        word = cursor.word("a status item")
        if word not in _STATUS_ITEMS:
            raise cursor.error(f"there is no status item {word.decode('ascii')}")
        items[_STATUS_ITEMS[word]] = None
        if cursor.accept(b")"):
            return tuple(items)
        cursor.space("another item, or `)`")


def _reference(cursor: Cursor) -> bytes:
    return cursor.astring("a reference name")


def _pattern_text(cursor: Cursor) -> bytes:
    plain = cursor.match(LIST_CHARACTERS)
    return plain[0] if plain else cursor.string("a mailbox pattern")


def _pattern_texts(cursor: Cursor) -> list[bytes]:
    cursor.expect(b"(", "before the patterns")
    texts = [_pattern_text(cursor)]
    while not cursor.accept(b")"):
        cursor.space("another pattern, or `)`")
        texts.append(_pattern_text(cursor))
        if len(texts) > cursor.limits.list_patterns:
            raise cursor.error(f"more than {cursor.limits.list_patterns} patterns")
    return texts


def _patterns(cursor: Cursor, reference: bytes, texts: list[bytes]) -> tuple[ListPattern, ...]:
    """Those that can match: empty ones and impossible ones are passed over."""
    patterns: dict[ListPattern, None] = {}
    for text in texts:
        if text:
            try:
                decoded = (decode_mailbox_name(octets, utf8=cursor.utf8) for octets in (reference, text))
                patterns[ListPattern(canonical("".join(decoded)))] = None
            except MailboxNameUndecodable:
                continue
    return tuple(patterns)


def _selection(cursor: Cursor) -> frozenset[Selection]:
    """`list-select-opts`. RECURSIVEMATCH modifies a choice that something else must make (§6.3.9.1)."""
    cursor.expect(b"(", "before the options")
    chosen: set[Selection] = set()
    if not cursor.accept(b")"):
        while True:
            word = cursor.word("a selection option")
            if word not in _SELECTIONS:
                raise cursor.error(f"there is no selection option {word.decode('ascii')}")
            chosen.add(_SELECTIONS[word])
            if cursor.accept(b")"):
                break
            cursor.space("another option, or `)`")
    if Selection.RECURSIVEMATCH in chosen and Selection.SUBSCRIBED not in chosen:
        raise cursor.error("RECURSIVEMATCH goes with SUBSCRIBED")
    return frozenset(chosen)


def _returns(cursor: Cursor) -> tuple[frozenset[ReturnOption], tuple[StatusItem, ...]]:
    """`list-return-opts`."""
    cursor.space("RETURN")
    if cursor.word("RETURN") != b"RETURN":
        raise cursor.error("RETURN is all that can follow the pattern")
    cursor.space("the return options")
    cursor.expect(b"(", "before the return options")
    chosen: set[ReturnOption] = set()
    status: dict[StatusItem, None] = {}
    if cursor.accept(b")"):
        return frozenset(), ()
    while True:
        word = cursor.word("a return option")
        if word == b"STATUS":
            cursor.space("the status items")
            status.update(dict.fromkeys(_status_items(cursor)))
        elif word in _RETURN_OPTIONS:
            chosen.add(_RETURN_OPTIONS[word])
        else:
            raise cursor.error(f"there is no return option {word.decode('ascii')}")
        if cursor.accept(b")"):
            return frozenset(chosen), tuple(status)
        cursor.space("another option, or `)`")
