"""AUTH on one connection: the exchange that goes on, failures, the seat of who signed in (RFC 4954)."""

from base64 import b64encode
from collections.abc import Awaitable, Callable

from structlog.typing import FilteringBoundLogger

from mailserver.sasl import decode_response
from mailserver.services.errors import LoginFailed, LoginRefused, TooManyConnections
from mailserver.services.exchanges import Exchange
from mailserver.smtp import replies
from mailserver.smtp.config import SmtpConfig
from mailserver.smtp.errors import MechanismUnknown
from mailserver.smtp.ports import SignIn
from mailserver.smtp.replies import Reply
from mailserver.smtp.transaction import Client
from mailserver.smtp.wire.commands import Auth
from storage.errors import StoreUnavailable


class Authentication:
    """`begin` where AUTH may stand, `respond` while `is_in_exchange`. Writes who it is into `client`.

    `is_over` says that the connection must end.
    """

    def __init__(
        self,
        client: Client,
        config: SmtpConfig,
        sign_in: SignIn,
        *,
        pause: Callable[[float], Awaitable[object]],
        log: FilteringBoundLogger,
    ) -> None:
        self._client = client
        self._config = config
        self._sign_in = sign_in
        self._pause = pause
        self._log = log
        self._exchange: Exchange | None = None
        self._leave: Callable[[], None] | None = None
        self._failures = 0
        self.is_over = False

    @property
    def is_in_exchange(self) -> bool:
        """A challenge was sent, and the next line answers it."""
        return self._exchange is not None

    async def begin(self, command: Auth) -> Reply:
        """Raises MechanismUnknown, and as `respond`."""
        exchange = self._sign_in.begin(command.mechanism, network=self._client.address)
        if exchange is None:
            raise MechanismUnknown
        initial = command.initial_response
        return await self._advance(exchange, decode_response(initial) if initial is not None else None)

    async def respond(self, line: bytes) -> Reply:
        """Raises SaslError, and then the exchange is over."""
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        return await self._advance(exchange, decode_response(line))

    def abandon(self) -> None:
        self._exchange = None

    def close(self) -> None:
        """The connection is gone."""
        self._exchange = None
        if self._leave is not None:
            self._leave()
            self._leave = None

    async def _advance(self, exchange: Exchange, response: bytes | None) -> Reply:
        try:
            principal = await exchange.respond(response)
        except (LoginFailed, LoginRefused) as error:
            return await self._failed(error)
        except StoreUnavailable:
            return replies.AUTH_UNAVAILABLE
        if isinstance(principal, bytes):
            self._exchange = exchange
            return replies.challenge(b64encode(principal))
        try:
            self._leave = self._sign_in.enter(principal, network=self._client.address, end=self._client.sign_out)
        except TooManyConnections as error:
            self.is_over = True
            return replies.for_error(error)
        self._client.principal = principal
        return replies.SIGNED_IN

    async def _failed(self, error: LoginFailed | LoginRefused) -> Reply:
        self._failures += 1
        self._log.info("sign-in failed", reason=type(error).__name__, failures=self._failures)
        await self._pause(self._config.auth_failure_delay_s * self._failures)
        if self._failures >= self._config.auth_failures_limit:
            self.is_over = True
            return replies.TOO_MANY_SIGN_INS
        return replies.for_error(error)
