"""Messages that may end the process that tries them: found by leases that nobody settled.

A process that dies leaves the leases of everything it had, so the first deaths say nothing of which message it was.
From `SUSPECT_AFTER` on, such messages are tried one at a time, and the others wait: another death is then one message's
own, and after `ASIDE_AFTER` it is held, for a person to look at.
"""

from enum import Enum, auto

from mailserver.outbound.site_work import Batch

SUSPECT_AFTER = 3
ASIDE_AFTER = 7
WAIT_S = 10.0  # for the turn of a suspect, give or take half


class Judgement(Enum):
    CLEAR = auto()
    ALONE = auto()  # it may be tried: no other suspect is
    LATER = auto()
    ASIDE = auto()


class Suspects:
    """Of one process."""

    def __init__(self) -> None:
        self._tried: Batch | None = None

    def judge(self, batch: Batch) -> Judgement:
        """Of a batch that was just leased. One that is tried alone blocks the others until `ended`."""
        without_a_word = max(each.unsettled_leases for each in batch.recipients) - 1
        if without_a_word < SUSPECT_AFTER:
            return Judgement.CLEAR
        if without_a_word >= ASIDE_AFTER:
            return Judgement.ASIDE
        if self._tried is not None:
            return Judgement.LATER
        self._tried = batch
        return Judgement.ALONE

    def ended(self, batch: Batch) -> None:
        if self._tried is batch:
            self._tried = None
