"""Mail for other systems: whether it leaves, what waits, and whether DNS answers. Port 25 is not tried."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime

import psycopg

from mailserver.outbound.dns_answers import RecordKind
from mailserver.outbound.resolver import LookupFailed, Resolver
from storage.outgoing_types import HeldReason, QueueState
from webmail.operations.findings import Finding, Patient, fine, problem, warning

CONNECT_TIMEOUT_S = 5
DNS_TIMEOUT_S = 5.0
LONG_S = 86_400.0

COUNTS = """
SELECT count(*) FILTER (WHERE state = %(queued)s), count(*) FILTER (WHERE state = %(held)s),
       count(*) FILTER (WHERE state = %(held)s AND held_reason = %(off)s),
       min(waits_since) FILTER (WHERE state = %(queued)s), min(waits_since) FILTER (WHERE state = %(held)s)
  FROM outgoing_recipient
"""
MEANING = {"queued": QueueState.QUEUED, "held": QueueState.HELD, "off": HeldReason.OUTBOUND_OFF}


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
        with psycopg.connect(patient.config.database.system_url, connect_timeout=CONNECT_TIMEOUT_S) as connection:
            row = connection.execute(COUNTS, MEANING).fetchone()
    except psycopg.Error:
        return  # check_roles or check_tables has said it
    if row is None:
        return
    queued, held, held_because_off, oldest_queued, oldest_held = row
    if held:
        text = "{count} recipients are held, the oldest for {age}; manage.py queue list shows them"
        yield warning(text, count=held, age=_age(oldest_held))
    if is_on and held_because_off:
        text = "{count} of them since outbound was off. Let them go: manage.py queue release --state off"
        yield warning(text, count=held_because_off)
    if queued:
        text = "{count} recipients wait in the queue, the oldest for {age}"
        is_long = (datetime.now(UTC) - oldest_queued).total_seconds() > LONG_S
        yield (warning if is_long else fine)(text, count=queued, age=_age(oldest_queued))


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
