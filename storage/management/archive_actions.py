"""`manage.py backup` and `restore` of one tenant, one account or one mailbox."""

import argparse
import asyncio
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import psycopg
from django.core.management.base import CommandError, CommandParser
from rich.console import Console

from storage.archive.files import Archive
from storage.archive.format import ArchiveUnusable
from storage.archive.restoring_mailbox import RestoredMailbox, restore_mailbox
from storage.archive.restoring_tenant import TenantThere, restore_tenant
from storage.archive.taking import Subject, Taken, take
from storage.blobs.objects import ObjectStore
from storage.database import Database
from storage.errors import ColdTierUnavailable, KeyUnusable, MailboxNotFound
from storage.key_files import tenant_key_path
from storage.keys import KeyRing
from storage.management.archive_wording import CHINESE
from storage.management.backup_objects import bucket_of
from storage.management.store_command import StoreCommand
from tenants import selectors
from tenants.management.command import Options
from tenants.types import AccountId, TenantId

Progress = Callable[[str, int], None]


def add_backup_actions(command: StoreCommand, actions: "argparse._SubParsersAction[CommandParser]") -> None:
    tenant = actions.add_parser("tenant", help="an archive of one company: its directory and all of its mail")
    tenant.add_argument("tenant", metavar="TENANT", help="its slug or one of its domains")
    tenant.add_argument("directory", metavar="DIR", type=Path, help="a directory that is new")
    tenant.set_defaults(run=partial(_back_up_tenant, command))

    mailbox = actions.add_parser("mailbox", help="an archive of one person's mail, or of one mailbox of it")
    mailbox.add_argument("address", metavar="ADDRESS")
    mailbox.add_argument("directory", metavar="DIR", type=Path, help="a directory that is new")
    mailbox.add_argument("--mailbox", metavar="NAME", help="only this one")
    mailbox.set_defaults(run=partial(_back_up_mailbox, command))


def add_restore_actions(command: StoreCommand, actions: "argparse._SubParsersAction[CommandParser]") -> None:
    tenant = actions.add_parser("tenant", help="a company that is not here, from its archive; its key has to be here")
    tenant.add_argument("directory", metavar="DIR", type=Path, help="the archive")
    tenant.set_defaults(run=partial(_restore_tenant, command))

    mailbox = actions.add_parser("mailbox", help="mail from an archive into an account of the same company")
    mailbox.add_argument("directory", metavar="DIR", type=Path, help="the archive")
    mailbox.add_argument("--into", metavar="ADDRESS", required=True, help="whose mail it becomes")
    mailbox.set_defaults(run=partial(_restore_mailbox, command))


# -- making


def _back_up_tenant(command: StoreCommand, options: Options) -> None:
    tenant = selectors.find_tenant(options["tenant"])
    _back_up(command, TenantId(tenant.pk), Subject(tenant.slug), options["directory"])


def _back_up_mailbox(command: StoreCommand, options: Options) -> None:
    account = selectors.find_account(options["address"])
    subject = Subject(account.tenant.slug, AccountId(account.pk), options["address"], options["mailbox"])
    _back_up(command, TenantId(account.tenant_id), subject, options["directory"])


def _back_up(command: StoreCommand, tenant_id: TenantId, subject: Subject, path: Path) -> None:
    owner_url, secrets = command.needed("WAYPOST_OWNER_DATABASE_URL"), Path(command.needed("WAYPOST_SECRETS"))

    async def work(database: Database) -> Taken:
        keys = await KeyRing(secrets, database).of(tenant_id)
        config = bucket_of(os.environ)
        objects = ObjectStore(config) if config is not None else None
        try:
            with _telling(command) as progress:
                return await take(owner_url, keys, objects, subject, path, datetime.now(UTC), progress)
        except MailboxNotFound as missing:
            raise _failure(command, "There is no mailbox {name}.", name=missing.name) from None
        except ColdTierUnavailable as away:
            raise _failure(command, "The content in S3 cannot be reached: {reason}", reason=away.reason) from None
        finally:
            if objects is not None:
                await objects.close()

    try:
        taken = command.with_database(work)
    except FileExistsError:
        raise _failure(command, "{path} is there already. Choose a new directory.", path=path) from None
    except OSError as error:
        raise _failure(command, "{path} cannot be written: {reason}", path=path, reason=error.strerror) from None
    except psycopg.Error as error:
        raise _refused(command, error) from None
    _tell(
        command,
        "{path} has {messages} messages of {tenant} with {content} pieces of content, all of them verified.",
        path=path,
        messages=taken.manifest.counts["message"],
        tenant=subject.address or subject.tenant,
        content=taken.manifest.counts["content"],
    )
    _tell(
        command,
        "The keys are not in it: it opens with the key of tenant {tenant} only. Keep {file} apart from it.",
        tenant=subject.tenant,
        file=tenant_key_path(secrets, tenant_id),
    )
    if subject.account_id is None:
        _tell(command, "Mail that was in the queue is not in an archive.")
    if taken.damaged:
        raise _failure(
            command,
            "{count} pieces of content are damaged and not in it. Run: manage.py verify",
            count=len(taken.damaged),
        )


