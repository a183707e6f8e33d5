"""When a recipient is tried again, and when trying ends (RFC 5321 §4.5.4.1). Pure: time and chance are handed in."""

from dataclasses import dataclass
from datetime import datetime, timedelta

_WAITS = (1, 5, 15, 30, 60, 120, 240)  # in first waits: 1, 5, 15, 30 minutes, 1, 2, 4 hours, and then every 4 hours
_JITTER = 0.2


@dataclass(frozen=True, slots=True)
class Schedule:
    """`first_retry_s` is the wait after the first attempt; the later ones keep their proportion to it."""

    first_retry_s: float
    tell_delay_after_s: float
    expire_after_s: float

    def expires_at(self, waits_since: datetime) -> datetime:
        return waits_since + timedelta(seconds=self.expire_after_s)

    def is_delay_due(self, waits_since: datetime, now: datetime) -> bool:
        return now >= waits_since + timedelta(seconds=self.tell_delay_after_s)

    def next_attempt(
        self, attempts: int, *, waits_since: datetime, now: datetime, chance: float, not_before: datetime | None = None
    ) -> datetime | None:
        """After `attempts` (this one among them) failed for now. None: it is tried no more.

        The last attempt comes when the time is over, whatever the schedule. `chance` is from 0 to 1: mail that failed
        together is not all tried again in the same moment. A site that rests is left alone until `not_before`.
        """
        expires_at = self.expires_at(waits_since)
        if now >= expires_at:
            return None
        base_s = self.first_retry_s * _WAITS[min(attempts, len(_WAITS)) - 1]
        spread = 1 - _JITTER + 2 * _JITTER * chance
        at = now + timedelta(seconds=base_s * spread)
        if not_before is not None and at < not_before:
            at = not_before + timedelta(seconds=self.first_retry_s * chance)
        return min(at, expires_at)
