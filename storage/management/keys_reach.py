"""What the actions of `manage.py keys` reach for: keys, the bucket, the owner's connection, tenants."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from django.core.management.base import CommandError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from storage.blobs.objects import ObjectsConfig
from storage.errors import KeyUnusable
from storage.management.backup_objects import bucket_of
from storage.management.store_command import StoreCommand
from tenants import selectors
from tenants.models import Tenant

Result = TypeVar("Result")


def tenant_called(name: str) -> Tenant:
    """By number too: several deleted companies may have had one slug. Raises TenantNotFound."""
    if name.isdigit() and (found := Tenant.objects.filter(pk=int(name)).first()) is not None:
        return found
    return selectors.find_tenant(name)


def tenants_with_keys() -> list[Tenant]:
    """The deleted ones too, until they are shredded."""
    return list(Tenant.objects.extra(where=["id IN (SELECT tenant_id FROM data_key)"]).order_by("pk"))


def usable(work: Callable[[], Result]) -> Result:
    try:
        return work()
    except KeyUnusable as problem:
        raise CommandError(str(problem)) from None


def secrets_directory(command: StoreCommand) -> Path:
    directory = os.environ.get("WAYPOST_SECRETS")
    if not directory:
        raise command.failure(
            "WAYPOST_SECRETS is not set: it names the directory of the keys, such as /var/lib/waypost/secrets."
        )
    return Path(directory)


def bucket() -> ObjectsConfig | None:
    try:
        return bucket_of(os.environ)
    except ValueError as invalid:
        raise CommandError(str(invalid)) from None


@contextmanager
def owner(command: StoreCommand) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
    """Statements commit by themselves."""
    with psycopg.connect(command.needed("WAYPOST_OWNER_DATABASE_URL"), autocommit=True) as connection:
        yield connection


@contextmanager
def working() -> Iterator[Callable[[str, int], None]]:
    """Tell it what is being done, and how much more of it is; drawn on a terminal only."""
    columns = (SpinnerColumn(), TextColumn("{task.description}  {task.completed}"), TimeElapsedColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not sys.stderr.isatty(), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, count: bar.update(task, description=what, advance=count)
