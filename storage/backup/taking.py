"""A backup of the whole installation while it runs: a base backup, then the objects that it needs.

The keys are not in it, on purpose: whoever has a backup and no keys reads headers and no content. `secrets/` is to be
kept apart, and the backup is worth nothing without it.
"""

import asyncio
import shutil
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import psycopg

from storage.backup import base, object_copies
from storage.backup.object_copies import Copied
from storage.backup.place import BASE, FORMAT, OBJECT_LIST, Backup, BackupFailed, Facts, Place
from storage.blobs.objects import ObjectStore
from storage.errors import KeyUnusable
from storage.key_files import fingerprint, read_master_key


class Steps(Protocol):
    """Whoever watches is told of each step, and within it how far it is."""

    def step(self, what: str) -> AbstractContextManager[Callable[[int, int | None], None]]:
        """Octets done and in all; None: as many as before."""
        ...


@dataclass(frozen=True, slots=True)
class Sources:
    """What is backed up. `objects` None: there is no bucket. `max_rate`: of the base backup, such as 50M a second."""

    backup_url: str
    owner_url: str
    secrets: Path | None
    objects: ObjectStore | None
    max_rate: str | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    backup: Backup
    objects: Copied


def take_backup(place: Place, sources: Sources, *, copies_objects: bool, steps: Steps) -> Taken:
    """Write, verify and name a backup. Raises BackupFailed, and ColdTierUnavailable when the bucket cannot be read."""
    place.prepare()
    with place.lock() as lock:
        server = base.look(sources.backup_url)
        began_at = datetime.now(UTC)
        label, draft = place.new_draft(began_at)
        try:
            facts, copied = _write(place, sources, draft, label, began_at, server, lock, copies_objects, steps)
            return Taken(place.keep(draft, facts), copied)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)  # whoever is killed here leaves it to the next backup
            raise


def _write(
    place: Place,
    sources: Sources,
    draft: Path,
    label: str,
    began_at: datetime,
    server: base.Server,
    lock: int,
    copies_objects: bool,
    steps: Steps,
) -> tuple[Facts, Copied]:
    with steps.step("base backup") as tell:
        made = base.write_base(
            sources.backup_url, server, draft / BASE, lock=lock, on_progress=tell, max_rate=sources.max_rate
        )
    with steps.step("verifying") as tell:
        base.verify_base(draft / BASE, tell)
    base_octets = sum(path.stat().st_size for path in (draft / BASE).iterdir())
    ended_at, count, octets, copied = asyncio.run(_objects(place, sources, draft, copies_objects, steps))
    facts = Facts(
        format=FORMAT,
        label=label,
        began_at=began_at,
        ended_at=ended_at,
        server_major=server.major,
        system_identifier=server.system_identifier,
        timeline=made.timeline,
        start_lsn=made.start_lsn,
        end_lsn=made.end_lsn,
        first_wal=made.first_wal,
        base_octets=base_octets,
        objects=count,
        object_octets=octets,
        objects_are_here=copies_objects or count == 0,
        damaged_objects=len(copied.damaged) + len(copied.missing),
        master_key_check=_master_key_check(sources.secrets),
    )
    return facts, copied


async def _objects(
    place: Place, sources: Sources, draft: Path, copies: bool, steps: Steps
) -> tuple[datetime, int, int, Copied]:
    try:
        async with await psycopg.AsyncConnection.connect(sources.owner_url, autocommit=True) as owner:
            row = await (await owner.execute("SELECT now()")).fetchone()  # the clock that recovery targets go by
            assert row is not None
            count, octets = await object_copies.write_list(draft / OBJECT_LIST, object_copies.listed(owner))
    except psycopg.OperationalError as error:
        raise BackupFailed(f"the database cannot be asked for its objects: {error}") from None
    if not copies or not count:
        return row[0], count, octets, Copied()
    if sources.objects is None:
        raise BackupFailed("mail rests in objects, and no bucket is named: WAYPOST_S3_URL")
    done = 0
    with steps.step("objects") as tell:

        def one_more(more: int) -> None:
            nonlocal done
            done += more
            tell(done, octets)

        store = sources.objects
        copied = await object_copies.copy_here(store, place, object_copies.read_list(draft / OBJECT_LIST), one_more)
    return row[0], count, octets, copied


def _master_key_check(secrets: Path | None) -> str:
    if secrets is None:
        return ""
    try:
        return fingerprint(read_master_key(secrets))
    except KeyUnusable:
        return ""


def check_backup(place: Place, backup: Backup, steps: Steps) -> Copied:
    """Read all of it again. Raises BackupFailed when the base backup is damaged."""
    with steps.step("verifying") as tell:
        base.verify_base(backup.base, tell)
    if not backup.facts.objects_are_here:
        return Copied()
    done = 0
    with steps.step("objects") as tell:

        def one_more(more: int) -> None:
            nonlocal done
            done += more
            tell(done, backup.facts.object_octets)

        return object_copies.check_copies(place, object_copies.read_list(backup.directory / OBJECT_LIST), one_more)
