"""What mail that goes cold in short turns, as upkeep has it, costs the others: with it and without, again and again.

Stretches with `manage.py tiers run --in-turns` and as long ones without anything moving alternate, so that whatever
else the machine does meanwhile falls on both. A stretch is whole turns with their rests.
"""

import asyncio
import subprocess
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psycopg

from tests.bench.cold_requests import Timed, somebody_else
from tests.bench.installation import Waypost
from tests.bench.load.rig import Rig

LEAST_S = 60.0
LEAST_PACKS = 1
_FIRST_PACK_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Stretch:
    reads: Timed
    appends: Timed
    seconds: float
    messages: int
    packs: int

    def told(self) -> str:
        return f"{self.seconds:4.0f} s, reads {self.reads.told()}, gets mail {self.appends.told()}"


@dataclass(frozen=True, slots=True)
class Cold:
    """What is in packs."""

    messages: int
    packs: int


async def in_turns(waypost: Waypost, url: str, rig: Rig, rounds: int) -> None:
    beside: list[Stretch] = []
    alone: list[Stretch] = []
    for number in range(1, rounds + 1):
        mover = waypost.managing("tiers", "run", "--in-turns")
        try:
            await _more_than(url, mover, _cold(url).packs, _FIRST_PACK_WITHIN_S)
            beside.append(await _stretch(rig, url, lambda: _turns(url, mover)))  # noqa: B023  is awaited here
        finally:
            mover.terminate()
            await asyncio.to_thread(mover.wait)
            _forget_leases(url)
        alone.append(await _stretch(rig, url, lambda: asyncio.sleep(beside[-1].seconds)))
        print(f"{number} in turns  {beside[-1].told()}", flush=True)
        print(f"{number} alone     {alone[-1].told()}", flush=True)
    _tell(beside, alone)


def _tell(beside: list[Stretch], alone: list[Stretch]) -> None:
    seconds, packs = sum(each.seconds for each in beside), sum(each.packs for each in beside)
    moved = sum(each.messages for each in beside)
    print(f"in turns {moved / seconds:,.0f} messages/s, a pack every {seconds / packs:.0f} s")
    for what in ("reads", "appends"):
        with_it, without = ([getattr(each, what) for each in some] for some in (beside, alone))
        during, before = Timed.together(with_it), Timed.together(without)
        ratios = sorted(one.at(0.95) / other.at(0.95) for one, other in zip(with_it, without, strict=True))
        print(
            f"somebody else {what}  in turns {during.told()}, alone {before.told()}: p95"
            f" {during.at(0.95) / before.at(0.95):.2f} (asked 1.2), of single pairs {ratios[0]:.2f} to {ratios[-1]:.2f}"
        )


async def _stretch(rig: Rig, url: str, lasts: Callable[[], Awaitable[None]]) -> Stretch:
    before, began = _cold(url), time.monotonic()
    lasting = asyncio.ensure_future(lasts())
    reads, appends = await somebody_else(rig, lasting.done)
    await lasting
    seconds, after = time.monotonic() - began, _cold(url)
    return Stretch(reads, appends, seconds, after.messages - before.messages, after.packs - before.packs)


async def _turns(url: str, mover: "subprocess.Popen[bytes]") -> None:
    """As many as there are in LEAST_S, or LEAST_PACKS; until one ends."""
    packs = _cold(url).packs
    await asyncio.sleep(LEAST_S)
    now = await asyncio.to_thread(_cold, url)
    await _more_than(url, mover, max(packs + LEAST_PACKS - 1, now.packs), 600)


async def _more_than(url: str, mover: "subprocess.Popen[bytes]", packs: int, within_s: float) -> None:
    async with asyncio.timeout(within_s):
        while (await asyncio.to_thread(_cold, url)).packs <= packs:
            if mover.poll() is not None:
                raise RuntimeError("nothing moves any more: there is not enough mail for so many rounds")
            await asyncio.sleep(0.5)


def _cold(url: str) -> Cold:
    with psycopg.connect(url, autocommit=True) as sql:
        row = sql.execute(
            "SELECT coalesce(sum(live_blobs), 0), count(*) FROM object WHERE state = 1 AND kind = 1"
        ).fetchone()
    return Cold(int(row[0]), int(row[1])) if row else Cold(0, 0)


def _forget_leases(url: str) -> None:
    """Of a mover that was ended within a turn."""
    with psycopg.connect(url, autocommit=True) as sql:
        sql.execute("DELETE FROM work_lease")
