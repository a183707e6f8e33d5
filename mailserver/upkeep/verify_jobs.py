"""A share of the mail is read again every hour, another one each time, until all of it was; then from the beginning.

Wrong counts are put right and damaged content is replaced where there is another copy of it; the log tells of each, and
of what is left for a person to look at (`manage.py verify`).
"""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge
from mailserver.upkeep.jobs import HOUR_S, Job
from storage.store import MailStore
from storage.verification.bucket import Bucket
from storage.verification.findings import Finding, Report, Tally
from storage.verification.ground import Choice, Ground
from storage.verification.pace import Pace
from storage.verification.progress import Position
from storage.verification.run import verify_everything
from storage.verification.slices import slice_of_hour

FINDINGS = counter(
    "verify_findings", "Things that were found wrong, and whether they could be put right.", "kind", "is_repaired"
)
LEFT = gauge(
    "verify_left", "Things that the last hour's share showed to be wrong and that were left.", across="livemax"
)
OCTETS = counter("verify_octets", "Octets that were read again.")
BLOBS = counter("verify_blobs", "Blobs that were read again, by tier.", "tier")
MESSAGES = counter("verify_messages", "Messages whose rows were looked at again.")

TOLD_A_RUN = 100
_MIB = 1024 * 1024

log = get_logger()


@dataclass(frozen=True, slots=True)
class VerifyConfig:
    """How much is read again, and how fast."""

    share_a_day: float = field(default=0.03, metadata={"least": 0.0})
    """of all mail, read again and compared with its digests every day; 0: none"""
    mib_per_s: float = field(default=20.0, metadata={"least": 0.1})  # not faster than that


def verify_jobs(
    store: MailStore, bucket: Bucket | None, config: VerifyConfig, clock: Callable[[], float] = time.time
) -> tuple[Job, ...]:
    async def verify() -> dict[str, int]:
        return asdict(await _verify_share(store, bucket, config, int(clock() // HOUR_S)))

    return (Job("verify a share", HOUR_S, 2 * HOUR_S, verify),) if config.share_a_day > 0 else ()


async def _verify_share(store: MailStore, bucket: Bucket | None, config: VerifyConfig, hour: int) -> Tally:
    report = Report(_Teller())
    counted = _Counted(report.tally)
    choice = Choice(slice=slice_of_hour(hour, min(config.share_a_day, 24.0)), uses_copies=True)
    pace = Pace(config.mib_per_s * _MIB)
    ground = Ground(store.database, store.keys, bucket, store.announce, choice, report, pace)
    try:
        await verify_everything(ground, begin=None, moved=counted)
    finally:
        counted()
    LEFT.labels().set(report.tally.left)
    return report.tally


class _Teller:
    """Tells the log of each finding, up to a number; the metrics count them all."""

    def __init__(self) -> None:
        self._told = 0

    def __call__(self, finding: Finding) -> None:
        FINDINGS.labels(finding.kind.value, "yes" if finding.is_repaired else "no").inc()
        self._told += 1
        if self._told > TOLD_A_RUN:
            return
        say = log.warning if finding.is_repaired else log.error
        say(
            "verification put something right" if finding.is_repaired else "verification found something wrong",
            kind=finding.kind.value,
            tenant_id=finding.tenant_id,
            account_id=finding.account_id,
            **finding.values,
        )


class _Counted:
    """Hands the tally on to the metrics as it grows."""

    def __init__(self, tally: Tally) -> None:
        self._tally = tally
        self._before = Tally()

    def __call__(self, _position: Position | None = None) -> None:
        now, before = self._tally, self._before
        OCTETS.labels().inc(now.octets - before.octets)
        BLOBS.labels("hot").inc(now.hot_blobs - before.hot_blobs)
        BLOBS.labels("cold").inc(now.cold_blobs - before.cold_blobs)
        MESSAGES.labels().inc(now.messages - before.messages)
        self._before = Tally(**asdict(now))
