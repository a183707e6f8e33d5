"""`manage.py keys shred` and `certificate`: a company's mail is destroyed for ever, and what says so."""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from django.core.management.base import CommandParser

from storage import shredding
from storage.blobs.objects import ObjectStore
from storage.errors import ColdTierUnavailable
from storage.management.keys_reach import bucket, owner, secrets_directory, tenant_called, working
from storage.management.store_command import StoreCommand
from storage.shredding_certificate import Certificate, as_json, as_text, from_json, is_genuine
from tenants.management.command import Options
from tenants.models import Tenant
from tenants.types import TenantId

Result = TypeVar("Result")


def add_shredding_actions(command: StoreCommand, actions: "argparse._SubParsersAction[CommandParser]") -> None:
    shred = actions.add_parser("shred", help="destroy a company's key and all of its mail, for ever")
    shred.add_argument("tenant", metavar="TENANT", help="its slug, one of its domains, or its number")
    shred.add_argument(
        "--backups-kept-days", type=int, required=True, metavar="DAYS", help="how long you keep backups of Postgres"
    )
    shred.add_argument("--by", metavar="NAME", help="who does it, for the certificate (default: your login)")
    shred.add_argument(
        "--wait",
        type=float,
        default=shredding.SETTLE_S,
        metavar="SECONDS",
        help=f"until running processes have forgotten the key (default: {shredding.SETTLE_S:.0f}; 0 if none runs)",
    )
    shred.add_argument("--yes", action="store_true", help="yes, shred it; do not ask for its name again")
    shred.set_defaults(run=partial(_shred, command))
    certificate = actions.add_parser("certificate", help="show the certificate of a shredded company")
    certificate.add_argument("tenant", metavar="TENANT", help="its slug, one of its domains, or its number")
    certificate.add_argument("--json", action="store_true", help="the facts with their SHA-256")
    certificate.set_defaults(run=partial(_certificate, command))


def _shred(command: StoreCommand, options: Options) -> None:
    tenant = tenant_called(options["tenant"])
    if not options["yes"]:
        _ask_for_name(command, tenant)
    owner_url = command.needed("WAYPOST_OWNER_DATABASE_URL")
    directory = secrets_directory(command)
    administrator = options["by"] or os.environ.get("SUDO_USER") or getpass.getuser()

    async def work(tell: Callable[[str, int], None]) -> Certificate:
        config = bucket()
        objects = ObjectStore(config) if config is not None else None
        try:
            return await shredding.shred(
                owner_url,
                directory,
                objects,
                TenantId(tenant.pk),
                administrator=administrator,
                backups_kept_days=options["backups_kept_days"],
                settle_s=options["wait"],
                tell=tell,
            )
        finally:
            if objects is not None:
                await objects.close()

    command.tell("Shredding {tenant}; it may be interrupted and started again.", tenant=tenant.slug)
    with working() as tell:
        certificate = _shredded(command, lambda: work(tell), tenant)
    command.stdout.write(as_text(certificate, command.language))


def _shredded(command: StoreCommand, work: Callable[[], Awaitable[Result]], tenant: Tenant) -> Result:
    async def run() -> Result:
        return await work()

    try:
        return asyncio.run(run())
    except shredding.TenantInUse:
        raise command.failure(
            "{tenant} is active. First say: manage.py tenant delete {tenant}", tenant=tenant.slug
        ) from None
    except shredding.UnderLegalHold as held:
        raise command.failure(
            "{tenant} is under legal hold ({what}: {count}) and is not shredded.",
            tenant=tenant.slug,
            what=command.word(held.what),
            count=held.count,
        ) from None
    except shredding.ObjectsNotReached as refusal:
        raise command.failure(
            "{tenant} has {count} objects, and WAYPOST_S3_URL is not set.", tenant=tenant.slug, count=refusal.count
        ) from None
    except shredding.ShreddingUnderWay:
        raise command.failure("Another process is shredding {tenant}.", tenant=tenant.slug) from None
    except ColdTierUnavailable as away:
        raise command.failure(
            "The object store cannot be reached: {reason}. Start again when it is back.", reason=away
        ) from None


def _ask_for_name(command: StoreCommand, tenant: Tenant) -> None:
    if not sys.stdin.isatty():
        raise command.failure("This cannot be undone. Say --yes to shred {tenant}.", tenant=tenant.slug)
    command.tell(
        "{name} loses all of its mail, for ever. No backup of PostgreSQL brings it back. Type {tenant} to go on:",
        name=tenant.name,
        tenant=tenant.slug,
    )
    if sys.stdin.readline().strip() != tenant.slug:
        raise command.failure("That was another name. Nothing was changed.")


def _certificate(command: StoreCommand, options: Options) -> None:
    tenant = tenant_called(options["tenant"])
    with owner(command) as connection:
        row = connection.execute("SELECT certificate FROM shredding WHERE tenant = %s", (tenant.pk,)).fetchone()
    if row is None:
        raise command.failure("{tenant} is not shredded.", tenant=tenant.slug)
    if row[0] is None:
        raise command.failure("{tenant} is half shredded: say `keys shred` again.", tenant=tenant.slug)
    if not is_genuine(row[0]):
        raise command.failure("The certificate of {tenant} was altered.", tenant=tenant.slug)
    certificate = from_json(row[0])
    command.stdout.write(as_json(certificate) if options["json"] else as_text(certificate, command.language))
