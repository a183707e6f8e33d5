"""A connection to one host on which mail can be sent: opened, used for transactions one after the other, quit."""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import TypeVar

from mailserver.outbound.channel import Channel, Interrupted
from mailserver.outbound.config import ExchangeConfig
from mailserver.outbound.letters import OpenOctets
from mailserver.outbound.outcomes import Reason
from mailserver.outbound.wire.content import ContentWriter
from mailserver.outbound.wire.extensions import NONE_OFFERED, Extensions
from mailserver.outbound.wire.opening import Welcome, opening
from mailserver.outbound.wire.reply_reader import RawReply
from mailserver.outbound.wire.steps import Hear, Say, SendContent, StartTls, Steps, Unwelcome, Wait
from mailserver.outbound.wire.transaction import Peer, Transaction
from storage.errors import StorageError

R = TypeVar("R")


class TlsFailed(Exception):
    """The handshake did not come to an end. `reason` is what OpenSSL says."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Route:
    """One address of a host."""

    host: str
    address: str
    port: int


class Connection:
    """Used by one at a time. `messages` counts what was sent over it, `opened_at` is the loop's time."""

    def __init__(self, channel: Channel, route: Route, config: ExchangeConfig) -> None:
        self._channel = channel
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._waits = _waits(config)
        self.route = route
        self.extensions: Extensions = NONE_OFFERED
        self.tls = ""
        self.messages = 0
        self.opened_at = self._loop.time()
        self._must_reset = False
        self._is_spent = False

    async def open(self, welcome: Welcome, context: ssl.SSLContext | None) -> None:
        """Raises Unwelcome, Interrupted, TlsFailed; the connection is closed then."""
        try:
            async with asyncio.timeout(self._config.opening_timeout_s):
                self.extensions = await self._converse(opening(welcome), tls=context)
        except TimeoutError:
            self._channel.abort()
            raise Interrupted(Reason.TIMED_OUT) from None
        except Unwelcome:
            self._channel.say(b"QUIT\r\n")
            self._channel.flush()
            self._channel.close()
            raise
        except BaseException:
            self._channel.abort()
            raise
        self.tls = self._channel.tls

    @property
    def peer(self) -> Peer:
        return Peer(self.route.host, self.route.address, self.tls)

    @property
    def is_lost(self) -> bool:
        return self._channel.is_lost

    @property
    def is_reusable(self) -> bool:
        """Whether another message may go over it."""
        limit = min(self._config.messages_per_connection, self.extensions.messages_limit or 1_000_000)
        return (
            not self._is_spent
            and self._channel.is_quiet
            and self.messages < limit
            and self._loop.time() - self.opened_at < self._config.connection_life_s
        )

    async def carry(self, transaction: Transaction, open_octets: OpenOctets, deadline: float) -> None:
        """Whatever the host does, the transaction knows it. `deadline` is of the loop's time."""
        self.messages += 1
        try:
            await self._converse(transaction.steps(resets=self._must_reset), open_octets, deadline=deadline)
        except Interrupted as interrupted:
            self._is_spent = True
            self._channel.abort()
            transaction.interrupt(interrupted.reason, interrupted.detail)
        except BaseException:  # cancelled, or a bug of ours: the host must not take the message for whole
            self._is_spent = True
            self._channel.abort()
            transaction.interrupt(Reason.CONNECTION_LOST, "by us")
            raise
        self._must_reset = transaction.leaves_open
        self._is_spent = self._is_spent or transaction.breakage is not None

    async def quit(self) -> None:
        """QUIT, a short wait for the host to agree, and the end."""
        try:
            if not self._channel.is_lost:
                self._channel.say(b"QUIT\r\n")
                with contextlib.suppress(Interrupted):
                    await self._channel.reply(self._config.quit_timeout_s)
        finally:
            self._channel.close()

    def abort(self) -> None:
        self._channel.abort()

    async def _converse(
        self,
        steps: Steps[R],
        open_octets: OpenOctets | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        deadline: float = float("inf"),
    ) -> R:
        """Do what the conversation asks, until it returns."""
        channel = self._channel
        answer: RawReply | bool | None = None
        while True:
            try:
                step = steps.send(answer)
            except StopIteration as end:
                value: R = end.value
                return value
            answer = None
            match step:
                case Hear(wait):
                    answer = await channel.reply(self._patience(self._waits[wait], deadline))
                case Say(octets):
                    channel.say(octets)
                case SendContent():
                    assert open_octets is not None
                    answer = await self._send_content(open_octets, deadline)
                case StartTls():
                    assert tls is not None
                    await self._start_tls(tls)

    async def _start_tls(self, context: ssl.SSLContext) -> None:
        try:
            await self._channel.start_tls(context, self.route.host.strip("[]"), self._config.tls_handshake_timeout_s)
        except TimeoutError:
            raise TlsFailed("no handshake in time") from None
        except OSError as error:
            raise TlsFailed(getattr(error, "reason", None) or type(error).__name__) from None

    async def _send_content(self, open_octets: OpenOctets, deadline: float) -> bool:
        """The message and its end. False if the host answered before: it has refused, and does not wait for the end."""
        channel, block_s = self._channel, self._config.block_timeout_s
        writer = ContentWriter()
        pieces = open_octets()
        try:
            async for piece in pieces:
                channel.say(writer.encode(piece))
                await channel.room(self._patience(block_s, deadline))
                if channel.has_reply:
                    return False
                if channel.is_lost:
                    raise Interrupted(Reason.CONNECTION_LOST, "within the message")
        except StorageError as error:
            raise Interrupted(Reason.CONTENT_UNAVAILABLE, type(error).__name__) from None
        finally:
            if isinstance(pieces, AsyncGenerator):
                await pieces.aclose()
        if channel.is_lost:
            raise Interrupted(Reason.CONNECTION_LOST, "before the message")
        channel.say(writer.end())
        channel.flush()
        return True

    def _patience(self, wait_s: float, deadline: float) -> float:
        if deadline == float("inf"):
            return wait_s
        return max(0.0, min(wait_s, deadline - self._loop.time()))


def _waits(config: ExchangeConfig) -> dict[Wait, float]:
    return {
        Wait.GREETING: config.greeting_timeout_s,
        Wait.HELLO: config.hello_timeout_s,
        Wait.COMMAND: config.command_timeout_s,
        Wait.DATA: config.data_timeout_s,
        Wait.END: config.end_timeout_s,
    }
