"""Signing in and introducing oneself (RFC 3501 §6.2, RFC 4959, RFC 5161, RFC 2971)."""

import binascii

from mailserver.imap.wire.commands import Authenticate, Compress, Enable, Id, Login, Tag
from mailserver.imap.wire.cursor import Cursor
from mailserver.imap.wire.syntax_errors import CommandSyntaxError

_ID_PAIRS = 30
_ID_NAME_CHARACTERS = 30
_ID_VALUE_CHARACTERS = 1024


def parse_login(cursor: Cursor, tag: Tag) -> Login:
    cursor.space("a user name")
    user = cursor.text_of(cursor.astring("a user name"), "the user name")
    cursor.space("a password")
    return Login(tag, user, cursor.text_of(cursor.astring("a password"), "the password"))


def parse_authenticate(cursor: Cursor, tag: Tag) -> Authenticate:
    cursor.space("a mechanism")
    mechanism = cursor.word("a mechanism").decode("ascii")
    initial_response = None
    if cursor.accept(b" ") and cursor.position < len(cursor.text):
        encoded = cursor.text[cursor.position :].rstrip(b" ")
        cursor.position = len(cursor.text)
        initial_response = b"" if encoded == b"=" else _decode_base64(encoded, tag)
    return Authenticate(tag, mechanism, initial_response)


def _decode_base64(encoded: bytes, tag: Tag) -> bytes:
    try:
        return binascii.a2b_base64(encoded, strict_mode=True) if encoded else b""
    except binascii.Error:
        raise CommandSyntaxError(tag, "the SASL response is not base64") from None


def is_idle_end(line: bytes) -> bool:
    """Is this the line DONE, which ends IDLE (RFC 2177)? In any case, spaces around it ignored."""
    return line.strip(b" ").upper() == b"DONE"


def parse_compress(cursor: Cursor, tag: Tag) -> Compress:
    cursor.space("a mechanism")
    return Compress(tag, cursor.word("a mechanism").decode("ascii"))


def parse_enable(cursor: Cursor, tag: Tag) -> Enable:
    names: list[str] = []
    while not names or cursor.has_more():
        cursor.space("a capability")
        names.append(cursor.word("a capability").decode("ascii"))
    return Enable(tag, tuple(dict.fromkeys(names)))


def parse_id(cursor: Cursor, tag: Tag) -> Id:
    """Over the limits of RFC 2971 §3.3 fields are dropped and cut, not refused: a client must not fail for its name."""
    cursor.space("a list of fields, or NIL")
    if _accept_nil(cursor):
        return Id(tag, ())
    cursor.expect(b"(", "before the fields")
    pairs: list[tuple[str, str | None]] = []
    if cursor.accept(b")"):
        return Id(tag, ())
    while True:
        name = cursor.string("the name of a field").decode("utf-8", "replace")
        cursor.space("the value of the field")
        value = None if _accept_nil(cursor) else cursor.string("the value of a field").decode("utf-8", "replace")
        if len(pairs) < _ID_PAIRS:
            pairs.append((name[:_ID_NAME_CHARACTERS], None if value is None else value[:_ID_VALUE_CHARACTERS]))
        if cursor.accept(b")"):
            return Id(tag, tuple(pairs))
        cursor.space("another field, or `)`")


def _accept_nil(cursor: Cursor) -> bool:
    if cursor.text[cursor.position : cursor.position + 3].upper() != b"NIL":
        return False
    cursor.position += 3
    return True
