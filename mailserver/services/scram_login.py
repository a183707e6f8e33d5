"""Signing in by SCRAM-SHA-256, message by message: the password itself is never seen (RFC 5802).

Somebody who does not exist, or of whom nothing is kept for SCRAM yet, is given a salt that is the same at every try
and for every spelling of the name, and then fails as a wrong password does.
"""

import base64
import hmac
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from mailserver.sasl import SaslMalformed
from mailserver.scram import Offer, find_proven, offer, parse_client_first
from mailserver.services.attempts import SIGN_INS, Attempt, Attempts, one_spelling
from mailserver.services.errors import LoginFailed
from tenants.scram_keys import SALT_OCTETS
from tenants.types import OWN_PASSWORD, Credential, LoginRecord, Principal, Salting, ScramKeys

NONCE_OCTETS = 18


@dataclass(frozen=True, slots=True)
class _Begun:
    attempt: Attempt
    offered: Offer
    candidates: dict[ScramKeys, Credential]


class ScramSignIn:
    """`respond` to each decoded response of the client: octets are the next challenge, a Principal is the end."""

    def __init__(
        self,
        *,
        find: Callable[[str], Awaitable[LoginRecord | None]],
        attempts: Attempts,
        admit: Callable[[LoginRecord, Credential], Principal],
        failed: Callable[[Attempt, float], Awaitable[None]],
        secret: bytes,
        iterations: int,
        network: str,
    ) -> None:
        self._find = find
        self._attempts = attempts
        self._admit = admit
        self._failed = failed
        self._secret = secret
        self._iterations = iterations
        self._network = network
        self._begun: _Begun | None = None
        self._admitted: Principal | None = None

    async def respond(self, response: bytes) -> bytes | Principal:
        """Raises SaslMalformed, AuthorizationIdentityRefused, LoginFailed, LoginThrottled, LoginRefused,
        StoreUnavailable."""
        if self._admitted is not None:
            if response:
                raise SaslMalformed("the last response of SCRAM is empty")
            return self._admitted
        if self._begun is None:
            self._begun = await self._begin(response)
            return self._begun.offered.message.encode()
        return await self._end(self._begun, response)

    async def _begin(self, response: bytes) -> _Begun:
        first = parse_client_first(response)
        record = await self._find(first.username)
        salting = (record.salting if record is not None else None) or self._salting_of_nobody(first.username)
        nonce = base64.b64encode(secrets.token_bytes(NONCE_OCTETS)).decode()
        candidates: dict[ScramKeys, Credential] = {}
        if record is not None:
            if record.scram is not None:
                candidates[record.scram] = OWN_PASSWORD
            candidates.update({each.scram: each.credential for each in record.app_passwords})
        attempt = Attempt.of(record, first.username, self._network)
        return _Begun(attempt, offer(first, nonce, salting), candidates)

    async def _end(self, begun: _Begun, response: bytes) -> bytes:
        standing = await self._attempts.demand_leave(begun.attempt)
        proven = find_proven(begun.offered, response, begun.candidates)
        if proven is None or begun.attempt.record is None:
            await self._failed(begun.attempt, await self._attempts.note_failure(begun.attempt, None))
            raise LoginFailed
        keys, server_final = proven
        await self._attempts.note_success(begun.attempt, standing)
        SIGN_INS.labels("scram").inc()
        self._admitted = self._admit(begun.attempt.record, begun.candidates[keys])
        return server_final

    def _salting_of_nobody(self, username: str) -> Salting:
        name = one_spelling(username).encode(errors="surrogatepass")
        return Salting(hmac.digest(self._secret, b"salt\0" + name, "sha256")[:SALT_OCTETS], self._iterations)
