"""The states of an IMAP session and which command each allows (RFC 3501 §3): the whole machine.

not authenticated ──LOGIN, AUTHENTICATE──▶ authenticated ──SELECT, EXAMINE──▶ selected
                                                 ▲                               │
                                                 └──CLOSE, UNSELECT, failed SELECT┘
UNAUTHENTICATE leads back to not authenticated (RFC 8437), LOGOUT from any of them to logout.
"""

from enum import Enum

from mailserver.imap.wire import commands
from mailserver.imap.wire.commands import (
    Command,
    Copy,
    Fetch,
    Move,
    Replace,
    Search,
    SearchReturns,
    Sort,
    Store,
    Thread,
    UidExpunge,
)
from mailserver.imap.wire.search_keys import And, InSequence, Not, Or, SearchKey
from mailserver.imap.wire.sequence import SequenceSet, UidSet


class State(Enum):
    """The value is how a refusal names the state to a client."""

    NOT_AUTHENTICATED = "before authentication"
    AUTHENTICATED = "while no mailbox is selected"
    SELECTED = "while a mailbox is selected"
    LOGOUT = "after logout"


ANY_STATE = frozenset({State.NOT_AUTHENTICATED, State.AUTHENTICATED, State.SELECTED})
NOT_AUTHENTICATED = frozenset({State.NOT_AUTHENTICATED})
SIGNED_IN = frozenset({State.AUTHENTICATED, State.SELECTED})
SELECTED = frozenset({State.SELECTED})

ALLOWED_IN: dict[type[Command], frozenset[State]] = {
    commands.Capability: ANY_STATE,
    commands.Noop: ANY_STATE,
    commands.Logout: ANY_STATE,
    commands.Id: ANY_STATE,
    commands.StartTls: NOT_AUTHENTICATED,
    commands.Authenticate: NOT_AUTHENTICATED,
    commands.Login: NOT_AUTHENTICATED,
    commands.Unauthenticate: SIGNED_IN,
    commands.Enable: SIGNED_IN,
    commands.Compress: SIGNED_IN,
    commands.Namespace: SIGNED_IN,
    commands.Select: SIGNED_IN,
    commands.Examine: SIGNED_IN,
    commands.Create: SIGNED_IN,
    commands.Delete: SIGNED_IN,
    commands.Rename: SIGNED_IN,
    commands.Subscribe: SIGNED_IN,
    commands.Unsubscribe: SIGNED_IN,
    commands.List: SIGNED_IN,
    commands.Lsub: SIGNED_IN,
    commands.Status: SIGNED_IN,
    commands.GetQuota: SIGNED_IN,
    commands.GetQuotaRoot: SIGNED_IN,
    commands.SetQuota: SIGNED_IN,
    commands.Append: SIGNED_IN,
    commands.Replace: SELECTED,
    commands.Idle: SIGNED_IN,
    commands.Check: SELECTED,
    commands.Close: SELECTED,
    commands.Unselect: SELECTED,
    commands.Expunge: SELECTED,
    commands.UidExpunge: SELECTED,
    commands.Search: SELECTED,
    commands.Sort: SELECTED,
    commands.Thread: SELECTED,
    commands.Fetch: SELECTED,
    commands.Store: SELECTED,
    commands.Copy: SELECTED,
    commands.Move: SELECTED,
}
"""ENABLE after SELECT is against RFC 5161 §3.1, yet clients do it, and for CONDSTORE it does no harm."""

LOOKS_FOR_CHANGES: frozenset[type[Command]] = frozenset(
    {
        commands.Noop,
        commands.Check,
        commands.Idle,
        commands.Append,
        commands.Replace,
        commands.Expunge,
        commands.UidExpunge,
        commands.Copy,
        commands.Move,
        commands.Rename,
    }
)
"""Commands after which the mailbox is always asked for changes; after others only when there may be some."""


def holds_back_expunges(command: Command) -> bool:
    """Must no EXPUNGE be sent while this command is answered (RFC 3501 §7.4.1)?

    UID commands are free of it, unless they search by message numbers (RFC 7162 §3.2.10.2).
    """
    match command:
        case Fetch(messages=messages) | Store(messages=messages):
            return isinstance(messages, SequenceSet)
        case Search(returns=returns, key=key) | Sort(returns=returns, key=key) | Thread(returns=returns, key=key):
            return returns is SearchReturns.SEQUENCE_NUMBERS or _has_numbers(key)
        case _:
            return False


def _has_numbers(key: SearchKey) -> bool:
    match key:
        case InSequence():
            return True
        case And(keys) | Or(keys):
            return any(map(_has_numbers, keys))
        case Not(negated):
            return _has_numbers(negated)
        case _:
            return False


def names_uids(command: Command) -> bool:
    """Does it act on messages that it names by uid?"""
    match command:
        case Fetch(messages=messages) | Store(messages=messages) | Copy(messages=messages) | Move(messages=messages):
            return isinstance(messages, UidSet)
        case Replace(messages=messages):
            return isinstance(messages, UidSet)
        case _:
            return isinstance(command, UidExpunge)
