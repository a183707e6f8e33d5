"""`manage.py tiers`: where content rests, and the work of moving it, done now by hand."""

import argparse
import os
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from storage.blobs.hot import HotBlobs
from storage.database import Database
from storage.housekeeping import collect_blobs
from storage.management.cost_actions import add_cost_action
from storage.management.store_command import StoreCommand
from storage.management.tier_wording import CHINESE
from storage.tiers import orphans, status
from storage.tiers.moving import Moved
from storage.tiers.rounds import Round, TieringConfig, Tiers, clock_is_steady
from storage.tiers.status import TierStatus
from storage.tiers.turns import FULL_SPEED, Turns
from tenants.management.command import Options
from tenants.management.table import aligned
from tenants.models import Tenant
from tenants.policies import TenantPolicy, policies
from tenants.quota import format_octets
from tenants.types import TenantId

DAY_S = 86_400.0
GIVES_WAY = 19  # nice(2): those who read and send mail go first
Found = list[tuple[TenantId, TenantPolicy, TierStatus]]


class Command(StoreCommand):
    help = "Where content rests (Postgres, packs, large parts), and moving it now."
    chinese = CHINESE

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        show = actions.add_parser("status", help="what each tenant has where, and what is due to move")
        show.add_argument("--tenant", metavar="TENANT", help="only this one")
        show.set_defaults(run=self.status)
        for name, run, text in (
            ("run", self.run_tiering, "move what is old enough to packs now"),
            ("compact", self.compact, "write half-dead packs anew now"),
            ("collect", self.collect, "delete content that nothing has used for a day, wherever it rests"),
            ("sweep", self.sweep, "compare the bucket with what Postgres knows; delete what is due"),
        ):
            parser = actions.add_parser(name, help=text)
            parser.set_defaults(run=run)
            if name in ("run", "compact"):
                parser.add_argument(
                    "--in-turns", action="store_true", help="rest between packs, as upkeep does, instead of hurrying"
                )
        add_cost_action(self, actions)

    # -- looking

    def status(self, options: Options) -> None:
        found = self.with_database(_status)
        slugs = dict(Tenant.objects.values_list("pk", "slug"))
        rows = [
            [
                slugs.get(tenant_id, str(tenant_id)),
                self._policy(policy),
                _amount(each.hot_blobs, each.hot_octets),
                _amount(each.due_blobs, each.due_octets),
                _amount(each.packs, each.pack_octets),
                f"{each.live_octets * 100 // each.pack_octets} %" if each.pack_octets else "–",
                _amount(each.parts, each.part_octets),
                _amount(each.doomed, each.doomed_octets),
            ]
            for tenant_id, policy, each in found
            if not options["tenant"] or slugs.get(tenant_id) == options["tenant"]
        ]
        if not rows:
            self.tell("There is no such tenant." if options["tenant"] else "There are no tenants yet.")
            return
        heads = ["Tenant", "Goes cold", "Hot", "Due", "Packs", "In use", "Large parts", "To be deleted"]
        self.stdout.write(aligned([self.word(head) for head in heads], rows))

    def _policy(self, policy: TenantPolicy) -> str:
        if policy.cold_after_days is None:
            return self.word("never")
        return self.phrase("after {days} days", days=policy.cold_after_days)

    # -- working

    def run_tiering(self, options: Options) -> None:
        turns = self._turns(options)
        due = sum(each.due_blobs for _, _, each in self.with_database(_status))
        self._tell_of(*self._work("Moving", due, lambda tiers, progress: tiers.tier(progress, turns=turns)))

    def compact(self, options: Options) -> None:
        turns = self._turns(options)
        self._tell_of(*self._work("Compacting", None, lambda tiers, progress: tiers.compact(progress, turns=turns)))

    def _turns(self, options: Options) -> Turns:
        return Turns(self._config().duty) if options["in_turns"] else FULL_SPEED

    def collect(self, _options: Options) -> None:
        count = self.with_keys(lambda database, keys: collect_blobs(database, keys, HotBlobs()))
        self.tell("{count} blobs that nothing used were deleted.", count=count)

    def sweep(self, _options: Options) -> None:
        kept_s = self._objects_config().keep_doomed_days * DAY_S

        async def work(tiers: Tiers) -> tuple[orphans.Swept, Round]:
            deleted = await tiers.delete_doomed(kept_s=kept_s)
            is_steady = await clock_is_steady(tiers.database, wary_s=kept_s)
            swept = await orphans.sweep(tiers.database, tiers.objects, kept_s=kept_s, may_delete=is_steady)
            return swept, deleted

        try:
            swept, deleted = self.with_objects(lambda database, keys, objects: work(Tiers(database, objects, keys)))
        except orphans.TooManyOrphans as many:
            raise self.failure(
                "{orphans} of {objects} objects in the bucket are unknown here. Is it the right bucket? Nothing was"
                " deleted.",
                orphans=many.orphans,
                objects=many.objects,
            ) from None
        self.tell(
            "{objects} objects of {octets} in the bucket. {doomed} doomed and {orphans} unknown ones were deleted;"
            " {waiting} unknown ones wait.",
            objects=swept.objects,
            octets=format_octets(swept.octets),
            doomed=deleted.count,
            orphans=swept.deleted,
            waiting=swept.orphans - swept.deleted,
        )
        for name in swept.missing:
            self.stderr.write(self.phrase("Missing from the bucket: {name}", name=name))
        if swept.missing:
            raise self.failure("{count} objects are missing from the bucket.", count=len(swept.missing))

    def _work(
        self, what: str, due: int | None, work: Callable[[Tiers, Callable[[Moved], None]], Awaitable[Round]]
    ) -> tuple[Round, float]:
        """What it came to, and in how many seconds."""

        async def timed(tiers: Tiers, progress: Callable[[Moved], None]) -> tuple[Round, float]:
            began = time.monotonic()
            return await work(tiers, progress), time.monotonic() - began

        os.nice(GIVES_WAY)
        with self._bar(what, due) as progress:
            return self.with_objects(
                lambda database, keys, objects: timed(Tiers(database, objects, keys, self._config()), progress)
            )

    def _config(self) -> TieringConfig:
        usual = TieringConfig()
        return TieringConfig(
            int(os.environ.get("WAYPOST_TIERING_HOT_LIMIT_OCTETS") or usual.hot_limit_octets),
            float(os.environ.get("WAYPOST_TIERING_DUTY") or usual.duty),
        )

    @contextmanager
    def _bar(self, what: str, due: int | None) -> Iterator[Callable[[Moved], None]]:
        """On a terminal; elsewhere nothing is drawn."""
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as bar:
            task = bar.add_task(self.word(what), total=due)
            yield lambda moved: bar.advance(task, moved.blobs)

    def _tell_of(self, done: Round, seconds: float) -> None:
        moved = done.moved
        self.tell(
            "{blobs} blobs moved into {packs} packs in {seconds} s: {before} became {after}.",
            blobs=moved.blobs,
            seconds=f"{seconds:.2f}",
            packs=moved.packs,
            before=format_octets(moved.octets_before),
            after=format_octets(moved.octets),
        )
        slugs = dict(Tenant.objects.values_list("pk", "slug"))
        for tenant_id, reason in done.refused.items():
            self.stderr.write(
                self.phrase(
                    "{tenant}: ended early, because {reason}", tenant=slugs.get(tenant_id, tenant_id), reason=reason
                )
            )
        for digest in moved.damaged:
            self.stderr.write(self.phrase("Damaged, and left where it is: blob {digest}", digest=digest.hex()))
        if done.refused or moved.damaged:
            raise self.failure("Not everything could be moved.")


async def _status(database: Database) -> Found:
    async with database.system() as connection:
        found = await policies(connection)
    return [
        (tenant_id, policy, await status.status(database, tenant_id, cold_after_days=policy.cold_after_days))
        for tenant_id, policy in found.items()
    ]


def _amount(count: int, octets: int) -> str:
    return f"{count} ({format_octets(octets)})" if count else "–"
