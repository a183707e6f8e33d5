"""Random deeds of people and of upkeep against a model: whatever came, in whatever order and beside what, every message
is what was sent, and every count is right.

The test prints its seed; WAYPOST_SEED gives it again. WAYPOST_SOAK=1 does 100 times as much.
"""

import asyncio
import contextlib
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace

import psycopg
import pytest

from storage import shredding
from storage.blobs.hot import HotBlobs
from storage.housekeeping import collect_blobs
from storage.leases import LEASE_S
from storage.provisioning import provision_account
from storage.tiers import doomed, orphans, weeks
from tests.conftest import RunningServices, plain_message
from tests.people import new_person
from tests.someone import ADD, DELETED, Someone
from tests.storage.tiers.conftest import Attic, Interrupted, Steps

IS_SOAK = os.environ.get("WAYPOST_SOAK") == "1"
RUNS = 100 if IS_SOAK else 2
DEEDS = 150
BOXES = ("INBOX", "Archive", "Junk")
ENDS = ("tiering: chosen", "compaction: read", "moving: begun", "moving: uploaded", "moving: written", "moving: moved")


@pytest.fixture
def seed() -> int:
    found = int(os.environ.get("WAYPOST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"WAYPOST_SEED={found}")
    return found


@dataclass(slots=True)
class World:
    """What the mailboxes hold, as the model knows it: octets by mailbox and uid."""

    attic: Attic
    dice: random.Random
    steps: Steps
    services: RunningServices
    boxes: dict[str, dict[int, bytes]] = field(default_factory=lambda: {name: {} for name in BOXES})
    number: int = 0

    def letter(self) -> bytes:
        """Few different bodies, so that many messages share theirs; some long enough for several chunks or parts."""
        self.number += 1
        kind = self.dice.random()
        body = f"body {self.dice.randrange(12)} " * self.dice.choice((1, 40, 400))
        if kind < 0.1:
            body = "".join(f"{self.dice.randrange(10**12)} line {n}\r\n" for n in range(6_000))
        return plain_message(self.number, body=body)

    async def deliver(self) -> None:
        octets = self.letter()
        placed = await self.attic.one.receive(octets)
        self.boxes["INBOX"][placed.uid] = octets

    async def copy(self) -> None:
        source, target = self.dice.sample(BOXES, 2)
        uids = self.some(source)
        if uids:
            copied = await self.attic.one.copy(source, uids, target)
            for old, new in zip(copied.source_uids, copied.target_uids, strict=True):
                self.boxes[target][new] = self.boxes[source][old]

    async def expunge(self) -> None:
        box = self.dice.choice(BOXES)
        uids = self.some(box)
        if uids:
            await self.attic.one.flag(box, uids, ADD, DELETED)
            await self.attic.one.expunge(box, uids)
            for uid in uids:
                del self.boxes[box][uid]

    async def age(self) -> None:
        self.attic.age(self.dice.choice((10, 40)))

    async def tier(self) -> None:
        await self.attic.tier(cold_after_days=self.dice.choice((5, 30)))

    async def squeeze(self) -> None:
        await self.attic.tier(cold_after_days=None, hot_budget_octets=self.dice.choice((0, 2_000)))

    async def compact(self) -> None:
        await self.attic.compact()

    async def promote(self) -> None:
        for days in (0, 1):
            self.attic.sql(
                """
                INSERT INTO cold_read (tenant_id, digest, read_on) SELECT tenant_id, digest, CURRENT_DATE - %s
                  FROM blob WHERE tenant_id = {t} AND object_id IS NOT NULL ORDER BY digest LIMIT 5
                ON CONFLICT DO NOTHING
                """,
                days,
            )
        await self.attic.promote()

    async def collect(self) -> None:
        await self.attic.one.empty_bin()
        store = self.attic.one.store
        await collect_blobs(store.database, store.keys, HotBlobs(grace_s=0))

    async def delete_doomed(self) -> None:
        attic = self.attic
        await doomed.delete_doomed(attic.one.store.database, attic.objects, attic.keys.tenant_id, kept_s=0)

    async def rotate(self) -> None:
        self.attic = self.attic.with_keys(await self.attic.with_new_key())

    async def empty_weeks(self) -> None:
        await weeks.empty_nearly_idle(self.attic.one.store.database)

    async def drop_weeks(self) -> None:
        await weeks.drop_idle(self.attic.one.store.database, quiet_s=0)

    async def sweep(self) -> None:
        """No grace at all: whatever has no row goes at once."""
        with contextlib.suppress(orphans.TooManyOrphans):
            await orphans.sweep(self.attic.one.store.database, self.attic.objects, kept_s=0)

    async def give_up(self) -> None:
        await doomed.doom_abandoned(self.attic.one.store.database, self.attic.keys.tenant_id, after_s=0)

    async def shred_a_neighbour(self) -> None:
        """Who has the same mail, partly cold."""
        store = self.attic.one.store
        who = (await asyncio.to_thread(new_person, self.services)).principal
        await provision_account(store.database, who.tenant_id, who.account_id)
        neighbour = replace(self.attic, one=Someone(store, who), keys=await store.keys.of(who.tenant_id))
        for octets in list(self.boxes["INBOX"].values())[:5]:
            await neighbour.one.receive(octets)
        neighbour.age()
        await neighbour.tier()
        neighbour.sql("UPDATE tenant SET status = 'suspended' WHERE id = {t}")
        await shredding.shred(
            self.services.owner_url,
            self.services.secrets,
            self.attic.objects,
            who.tenant_id,
            administrator="ann",
            backups_kept_days=30,
            settle_s=0,
        )
        assert neighbour.sql("SELECT count(*) FROM blob WHERE tenant_id = {t}") == [(0,)]
        assert [page async for page in self.attic.objects.list(f"{who.tenant_id}/") if page] == []

    async def end_half_way(self) -> None:
        """Some work of upkeep ends at some step, as when its process dies."""
        self.steps.ends_at = self.dice.choice(ENDS)
        try:
            await self.dice.choice((self.tier, self.squeeze, self.compact))()
        except Interrupted:
            self.attic.sql(
                "UPDATE work_lease SET leased_until = leased_until - make_interval(secs => %s) WHERE tenant_id = {t}",
                2 * LEASE_S,
            )
        finally:
            self.steps.ends_at = None

    async def all_at_once(self) -> None:
        """Deliveries of content that is there already, beside everything that could take it away."""
        await asyncio.gather(
            *(self.deliver() for _ in range(6)),
            self.tier(),
            self.squeeze(),
            self.compact(),
            self.collect(),
            self.sweep(),
            self.drop_weeks(),
        )

    def some(self, box: str) -> list[int]:
        uids = sorted(self.boxes[box])
        return sorted(self.dice.sample(uids, min(len(uids), self.dice.randrange(1, 6)))) if uids else []

    async def look(self) -> None:
        """Everything is there, and counted right."""
        for box, expected in self.boxes.items():
            uids = await self.attic.one.uids(box)
            found = dict(zip(uids, await self.attic.one.octets(box), strict=True))
            assert {uid: _sent(octets) for uid, octets in found.items()} == expected
        wrong = self.attic.sql(
            """
            SELECT o.id, o.state, o.live_blobs, o.live_octets, b.n, b.octets FROM object o
              LEFT JOIN (SELECT object_id, count(*) AS n, sum(stored_octets) AS octets FROM blob
                          WHERE tenant_id = {t} GROUP BY 1) b ON b.object_id = o.id
             WHERE o.tenant_id = {t} AND (o.live_blobs, o.live_octets) <> (coalesce(b.n, 0), coalesce(b.octets, 0))
            """
        )
        assert wrong == []
        homeless = self.attic.sql(
            """
            SELECT count(*) FROM blob b WHERE b.tenant_id = {t}
               AND ((b.object_id IS NOT NULL AND NOT EXISTS (
                       SELECT FROM object o WHERE o.tenant_id = b.tenant_id AND o.id = b.object_id AND o.state = 1))
                 OR (b.object_id IS NULL AND NOT EXISTS (
                       SELECT FROM blob_content c WHERE c.tenant_id = b.tenant_id AND c.digest = b.digest
                          AND c.content_on = b.content_on)))
            """
        )
        assert homeless == [(0,)]


def _sent(octets: bytes) -> bytes:
    """Without the Return-Path that delivery puts before the rest."""
    return octets[octets.index(b"From: ") :]


DEED_WEIGHTS: dict[Callable[[World], Awaitable[None]], int] = {
    World.deliver: 10,
    World.copy: 4,
    World.expunge: 6,
    World.age: 3,
    World.tier: 3,
    World.squeeze: 2,
    World.compact: 3,
    World.promote: 2,
    World.collect: 4,
    World.delete_doomed: 2,
    World.rotate: 1,
    World.empty_weeks: 1,
    World.drop_weeks: 1,
    World.sweep: 1,
    World.give_up: 1,
    World.shred_a_neighbour: 1,
    World.end_half_way: 4,
    World.all_at_once: 2,
}


@pytest.mark.parametrize("run", range(RUNS))
async def test_whatever_is_done_every_message_is_what_was_sent(
    attic: Attic, services: RunningServices, steps_of_work: Steps, seed: int, run: int
) -> None:
    dice = random.Random(seed + run)
    world = World(attic, dice, steps_of_work, services)
    for days in range(14, 365, 7):
        with contextlib.suppress(psycopg.Error):  # where content of another test rests
            attic.make_week(days)
    deeds, weights = list(DEED_WEIGHTS), list(DEED_WEIGHTS.values())
    for done in range(1, DEEDS + 1):
        await dice.choices(deeds, weights)[0](world)
        if done % 25 == 0:
            await world.look()
