"""Counts of failed sign-ins: shared by all processes through Redis, and kept here as well for when it is away.

Keys are digests, because an address may be of any length and is nobody's business in Redis. Every count is forgotten
some time after its last failure; how long ago that was is read from what is left of its life.

A count that was cleared leaves a mark in Redis for as long as a count lives, so that other processes forget what they
remember from before. From where somebody failed is kept as well, for administrators to see.
"""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from redis.asyncio import Redis
from redis.exceptions import RedisError

from mailserver.observability.logs import get_logger
from mailserver.observability.repeats import Repeats
from mailserver.services.throttle import Failures

PLACES_KEPT = 50
AWAY_FOR_S = 2.0  # after Redis failed it is left alone this long, so that sign-ins do not wait for it one by one

log = get_logger()


def account_key(account_id: int | None, address: str) -> str:
    """Failures of an account; where there is none, of the address that was tried."""
    return f"account {account_id}" if account_id is not None else f"address {address.casefold()[:320]}"


def second_factor_key(account_id: int) -> str:
    """Wrong codes of an account, beside its wrong passwords."""
    return f"second factor of account {account_id}"


def network_key(network: str | None) -> str:
    return f"network {network}"


def pair_key(account: str, network: str | None) -> str:
    """Failures of one account from one network; `account` is what `account_key` gave."""
    return f"pair {account} {network}"


class FailureCounts(Protocol):
    """Where counts are kept. No method raises."""

    async def look(self, keys: Sequence[str]) -> list[Failures]: ...

    async def add(self, keys: Sequence[str], *, guess: str | None = None) -> list[Failures]:
        """Count one failure for each key and return the counts with it; a guess that was counted already is not."""

    async def note_place(self, account: str, network: str) -> None:
        """From where it failed; the last PLACES_KEPT are kept."""

    async def places(self, account: str) -> list[str]:
        """The networks an account failed from lately."""

    async def remember(self, token: str, for_s: float) -> None:
        """Something that only who knows the installation's secret could have made a token of."""

    async def remembers(self, token: str) -> bool: ...

    async def clear(self, key: str) -> None: ...

    async def is_known(self, pair: str) -> bool: ...

    async def make_known(self, pair: str) -> None: ...


class LocalFailureCounts:
    """In this process's memory, bounded: the counts that were touched longest ago are forgotten first."""

    def __init__(self, *, forget_after_s: float, known_for_s: float, limit: int, clock: Callable[[], float]) -> None:
        self._forget_after_s = forget_after_s
        self._known_for_s = known_for_s
        self._limit = limit
        self._clock = clock
        self._failures: OrderedDict[str, Failures] = OrderedDict()
        self._known: OrderedDict[str, float] = OrderedDict()
        self._guesses: OrderedDict[str, float] = OrderedDict()

    async def look(self, keys: Sequence[str]) -> list[Failures]:
        return [self._now(key) for key in keys]

    async def add(self, keys: Sequence[str], *, guess: str | None = None) -> list[Failures]:
        if guess is not None and self._was_guessed(guess):
            return await self.look(keys)
        counted = [Failures(self._now(key).count + 1, self._clock()) for key in keys]
        for key, failures in zip(keys, counted, strict=True):
            self._failures[key] = failures
            self._failures.move_to_end(key)
        while len(self._failures) > self._limit:
            self._failures.popitem(last=False)
        return counted

    async def note_place(self, account: str, network: str) -> None:
        """Nobody could ask a process for what only it knows."""

    async def places(self, account: str) -> list[str]:
        return []

    async def remember(self, token: str, for_s: float) -> None:
        """Nothing: each process remembers for itself."""

    async def remembers(self, token: str) -> bool:
        return False

    def forget_before(self, key: str, moment: float) -> None:
        if key in self._failures and self._failures[key].last_at <= moment:
            del self._failures[key]

    async def clear(self, key: str) -> None:
        self._failures.pop(key, None)

    async def is_known(self, pair: str) -> bool:
        return self._clock() < self._known.get(pair, 0.0)

    async def make_known(self, pair: str) -> None:
        self._known[pair] = self._clock() + self._known_for_s
        self._known.move_to_end(pair)
        while len(self._known) > self._limit:
            self._known.popitem(last=False)

    def _was_guessed(self, guess: str) -> bool:
        """And is, from now on."""
        was_guessed = self._clock() < self._guesses.get(guess, float("-inf"))
        self._guesses[guess] = self._clock() + self._forget_after_s
        self._guesses.move_to_end(guess)
        if len(self._guesses) > self._limit:
            self._guesses.popitem(last=False)
        return was_guessed

    def _now(self, key: str) -> Failures:
        failures = self._failures.get(key)
        if failures is None or self._clock() - failures.last_at >= self._forget_after_s:
            return Failures()
        return failures


