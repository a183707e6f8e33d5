"""Attempts to sign in and what failed ones lead to: counting, refusing unseen, holding answers back (`throttle`).

A guess is an account and a password. One that was made already within the memory of the counts is counted no more: a
telephone that keeps an old password is one guess however often it tries, and locks nobody out. It tells a guesser
nothing new either. Each is kept as a digest under a key of the installation.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Self
from weakref import WeakValueDictionary

from mailserver.observability.metrics import counter
from mailserver.sasl import SaslMalformed, prepare
from mailserver.services.errors import LoginThrottled
from mailserver.services.failure_counts import FailureCounts, account_key, network_key, pair_key, second_factor_key
from mailserver.services.throttle import (
    Failures,
    Networks,
    Standing,
    ThrottleConfig,
    delay_s,
    networks_of,
    refused_for_s,
)
from tenants.addresses import parse_address
from tenants.errors import AddressInvalid
from tenants.types import AccountId, LoginRecord

SIGN_INS = counter("sign_ins", "Sign-ins by how they ended.", "outcome")


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try, and the names of the counts it is judged by."""

    record: LoginRecord | None
    networks: Networks
    account: str
    pair: str
    counted: tuple[str, ...]

    @classmethod
    def of(cls, record: LoginRecord | None, address: str, peer: str) -> Self:
        """`address` is what the client said; it counts where there is no such account."""
        networks = networks_of(peer)
        account = account_key(record.account_id if record is not None else None, one_spelling(address))
        pair = pair_key(account, networks.narrow)
        counted_networks = [network_key(network) for network in (networks.narrow, networks.wide) if network]
        return cls(record, networks, account, pair, (pair, account, *counted_networks))

    @classmethod
    def at_second_factor(cls, account_id: AccountId, peer: str) -> Self:
        """By counts of their own: whoever knows the password, and so clears its counts at will, still gets no more
        tries at the codes."""
        networks = networks_of(peer)
        account = second_factor_key(account_id)
        pair = pair_key(account, networks.narrow)
        counted_networks = [network_key(network) for network in (networks.narrow, networks.wide) if network]
        return cls(None, networks, account, pair, (pair, account, *counted_networks))


def one_spelling(address: str) -> str:
    """The same for all spellings of an address, whose it may be or nobody's: where only those of somebody's were one,
    they would tell that there is somebody."""
    try:
        return str(parse_address(prepare(address)))
    except (AddressInvalid, SaslMalformed):
        return address.casefold()


class Attempts:
    """One per process. `guess_key` is secret, and the same in all processes that share counts."""

    def __init__(
        self,
        counts: FailureCounts,
        config: ThrottleConfig,
        *,
        guess_key: bytes,
        tarpits_limit: int,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._counts = counts
        self._config = config
        self._guess_key = guess_key
        self._tarpits_limit = tarpits_limit
        self._clock = clock
        self._sleep = sleep
        self._tarpits = 0
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def in_turn(self, attempt: Attempt) -> AsyncIterator[None]:
        """One attempt at an account at a time, in this process: of many at once, each has leave by what came before."""
        turn = self._turns.setdefault(attempt.account, asyncio.Lock())
        async with turn:
            yield

    async def demand_leave(self, attempt: Attempt) -> Standing:
        """How the attempt stands, if it may be made. Raises LoginThrottled."""
        standing = await self._standing(attempt, await self._counts.look(attempt.counted))
        retry_after_s = refused_for_s(standing, self._config, self._clock())
        if retry_after_s > 0:
            SIGN_INS.labels("throttled").inc()
            raise LoginThrottled(retry_after_s)
        return standing

    async def note_failure(self, attempt: Attempt, password: str | None) -> float:
        """How long to hold the answer back. Counted before anything is answered, so that hanging up early hides
        nothing. A `password` of None is one that cannot be told from others (SCRAM): every failure counts."""
        guess = self._digest(attempt, password) if password is not None else None
        counts = await self._counts.add(attempt.counted, guess=guess)
        if attempt.networks.narrow is not None:
            await self._counts.note_place(attempt.account, attempt.networks.narrow)
        return delay_s(await self._standing(attempt, counts), self._config)

    async def note_success(self, attempt: Attempt, standing: Standing) -> None:
        """What the pair did wrong before is forgotten, and its network is known from now on."""
        if standing.pair.count:
            await self._counts.clear(attempt.pair)
        if not standing.is_known_pair:
            await self._counts.make_known(attempt.pair)

    async def hold_back(self, seconds: float) -> None:
        if seconds <= 0 or self._tarpits >= self._tarpits_limit:
            return
        self._tarpits += 1
        try:
            await self._sleep(seconds)
        finally:
            self._tarpits -= 1

    def _digest(self, attempt: Attempt, password: str) -> str:
        text = f"{attempt.account}\0{password}".encode(errors="surrogatepass")
        return hashlib.blake2b(text, key=self._guess_key, digest_size=16).hexdigest()

    async def _standing(self, attempt: Attempt, counts: list[Failures]) -> Standing:
        failures = dict(zip(attempt.counted, counts, strict=True))
        return Standing(
            pair=failures[attempt.pair],
            account=failures[attempt.account],
            network=failures.get(network_key(attempt.networks.narrow), Failures()),
            wide_network=failures.get(network_key(attempt.networks.wide), Failures()),
            is_known_pair=await self._counts.is_known(attempt.pair),
        )
