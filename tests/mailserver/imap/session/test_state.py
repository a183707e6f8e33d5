"""Which command is allowed when."""

from typing import get_args

import pytest

from mailserver.imap.session.session import HANDLERS
from mailserver.imap.session.state import ALLOWED_IN, State, holds_back_expunges
from mailserver.imap.wire import commands
from mailserver.imap.wire.commands import Command
from mailserver.imap.wire.parse import parse_command

EVERY_COMMAND = set(get_args(Command))


def test_every_command_has_its_states() -> None:
    assert ALLOWED_IN.keys() == EVERY_COMMAND


def test_every_command_has_a_handler() -> None:
    assert HANDLERS.keys() == EVERY_COMMAND


def test_nothing_is_allowed_after_logout() -> None:
    assert not any(State.LOGOUT in states for states in ALLOWED_IN.values())


def test_whatever_needs_no_mailbox_is_allowed_with_one_too() -> None:
    for states in ALLOWED_IN.values():
        assert (State.AUTHENTICATED in states) <= (State.SELECTED in states)


def test_signing_in_is_for_those_who_have_not() -> None:
    for command in (commands.Login, commands.Authenticate, commands.StartTls):
        assert ALLOWED_IN[command] == {State.NOT_AUTHENTICATED}


@pytest.mark.parametrize(
    ("command", "is_held_back"),
    [
        (b"a FETCH 1 FLAGS", True),
        (b"a STORE 1 +FLAGS (\\Seen)", True),
        (b"a SEARCH ALL", True),
        (b"a UID FETCH 1 FLAGS", False),
        (b"a UID STORE 1 +FLAGS (\\Seen)", False),
        (b"a UID SEARCH ALL", False),
        (b"a UID SEARCH UNSEEN NOT (OR 1:2 SEEN)", True),
        (b"a UID SEARCH UID 1:2", False),
        (b"a NOOP", False),
        (b"a COPY 1 x", False),
        (b"a EXPUNGE", False),
    ],
)
def test_expunges_are_held_back_where_numbers_are_in_use(command: bytes, is_held_back: bool) -> None:
    assert holds_back_expunges(parse_command(command)) is is_held_back
