"""Queueing: mail for other systems is made durable, for the role outbound to bring there (DESIGN §4.5)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from mmap import mmap

from storage.outgoing_types import Envelope, OutgoingId, Submitter
from storage.store import MailStore


@dataclass(frozen=True, slots=True)
class QueueConfig:
    """What people may send to other systems. Recipients are counted, not messages."""

    person_recipients_an_hour: int = 1_000  # one person, in any 60 minutes
    person_recipients_a_day: int = 5_000  # one person, in any 24 hours
    tenant_recipients_an_hour: int = 50_000  # a company
    tenant_recipients_a_day: int = 250_000  # a company


class Queueing:
    """One per process."""

    def __init__(
        self, store: MailStore, config: QueueConfig, *, is_outbound_on: bool, wake: Callable[[], None] = lambda: None
    ) -> None:
        self._store = store
        self._config = config
        self._is_outbound_on = is_outbound_on
        self._wake = wake

    async def enqueue(
        self,
        who: Submitter,
        envelope: Envelope,
        octets: bytes | mmap,
        *,
        received_at: datetime,
        held_until: datetime | None = None,
    ) -> OutgoingId:
        """Durable when it returns. A Return-Path field that stands first (a door's) is left out: only the last host
        writes one. Raises SendingLimitReached, StoreUnavailable."""
        raise NotImplementedError
