"""The octets of a command become a command (RFC 3501 §9): from its name to its parse function.

The grammar is kept strictly where a sloppy reading could be a wrong one. What is tolerated stands at the head of the
file that tolerates it: `framing` (bare LF, blank lines), `cursor`, `parse_values`, `parse_search`, `parse_auth`.
"""

from collections.abc import Callable

from mailserver.imap.wire.commands import (
    Capability,
    Check,
    Close,
    Command,
    Expunge,
    Idle,
    Logout,
    Namespace,
    Noop,
    StartTls,
    Tag,
    Unauthenticate,
    Unselect,
)
from mailserver.imap.wire.cursor import DEFAULT_LIMITS, Cursor, ParseLimits
from mailserver.imap.wire.parse_append import parse_append, parse_replace, parse_uid_replace
from mailserver.imap.wire.parse_auth import parse_authenticate, parse_compress, parse_enable, parse_id, parse_login
from mailserver.imap.wire.parse_fetch import parse_fetch, parse_uid_fetch
from mailserver.imap.wire.parse_list import parse_list, parse_lsub, parse_status
from mailserver.imap.wire.parse_mailboxes import (
    parse_create,
    parse_delete,
    parse_rename,
    parse_subscribe,
    parse_unsubscribe,
)
from mailserver.imap.wire.parse_messages import (
    parse_copy,
    parse_move,
    parse_store,
    parse_uid_copy,
    parse_uid_expunge,
    parse_uid_move,
    parse_uid_store,
)
from mailserver.imap.wire.parse_quota import parse_get_quota, parse_get_quota_root, parse_set_quota
from mailserver.imap.wire.parse_search import (
    parse_search,
    parse_sort,
    parse_thread,
    parse_uid_search,
    parse_uid_sort,
    parse_uid_thread,
)
from mailserver.imap.wire.parse_select import parse_examine, parse_select
from mailserver.imap.wire.syntax_errors import UnknownCommand

ParseArguments = Callable[[Cursor, Tag], Command]


def parse_command(
    text: bytes, literals: tuple[bytes, ...] = (), limits: ParseLimits = DEFAULT_LIMITS, *, utf8: bool = False
) -> Command:
    """The command that CommandReady or AppendReady holds. `utf8`: the client has enabled UTF-8 (RFC 6855, RFC 9051).

    Raises CommandSyntaxError, or its kinds UnknownCommand and UnsupportedCharset, and nothing else.
    """
    cursor = Cursor(text, literals, limits, utf8=utf8)
    tag = cursor.read_tag()
    cursor.space("a command")
    name = cursor.word("a command")
    parsers = _COMMANDS
    if name == b"UID":
        cursor.space("a command")
        name = cursor.word("a command")
        parsers = _UID_COMMANDS
    parse_arguments = parsers.get(name)
    if parse_arguments is None:
        prefix = "UID " if parsers is _UID_COMMANDS else ""
        raise UnknownCommand(tag, prefix + name[:64].decode("ascii"))
    command = parse_arguments(cursor, tag)
    cursor.end()
    return command


_COMMANDS: dict[bytes, ParseArguments] = {
    b"APPEND": parse_append,
    b"AUTHENTICATE": parse_authenticate,
    b"CAPABILITY": lambda _, tag: Capability(tag),
    b"CHECK": lambda _, tag: Check(tag),
    b"CLOSE": lambda _, tag: Close(tag),
    b"COMPRESS": parse_compress,
    b"COPY": parse_copy,
    b"CREATE": parse_create,
    b"DELETE": parse_delete,
    b"ENABLE": parse_enable,
    b"EXAMINE": parse_examine,
    b"EXPUNGE": lambda _, tag: Expunge(tag),
    b"FETCH": parse_fetch,
    b"GETQUOTA": parse_get_quota,
    b"GETQUOTAROOT": parse_get_quota_root,
    b"ID": parse_id,
    b"IDLE": lambda _, tag: Idle(tag),
    b"LIST": parse_list,
    b"LOGIN": parse_login,
    b"LOGOUT": lambda _, tag: Logout(tag),
    b"UNAUTHENTICATE": lambda _, tag: Unauthenticate(tag),
    b"LSUB": parse_lsub,
    b"MOVE": parse_move,
    b"NAMESPACE": lambda _, tag: Namespace(tag),
    b"NOOP": lambda _, tag: Noop(tag),
    b"RENAME": parse_rename,
    b"REPLACE": parse_replace,
    b"SEARCH": parse_search,
    b"SELECT": parse_select,
    b"SORT": parse_sort,
    b"SETQUOTA": parse_set_quota,
    b"STARTTLS": lambda _, tag: StartTls(tag),
    b"STATUS": parse_status,
    b"STORE": parse_store,
    b"SUBSCRIBE": parse_subscribe,
    b"THREAD": parse_thread,
    b"UNSELECT": lambda _, tag: Unselect(tag),
    b"UNSUBSCRIBE": parse_unsubscribe,
}

_UID_COMMANDS: dict[bytes, ParseArguments] = {
    b"COPY": parse_uid_copy,
    b"EXPUNGE": parse_uid_expunge,
    b"FETCH": parse_uid_fetch,
    b"MOVE": parse_uid_move,
    b"REPLACE": parse_uid_replace,
    b"SEARCH": parse_uid_search,
    b"SORT": parse_uid_sort,
    b"STORE": parse_uid_store,
    b"THREAD": parse_uid_thread,
}
