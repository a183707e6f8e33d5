"""Asks DNS and remembers the answers as long as they hold, those that say "there is none" too (RFC 2308).

A question goes to the resolvers in turn by UDP, again by TCP when the answer did not fit, and is asked once however
many wait for it. Resolvers are trusted to recurse; aliases they leave open are followed here.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import dns.resolver

from mailserver.outbound.config import ResolverConfig
from mailserver.outbound.dns_answers import Alias, Answer, AnswerUnusable, RecordKind, is_host_name, read_response
from mailserver.outbound.metrics import QUESTIONS
from mailserver.tasks import end_task

TRIES = 3  # of each resolver, while there is time
EDNS_OCTETS = 1232  # larger answers come by TCP; this size is never fragmented (DNS flag day 2020)


class LookupFailed(Exception):
    """No answer, or one that says that there is none now. A later question may be answered."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


@dataclass(frozen=True, slots=True)
class _Remembered:
    until: float
    what: Answer | str  # str: why the lookup failed


_Question = tuple[str, RecordKind]


class Resolver:
    """One for a process. `lookup` may be called any number of times at once."""

    def __init__(self, config: ResolverConfig, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._config = config
        self._clock = clock
        self._servers = _servers(config)
        self._remembered: OrderedDict[_Question, _Remembered] = OrderedDict()
        self._asked: dict[_Question, asyncio.Task[Answer]] = {}
        self._room = asyncio.Semaphore(config.questions_limit)

    async def lookup(self, name: str, kind: RecordKind) -> Answer:
        """The records of a name (A-label, lower case). Raises LookupFailed."""
        question = (name, kind)
        known = self._remembered.get(question)
        if known is not None and known.until > self._clock():
            self._remembered.move_to_end(question)
            if isinstance(known.what, str):
                raise LookupFailed(name, known.what)
            return known.what
        task = self._asked.get(question)
        if task is None:
            task = self._asked[question] = asyncio.create_task(self._find_out(question), name=f"lookup {name}")
            task.add_done_callback(lambda done: self._forget_task(question, done))
        return await asyncio.shield(task)  # one of those who wait may be cancelled

    async def close(self) -> None:
        for task in list(self._asked.values()):
            await end_task(task)

    def _forget_task(self, question: _Question, task: "asyncio.Task[Answer]") -> None:
        self._asked.pop(question, None)
        if not task.cancelled():
            task.exception()  # nobody may be left to read it

    async def _find_out(self, question: _Question) -> Answer:
        name, kind = question
        try:
            # the time counts from the question: one that waits for others to end has not failed
            async with self._room, asyncio.timeout(self._config.timeout_s):
                answer, ttl_s = await self._follow(name, kind)
        except TimeoutError:
            raise self._failed(question, "no answer in time") from None
        except AnswerUnusable as unusable:
            raise self._failed(question, unusable.reason) from None
        longest_s = self._config.longest_ttl_s if answer.records else self._config.longest_negative_ttl_s
        self._remember(question, answer, min(ttl_s, longest_s))
        QUESTIONS.labels("found" if answer.records else "none").inc()
        return answer

    def _failed(self, question: _Question, reason: str) -> LookupFailed:
        self._remember(question, reason, 0.0)
        QUESTIONS.labels("failed").inc()
        return LookupFailed(question[0], reason)

    def _remember(self, question: _Question, what: Answer | str, ttl_s: float) -> None:
        until = self._clock() + max(ttl_s, self._config.least_ttl_s)
        self._remembered[question] = _Remembered(until, what)
        self._remembered.move_to_end(question)
        while len(self._remembered) > self._config.cache_entries:
            self._remembered.popitem(last=False)

    async def _follow(self, name: str, kind: RecordKind) -> tuple[Answer, float]:
        """Ask, and ask for the target while the answer is an alias alone."""
        ttl_s = float("inf")
        seen = {name}
        while True:
            found, holds_s = await self._ask(name, kind)
            ttl_s = min(ttl_s, holds_s)
            if isinstance(found, Answer):
                return found, ttl_s
            name = found.target
            if name in seen:
                raise AnswerUnusable("aliases in a circle")
            if len(seen) > self._config.aliases_limit:
                raise AnswerUnusable("too many aliases")
            if not is_host_name(name):
                return Answer((), exists=False), ttl_s
            seen.add(name)

    async def _ask(self, name: str, kind: RecordKind) -> tuple[Answer | Alias, float]:
        """The first resolver that answers counts; one that fails is not asked this again, one that is silent is."""
        trouble = "no resolver is known"
        servers = list(self._servers)
        for _ in range(TRIES):
            for server in list(servers):
                try:
                    return read_response(await self._query(server, name, kind), name, kind)
                except AnswerUnusable as unusable:
                    trouble = unusable.reason
                    servers.remove(server)
                except dns.exception.Timeout:
                    trouble = "no answer in time"
                except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
                    trouble = f"no usable answer ({type(error).__name__})"
        raise AnswerUnusable(trouble)

    async def _query(self, server: tuple[str, int], name: str, kind: RecordKind) -> dns.message.Message:
        query = dns.message.make_query(name, kind.value, use_edns=0, payload=EDNS_OCTETS)
        response = await self._exchange(server, query)
        if response.rcode() == dns.rcode.FORMERR:  # from before EDNS (RFC 6891 §7)
            response = await self._exchange(server, dns.message.make_query(name, kind.value))
        return response

    async def _exchange(self, server: tuple[str, int], query: dns.message.Message) -> dns.message.Message:
        host, port = server
        response, _ = await dns.asyncquery.udp_with_fallback(
            query, host, self._config.try_timeout_s, port, ignore_unexpected=True, ignore_errors=True
        )
        return response


def _servers(config: ResolverConfig) -> tuple[tuple[str, int], ...]:
    if config.server is not None:
        return ((config.server.host, config.server.port),)
    try:
        system = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return ()
    return tuple((str(server), system.port) for server in system.nameservers)