class SharedFailureCounts:
    """In Redis, and in `local` too; when Redis does not answer, `local` alone decides."""

    def __init__(
        self,
        redis: Redis,
        local: LocalFailureCounts,
        *,
        forget_after_s: float,
        known_for_s: float,
        timeout_s: float,
        clock: Callable[[], float],
        prefix: str = "waypost:login:",
    ) -> None:
        self._redis = redis
        self._prefix = prefix
        self._local = local
        self._forget_after_ms = int(forget_after_s * 1000)
        self._known_for_s = int(known_for_s)
        self._timeout_s = timeout_s
        self._clock = clock
        self._away_until = float("-inf")
        self._repeats = Repeats(time.monotonic)

    async def look(self, keys: Sequence[str]) -> list[Failures]:
        replies = await self._ask([command for key in keys for command in self._questions(key)])
        return await self._joined(keys, replies)

    async def add(self, keys: Sequence[str], *, guess: str | None = None) -> list[Failures]:
        if guess is not None:
            replies = await self._ask([("SET", self._guess(guess), 1, "PX", self._forget_after_ms, "GET")])
            if replies and replies[0] is not None:
                return await self.look(keys)
        before = await self.look(keys)  # forgets what was cleared elsewhere
        local = await self._local.add(keys, guess=guess)
        commands: list[tuple[str | int, ...]] = []
        for key in keys:
            commands += [("INCR", self._count(key)), ("PEXPIRE", self._count(key), self._forget_after_ms)]
        replies = await self._ask(commands)
        if replies is None:
            return [max(pair, key=_count_of) for pair in zip(local, before, strict=True)]
        now = self._clock()
        shared = [Failures(int(count), now) for count in replies[::2]]
        return [max(pair, key=_count_of) for pair in zip(local, shared, strict=True)]

    async def note_place(self, account: str, network: str) -> None:
        key = self._places(account)
        await self._ask(
            [
                ("ZADD", key, int(time.time() * 1000), network),
                ("ZREMRANGEBYRANK", key, 0, -1 - PLACES_KEPT),
                ("PEXPIRE", key, self._forget_after_ms),
            ]
        )

    async def places(self, account: str) -> list[str]:
        replies = await self._ask([("ZREVRANGE", self._places(account), 0, -1)])
        return [each.decode() if isinstance(each, bytes) else str(each) for each in replies[0]] if replies else []

    async def remember(self, token: str, for_s: float) -> None:
        await self._ask([("SET", f"{self._prefix}right:{token}", 1, "PX", int(for_s * 1000))])

    async def remembers(self, token: str) -> bool:
        replies = await self._ask([("EXISTS", f"{self._prefix}right:{token}")])
        return bool(replies and replies[0])

    async def clear(self, key: str) -> None:
        await self._local.clear(key)
        await self._ask([("DEL", self._count(key)), ("SET", self._cleared(key), 1, "PX", self._forget_after_ms)])

    async def is_known(self, pair: str) -> bool:
        if await self._local.is_known(pair):
            return True
        replies = await self._ask([("EXISTS", self._known(pair))])
        return bool(replies and replies[0])

    async def make_known(self, pair: str) -> None:
        await self._local.make_known(pair)
        await self._ask([("SET", self._known(pair), 1, "EX", self._known_for_s)])

    def _count(self, key: str) -> str:
        return f"{self._prefix}failed:{_digest(key)}"

    def _cleared(self, key: str) -> str:
        return f"{self._prefix}cleared:{_digest(key)}"

    def _known(self, pair: str) -> str:
        return f"{self._prefix}known:{_digest(pair)}"

    def _guess(self, guess: str) -> str:
        return f"{self._prefix}guess:{guess}"

    def _places(self, account: str) -> str:
        return f"{self._prefix}places:{_digest(account)}"

    def _questions(self, key: str) -> list[tuple[str | int, ...]]:
        return [("GET", self._count(key)), ("PTTL", self._count(key)), ("PTTL", self._cleared(key))]

    async def _joined(self, keys: Sequence[str], replies: list[Any] | None) -> list[Failures]:
        """The greater count of each key: Redis may have lost what this process remembers. But not what it remembers
        from before the count was cleared."""
        if replies is None:
            return await self._local.look(keys)
        now = self._clock()
        shared = []
        for key, count, left_ms, cleared_left_ms in zip(keys, replies[::3], replies[1::3], replies[2::3], strict=True):
            if cleared_left_ms > 0:
                self._local.forget_before(key, now - max(0, self._forget_after_ms - cleared_left_ms) / 1000)
            last_at = now - max(0, self._forget_after_ms - left_ms) / 1000
            shared.append(Failures(int(count), last_at) if count else Failures())
        return [max(pair, key=_count_of) for pair in zip(shared, await self._local.look(keys), strict=True)]

    async def _ask(self, commands: Sequence[tuple[str | int, ...]]) -> list[Any] | None:
        """One round trip; None if Redis is away."""
        if time.monotonic() < self._away_until:
            return None
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        try:
            async with asyncio.timeout(self._timeout_s):
                replies: list[Any] = await pipeline.execute()
        except (RedisError, OSError) as error:
            self._away_until = time.monotonic() + AWAY_FOR_S
            if (left_out := self._repeats.worth_saying("redis")) is not None:
                log.warning("login failures are counted without Redis", error=type(error).__name__, left_out=left_out)
            return None
        self._repeats.forget("redis")
        return replies


def _digest(key: str) -> str:
    return hashlib.blake2b(key.encode(errors="surrogatepass"), digest_size=16).hexdigest()


def _count_of(failures: Failures) -> int:
    return failures.count
