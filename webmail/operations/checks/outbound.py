"""Mail for other systems: whether it leaves, what waits, and whether DNS answers. Port 25 is not tried."""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import psycopg

from mailserver.outbound.dns_answers import RecordKind
from mailserver.outbound.resolver import LookupFailed, Resolver
from storage.database import Database, DatabaseConfig
from storage.errors import StorageError
from storage.outgoing_lists import StateCount, count_states
from storage.outgoing_types import HeldReason, QueueState
from webmail.operations.findings import Finding, Patient, fine, problem, warning

DNS_TIMEOUT_S = 5.0
LONG_S = 86_400.0


def check_outbound(patient: Patient) -> Iterator[Finding]:
    is_on = patient.config.is_outbound_on
    if is_on:
        yield fine(
            "Outbound is on: mail for other systems leaves. Whether port 25 of others can be reached is not tried"
        )
    else:
        yield warning("Outbound is off (WAYPOST_OUTBOUND): mail for other systems is held")
    yield from _look_at_queue(patient, is_on=is_on)
    if is_on and patient.config.smarthost.host is None:
        yield from _ask_dns(patient)


def _look_at_queue(patient: Patient, *, is_on: bool) -> Iterator[Finding]:
    try:
        counts = asyncio.run(_counts(patient.config.database))
    except (StorageError, psycopg.Error):
        return  # check_roles or check_tables has said it
    held = [each for each in counts if each.state == QueueState.HELD]
    if held:
        text = "{count} recipients are held, the oldest for {age}; manage.py queue list shows them"
        yield warning(text, count=_recipients(held), age=_age(_oldest_at(held)))
    held_because_off = [each for each in held if each.held_reason == HeldReason.OUTBOUND_OFF]
    if is_on and held_because_off:
        text = "{count} of them since outbound was off. Let them go: manage.py queue release --state off"
        yield warning(text, count=_recipients(held_because_off))
    queued = [each for each in counts if each.state == QueueState.QUEUED]
    if queued:
        text = "{count} recipients wait in the queue, the oldest for {age}"
        is_long = (datetime.now(UTC) - _oldest_at(queued)).total_seconds() > LONG_S
        yield (warning if is_long else fine)(text, count=_recipients(queued), age=_age(_oldest_at(queued)))


async def _counts(config: DatabaseConfig) -> Sequence[StateCount]:
    database = Database(config)
    try:
        return await count_states(database)
    finally:
        await database.close()


def _recipients(counts: Sequence[StateCount]) -> int:
    return sum(each.recipients for each in counts)


def _oldest_at(counts: Sequence[StateCount]) -> datetime:
    return min(each.oldest_at for each in counts)


def _ask_dns(patient: Patient) -> Iterator[Finding]:
    config = replace(patient.config.dns, timeout_s=DNS_TIMEOUT_S)
    try:
        asyncio.run(Resolver(config).lookup(patient.config.hostname, RecordKind.MX))
    except LookupFailed as failed:
        yield problem("DNS does not answer (WAYPOST_DNS): {reason}; no mail leaves", reason=failed.reason)
    else:
        yield fine("DNS answers")


def _age(since: datetime) -> str:
    """As `2 d 3 h`, the same in every language."""
    minutes = max(0, int((datetime.now(UTC) - since).total_seconds() // 60))
    days, hours, minutes = minutes // 1440, minutes // 60 % 24, minutes % 60
    if days:
        return f"{days} d {hours} h"
    return f"{hours} h {minutes} min" if hours else f"{minutes} min"
