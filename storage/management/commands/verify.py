"""`manage.py verify`: mail is read again and compared with what is known of it."""

import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from django.core.management.base import CommandParser
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

from storage.blobs.objects import ObjectStore
from storage.database import Database
from storage.keys import KeyRing
from storage.management.store_command import StoreCommand
from storage.management.verify_choice import add_choice, choice_of, parse_rate, parse_share
from storage.management.verify_wording import CHINESE, SENTENCES
from storage.verification.findings import Finding, Report, Tally
from storage.verification.ground import Choice, Ground
from storage.verification.pace import Pace
from storage.verification.progress import Position, Progress, read_progress, save_progress
from storage.verification.run import verify_everything, verify_tenant
from storage.verification.slices import Slice
from tenants import selectors
from tenants.management.command import Options
from tenants.models import Account, Tenant
from tenants.quota import format_octets
from tenants.types import AccountId, TenantId

Result = TypeVar("Result")

SAVED_EVERY_S = 1.0


class Command(StoreCommand):
    help = "Read mail again and compare it with what is known of it; put counts right, tell of the rest; exit 1 if any."
    chinese = CHINESE

    def add_arguments(self, parser: CommandParser) -> None:
        add_choice(parser)
        parser.add_argument("--speak", metavar="LANGUAGE", help="answer in en or zh-hans (default: LANG)")
        parser.set_defaults(run=self.verify)

    def handle(self, *arguments: object, **options: object) -> None:
        if options.get("speak") is None:
            options.pop("speak", None)
        super().handle(*arguments, **options)

    def verify(self, options: Options) -> None:
        progress = self._progress(options)
        choice = self._checked(
            "{given} is not a day, such as 2026-11-01.", options["since"], lambda: choice_of(options, progress.slice)
        )
        rate = options["rate"]
        octets_per_s = (
            self._checked("{given} is not a rate, such as 50MiB/s.", rate, lambda: parse_rate(rate)) if rate else None
        )
        tenant_id = TenantId(selectors.find_tenant(options["tenant"]).pk) if options["tenant"] else None
        slugs: dict[int, str] = dict(Tenant.objects.values_list("pk", "slug"))
        with ThreadPoolExecutor(1) as directory:
            report = Report(self._teller(options, slugs, directory))
            keeper = _Keeper(Path(options["state"]) if options["state"] else None, progress)
            with self._bar(report.tally, slugs) as shown:

                def moved(position: Position) -> None:
                    keeper.moved(position)
                    shown(position)

                work = _work(choice, report, Pace(octets_per_s), tenant_id, keeper.begin, moved)
                try:
                    self._with_store(work)
                except BaseException:
                    keeper.save()
                    if keeper.is_kept:
                        self.stderr.write(self.phrase("Stopped. Go on with the same --state."))
                    raise
            keeper.forget()
        self._summarise(options, report.tally)
        if report.tally.left:
            raise SystemExit(1)

    # -- what is asked for

    def _progress(self, options: Options) -> Progress:
        if options["state"]:
            path = Path(options["state"])
            try:
                found = read_progress(path)
            except (OSError, ValueError) as problem:
                raise self.failure("{path} cannot be used: {reason}", path=path, reason=problem) from None
            if found is not None:
                if not options["json"]:
                    position = found.position
                    self.tell("Goes on in tenant {tenant}, {part}.", tenant=position.tenant_id, part=position.part)
                return found
        given = options["share"]
        share = self._checked("{given} is not a share, such as 1 or 0.01.", given, lambda: parse_share(given))
        start = 0.0 if share == 1 else random.random()  # noqa: S311 - any slice is as good as another
        return Progress(Slice(start, share), Position(TenantId(options["from_tenant"] or 0)))

    def _checked(self, refusal: str, given: object, parse: Callable[[], Result]) -> Result:
        try:
            return parse()
        except ValueError:
            raise self.failure(refusal, given=given) from None

    def _with_store(self, work: "Callable[[Database, KeyRing, ObjectStore | None], Awaitable[None]]") -> None:
        if os.environ.get("WAYPOST_S3_URL"):
            self.with_objects(work)
            return
        secrets = Path(self.needed("WAYPOST_SECRETS"))
        self.with_database(lambda database: work(database, KeyRing(secrets, database), None))

    # -- what is told

    def _teller(
        self, options: Options, slugs: dict[int, str], directory: ThreadPoolExecutor
    ) -> Callable[[Finding], None]:
        @lru_cache(maxsize=1000)
        def address(account_id: AccountId) -> str:
            return directory.submit(_address, account_id).result()

        def tell(finding: Finding) -> None:
            account = None if finding.account_id is None else address(finding.account_id)
            tenant = slugs.get(finding.tenant_id, str(finding.tenant_id))
            if options["json"]:
                self.stdout.write(_as_json(finding, tenant, account))
                return
            what = self.phrase(SENTENCES[finding.kind], **finding.values)
            if account is None:
                what = self.phrase("tenant {tenant}: {what}", tenant=tenant, what=what)
            else:
                what = self.phrase(
                    "tenant {tenant}, account {account}: {what}", tenant=tenant, account=account, what=what
                )
            self.stdout.write(self.phrase("Repaired: {what}", what=what) if finding.is_repaired else what)

        return tell

    def _summarise(self, options: Options, tally: Tally) -> None:
        if options["json"]:
            self.stdout.write(json.dumps({"tally": asdict(tally)}))
            return
        text = "Whole: {counts}" if not tally.left else "Looked at {counts}"
        counts = self.phrase(
            "{messages} messages, {hot} blobs in Postgres, {cold} in {objects} objects; {octets} of {tenants} tenants.",
            messages=tally.messages,
            hot=tally.hot_blobs,
            cold=tally.cold_blobs,
            objects=tally.objects,
            octets=format_octets(tally.octets),
            tenants=tally.tenants,
        )
        self.tell(text, counts=counts)
        if tally.repaired:
            self.tell("{repaired} things were repaired.", repaired=tally.repaired)
        if tally.left:
            self.tell("{left} things are wrong and were left as they are.", left=tally.left)

    @contextmanager
    def _bar(self, tally: Tally, slugs: dict[int, str]) -> Iterator[Callable[[Position], None]]:
        """On a terminal; elsewhere nothing is drawn."""
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        is_drawn = sys.stderr.isatty()
        with Bar(*columns, console=Console(stderr=True), disable=not is_drawn, transient=True) as bar:
            task = bar.add_task("", total=None)

            def show(position: Position) -> None:
                if is_drawn:
                    who = slugs.get(position.tenant_id, str(position.tenant_id))
                    blobs = tally.hot_blobs + tally.cold_blobs
                    counts = f"{tally.messages:,} / {blobs:,} / {format_octets(tally.octets)}"
                    bar.update(task, description=f"{who} {position.part}  {counts}  ✓ {tally.repaired} ✗ {tally.left}")

            yield show


