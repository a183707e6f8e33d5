"""A place for backups: a directory that holds base backups, the objects they need, and perhaps the WAL.

    backups/20261122T140000Z/   one whole backup; `backup.json` says what it is and was written last
      base/                     what pg_basebackup wrote
    backups/.….draft/           one that is being made, or whose making was interrupted
    objects/TENANT/ID           objects of the bucket, shared by all backups; they never change
    wal/                        where the WAL archive may be, if it is not elsewhere

A draft gets its name when everything in it is written, verified and on disk, so what has a name is whole.
"""

import contextlib
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from storage.durable_files import sync_directory

FORMAT = 1
FACTS = "backup.json"
BASE = "base"
OBJECT_LIST = "objects.tsv.gz"
_LABEL = "%Y%m%dT%H%M%SZ"


class BackupFailed(Exception):
    """It cannot be made, or cannot be used; the text says why."""


class BackupUnderWay(BackupFailed):
    """Another process writes to this place."""


class BackupNotFound(BackupFailed):
    """There is none that is whole and fits what was asked."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What `backup.json` says. A backup restores moments from `ended_at` (the database's clock) on.

    `objects_are_here` False: only their list was made, and the bucket keeps them. `master_key_check` tells a wrong
    master key without telling the right one.
    """

    format: int
    label: str
    began_at: datetime
    ended_at: datetime
    server_major: int
    system_identifier: str
    timeline: int
    start_lsn: str
    end_lsn: str
    first_wal: str
    base_octets: int
    objects: int
    object_octets: int
    objects_are_here: bool
    damaged_objects: int
    master_key_check: str

    def to_json(self) -> str:
        return json.dumps(asdict(self), indent=1, default=lambda moment: moment.isoformat()) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "Facts":
        """Raises BackupFailed."""
        try:
            told: dict[str, Any] = json.loads(text)
            if told["format"] != FORMAT:
                raise BackupFailed(f"it has the format {told['format']}, and this version of Waypost reads {FORMAT}")
            for name in ("began_at", "ended_at"):
                told[name] = datetime.fromisoformat(told[name])
            return cls(**{field.name: told[field.name] for field in fields(cls)})
        except (ValueError, KeyError, TypeError) as error:
            raise BackupFailed(f"{FACTS} cannot be read: {error!r}") from None


@dataclass(frozen=True, slots=True)
class Backup:
    """One that is whole."""

    directory: Path
    facts: Facts

    @property
    def octets(self) -> int:
        return sum(path.stat().st_size for path in self.directory.rglob("*") if path.is_file())

    @property
    def base(self) -> Path:
        return self.directory / BASE


class Place:
    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self.objects = self.directory / "objects"
        self._backups = self.directory / "backups"

    def prepare(self) -> None:
        for path in (self.directory, self.objects, self._backups):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[int]:
        """Nobody else writes here meanwhile. The descriptor is for a child that writes too: as long as it lives, even
        if this process dies, the place is locked. Raises BackupUnderWay."""
        descriptor = os.open(self.directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise BackupUnderWay(f"another process writes to {self.directory}") from None
            yield descriptor
        finally:
            os.close(descriptor)

    def new_draft(self, now: datetime) -> tuple[str, Path]:
        """A label and an empty directory; what interrupted backups left goes. Under the lock."""
        for left in self._backups.glob(".*.draft"):
            shutil.rmtree(left)
        label = now.astimezone(UTC).strftime(_LABEL)
        if (self._backups / label).exists():
            raise BackupFailed(f"{self._backups / label} is there already; wait a second")
        draft = self._backups / f".{label}.draft"
        draft.mkdir(mode=0o700)
        return label, draft

    def keep(self, draft: Path, facts: Facts) -> Backup:
        """Give the draft its name. Everything else in it is on disk already."""
        write_durably(draft / FACTS, facts.to_json().encode())
        sync_directory(draft)
        directory = self._backups / facts.label
        draft.rename(directory)
        sync_directory(self._backups)
        return Backup(directory, facts)

    def backups(self) -> list[Backup]:
        """All that are whole, the oldest first. Raises BackupFailed for one whose facts cannot be read."""
        if not self._backups.is_dir():
            return []
        return [self._read(path) for path in sorted(self._backups.iterdir()) if not path.name.startswith(".")]

    def find(self, label: str | None, *, until: datetime | None = None) -> Backup:
        """The one of that label, or the newest from which `until` can be reached. Raises BackupNotFound."""
        found = [
            backup
            for backup in self.backups()
            if (label is None or backup.facts.label == label) and (until is None or backup.facts.ended_at <= until)
        ]
        if not found:
            wanted = f" of the label {label}" if label else ""
            moment = f" that had ended at {until.isoformat(' ')}" if until else ""
            raise BackupNotFound(f"{self.directory} holds no whole backup{wanted}{moment}")
        return found[-1]

    def remove(self, backup: Backup) -> None:
        """Its name goes first, so that half of it never looks whole. Under the lock."""
        draft = backup.directory.with_name(f".{backup.facts.label}.draft")
        backup.directory.rename(draft)
        sync_directory(self._backups)
        shutil.rmtree(draft)

    def _read(self, path: Path) -> Backup:
        try:
            return Backup(path, Facts.from_json((path / FACTS).read_text("utf-8")))
        except (OSError, BackupFailed) as error:
            raise BackupFailed(f"{path}: {error}") from None


def write_durably(path: Path, octets: bytes) -> None:
    """A new file, 0600, on disk when this returns; its directory is still to be synced."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(file.fileno())
