"""Commands on mailboxes as a whole but opening one (RFC 3501 §6.3)."""

from mailserver.imap.wire.commands import (
    Append,
    Create,
    Delete,
    List,
    Lsub,
    Rename,
    Status,
    StatusItem,
    Subscribe,
    Tag,
    Unsubscribe,
)
from mailserver.imap.wire.cursor import Cursor
from mailserver.imap.wire.mailbox_name import DELIMITER
from mailserver.imap.wire.parse_values import date_time, flag_list, mailbox, reference_and_pattern
from storage.types import Flags

_STATUS_ITEMS: dict[bytes, StatusItem] = {item.value: item for item in StatusItem}


def parse_create(cursor: Cursor, tag: Tag) -> Create:
    """A delimiter at the end only says that there will be inferiors (RFC 3501 §6.3.3); every mailbox can have them."""
    return Create(tag, _spaced_mailbox(cursor).removesuffix(DELIMITER))


def parse_delete(cursor: Cursor, tag: Tag) -> Delete:
    return Delete(tag, _spaced_mailbox(cursor))


def parse_rename(cursor: Cursor, tag: Tag) -> Rename:
    return Rename(tag, _spaced_mailbox(cursor), _spaced_mailbox(cursor))


def parse_subscribe(cursor: Cursor, tag: Tag) -> Subscribe:
    return Subscribe(tag, _spaced_mailbox(cursor))


def parse_unsubscribe(cursor: Cursor, tag: Tag) -> Unsubscribe:
    return Unsubscribe(tag, _spaced_mailbox(cursor))


def parse_list(cursor: Cursor, tag: Tag) -> List:
    return List(tag, *reference_and_pattern(cursor))


def parse_lsub(cursor: Cursor, tag: Tag) -> Lsub:
    return Lsub(tag, *reference_and_pattern(cursor))


def parse_status(cursor: Cursor, tag: Tag) -> Status:
    name = _spaced_mailbox(cursor)
    cursor.space("the items asked for")
    cursor.expect(b"(", "before the items")
    items: dict[StatusItem, None] = {}
    while True:
        word = cursor.word("a status item")
        if word not in _STATUS_ITEMS:
            raise cursor.error(f"there is no status item {word.decode('ascii')}")
        items[_STATUS_ITEMS[word]] = None
        if cursor.accept(b")"):
            return Status(tag, name, tuple(items))
        cursor.space("another item, or `)`")


def parse_append(cursor: Cursor, tag: Tag) -> Append:
    name = _spaced_mailbox(cursor)
    cursor.space("the message")
    flags = Flags()
    received_at = None
    if cursor.at(b"("):
        flags = flag_list(cursor)
        cursor.space("the message")
    if cursor.at(b'"'):
        received_at = date_time(cursor)
        cursor.space("the message")
    return Append(tag, name, flags, received_at, cursor.announced_literal())


def _spaced_mailbox(cursor: Cursor) -> str:
    cursor.space("a mailbox name")
    return mailbox(cursor)
