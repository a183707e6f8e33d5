"""An IMAP session without its connection: commands in, responses out (RFC 3501 §3, §5.2).

`handle` checks that the state allows the command, runs its handler, and before the tagged response tells what else has
happened to the selected mailbox. A handler yields responses and ends in exactly one Tagged; or it leaves a line
awaited, which is given to `line`. What a handler raises ends the command by the table of `refusals`; what is
not in the table is a bug, and the connection lives on.
"""

from array import array
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

from structlog.typing import FilteringBoundLogger

from mailserver.imap import metrics
from mailserver.imap.session import (
    append,
    auth,
    compressing,
    enabling,
    fetch,
    idle,
    listing,
    mailboxes,
    messages,
    quota,
    search,
    selection,
    status,
)
from mailserver.imap.session.capabilities import capabilities
from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.refusals import SERVER_BUG, Refusal, refusal_of
from mailserver.imap.session.state import ALLOWED_IN, LOOKS_FOR_CHANGES, State, holds_back_expunges, names_uids
from mailserver.imap.session.updates import look
from mailserver.imap.wire import commands
from mailserver.imap.wire.commands import Append, AppendMessage, Command, Replace, Tag
from mailserver.imap.wire.response_codes import CapabilityCode, HighestModseq
from mailserver.imap.wire.responses import (
    Bye,
    Condition,
    FetchEnd,
    FetchStart,
    Response,
    Tagged,
    Untagged,
)
from storage.errors import StorageError

Handler = Callable[[Conversation, Any], AsyncIterator[Response]]

HANDLERS: dict[type[Command], Handler] = {
    commands.Capability: auth.capability,
    commands.Noop: selection.noop,
    commands.Logout: auth.logout,
    commands.Unauthenticate: auth.unauthenticate,
    commands.Id: auth.identify,
    commands.StartTls: auth.start_tls,
    commands.Authenticate: auth.authenticate,
    commands.Login: auth.login,
    commands.Enable: enabling.enable,
    commands.Compress: compressing.compress,
    commands.Namespace: listing.namespace,
    commands.Select: selection.select,
    commands.Examine: selection.examine,
    commands.Create: mailboxes.create,
    commands.Delete: mailboxes.delete,
    commands.Rename: mailboxes.rename,
    commands.Subscribe: mailboxes.subscribe,
    commands.Unsubscribe: mailboxes.unsubscribe,
    commands.List: listing.list_mailboxes,
    commands.Lsub: listing.lsub,
    commands.Status: status.status,
    commands.GetQuota: quota.get_quota,
    commands.GetQuotaRoot: quota.get_quota_root,
    commands.SetQuota: quota.set_quota,
    commands.Append: append.finish_append,
    commands.Replace: append.finish_replace,
    commands.Idle: idle.idle,
    commands.Check: selection.check,
    commands.Close: selection.close,
    commands.Unselect: selection.unselect,
    commands.Expunge: messages.expunge,
    commands.UidExpunge: messages.uid_expunge,
    commands.Search: search.search,
    commands.Sort: search.sort,
    commands.Thread: search.thread,
    commands.Fetch: fetch.fetch,
    commands.Store: messages.store,
    commands.Copy: messages.copy,
    commands.Move: messages.move,
}

ONLY_READ = (commands.Search, commands.Sort, commands.Thread, commands.List, commands.Lsub, commands.Status)
"""Commands that may take long and leave nothing behind. FETCH, which may set \\Seen, ends when it next sends."""

OPENS = (commands.Select, commands.Examine)

TELLS_HIGHEST_MODSEQ = (commands.Expunge, commands.UidExpunge, commands.Move)

LOOK_EVERY_S = 1.0
"""How old the view may be when a command is answered that does not ask for changes itself. Hints come sooner."""


async def only(response: Response) -> AsyncIterator[Response]:
    """Just this one."""
    yield response