# -- restoring


def _restore_tenant(command: StoreCommand, options: Options) -> None:
    owner_url, secrets = command.needed("WAYPOST_OWNER_DATABASE_URL"), Path(command.needed("WAYPOST_SECRETS"))
    path: Path = options["directory"]
    archive = _archive(command, path)
    try:
        with _telling(command) as progress:
            told = asyncio.run(restore_tenant(archive, owner_url, secrets, progress))
    except (ArchiveUnusable, KeyUnusable) as reason:
        raise _unusable(command, path, reason) from None
    except TenantThere as there:
        raise _failure(
            command,
            "{path} cannot be restored: {what} is here already. Nothing of the tenant was written.",
            path=path,
            what=there.what,
        ) from None
    except psycopg.Error as error:
        raise _refused(command, error) from None
    _tell(
        command,
        "Restored {tenant}: {accounts} accounts with {messages} messages, each in a new epoch: mail programs read all"
        " mailboxes anew.",
        tenant=archive.manifest.tenant,
        accounts=told.accounts,
        messages=told.messages,
    )
    _tell(command, "Mail that was in the queue is not in an archive.")
    if told.lost:
        raise _failure(
            command,
            "{count} pieces of content were damaged when the archive was made; messages that need them cannot be read"
            " whole.",
            count=told.lost,
        )


def _restore_mailbox(command: StoreCommand, options: Options) -> None:
    account = selectors.find_living_account(options["into"])
    secrets, path = Path(command.needed("WAYPOST_SECRETS")), options["directory"]
    archive = _archive(command, path)
    if archive.manifest.tenant_id != account.tenant_id:
        raise _failure(
            command,
            "{address} is of another company than {path}. Mail goes from one to another by manage.py mail export and"
            " import.",
            address=options["into"],
            path=path,
        )

    async def work(database: Database) -> RestoredMailbox:
        keys = await KeyRing(secrets, database).of(TenantId(account.tenant_id))
        with _telling(command) as progress:
            return await restore_mailbox(archive, database, keys, secrets, AccountId(account.pk), progress)

    try:
        told = command.with_database(work)
    except ArchiveUnusable as reason:
        raise _unusable(command, path, reason) from None
    if told.is_rebuilt:
        _tell(
            command,
            "Restored {address}: {added} messages, under their old uids, in a new epoch.",
            address=options["into"],
            added=told.added,
        )
        _tell(
            command,
            "Mail programs read its mailboxes anew; those that are connected now are disconnected.",
        )
    else:
        _tell(
            command,
            "Restored {address}: {added} messages, {present} were there.",
            address=options["into"],
            added=told.added,
            present=told.present,
        )
    if told.lost:
        raise _failure(
            command,
            "{count} messages were left out: their content was damaged when the archive was made.",
            count=told.lost,
        )


def _archive(command: StoreCommand, path: Path) -> Archive:
    try:
        with _telling(command) as progress:
            progress("reading the archive", 0)
            return Archive(path)
    except ArchiveUnusable as reason:
        raise _unusable(command, path, reason) from None
    except OSError as error:
        raise _failure(command, "{path} cannot be read: {reason}", path=path, reason=error.strerror) from None


# -- saying


def _say(command: StoreCommand, text: str, **values: object) -> str:
    return (CHINESE.get(text, text) if command.language == "zh-hans" else text).format(**values)


def _tell(command: StoreCommand, text: str, **values: object) -> None:
    command.stdout.write(_say(command, text, **values))


def _failure(command: StoreCommand, text: str, **values: object) -> CommandError:
    return CommandError(_say(command, text, **values))


def _unusable(command: StoreCommand, path: Path, reason: Exception) -> CommandError:
    return _failure(command, "{path} cannot be restored: {reason}. Nothing was written.", path=path, reason=reason)


def _refused(command: StoreCommand, error: psycopg.Error) -> CommandError:
    return _failure(command, "The database refused: {reason}", reason=str(error).strip().partition("\n")[0])


@contextmanager
def _telling(command: StoreCommand) -> Iterator[Progress]:
    """What is being done and how much of it, where a person looks on."""
    console = Console(file=sys.stderr)
    if not console.is_terminal:
        yield lambda _what, _done: None
        return
    with console.status("") as status:

        def progress(what: str, done: int) -> None:
            name = CHINESE["rows"] if command.language == "zh-hans" else "rows"
            name = _say(command, what) if what in CHINESE else f"{name}: {what}"
            status.update(f"{name} {done:,}")

        yield progress
