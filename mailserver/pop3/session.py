"""A POP3 session: command lines in, replies out (RFC 1939).

AUTHORIZATION --PASS, AUTH--> TRANSACTION --QUIT (what was deleted goes)--> OVER
"""

from collections.abc import AsyncIterator, Callable
from typing import Any

from mailserver.pop3 import sign_in, transactions
from mailserver.pop3.conversation import Conversation, NoSuchMessage, State
from mailserver.pop3.refusals import refusal_of
from mailserver.pop3.wire import commands, replies
from mailserver.pop3.wire.commands import Command
from mailserver.pop3.wire.parse import CommandInvalid, parse
from mailserver.pop3.wire.replies import Code

Handler = Callable[[Conversation, Any], AsyncIterator[bytes]]
ANY_STATE = frozenset({State.AUTHORIZATION, State.TRANSACTION})
AUTHORIZATION = frozenset({State.AUTHORIZATION})
TRANSACTION = frozenset({State.TRANSACTION})

HANDLERS: dict[type[Command], tuple[frozenset[State], Handler]] = {
    commands.Capa: (ANY_STATE, sign_in.capa),
    commands.Quit: (ANY_STATE, transactions.quit_session),
    commands.Stls: (AUTHORIZATION, sign_in.start_tls),
    commands.User: (AUTHORIZATION, sign_in.user),
    commands.Pass: (AUTHORIZATION, sign_in.password),
    commands.Auth: (AUTHORIZATION, sign_in.authenticate),
    commands.Utf8: (AUTHORIZATION, sign_in.utf8),
    commands.Noop: (TRANSACTION, transactions.noop),
    commands.Stat: (TRANSACTION, transactions.stat),
    commands.List: (TRANSACTION, transactions.list_sizes),
    commands.Uidl: (TRANSACTION, transactions.list_unique_ids),
    commands.Retr: (TRANSACTION, transactions.retrieve),
    commands.Top: (TRANSACTION, transactions.top),
    commands.Dele: (TRANSACTION, transactions.delete),
    commands.Rset: (TRANSACTION, transactions.reset),
}
_BUG = replies.error("Something is wrong with the server, it was written down", Code.SYSTEM_TEMPORARY)


class Session:
    """Feed it lines with `handle`. `bad_commands_left` counts down to the end of the connection."""

    def __init__(self, talk: Conversation, *, bad_commands: int) -> None:
        self.talk = talk
        self._bad_commands = bad_commands
        self._bad_commands_left = bad_commands

    @property
    def is_over(self) -> bool:
        return self.talk.state is State.OVER

    async def handle(self, line: bytes) -> AsyncIterator[bytes]:
        """The answer. Nothing raised by a service or by a bug leaves here."""
        try:
            async for octets in self._answer(line):
                yield octets
        except NoSuchMessage:
            yield replies.error("There is no such message")
        except CommandInvalid as invalid:
            yield self._bad(str(invalid))
        except Exception as error:  # noqa: BLE001 (the door: a bug is noted, and the others live on)
            reply = self._refuse(error)
            if not self.talk.is_interrupted:
                yield reply

    def too_long(self) -> bytes:
        self.talk.exchange = None
        return self._bad("The line is too long")

    async def _answer(self, line: bytes) -> AsyncIterator[bytes]:
        if self.talk.exchange is not None:
            answer = sign_in.respond(self.talk, line)
        else:
            command = parse(line)
            states, handler = HANDLERS[type(command)]
            if self.talk.state not in states:
                raise CommandInvalid("Not now: " + ("sign in first" if states is TRANSACTION else "you have signed in"))
            self._bad_commands_left = self._bad_commands
            answer = handler(self.talk, command)
        async for octets in answer:
            yield octets

    def _bad(self, text: str) -> bytes:
        self._bad_commands_left -= 1
        if self._bad_commands_left <= 0:
            self.talk.state = State.OVER
            return replies.error("Too many lines that are no command")
        return replies.error(text)

    def _refuse(self, error: Exception) -> bytes:
        reply = refusal_of(error)
        if reply is None:
            self.talk.log.exception("a command failed")
            return _BUG
        return reply