class Session:
    """One client's session. `clock` counts seconds, from anywhere."""

    __slots__ = ("_clock", "_reads", "_talk")

    def __init__(self, talk: Conversation, clock: Callable[[], float]) -> None:
        self._talk = talk
        self._clock = clock
        self._reads = False

    @property
    def over(self) -> bool:
        """Nothing more is to be read; the connection is to be closed once what was said is sent."""
        return self._talk.state is State.LOGOUT or self._talk.is_interrupted

    @property
    def is_interrupted(self) -> bool:
        """A literal was promised and cannot be completed: the connection is to be cut off."""
        return self._talk.is_interrupted

    @property
    def is_signed_in(self) -> bool:
        return self._talk.who is not None

    @property
    def is_utf8(self) -> bool:
        """The client has enabled UTF-8: names and strings travel so, in both directions."""
        return self._talk.is_utf8

    @property
    def log(self) -> FilteringBoundLogger:
        """With the connection, and who has signed in."""
        return self._talk.log

    @property
    def is_idling(self) -> bool:
        return self._talk.is_idling

    @property
    def has_to_push(self) -> bool:
        """Something waits to be told to an idling client, say because the store was away when it was looked for."""
        return self._talk.is_idling and self._talk.has_news

    @property
    def is_only_reading(self) -> bool:
        """The command that is under way changes nothing: once the client is gone, it need not go on."""
        return self._reads

    @property
    def wants_line(self) -> bool:
        """The next line is to be given to `line`, not to be parsed as a command."""
        return self._talk.awaited is not None

    @property
    def wants_tls(self) -> bool:
        """STARTTLS was answered with OK: TLS is to begin now, and `begin_tls` to be called."""
        return self._talk.wants_tls

    @property
    def is_compressed(self) -> bool:
        """COMPRESS was answered with OK: what follows is DEFLATE, in both directions."""
        return self._talk.is_compressed

    @property
    def wants_literal(self) -> bool:
        """An APPEND was begun; its message is to be given to `literal`."""
        return self._talk.appending is not None

    def begin_tls(self) -> None:
        """What the client said of itself in clear is forgotten (RFC 3501 §6.2.1)."""
        self._talk.wants_tls = False
        self._talk.is_encrypted = True

    def greeting(self) -> Response:
        code = CapabilityCode(capabilities(self._talk))
        return Untagged(Condition.OK, f"{auth.SERVER_NAME} is ready", code)

    def handle(self, command: Command) -> AsyncIterator[Response]:
        """The responses to a whole command; of APPEND, the one whose message has come."""
        refusal = self._forbidden(command)
        return only(refusal) if refusal is not None else self._guarded(command, self._answered(command))

    def _answered(self, command: Command) -> AsyncIterator[Response]:
        talk = self._talk
        if talk.view is not None and talk.must_look and names_uids(command):
            return self._answered_after_a_look(command)
        return HANDLERS[type(command)](talk, command)

    async def _answered_after_a_look(self, command: Command) -> AsyncIterator[Response]:
        """What the handler answers, once a look that failed is made up for.

        A client may name uids that the view does not have yet: it has learnt them from APPENDUID or COPYUID, and the
        store went away before the view did. To do nothing for those and say OK would lose what was asked.
        """
        talk = self._talk
        for update in await look(talk, may_expunge=True):
            yield update
        talk.must_look = False
        if self.over:
            return
        async for response in HANDLERS[type(command)](talk, command):
            yield response

    def line(self, line: bytes) -> AsyncIterator[Response]:
        """The responses to the line that `wants_line` asked for."""
        awaited = self._talk.awaited
        assert awaited is not None
        return self._guarded(awaited.command, awaited.take(self._talk, line))

    def refuse_line(self, reason: str) -> Response:
        """The line that `wants_line` asked for cannot be read; its command is over."""
        awaited = self._talk.awaited
        assert awaited is not None
        self._talk.awaited = None
        self._talk.is_idling = False
        return Tagged(awaited.command.tag, Condition.BAD, reason)

    @property
    def append_under_way(self) -> tuple[Tag, AppendMessage]:
        """Which command the message that was announced last is of."""
        appending = self._talk.appending
        assert appending is not None
        return appending.command.tag, appending.message

    async def begin_append(self, command: Append | Replace, *, is_synchronizing: bool) -> AsyncIterator[Response]:
        """Nothing, and `wants_literal` holds; or the refusal, before the client has sent the message."""
        refusal = self._forbidden(command)
        if refusal is not None:
            yield refusal
            return
        try:
            await append.begin_append(self._talk, command, is_synchronizing=is_synchronizing)
        except Exception as error:  # noqa: BLE001 (the door: what is not expected is logged and answered there)
            for response in await self._refused(error, command):
                yield response

    async def next_message(self, message: AppendMessage) -> AsyncIterator[Response]:
        """One message has come, another is announced: nothing, and `wants_literal` holds; or the refusal of all."""
        appending = self._talk.appending
        assert appending is not None
        try:
            await append.next_message(self._talk, message)
        except Exception as error:  # noqa: BLE001 (the door: what is not expected is logged and answered there)
            for response in await self._refused(error, appending.command):
                yield response

    async def literal(self, octets: bytes) -> AsyncIterator[Response]:
        """The next octets of the message; mostly no response. One that comes refuses the APPEND."""
        appending = self._talk.appending
        assert appending is not None
        try:
            append.take_octets(self._talk, octets)
        except Exception as error:  # noqa: BLE001 (the door: what is not expected is logged and answered there)
            for response in await self._refused(error, appending.command):
                yield response

    def end_append(self) -> AsyncIterator[Response]:
        """All messages have come."""
        appending = self._talk.appending
        assert appending is not None
        return self.handle(appending.command)

    def drop_append(self) -> None:
        """The client spoilt its own APPEND; the framer has told it so."""
        append.drop(self._talk)

    async def updates(self) -> list[Response]:
        """What an idling client is to be told now."""
        if not self.has_to_push:
            return []
        return await self._looked(may_expunge=True)

    def forget_saved(self) -> None:
        """A search was refused whose result was to be saved: `$` names nothing now (RFC 5182 §2.1)."""
        if self._talk.view is not None:
            self._talk.view.saved = array("I")

    def bye(self, text: str) -> Response:
        """The last word, when it is the server that ends the session."""
        self._talk.close()
        return Bye(text)

    def close(self) -> None:
        """The connection is gone."""
        self._talk.close()

    def _forbidden(self, command: Command) -> Tagged | None:
        if self._talk.state in ALLOWED_IN[type(command)]:
            return None
        return Tagged(command.tag, Condition.BAD, f"Not allowed {self._talk.state.value}")

    async def _guarded(self, command: Command, responses: AsyncIterator[Response]) -> AsyncIterator[Response]:
        """The responses, updates before the tagged one, and whatever is raised as a tagged response."""
        started = self._clock()
        self._reads = isinstance(command, ONLY_READ)
        outcome = "ok"
        in_response = False
        try:
            async for response in responses:
                match response:
                    case Tagged(condition=condition):
                        outcome = condition.value.decode("ascii").lower()
                        for update in await self._before_end(command):
                            yield update
                        for each in self._synchronised(command, response):
                            yield each
                        continue
                    case FetchStart():
                        in_response = True
                    case FetchEnd():
                        in_response = False
                yield response
        except Exception as error:  # noqa: BLE001 (the door: what is not expected is logged and answered there)
            outcome = "refused"
            refused = await self._refused(error, command)
            if in_response:
                self._talk.is_interrupted = True
            else:
                for response in refused:
                    yield response
        self._reads = False
        name = type(command).__name__.lower()
        metrics.COMMANDS.labels(name, outcome).inc()
        metrics.COMMAND_SECONDS.labels(name).observe(self._clock() - started)

    async def _refused(self, error: Exception, command: Command) -> list[Response]:
        """The end of a command that raised."""
        refusal = self._refusal(error, command)
        updates = await self._before_end(command)
        end = Tagged(command.tag, refusal.condition, refusal.text, refusal.code)
        return [*updates, *self._synchronised(command, end)]

    def _refusal(self, error: Exception, command: Command) -> Refusal:
        name = type(error).__name__
        metrics.REFUSALS.labels(name).inc()
        refusal = refusal_of(error, command)
        if refusal is None:
            self._talk.log.error("a command failed", command=type(command).__name__, exc_info=error)
            return SERVER_BUG
        self._talk.log.info("refused", command=type(command).__name__, refusal=name)
        return refusal

    async def _before_end(self, command: Command) -> list[Response]:
        """What else has happened to the selected mailbox (RFC 3501 §5.2). A failure here does not spoil the command."""
        talk = self._talk
        if talk.view is None or talk.is_idling or isinstance(command, OPENS):
            return []  # what happened since a mailbox was opened is told after the client has heard that it is
        is_due = talk.has_news or self._clock() - talk.looked_at >= LOOK_EVERY_S
        is_ahead = talk.view.sync.heard > talk.view.highest_modseq  # the client: it must learn what comes before
        may_expunge = not holds_back_expunges(command)
        if type(command) in LOOKS_FOR_CHANGES or is_due or is_ahead:
            return await self._looked(may_expunge=may_expunge)
        return talk.view.expunge_ghosts(by_uid=talk.is_qresync) if may_expunge else []

    def _synchronised(self, command: Command, end: Tagged) -> list[Response]:
        """The end of a command, with the HIGHESTMODSEQ that keeps the client from missing anything (RFC 7162 §3.2, §6).

        After an expunge it is asked for (§3.2.7, RFC 6851 §4.4); else one that only knows CONDSTORE is spared it.
        """
        talk = self._talk
        if talk.view is None or not talk.is_condstore:
            return [end]
        only_down = not talk.is_qresync and type(command) not in TELLS_HIGHEST_MODSEQ
        modseq = talk.view.sync.correction(only_down=only_down)
        if modseq is None:
            return [end]
        if end.code is None and end.condition is Condition.OK:
            return [replace(end, code=HighestModseq(modseq))]
        return [Untagged(Condition.OK, "Told so far", HighestModseq(modseq)), end]

    async def _looked(self, *, may_expunge: bool) -> list[Response]:
        talk = self._talk
        talk.must_look = False
        talk.looked_at = self._clock()
        try:
            return await look(talk, may_expunge=may_expunge)
        except StorageError as error:
            talk.must_look = True
            talk.log.warning("cannot look for changes", error=type(error).__name__)
        except Exception:
            talk.log.exception("looking for changes failed")
        return []
