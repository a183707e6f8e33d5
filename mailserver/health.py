"""Whether this process lives (/healthz) and whether it should be sent work (/readyz).

Alive: the event loop turns; how late it is says how well. Ready: the parts the role cannot do without answer. A part
may be away and the process still ready (`is_needed` false: Redis, S3), it is then named as degraded. Answers name parts
and states, never addresses, paths or errors; those are in the log.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import CONTENT_TYPE, exposition, gauge
from mailserver.observability.repeats import Repeats
from mailserver.observability.responder import Answer, Page
from mailserver.tasks import end_task
from storage.errors import StorageError

LOOP_LAG = gauge("loop_lag_seconds", "How late the event loop was at its last look.", across="livemax")
PART_IS_UP = gauge(
    "part_is_up", "1 if a part the process depends on answered its last check.", "part", across="livemin"
)

LAG_EVERY_S = 0.5
JSON = "application/json"

log = get_logger()


@dataclass(frozen=True, slots=True)
class HealthConfig:
    check_timeout_s: float = 2.0  # how long a part may take to answer before it counts as away
    check_fresh_s: float = 1.0  # checks younger than this are not repeated for the next probe
    check_every_s: float = 10.0  # how often the parts are asked when no probe asks
    lag_limit_s: float = 10.0  # a loop later than this is called unhealthy


@dataclass(frozen=True, slots=True)
class Part:
    """Something the process depends on. `check` returns if it works, and raises StorageError or OSError if not."""

    name: str
    check: Callable[[], Awaitable[object]]
    is_needed: bool


class Health:
    """The state of one process; owns the tasks that watch the loop and the parts."""

    def __init__(self, role: str, parts: Sequence[Part], config: HealthConfig) -> None:
        self._role = role
        self._parts = parts
        self._config = config
        self._repeats = Repeats(time.monotonic)
        self._lag_s = 0.0
        self._states: dict[str, bool] = {}
        self._checked_at = float("-inf")
        self._checking = asyncio.Lock()
        self._watches: list[asyncio.Task[None]] = []
        self._is_serving = False

    def start(self) -> None:
        self._watches = [
            asyncio.create_task(self._watch_loop(), name="health: loop lag"),
            asyncio.create_task(self._watch_parts(), name="health: parts"),
        ]

    def serve(self) -> None:
        """The doors are open: ready from now on, if the parts answer."""
        self._is_serving = True
        self._checked_at = float("-inf")

    def drain(self) -> None:
        """No more work should be sent here."""
        self._is_serving = False

    async def close(self) -> None:
        for watch in self._watches:
            await end_task(watch)

    def pages(self) -> Mapping[str, Page]:
        return {"/healthz": self._healthz, "/readyz": self._readyz, "/metrics": _metrics}

    async def check_parts(self) -> Mapping[str, bool]:
        """Ask every part, unless that was done just now."""
        async with self._checking:
            if time.monotonic() - self._checked_at >= self._config.check_fresh_s:
                answers = await asyncio.gather(*(self._works(part) for part in self._parts))
                self._states = {part.name: works for part, works in zip(self._parts, answers, strict=True)}
                self._checked_at = time.monotonic()
        return self._states

    async def _works(self, part: Part) -> bool:
        try:
            await self._check(part)
        except (StorageError, OSError) as error:  # TimeoutError is an OSError
            if (left_out := self._repeats.worth_saying(part.name)) is not None:
                log.warning("a part does not answer", part=part.name, error=repr(error), left_out=left_out)
            PART_IS_UP.labels(part.name).set(0)
            return False
        self._repeats.forget(part.name)
        PART_IS_UP.labels(part.name).set(1)
        return True

    async def _check(self, part: Part) -> None:
        """Raises what the check raises, and TimeoutError without waiting for a check that takes long to give up: a
        statement that is cancelled asks the server first, and a server that hangs does not answer."""
        check = asyncio.ensure_future(part.check())
        try:
            done, _ = await asyncio.wait({check}, timeout=self._config.check_timeout_s)
        finally:
            check.cancel()
            check.add_done_callback(_forget)
        if not done:
            raise TimeoutError
        check.result()

    async def _watch_parts(self) -> None:
        """So that the numbers are true also where nobody asks whether this process is ready."""
        while True:
            await self.check_parts()
            await asyncio.sleep(self._config.check_every_s)

    async def _watch_loop(self) -> None:
        while True:
            due = time.monotonic() + LAG_EVERY_S
            await asyncio.sleep(LAG_EVERY_S)
            self._lag_s = max(0.0, time.monotonic() - due)
            LOOP_LAG.labels().set(self._lag_s)

    async def _healthz(self) -> Answer:
        is_well = self._lag_s < self._config.lag_limit_s
        status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(status, {"role": self._role, "alive": True, "loop_lag_s": round(self._lag_s, 4)})

    async def _readyz(self) -> Answer:
        states = await self.check_parts()
        missing = [part.name for part in self._parts if part.is_needed and not states[part.name]]
        degraded = [part.name for part in self._parts if not part.is_needed and not states[part.name]]
        is_ready = self._is_serving and not missing
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return _json(
            status,
            {
                "role": self._role,
                "ready": is_ready,
                "serving": self._is_serving,
                "missing": missing,
                "degraded": degraded,
            },
        )


def _forget(check: "asyncio.Future[object]") -> None:
    if not check.cancelled():
        check.exception()


async def _metrics() -> Answer:
    return Answer(HTTPStatus.OK, await asyncio.to_thread(exposition), CONTENT_TYPE)


def _json(status: HTTPStatus, value: Mapping[str, object]) -> Answer:
    return Answer(status, json.dumps(value).encode() + b"\n", JSON)
