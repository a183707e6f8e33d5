"""`manage.py restore`: an installation as it was at a moment, from a backup."""

import argparse
import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from django.core.management.base import CommandParser

from deploy.local.child import ServiceFailed
from deploy.local.recovery import recovery_settings
from deploy.local.restoring import (
    KeysDoNotOpen,
    Restored,
    Wanted,
    demand_master_key,
    hold_queue,
    restore_installation,
)
from storage.backup import base, object_copies
from storage.backup.object_copies import Copied
from storage.backup.place import Backup, BackupFailed, Place
from storage.database import Database
from storage.epochs import (
    EpochsStarted,
    LostTime,
    NothingKnown,
    NothingRemoved,
    NotTheSameMail,
    count_accounts,
    leap_ids,
    start_epochs,
)
from storage.errors import KeyUnusable, StorageError
from storage.management.archive_actions import add_restore_actions
from storage.management.backup_objects import bucket_of, opened
from storage.management.backup_steps import TerminalSteps
from storage.management.backup_wording import CHINESE
from storage.management.store_command import StoreCommand
from tenants.management.command import Options

_FAILURES = (BackupFailed, ServiceFailed, OSError)


class Command(StoreCommand):
    chinese = CHINESE
    help = "Restore a backup into an empty installation, or a cluster of the system's step by step."

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        installation = actions.add_parser("installation", help="make an installation of `make up` from a backup")
        _add_source(installation)
        installation.add_argument("--to-var", type=Path, required=True, metavar="VAR", help="a directory that is new")
        installation.add_argument(
            "--secrets", type=Path, required=True, metavar="DIR", help="the keys (they are copied); not in the backup"
        )
        installation.add_argument(
            "--renew", action="store_true", help="new uidvalidity everywhere: all mail programs read all mail anew"
        )
        installation.add_argument(
            "--lost-keys", action="store_true", help="tenants without a key, such as shredded ones, stay unreadable"
        )
        installation.set_defaults(run=self.installation, needs_database=False)

        cluster = actions.add_parser("cluster", help="make a data directory for a PostgreSQL of the system's")
        _add_source(cluster)
        cluster.add_argument("--to", type=Path, required=True, metavar="DATA", help="a directory that is new")
        cluster.set_defaults(run=self.cluster, needs_database=False)

        objects = actions.add_parser("objects", help="put back into the bucket what the database needs and it lacks")
        objects.add_argument("--from", type=Path, required=True, dest="place", metavar="PLACE", help="the backups")
        objects.set_defaults(run=self.objects)

        epoch = actions.add_parser("epoch", help="new epochs for all: after a restore, or a failover that lost mail")
        epoch.add_argument(
            "--later-url", metavar="URL", help="the database that went on, as its owner: what it deleted"
        )
        epoch.add_argument(
            "--renew", action="store_true", help="new uidvalidity everywhere: nobody knows what it deleted"
        )
        epoch.add_argument("--yes", action="store_true", help="yes, no process of Waypost runs")
        epoch.set_defaults(run=self.epoch)
        add_restore_actions(self, actions)

    # -- an installation of `make up`

    def installation(self, options: Options) -> None:
        until = self._until(options)
        place, backup, wal = self._source(options, until)
        wanted = Wanted(
            place=place,
            backup=backup,
            to=options["to_var"].absolute(),
            secrets=options["secrets"].absolute(),
            wal=wal,
            until=until,
            renews=options["renew"],
            tolerates_lost_keys=options["lost_keys"],
        )
        try:
            with opened(bucket_of(os.environ)) as elsewhere:
                restored = restore_installation(wanted, self._steps(), elsewhere)
        except KeysDoNotOpen as failure:
            self.stderr.write(self.phrase("The keys cannot be used: {reason}", reason=failure))
            raise self.failure(
                "Tenants that were shredded since have no key any more. Say --lost-keys to restore all others."
            ) from None
        except KeyUnusable as failure:
            raise self.failure("The keys cannot be used: {reason}", reason=failure) from None
        except (*_FAILURES, NotTheSameMail, StorageError) as failure:
            raise self.failure("The restore failed: {reason}", reason=failure) from None
        self._tell_of_installation(wanted, restored)

    def _tell_of_installation(self, wanted: Wanted, restored: Restored) -> None:
        moment = restored.moment or wanted.backup.facts.ended_at
        self.tell("Restored {to} to {moment}.", to=wanted.to, moment=moment.isoformat(" "))
        self._tell_of_epochs(restored.epochs, restored.held)
        if not wanted.renews and restored.is_later_known:
            self.tell(
                "If messages were deleted after the end of the WAL, mail programs that saw it will not show them;"
                " --renew helps."
            )
        if restored.unreadable:
            self.tell(
                "{count} tenants have no key that opens: {tenants}",
                count=len(restored.unreadable),
                tenants="; ".join(restored.unreadable),
            )
        self.tell("Start it with: WAYPOST_VAR={to} make up", to=wanted.to)
        self._tell_of_objects(restored.objects)

    # -- a cluster of the system's

    def cluster(self, options: Options) -> None:
        until = self._until(options)
        _, backup, wal = self._source(options, until)
        data: Path = options["to"].absolute()
        if secrets := os.environ.get("WAYPOST_SECRETS"):
            try:
                demand_master_key(Path(secrets), backup)
            except KeyUnusable as failure:
                raise self.failure("The keys cannot be used: {reason}", reason=failure) from None
        try:
            with self._steps().step("unpacking") as tell:
                base.unpack_base(backup.base, data, tell)
            with (data / "postgresql.auto.conf").open("a", encoding="utf-8") as settings:
                settings.write(recovery_settings(wal, until))
            (data / "recovery.signal").touch()
        except _FAILURES as failure:
            raise self.failure("The restore failed: {reason}", reason=failure) from None
        self.tell(
            "{data} is unpacked and verified. What is left to do: docs/operations.md, 'Restoring a cluster of the"
            " system'.",
            data=data,
        )

    def objects(self, options: Options) -> None:
        place = Place(options["place"])
        owner_url = self.needed("WAYPOST_OWNER_DATABASE_URL")
        self.needed("WAYPOST_S3_URL")
        with opened(bucket_of(os.environ)) as store, self._steps().step("objects") as tell:
            assert store is not None

            async def put() -> Copied:
                async with _owner(owner_url) as owner:
                    needed = [each async for each in object_copies.listed(owner) if each.is_live]
                total, done = sum(each.octets for each in needed), 0

                def one_more(octets: int) -> None:
                    nonlocal done
                    done += octets
                    tell(done, total)

                copied = await object_copies.put_back(store, place, needed, one_more)
                async with _owner(owner_url) as owner:
                    await object_copies.forget_holds(owner, copied.put)
                return copied

            try:
                copied = asyncio.run(put())
            except StorageError as failure:
                raise self.failure("The bucket cannot be used: {reason}", reason=failure) from None
        self._tell_of_objects(copied)
        self.tell(
            "The bucket has all {objects} objects; {new} with {octets} octets were put back.",
            objects=copied.objects,
            new=copied.new,
            octets=copied.new_octets,
        )

    def epoch(self, options: Options) -> None:
        if not options["yes"]:
            raise self.failure(
                "Stop every process of Waypost first, and say --yes: open sessions do not know of the new epoch."
            )
        owner_url = self.needed("WAYPOST_OWNER_DATABASE_URL")

        async def start(database: Database) -> tuple[EpochsStarted, int]:
            async with _owner(owner_url) as owner:
                await leap_ids(owner)
            held = await hold_queue(database)
            with self._steps().step("new epochs") as tell:
                accounts = await count_accounts(database)

                def progress(done: int) -> None:
                    tell(done, accounts)

                if options["renew"]:
                    return await start_epochs(database, NothingKnown(), on_progress=progress), held
                if options["later_url"] is None:
                    return await start_epochs(database, NothingRemoved(), on_progress=progress), held
                async with _owner(options["later_url"]) as later:
                    return await start_epochs(database, LostTime(later), on_progress=progress), held

        try:
            epochs, held = self.with_database(start)
        except NotTheSameMail as failure:
            raise self.failure(
                "The database named by --later-url did not go on from this one: {reason}", reason=failure
            ) from None
        except psycopg.Error as failure:
            raise self.failure("The restore failed: {reason}", reason=failure) from None
        self._tell_of_epochs(epochs, held)

    # -- what they share

    def _until(self, options: Options) -> datetime | None:
        text = options["until"]
        if (text is None) != options["latest"]:
            raise self.failure("Say --until MOMENT or --latest.")
        if text is None:
            return None
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            raise self.failure(
                "{given} is not a moment. Write it as 2026-11-22 14:00:00+00:00, with its zone.", given=text
            )
        if moment > datetime.now(UTC):
            raise self.failure("{given} has not come yet.", given=text)
        return moment

    def _source(self, options: Options, until: datetime | None) -> tuple[Place, Backup, Path | None]:
        place = Place(options["place"])
        wal: Path | None = options["wal"]
        if wal is None and (place.directory / "wal").is_dir():
            wal = place.directory / "wal"
        if until is not None and wal is None:
            raise self.failure("--until needs the WAL archive: --wal DIRECTORY")
        try:
            return place, place.find(options["label"], until=until), wal.absolute() if wal else None
        except BackupFailed as failure:
            raise self.failure("The restore failed: {reason}", reason=failure) from None

    def _tell_of_epochs(self, epochs: EpochsStarted, held: int) -> None:
        self.tell("{accounts} accounts have a new epoch.", accounts=epochs.accounts)
        if epochs.renumbered:
            self.tell(
                "{count} messages that were deleted later are there again, with new uids.", count=epochs.renumbered
            )
        if epochs.renewed:
            self.tell(
                "{count} accounts have mailboxes with a new uidvalidity: their mail programs read everything anew.",
                count=epochs.renewed,
            )
        if held:
            self.tell(
                "{count} recipients of queued mail are held: most were sent to since. See: manage.py queue list"
                " --state held",
                count=held,
            )

    def _tell_of_objects(self, found: Copied) -> None:
        for name in found.missing:
            self.tell("Missing: {name}", name=name)
        for name in found.damaged:
            self.tell("Damaged: {name}", name=name)
        if count := len(found.missing) + len(found.damaged):
            raise self.failure("{count} objects are missing or damaged. Run: manage.py verify", count=count)

    def _steps(self) -> TerminalSteps:
        return TerminalSteps(self.language, self.stderr.write)


def _add_source(parser: CommandParser) -> None:
    parser.add_argument("--from", type=Path, required=True, dest="place", metavar="PLACE", help="directory of backups")
    parser.add_argument("--label", help="which backup (default: the newest from which the moment can be reached)")
    parser.add_argument("--until", metavar="MOMENT", help="as it was then: 2026-11-22 14:00:00+00:00")
    parser.add_argument("--latest", action="store_true", help="as it was at the end of the WAL")
    parser.add_argument("--wal", type=Path, metavar="DIR", help="the WAL archive (default: PLACE/wal, if it is there)")


@asynccontextmanager
async def _owner(url: str) -> "AsyncIterator[psycopg.AsyncConnection[tuple[Any, ...]]]":
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        yield connection
