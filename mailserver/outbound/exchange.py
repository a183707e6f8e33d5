"""Brings a message to the hosts of a site: one outcome for each recipient, whatever happens on the way.

What may be tried again at once, and what may not:
* A connection kept from earlier that breaks, with 421 or without a word, is replaced by a fresh one: the host had its
  reasons to hang up, and they are not this message's.
* On a fresh connection, as long as MAIL was not accepted, the next address is tried.
* After the end of data nothing is sent again: no reply means "perhaps taken", and the queue decides.
"""

import asyncio
from collections.abc import Sequence

from mailserver.outbound.config import ExchangeConfig
from mailserver.outbound.connection import Connection, Route
from mailserver.outbound.connector import Connector, NoConnection
from mailserver.outbound.letters import Addressee, Letter, OpenOctets
from mailserver.outbound.metrics import RECIPIENTS, SECONDS, TRANSACTIONS
from mailserver.outbound.outcomes import Deferred, Delivered, Failed, Outcome, Reason, of_fact, of_several
from mailserver.outbound.pool import Pool, pool_key
from mailserver.outbound.sites import Site
from mailserver.outbound.wire.transaction import Transaction


class CutOff(asyncio.CancelledError):
    """It was cancelled. `outcomes` has None for who was not settled: the others have the message, or perhaps."""

    def __init__(self, outcomes: list[Outcome | None]) -> None:
        super().__init__()
        self.outcomes = outcomes


class Exchange:
    """Keeps connections open between messages. How many run at once for a site is for the caller to limit."""

    def __init__(self, hostname: str, config: ExchangeConfig) -> None:
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._connector = Connector(hostname, config)
        self._pool = Pool(config)

    async def exchange(
        self, site: Site, letter: Letter, addressees: Sequence[Addressee], open_octets: OpenOctets
    ) -> list[Outcome]:
        """The outcomes in the order of the addressees. Raises nothing but what is a bug, and CutOff when cancelled.

        It ends after `message_timeout_s` and the time that opening connections takes.
        """
        began_at = self._loop.time()
        errand = _Errand(addressees)
        try:
            await self._run(errand, site, letter, open_octets, began_at + self._config.message_timeout_s)
        except asyncio.CancelledError:
            raise CutOff(errand.so_far()) from None
        SECONDS.labels().observe(self._loop.time() - began_at)
        outcomes = errand.finished()
        for outcome in outcomes:
            RECIPIENTS.labels(_WORDS[type(outcome)]).inc()
        return outcomes

    async def close(self) -> None:
        """Quit the connections that are kept open. No exchange may be under way."""
        await self._pool.close()

    async def _run(
        self, errand: "_Errand", site: Site, letter: Letter, open_octets: OpenOctets, deadline: float
    ) -> None:
        key = pool_key(site)
        routes: list[Route] | None = None
        may_reuse = True
        trouble: Deferred | Failed | None = None
        while errand.pending:
            if self._loop.time() >= deadline:
                errand.give_up(of_fact(Reason.TIMED_OUT, site.key))
                return
            connection = self._pool.take(key) if may_reuse else None
            is_reused = connection is not None
            if connection is None:
                routes = self._connector.routes(site) if routes is None else routes
                try:
                    connection = await self._connector.open(site, routes)
                except NoConnection as failure:
                    errand.give_up(of_several(trouble, failure.outcome))
                    return
            chunk = errand.next_chunk(self._chunk_size(connection))
            transaction = Transaction(
                letter, [errand.addressees[index] for index in chunk], connection.extensions, connection.peer
            )
            TRANSACTIONS.labels("reused" if is_reused else "new").inc()
            try:
                await connection.carry(transaction, open_octets, deadline)
            except asyncio.CancelledError:
                errand.record(chunk, transaction)
                raise
            self._pool.give_back(key, connection)
            errand.record(chunk, transaction)
            if transaction.breakage is None:
                continue
            if transaction.breakage.reason is Reason.CONTENT_UNAVAILABLE:
                errand.give_up(transaction.breakage)
            elif is_reused:
                may_reuse = False
            else:
                assert routes is not None
                trouble = of_several(trouble, transaction.breakage)
                routes.remove(connection.route)
                if transaction.has_begun or not routes:
                    errand.give_up(trouble)

    def _chunk_size(self, connection: Connection) -> int:
        return min(self._config.recipients_limit, connection.extensions.recipients_limit or 1_000_000)


class _Errand:
    """The recipients of one message, and who of them is settled."""

    def __init__(self, addressees: Sequence[Addressee]) -> None:
        self.addressees = addressees
        self.pending = list(range(len(addressees)))
        self._outcomes: list[Outcome | None] = [None] * len(addressees)

    def next_chunk(self, size: int) -> list[int]:
        return self.pending[:size]

    def record(self, chunk: Sequence[int], transaction: Transaction) -> None:
        """Who was one too many goes again at once while each transaction delivers something (RFC 5321 §4.5.3.1.10)."""
        goes_on = transaction.delivered > 0
        for index, outcome in zip(chunk, transaction.outcomes, strict=True):
            is_one_too_many = isinstance(outcome, Deferred) and outcome.reason is Reason.TOO_MANY_RECIPIENTS
            if not (is_one_too_many and goes_on):
                self._outcomes[index] = outcome
        self.pending = [index for index in self.pending if self._outcomes[index] is None]

    def give_up(self, outcome: Deferred | Failed) -> None:
        for index in self.pending:
            self._outcomes[index] = outcome
        self.pending = []

    def so_far(self) -> list[Outcome | None]:
        return list(self._outcomes)

    def finished(self) -> list[Outcome]:
        return [outcome for outcome in self._outcomes if outcome is not None]


_WORDS: dict[type[Outcome], str] = {Delivered: "delivered", Deferred: "deferred", Failed: "failed"}
