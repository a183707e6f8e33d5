"""One message on its way in, from 354 or the first BDAT to the reply: spooled, judged, handed over, written down."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from structlog.typing import FilteringBoundLogger

from mailserver.services.spool import Spool
from mailserver.smtp import replies
from mailserver.smtp.config import SmtpConfig
from mailserver.smtp.metrics import DoorMetrics
from mailserver.smtp.replies import Reply
from mailserver.smtp.rules import Rules
from mailserver.smtp.transaction import Arrival, Client, Transaction
from mailserver.smtp.wire.message_text import Fault
from storage.errors import KeyUnusable

LOGGED_RECIPIENTS = 20


class Reception:
    """`take` its octets, then `finish`; `close` however it ends."""

    def __init__(
        self,
        transaction: Transaction,
        rules: Rules,
        client: Client,
        config: SmtpConfig,
        *,
        received_at: datetime,
        monotonic: Callable[[], float],
        metrics: DoorMetrics,
        log: FilteringBoundLogger,
    ) -> None:
        self._transaction = transaction
        self._rules = rules
        self._client = client
        self._config = config
        self._monotonic = monotonic
        self._metrics = metrics
        self._log = log
        self._arrival = Arrival(
            Spool(memory_limit_octets=config.spool_memory_limit_octets, directory=config.spool_directory),
            received_at=received_at,
            began_at_s=monotonic(),
            header_limit_octets=config.header_limit_octets,
            on_header=self._complete_header,
        )

    @property
    def began_at_s(self) -> float:
        return self._arrival.began_at_s

    def take(self, octets: bytes) -> None:
        arrival = self._arrival
        if arrival.refusal is not None:
            return
        try:
            arrival.write(octets)
        except Exception as error:  # noqa: BLE001 (answered at the end of data, which must come first)
            arrival.refusal = refuse(error, self._log)
            arrival.spool.close()

    def refusal(self, fault: Fault | None) -> Reply | None:
        """Why what was taken so far is refused, or None."""
        return self._faulty(fault) if fault is not None else self._arrival.refusal

    async def finish(self, fault: Fault | None) -> Sequence[Reply]:
        """It is whole: one reply, or with LMTP one for each accepted recipient."""
        answers = await self._settle(fault)
        if self._rules.is_lmtp and len(answers) != len(self._transaction.accepted):
            answers = tuple(answers[0] for _ in self._transaction.accepted)
        return answers

    def report(self, answers: Sequence[Reply]) -> None:
        """For the log and the metrics."""
        transaction = self._transaction
        seconds = self._monotonic() - self._arrival.began_at_s
        accepted = sum(answer.code == 250 for answer in answers)
        octets = self._arrival.spool.octets_written
        self._metrics.observe_data(seconds)
        facts = {"message_id": transaction.message_id, "octets": octets, "seconds": round(seconds, 6)}
        if not accepted:
            code, enhanced = answers[0].code, answers[0].enhanced
            self._log.info("message refused", code=code, enhanced=enhanced, **facts, **_recipient_ids(transaction))
            return
        recipients = accepted if self._rules.is_lmtp else len(transaction.accepted)
        self._metrics.count_accepted(recipients=recipients, octets=octets)
        self._log.info("message accepted", recipients=recipients, **facts, **_recipient_ids(transaction))

    def close(self) -> None:
        self._arrival.spool.close()

    def _complete_header(self, header: bytes) -> bytes:
        self._transaction.has_utf8_header = not header.isascii()
        return self._rules.complete_header(self._client, self._transaction, header, self._arrival.received_at)

    async def _settle(self, fault: Fault | None) -> Sequence[Reply]:
        refusal = self.refusal(fault)
        if refusal is not None:
            return (refusal,)
        arrival = self._arrival
        try:
            arrival.finish()
            async with asyncio.timeout(self._config.delivery_timeout_s):
                octets = arrival.spool.octets()
                return await self._rules.finish(self._client, self._transaction, octets, arrival.received_at)
        except TimeoutError:
            self._log.error("storing a message took too long", message_id=self._transaction.message_id)
            return (replies.NOT_NOW,)
        except Exception as error:  # noqa: BLE001 (LMTP owes one reply for each recipient even then)
            return (refuse(error, self._log),)

    def _faulty(self, fault: Fault) -> Reply:
        return replies.for_fault(
            fault,
            message_limit_octets=self._config.message_limit_octets,
            line_limit_octets=self._config.text_line_limit_octets,
        )


def refuse(error: Exception, log: FilteringBoundLogger) -> Reply:
    """The reply to a refusal, or to a bug, which is written down."""
    if not replies.is_expected(error):
        log.error("unexpected error", exc_info=error)
    elif isinstance(error, KeyUnusable):
        log.error("a tenant's keys cannot be used", reason=str(error))  # its senders try again for days
    return replies.for_error(error)


def _recipient_ids(transaction: Transaction) -> dict[str, Any]:
    """For the log. Each line costs what its fields cost, so the usual one recipient is two numbers."""
    reached = [each.resolution for each in transaction.accepted[:LOGGED_RECIPIENTS] if each.resolution is not None]
    recipients = [person for each in reached for person in each.recipients][:LOGGED_RECIPIENTS]
    if len(recipients) == 1 and len(transaction.accepted) == 1:
        return {"recipient_tenant": recipients[0].tenant_id, "recipient_account": recipients[0].account_id}
    elsewhere = len(transaction.accepted) - len(reached) + sum(len(each.elsewhere) for each in reached)
    return {
        "recipient_tenants": sorted({each.tenant_id for each in recipients}),
        "recipient_accounts": [each.account_id for each in recipients],
        "recipients_elsewhere": elsewhere,
    }
