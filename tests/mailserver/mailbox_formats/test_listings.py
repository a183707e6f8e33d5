"""The lists beside exported mail."""

from mailserver.mailbox_formats.listings import (
    ListedLetter,
    ListedMailbox,
    letter_line,
    mailbox_line,
    read_letters,
    read_mailboxes,
)
from storage.types import Flags, SystemFlag
from tests.conftest import NOON


def test_mailboxes_come_back() -> None:
    inbox = ListedMailbox("1/2", "INBOX", "", "maildir", 7, None, is_subscribed=True)
    sent = ListedMailbox("1/2", "项目\u2028x", ".x", "maildir", 8, "\\Sent", is_subscribed=False)
    assert read_mailboxes((mailbox_line(inbox) + mailbox_line(sent)).splitlines()) == [inbox, sent]


def test_letters_come_back_and_the_last_line_counts() -> None:
    flags = Flags(SystemFlag.SEEN | SystemFlag.DELETED, frozenset({"work"}))
    one = ListedLetter("1-1.eml", 10, "ab", NOON, Flags())
    later = ListedLetter("1-1.eml", 10, "ab", NOON, flags)
    assert read_letters((letter_line(one) + letter_line(later)).splitlines()) == {"1-1.eml": later}


def test_lines_that_are_none_are_passed_over() -> None:
    lines = ["", "{", "[]", "7", '{"file": 3}', '{"file": "a", "sha256": "b", "received_at": "yesterday"}', "[" * 9000]
    assert read_letters(lines) == {}
    assert read_mailboxes([*lines, '{"name": "x", "place": 3, "format": "eml"}']) == []
