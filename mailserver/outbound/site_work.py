"""The work there is for one site: lanes with mail for it, and what was leased for it and waits for its turn."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailserver.outbound.outcomes import Deferred, Failed, Reply
from mailserver.outbound.shaping import Shaping
from mailserver.outbound.sites import Site
from storage.outgoing_types import Lane, LeasedRecipient, QueuedMessage

UNREACHED_ROOM = 500  # recipients settled at once that no connection is made for


@dataclass(slots=True, eq=False)
class Batch:
    """Recipients of one message at one site: one exchange. `lease_ends_s` is of the monotonic clock."""

    message: QueuedMessage
    recipients: Sequence[LeasedRecipient]
    lease_ends_s: float


class SiteWork:
    """`site` None: there is no site, and `verdict` says what that means for all mail that would go there."""

    def __init__(self, key: str, site: Site | None, verdict: Deferred | Failed | None, shaping: Shaping) -> None:
        self.key = key
        self.site = site
        self.verdict = verdict
        self.shaping = shaping
        self.lanes: deque[Lane] = deque()
        self.backlog: deque[Batch] = deque()
        self.running = 0
        self.is_ready = False  # it stands in the turn of sites that may be given more

    def is_idle(self, now_s: float) -> bool:
        """Nothing is known or to be done that somebody would miss."""
        return not (self.lanes or self.backlog or self.running) and self.shaping.is_fresh(now_s)

    def verdict_now(self, now_s: float) -> Deferred | Failed | None:
        """The outcome of mail for the site without connecting: it does not exist, or it rests."""
        if self.verdict is not None:
            return self.verdict
        if self.shaping.rest_left_s(now_s) <= 0:
            return None
        evidence = self.shaping.evidence
        assert evidence is not None
        return Deferred(_suspended(evidence.reply), evidence.reason)

    def room(self, now_s: float, at_most: int) -> int:
        """How many recipients to lease: in pieces worth a commit, and enough to keep its exchanges busy."""
        if self.verdict_now(now_s) is not None:
            return UNREACHED_ROOM
        allowed = self.shaping.allowed(now_s)
        return max(2 * allowed, at_most) if len(self.backlog) < allowed else 0

    def take_lanes(self, room: int) -> Iterator[tuple[Lane, int]]:
        """Lanes in turn, each with its share of the room: so no tenant waits for the end of another's mail."""
        count = min(len(self.lanes), room)
        for index in range(count):
            lane = self.lanes[0]
            self.lanes.rotate(-1)
            yield lane, room // count + (index < room % count)


def _suspended(reply: Reply) -> Reply:
    text = f"Not tried now, because the last attempts at this host failed: {reply.text}"
    return Reply(0, reply.enhanced if reply.enhanced.startswith("4") else "4.4.0", text, reply.host)