class _Keeper:
    """Writes down, every second or so, where the verification is."""

    def __init__(self, path: Path | None, progress: Progress) -> None:
        self._path = path
        self._progress = progress
        self._saved_at = time.monotonic()

    @property
    def is_kept(self) -> bool:
        return self._path is not None

    @property
    def begin(self) -> Position:
        return self._progress.position

    def moved(self, position: Position) -> None:
        self._progress = Progress(self._progress.slice, position)
        if time.monotonic() - self._saved_at >= SAVED_EVERY_S:
            self.save()

    def save(self) -> None:
        if self._path is not None:
            save_progress(self._path, self._progress)
        self._saved_at = time.monotonic()

    def forget(self) -> None:
        if self._path is not None:
            self._path.unlink(missing_ok=True)


def _work(
    choice: Choice,
    report: Report,
    pace: Pace,
    tenant_id: TenantId | None,
    begin: Position,
    moved: Callable[[Position], None],
) -> "Callable[[Database, KeyRing, ObjectStore | None], Awaitable[None]]":
    async def work(database: Database, keys: KeyRing, objects: ObjectStore | None) -> None:
        # whoever watches an account that was put right hears of it by polling
        ground = Ground(database, keys, objects, lambda _tenant, _account, _modseq: None, choice, report, pace)
        if tenant_id is not None:
            mine = begin if begin.tenant_id == tenant_id else None
            await verify_tenant(ground, tenant_id, begin=mine, moved=moved)
        else:
            await verify_everything(ground, begin=begin if begin.tenant_id else None, moved=moved)

    return work


def _address(account_id: AccountId) -> str:
    """In a thread of its own, for Django's ORM does not work beside a running loop."""
    found = Account.objects.filter(pk=account_id).prefetch_related("addresses__domain").first()
    addresses = selectors.address_texts(found) if found else []
    return addresses[0] if addresses else str(account_id)


def _as_json(finding: Finding, tenant: str, account: str | None) -> str:
    shown = {
        "kind": finding.kind.value,
        "tenant": tenant,
        "tenant_id": finding.tenant_id,
        "account": account,
        "account_id": finding.account_id,
        "is_repaired": finding.is_repaired,
        **finding.values,
    }
    return json.dumps(shown, ensure_ascii=False)
