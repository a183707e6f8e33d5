"""Commands on messages of the selected mailbox but SEARCH and FETCH (RFC 3501 §6.4, RFC 4315, RFC 6851, RFC 7162)."""

from mailserver.imap.wire.commands import Copy, Move, Store, Tag, UidExpunge
from mailserver.imap.wire.cursor import MAX_NUMBER64, Cursor
from mailserver.imap.wire.parse_values import bare_flags, flag_list, mailbox
from mailserver.imap.wire.sequence import SequenceSet, UidSet
from storage.types import FlagChange, FlagOperation, Modseq

_STORE_ITEMS = {
    b"FLAGS": (FlagOperation.REPLACE, False),
    b"FLAGS.SILENT": (FlagOperation.REPLACE, True),
    b"+FLAGS": (FlagOperation.ADD, False),
    b"+FLAGS.SILENT": (FlagOperation.ADD, True),
    b"-FLAGS": (FlagOperation.REMOVE, False),
    b"-FLAGS.SILENT": (FlagOperation.REMOVE, True),
}


def sequence_set(cursor: Cursor) -> SequenceSet:
    cursor.space("a sequence set")
    return SequenceSet(cursor.message_ranges())


def uid_set(cursor: Cursor) -> UidSet:
    cursor.space("a sequence set")
    return UidSet(cursor.message_ranges())


def parse_copy(cursor: Cursor, tag: Tag) -> Copy:
    return Copy(tag, sequence_set(cursor), _target(cursor))


def parse_uid_copy(cursor: Cursor, tag: Tag) -> Copy:
    return Copy(tag, uid_set(cursor), _target(cursor))


def parse_move(cursor: Cursor, tag: Tag) -> Move:
    return Move(tag, sequence_set(cursor), _target(cursor))


def parse_uid_move(cursor: Cursor, tag: Tag) -> Move:
    return Move(tag, uid_set(cursor), _target(cursor))


def _target(cursor: Cursor) -> str:
    cursor.space("a mailbox name")
    return mailbox(cursor)


def parse_uid_expunge(cursor: Cursor, tag: Tag) -> UidExpunge:
    return UidExpunge(tag, uid_set(cursor))


def parse_store(cursor: Cursor, tag: Tag) -> Store:
    return _store(cursor, tag, sequence_set(cursor))


def parse_uid_store(cursor: Cursor, tag: Tag) -> Store:
    return _store(cursor, tag, uid_set(cursor))


def _store(cursor: Cursor, tag: Tag, messages: SequenceSet | UidSet) -> Store:
    cursor.space("what to store")
    unchanged_since = None
    if cursor.accept(b"("):
        if cursor.word("a modifier") != b"UNCHANGEDSINCE":
            raise cursor.error("UNCHANGEDSINCE is the only modifier known here")
        cursor.space("a mod-sequence")
        unchanged_since = Modseq(cursor.number("a mod-sequence", largest=MAX_NUMBER64))
        cursor.expect(b")", "after the modifier")
        cursor.space("what to store")
    word = cursor.word("FLAGS, +FLAGS or -FLAGS")
    if word not in _STORE_ITEMS:
        raise cursor.error("expected FLAGS, +FLAGS or -FLAGS, with or without .SILENT")
    operation, is_silent = _STORE_ITEMS[word]
    cursor.space("flags")
    flags = flag_list(cursor) if cursor.at(b"(") else bare_flags(cursor)
    return Store(tag, messages, FlagChange(operation, flags), is_silent, unchanged_since)
