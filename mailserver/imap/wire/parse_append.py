"""APPEND with any number of messages, and REPLACE, up to each message (RFC 3501 §6.3.11, RFC 3502, 3516, 6855, 8508).

The framer hands out the text up to a message's literal, then what stands between it and the next one, and at the end
what follows the last.
"""

import re

from mailserver.imap.wire.commands import Append, AppendMessage, MessageForm, Replace, Tag
from mailserver.imap.wire.cursor import Cursor, ParseLimits
from mailserver.imap.wire.parse_values import date_time, flag_list, mailbox
from mailserver.imap.wire.sequence import SequenceSet, UidSet
from storage.types import Flags

_NOTHING_MORE = re.compile(rb" *\Z")
_LIMITS = ParseLimits()


def parse_append(cursor: Cursor, tag: Tag) -> Append:
    cursor.space("a mailbox name")
    return Append(tag, mailbox(cursor), _message(cursor))


def parse_replace(cursor: Cursor, tag: Tag) -> Replace:
    cursor.space("a sequence number")
    number = cursor.number("a sequence number", smallest=1)
    cursor.space("a mailbox name")
    return Replace(tag, SequenceSet(((number, number),)), mailbox(cursor), _message(cursor))


def parse_uid_replace(cursor: Cursor, tag: Tag) -> Replace:
    cursor.space("a uid")
    number = cursor.number("a uid", smallest=1)
    cursor.space("a mailbox name")
    return Replace(tag, UidSet(((number, number),)), mailbox(cursor), _message(cursor))


def parse_next_message(text: bytes, tag: Tag, previous: AppendMessage) -> AppendMessage:
    """What stands between one message and the next. Raises CommandSyntaxError."""
    cursor = Cursor(text, (), _LIMITS)
    cursor.tag = tag
    _close(cursor, previous)
    return _message(cursor)


def parse_append_end(text: bytes, tag: Tag, previous: AppendMessage) -> None:
    """What stands after the last message: nothing. Raises CommandSyntaxError."""
    cursor = Cursor(text, (), _LIMITS)
    cursor.tag = tag
    _close(cursor, previous)
    if not cursor.match(_NOTHING_MORE):
        raise cursor.error("after a message comes another one, or nothing")


def _close(cursor: Cursor, previous: AppendMessage) -> None:
    if previous.form is MessageForm.UTF8:
        cursor.expect(b")", "after the message that UTF8 announced")


def _message(cursor: Cursor) -> AppendMessage:
    cursor.space("the message")
    flags = Flags()
    received_at = None
    if cursor.at(b"("):
        flags = flag_list(cursor)
        cursor.space("the message")
    if cursor.at(b'"'):
        received_at = date_time(cursor)
        cursor.space("the message")
    form = MessageForm.LITERAL
    if cursor.accept_word(b"UTF8 (~"):
        form = MessageForm.UTF8
    elif cursor.accept(b"~"):
        form = MessageForm.BINARY
    return AppendMessage(flags, received_at, cursor.announced_literal(), form)
