"""How much a site gets at once: more while it takes everything, less when it pushes back, a rest when it is dead.

Concurrency moves as Postfix's does: each exchange that goes well adds its share of one, each that finds the site
unwell halves it. A site that is unwell with nothing more to take away rests, each time longer; meanwhile its mail is
deferred without connecting, and after the rest one exchange tries how it is.
"""

from dataclasses import dataclass
from enum import Enum, auto

from mailserver.outbound.outcomes import Deferred, Delivered, Failed, Outcome, Reason

_UNWELL = frozenset(
    {
        Reason.UNREACHABLE,
        Reason.UNWELCOME,
        Reason.TIMED_OUT,
        Reason.CONNECTION_LOST,
        Reason.NOT_SMTP,
        Reason.TLS_FAILED,
        Reason.SIGN_IN_FAILED,
        Reason.UNANSWERED_END,
    }
)
FORGOTTEN_AFTER_RESTS = 20  # as long as the longest rest: with four hours between attempts a dead site is not forgotten
_FAILURES_BEFORE_REST = 3  # of a site that worked a moment ago: one broken connection is no news


class Health(Enum):
    """What an exchange says of the site."""

    WELL = auto()
    PUSHING_BACK = auto()  # it answers, and wants less
    UNWELL = auto()  # it does not answer, or not with SMTP
    UNKNOWN = auto()  # nothing was learnt: our own storage, the message itself


def health_of(outcomes: list[Outcome]) -> tuple[Health, Deferred | None]:
    """What the outcomes of one exchange say, and the one that says so if it is nothing good."""
    pushing_back: Deferred | None = None
    is_well = False
    for outcome in outcomes:
        match outcome:
            case Deferred(reason=reason) if reason in _UNWELL:
                return Health.UNWELL, outcome
            case Deferred(reply, Reason.REFUSED) if reply.code == 421 or reply.enhanced.startswith("4.7."):
                pushing_back = outcome
            case Delivered() | Failed(reason=Reason.REFUSED) | Deferred(reason=Reason.REFUSED):
                is_well = True
            case _:
                pass
    if pushing_back is not None:
        return Health.PUSHING_BACK, pushing_back
    return (Health.WELL if is_well else Health.UNKNOWN), None


@dataclass(frozen=True, slots=True)
class ShapingLimits:
    start: int
    most: int
    rest_s: float
    longest_rest_s: float


class Shaping:
    """Of one site. Times are seconds of a monotonic clock."""

    def __init__(self, limits: ShapingLimits) -> None:
        self._limits = limits
        self._allowed = float(limits.start)
        self._failures = 0
        self._rests = 0
        self._rests_until_s = 0.0
        self._learnt_at_s = 0.0
        self.evidence: Deferred | None = None
        """What the site said, or what kept us from hearing it, when it began to rest."""

    def allowed(self, now_s: float) -> int:
        """Exchanges at once. 0 while it rests."""
        if now_s < self._rests_until_s:
            return 0
        return 1 if self._rests else int(self._allowed)

    def is_fresh(self, now_s: float) -> bool:
        """Whether a new one would know as much, or what is known is too old to mean anything: nobody has sent there."""
        is_old = now_s - self._learnt_at_s > FORGOTTEN_AFTER_RESTS * self._limits.longest_rest_s
        return (is_old or self._rests == self._failures == 0) and now_s >= self._rests_until_s

    def rest_left_s(self, now_s: float) -> float:
        return max(0.0, self._rests_until_s - now_s)

    def learn(self, health: Health, evidence: Deferred | None, now_s: float) -> bool:
        """Whether the site begins to rest because of this."""
        self._learnt_at_s = now_s
        match health:
            case Health.WELL:
                self._failures = self._rests = 0
                self._allowed = min(self._limits.most, self._allowed + 1 / self._allowed)
            case Health.PUSHING_BACK:
                self._failures += 1
                self._allowed = max(1.0, self._allowed - 1)
                if self._failures >= 2 * self._limits.most:
                    return self._begin_rest(evidence, now_s)
            case Health.UNWELL:
                self._failures += 1
                self._allowed = max(1.0, self._allowed / 2)
                if self._rests or self._failures >= _FAILURES_BEFORE_REST or _is_conclusive(evidence):
                    return self._begin_rest(evidence, now_s)
            case Health.UNKNOWN:
                pass
        return False

    def _begin_rest(self, evidence: Deferred | None, now_s: float) -> bool:
        if now_s < self._rests_until_s:
            return False  # exchanges that began before the rest say nothing new
        rest_s = min(self._limits.longest_rest_s, self._limits.rest_s * 2**self._rests)
        self._rests += 1
        self._rests_until_s = now_s + rest_s
        self._failures = 0
        self._allowed = float(self._limits.start)
        self.evidence = evidence
        return True


def _is_conclusive(evidence: Deferred | None) -> bool:
    """Nobody answered at any host of the site, with all their addresses: no need to ask thrice."""
    return evidence is not None and evidence.reason is Reason.UNREACHABLE
