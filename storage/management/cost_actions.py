"""`manage.py tiers cost`: what mail takes in each tier, and how that grew."""

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta

from django.core.management.base import CommandParser

from storage.database import Database
from storage.management.store_command import StoreCommand
from storage.usage_history import UsagePoint, largest_accounts, usage_series
from tenants import selectors
from tenants.management.command import Options
from tenants.management.table import aligned
from tenants.models import Account, Tenant
from tenants.quota import format_octets
from tenants.types import AccountId, TenantId

HEADS = ("Messages", "Mail", "Hot", "Cold", "Large parts", "Rows", "Unused", "Together", "Of mail")
LARGEST = 10

Series = Sequence[UsagePoint]


def add_cost_action(command: StoreCommand, actions: "argparse._SubParsersAction[CommandParser]") -> None:
    parser = actions.add_parser("cost", help="what mail takes in each tier, and how that grew")
    parser.add_argument("--tenant", metavar="TENANT", help="day by day, and its largest accounts")
    parser.add_argument("--account", metavar="ADDRESS", help="of one person, day by day")
    parser.add_argument("--days", type=int, default=30, help="how far back (default: 30)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    parser.set_defaults(run=lambda options: _Cost(command, options).show())


class _Cost:
    def __init__(self, command: StoreCommand, options: Options) -> None:
        self._command = command
        self._options = options
        # as Postgres has it, somewhere on Earth the day is another
        self._until = datetime.now(UTC).date() + timedelta(days=1)
        self._since = self._until - timedelta(days=max(1, options["days"]) + 1)

    def show(self) -> None:
        if self._options["account"]:
            account = selectors.find_account(self._options["account"])
            self._show_days(self._series(TenantId(account.tenant_id), AccountId(account.pk)))
        elif self._options["tenant"]:
            tenant = selectors.find_tenant(self._options["tenant"])
            points = self._series(TenantId(tenant.pk), None)
            self._show_days(points)
            if points and not self._options["json"]:
                self._show_largest(TenantId(tenant.pk), points[-1].day)
        else:
            self._show_tenants()

    def _series(self, tenant_id: TenantId, account_id: AccountId | None) -> Series:
        return self._command.with_database(
            lambda database: usage_series(database, tenant_id, account_id, self._since, self._until)
        )

    def _show_days(self, points: Series) -> None:
        if self._options["json"]:
            self._write_json(points)
        elif not points:
            self._command.tell("Nothing was measured yet; upkeep does it every day.")
        else:
            self._write("Day", [[point.day.isoformat(), *_cells(point)] for point in points])

    def _show_tenants(self) -> None:
        slugs = {TenantId(pk): slug for pk, slug in Tenant.objects.order_by("slug").values_list("pk", "slug")}
        found = self._command.with_database(lambda database: self._of_all(database, list(slugs)))
        if self._options["json"]:
            self._write_json(
                [point | {"tenant": slugs[tenant]} for tenant, points in found for point in _plain(points)]
            )
            return
        if not found:
            self._command.tell("Nothing was measured yet; upkeep does it every day.")
            return
        rows = [[slugs[tenant], *_cells(points[-1]), _growth(points)] for tenant, points in found]
        self._write("Tenant", rows, self._command.phrase("In {days} days", days=self._options["days"]))

    async def _of_all(self, database: Database, tenants: Sequence[TenantId]) -> list[tuple[TenantId, Series]]:
        """Of those that were measured."""
        found = [(each, await usage_series(database, each, None, self._since, self._until)) for each in tenants]
        return [(tenant, points) for tenant, points in found if points]

    def _show_largest(self, tenant_id: TenantId, day: date) -> None:
        points = self._command.with_database(lambda database: largest_accounts(database, tenant_id, day, LARGEST))
        ids = [point.account_id for point in points]
        accounts = Account.objects.filter(pk__in=ids).prefetch_related("addresses__domain")
        names = {each.pk: (selectors.address_texts(each) or [str(each.pk)])[0] for each in accounts}
        if points:
            self._command.tell("")
            rows = [[names.get(point.account_id, str(point.account_id)), *_cells(point)] for point in points]
            self._write("Account", rows)

    def _write(self, first: str, rows: Sequence[Sequence[str]], *last: str) -> None:
        heading = [self._command.word(head) for head in (first, *HEADS)] + list(last)
        self._command.stdout.write(aligned(heading, rows, right=frozenset(range(1, len(heading)))))

    def _write_json(self, points: "Series | Sequence[dict[str, object]]") -> None:
        plain = [point if isinstance(point, dict) else _plain([point])[0] for point in points]
        self._command.stdout.write(json.dumps(plain, default=str, ensure_ascii=False, indent=1))


def _plain(points: Series) -> list[dict[str, object]]:
    return [asdict(point) | {"stored_octets": point.stored_octets} for point in points]


def _cells(point: UsagePoint) -> list[str]:
    octets = (
        point.octets,
        point.hot_octets,
        point.cold_octets,
        point.part_octets,
        point.row_octets,
        point.dead_octets,
        point.stored_octets,
    )
    share = f"{point.stored_octets / point.octets:.2f}" if point.octets else "–"
    return [str(point.messages), *(format_octets(each) if each else "–" for each in octets), share]


def _growth(points: Series) -> str:
    grown = points[-1].stored_octets - points[0].stored_octets
    sign = "+" if grown > 0 else "−" if grown < 0 else ""
    return sign + format_octets(abs(grown))
