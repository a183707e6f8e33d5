"""`manage.py backup`: copies of the installation that can be restored to any moment since."""

import argparse
import os
from pathlib import Path

from django.core.management.base import CommandParser

from storage.backup import object_copies, taking, wal_archive
from storage.backup.object_copies import Copied
from storage.backup.place import OBJECT_LIST, BackupFailed, Place
from storage.backup.taking import Sources, take_backup
from storage.errors import StorageError
from storage.management.archive_actions import add_backup_actions
from storage.management.backup_objects import bucket_of, opened
from storage.management.backup_steps import TerminalSteps
from storage.management.backup_wording import CHINESE
from storage.management.store_command import StoreCommand
from tenants.management.command import Options
from tenants.management.table import aligned


class Command(StoreCommand):
    chinese = CHINESE
    help = "Back up the installation while it runs; list, check and prune backups."

    def add_actions(self, actions: "argparse._SubParsersAction[CommandParser]") -> None:
        installation = actions.add_parser("installation", help="a base backup of PostgreSQL, and the objects it needs")
        installation.add_argument("--to", type=Path, required=True, metavar="PLACE", help="directory for backups")
        installation.add_argument(
            "--objects-stay",
            action="store_true",
            help="list the objects and leave them in the bucket, which keeps doomed ones for its days",
        )
        installation.add_argument("--max-rate", metavar="RATE", help="read PostgreSQL no faster, such as 50M a second")
        installation.set_defaults(run=self.installation)

        listing = actions.add_parser("list", help="what is there, the oldest first")
        listing.set_defaults(run=self.list)
        check = actions.add_parser("check", help="read a backup again and compare every octet")
        check.add_argument("--label", help="which one (default: the newest)")
        check.set_defaults(run=self.read_again)
        prune = actions.add_parser("prune", help="remove the oldest backups, and objects and WAL that no other needs")
        prune.add_argument("--keep", type=int, required=True, metavar="N", help="so many of the newest stay")
        prune.add_argument("--wal", type=Path, metavar="DIR", help="the WAL archive (default: WAYPOST_WAL_ARCHIVE)")
        prune.set_defaults(run=self.prune)
        for parser in (listing, check, prune):
            parser.add_argument("--in", type=Path, required=True, dest="place", metavar="PLACE", help="where they are")
            parser.set_defaults(needs_database=False)
        add_backup_actions(self, actions)

    def installation(self, options: Options) -> None:
        place = Place(options["to"])
        backup_url = os.environ.get("WAYPOST_BACKUP_DATABASE_URL", "")
        if not backup_url:
            raise self.failure("{variable} is not set.", variable="WAYPOST_BACKUP_DATABASE_URL")
        secrets = os.environ.get("WAYPOST_SECRETS")
        with opened(bucket_of(os.environ)) as bucket:
            sources = Sources(
                backup_url,
                os.environ["WAYPOST_OWNER_DATABASE_URL"],
                Path(secrets) if secrets else None,
                bucket,
                options["max_rate"],
            )
            try:
                taken = take_backup(place, sources, copies_objects=not options["objects_stay"], steps=self._steps())
            except BackupFailed as failure:
                raise self.failure("The backup failed: {reason}", reason=failure) from None
            except StorageError as failure:
                raise self.failure("The bucket cannot be used: {reason}", reason=failure) from None
        facts = taken.backup.facts
        self.tell(
            "Backup {label} is whole: {octets} octets, verified. It restores moments from {moment} on.",
            label=facts.label,
            octets=taken.backup.octets,
            moment=facts.ended_at.isoformat(" ", "seconds"),
        )
        if facts.objects and facts.objects_are_here:
            self.tell(
                "{objects} objects with {octets} octets, of them new here: {new} with {new_octets} octets.",
                objects=taken.objects.objects,
                octets=taken.objects.octets,
                new=taken.objects.new,
                new_octets=taken.objects.new_octets,
            )
        elif facts.objects:
            self.tell(
                "{objects} objects with {octets} octets stay in the bucket; only their list is here.",
                objects=facts.objects,
                octets=facts.object_octets,
            )
        self.tell(
            "The keys are not in it. Keep {secrets} apart from it: without the keys no mail can be read from it.",
            secrets=secrets or "secrets/",
        )
        if not os.environ.get("WAYPOST_WAL_ARCHIVE"):
            self.tell(
                "Finished WAL is not archived (WAYPOST_WAL_ARCHIVE), so only the end of this backup can be restored."
            )
        self._tell_of_objects(
            taken.objects,
            "In the bucket this object is missing: {name}",
            "In the bucket this object is damaged: {name}",
        )

    def list(self, options: Options) -> None:
        place = Place(options["place"])
        try:
            backups = place.backups()
        except BackupFailed as failure:
            raise self.failure("The backup failed: {reason}", reason=failure) from None
        if not backups:
            self.tell("There is no backup in {place}.", place=place.directory)
            return
        heading = [self.word(title) for title in ("Label", "Restores from", "Octets", "Objects", "Octets", "Where")]
        rows = [
            [
                backup.facts.label,
                backup.facts.ended_at.isoformat(" ", "seconds"),
                str(backup.octets),
                str(backup.facts.objects),
                str(backup.facts.object_octets),
                self.word("here" if backup.facts.objects_are_here else "in the bucket"),
            ]
            for backup in backups
        ]
        self.stdout.write(aligned(heading, rows, right=frozenset({2, 3, 4})))

    def read_again(self, options: Options) -> None:
        place = Place(options["place"])
        try:
            backup = place.find(options["label"])
            found = taking.check_backup(place, backup, self._steps())
        except BackupFailed as failure:
            raise self.failure("The backup failed: {reason}", reason=failure) from None
        self._tell_of_objects(found, "Missing: {name}", "Damaged: {name}")
        self.tell("Backup {label} is as it was written.", label=backup.facts.label)

    def prune(self, options: Options) -> None:
        if options["keep"] < 1:
            raise self.failure("At least one backup has to stay.")
        place = Place(options["place"])
        archive = options["wal"] or (Path(told) if (told := os.environ.get("WAYPOST_WAL_ARCHIVE")) else None)
        if archive is None and (place.directory / "wal").is_dir():
            archive = place.directory / "wal"
        try:
            with place.lock():
                backups = place.backups()
                removed, kept = backups[: -options["keep"]], backups[-options["keep"] :]
                for backup in removed:
                    place.remove(backup)
                gone, _ = object_copies.forget_unlisted(place, [each.directory / OBJECT_LIST for each in kept])
                wal = wal_archive.prune(archive, kept[0].facts.first_wal) if archive is not None and kept else 0
        except (BackupFailed, OSError) as failure:
            raise self.failure("The backup failed: {reason}", reason=failure) from None
        self.tell(
            "Removed {backups} backups, {objects} objects and {wal} files of WAL.",
            backups=len(removed),
            objects=gone,
            wal=wal,
        )

    def _tell_of_objects(self, found: Copied, missing: str, damaged: str) -> None:
        for name in found.missing:
            self.tell(missing, name=name)
        for name in found.damaged:
            self.tell(damaged, name=name)
        if count := len(found.missing) + len(found.damaged):
            raise self.failure("{count} objects are missing or damaged. Run: manage.py verify", count=count)

    def _steps(self) -> TerminalSteps:
        return TerminalSteps(self.language, self.stderr.write)
