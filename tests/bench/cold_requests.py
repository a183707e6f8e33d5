"""How long requests take: those of somebody whose mail is hot, while other mail goes cold or not."""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from tests.bench.load.rig import Rig

OTHER = 1
OTHERS_MESSAGES = 1_000


@dataclass(frozen=True, slots=True)
class Timed:
    """Seconds of each request, sorted."""

    seconds: list[float]

    @classmethod
    def together(cls, some: "Sequence[Timed]") -> "Timed":
        return cls(sorted(second for each in some for second in each.seconds))

    def at(self, share: float) -> float:
        return self.seconds[min(len(self.seconds) - 1, int(len(self.seconds) * share))]

    def told(self) -> str:
        return f"p50 {self.at(0.5) * 1e3:6.2f} ms  p95 {self.at(0.95) * 1e3:6.2f} ms  p99 {self.at(0.99) * 1e3:6.2f} ms"


async def somebody_else(rig: Rig, stop: Callable[[], bool]) -> tuple[Timed, Timed]:
    """Reads hot mail and gets some, hardly with a pause, until told: how long each reading took, and each APPEND."""
    client = await rig.imap(OTHER, b"INBOX")
    dice = random.Random(17)
    read: list[float] = []
    appended: list[float] = []
    while not stop():
        if dice.random() < 0.2:
            letter = rig.corpus.sized(dice.randrange(1000), 4_096)
            appended.append(await timed(client.append_many(b"INBOX", [letter])))
        else:
            uid = dice.randint(1, OTHERS_MESSAGES)
            read.append(await timed(client.command(b"UID FETCH %d (BODY.PEEK[])" % uid)))
        await asyncio.sleep(0.005)
    client.close()
    return Timed(sorted(read)), Timed(sorted(appended))


async def timed(work: Awaitable[object]) -> float:
    began = time.perf_counter()
    await work
    return time.perf_counter() - began
