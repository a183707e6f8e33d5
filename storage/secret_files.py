"""Writing and destroying files that hold secrets: whole or not at all, durable, with mode 0600, and one at a time."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from storage.durable_files import sync_directory


@contextlib.contextmanager
def locked(secrets_directory: Path) -> Iterator[None]:
    """One at a time makes, replaces or destroys keys here. The lock ends with the process."""
    descriptor = os.open(secrets_directory, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def write_once(path: Path, text: str) -> bool:
    """A new file with mode 0600, durable and whole; returns whether it was made. One that is there is left alone."""
    with _draft(path, text) as draft:
        try:
            os.link(draft, path)
        except FileExistsError:
            return False
        sync_directory(path.parent)
        return True


def replace_file(path: Path, text: str) -> None:
    """Whoever reads it finds the old or the new text; when this returns, the new one also after a crash."""
    with _draft(path, text) as draft:
        os.replace(draft, path)
        sync_directory(path.parent)


def destroy_file(path: Path) -> bool:
    """Overwrite and unlink; returns whether it was there.

    The file system and the disk may keep the old octets all the same (copy on write, wear levelling, snapshots).
    """
    try:
        descriptor = os.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return False
    try:
        os.write(descriptor, os.urandom(max(1, os.fstat(descriptor).st_size)))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    path.unlink(missing_ok=True)
    sync_directory(path.parent)
    return True


def destroy_drafts(path: Path) -> None:
    """What processes left that died while they wrote the file. Only under the lock."""
    for draft in path.parent.glob(f".{path.name}.*"):
        destroy_file(draft)


def destroy_all_drafts(secrets_directory: Path) -> None:
    """The same of every key. Only under the lock."""
    for pattern in (".*key*.[0-9]*", "tenants/.*.key.[0-9]*"):
        for draft in secrets_directory.glob(pattern):
            destroy_file(draft)


@contextlib.contextmanager
def _draft(path: Path, text: str) -> Iterator[Path]:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text + "\n")
            file.flush()
            os.fsync(file.fileno())
        _give_to_owner_of(path.parent, draft)
        yield draft
    finally:
        draft.unlink(missing_ok=True)


def make_directory(directory: Path) -> None:
    """One below that of the secrets."""
    if not directory.exists():
        directory.mkdir(mode=0o700)
        _give_to_owner_of(directory.parent, directory)


def _give_to_owner_of(directory: Path, path: Path) -> None:
    """Commands run as root, the processes that read the keys do not."""
    if os.geteuid() == 0:
        owner = directory.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
