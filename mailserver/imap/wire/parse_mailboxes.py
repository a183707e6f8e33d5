"""Commands on mailboxes as a whole but opening one (RFC 3501 §6.3)."""

from mailserver.imap.wire.commands import (
    Create,
    Delete,
    Rename,
    Subscribe,
    Tag,
    Unsubscribe,
)
from mailserver.imap.wire.cursor import Cursor
from mailserver.imap.wire.mailbox_name import DELIMITER
from mailserver.imap.wire.parse_values import mailbox


def parse_create(cursor: Cursor, tag: Tag) -> Create:
    """A delimiter at the end only says that there will be inferiors (RFC 3501 §6.3.3); every mailbox can have them."""
    return Create(tag, _spaced_mailbox(cursor).removesuffix(DELIMITER), _uses(cursor))


def _uses(cursor: Cursor) -> tuple[str, ...]:
    """`create-param`s: USE is the one there is (RFC 6154 §3)."""
    if not cursor.accept(b" ("):
        return ()
    if cursor.word("a parameter") != b"USE":
        raise cursor.error("USE is the only parameter known here")
    cursor.space("the uses")
    cursor.expect(b"(", "before the uses")
    uses: dict[str, None] = {}
    while not cursor.accept(b")"):
        if uses:
            cursor.space("another use, or `)`")
        cursor.expect(b"\\", "before a use")
        uses["\\" + cursor.atom("a use").decode("ascii").capitalize()] = None
    cursor.expect(b")", "after the parameters")
    return tuple(uses)


def parse_delete(cursor: Cursor, tag: Tag) -> Delete:
    return Delete(tag, _spaced_mailbox(cursor))


def parse_rename(cursor: Cursor, tag: Tag) -> Rename:
    return Rename(tag, _spaced_mailbox(cursor), _spaced_mailbox(cursor))


def parse_subscribe(cursor: Cursor, tag: Tag) -> Subscribe:
    return Subscribe(tag, _spaced_mailbox(cursor))


def parse_unsubscribe(cursor: Cursor, tag: Tag) -> Unsubscribe:
    return Unsubscribe(tag, _spaced_mailbox(cursor))


def _spaced_mailbox(cursor: Cursor) -> str:
    cursor.space("a mailbox name")
    return mailbox(cursor)
