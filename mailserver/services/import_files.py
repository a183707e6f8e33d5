"""Opening what is to be imported without trusting it: no symbolic link is followed, nothing but plain files is read."""

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from mmap import ACCESS_READ, mmap
from pathlib import Path

from mailserver.mime.header import parse_date
from mailserver.services.spool import Spool

_IN_MEMORY_OCTETS = 256 * 1024
_HEADER_OCTETS = 64 * 1024
_LIST_OCTETS = 256 * 1024 * 1024


class FileRefused(Exception):
    """A file that is no plain file, is too long, or cannot be read."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class OpenFile:
    octets: bytes | mmap
    modified_at: datetime


@contextmanager
def opened(path: Path, *, limit_octets: int | None = None) -> Iterator[OpenFile]:
    """A plain file's octets; a long one mapped, not read. Raises FileRefused."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        reason = "it is a symbolic link" if path.is_symlink() else error.strerror or type(error).__name__
        raise FileRefused(reason) from None
    try:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise FileRefused("it is no plain file")
        if limit_octets is not None and facts.st_size > limit_octets:
            raise FileRefused("it is too long")
        modified_at = datetime.fromtimestamp(max(0, facts.st_mtime), UTC)
        if facts.st_size <= _IN_MEMORY_OCTETS:
            yield OpenFile(_read(descriptor), modified_at)
            return
        mapped = mmap(descriptor, 0, access=ACCESS_READ)
        try:
            yield OpenFile(mapped, modified_at)
        finally:
            with contextlib.suppress(BufferError):  # a part of it is still being looked at
                mapped.close()
    finally:
        os.close(descriptor)


def _read(descriptor: int) -> bytes:
    pieces = []
    try:
        while piece := os.read(descriptor, _IN_MEMORY_OCTETS):
            pieces.append(piece)
    except OSError as error:
        raise FileRefused(error.strerror or type(error).__name__) from None
    return b"".join(pieces)


def lines_of(path: Path) -> list[str]:
    """Of a list beside the mail; nothing if there is none."""
    try:
        with opened(path, limit_octets=_LIST_OCTETS) as file:
            return bytes(file.octets).decode("utf-8", "replace").splitlines()
    except FileRefused:
        return []


def is_directory(path: Path) -> bool:
    """And no symbolic link to one."""
    try:
        return stat.S_ISDIR(path.lstat().st_mode)
    except (OSError, ValueError):
        return False


def below(root: Path, place: str) -> Path | None:
    """A place that a list names, if it is below the root and no link leads out."""
    parts = Path(place).parts
    if "\0" in place or Path(place).is_absolute() or ".." in parts:
        return None
    path = root
    for part in parts:
        path /= part
        if path.is_symlink():
            return None
    return path


def spooled(spool: Spool, pieces: Iterable[bytes], octets: int | None = None) -> bytes | mmap:
    """What the pieces give, cut to `octets` if they are more. Raises SpoolUnavailable."""
    for piece in pieces:
        wanted = piece if octets is None else piece[: octets - spool.octets_written]
        if wanted:
            spool.write(wanted)
    return spool.octets()


def date_within(octets: bytes | mmap) -> datetime | None:
    """When a message was received, by its first Received field, or else sent, by its Date."""
    header = octets[:_HEADER_OCTETS]
    end = min((at for at in (header.find(b"\n\n"), header.find(b"\n\r\n")) if at >= 0), default=len(header))
    fields = header[:end].decode("latin-1").replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ").split("\n")
    for name, part in (("received:", ";"), ("date:", ":")):
        for field in fields:
            if field[: len(name)].lower() == name:
                return parse_date(field.rpartition(part)[2] if part == ";" else field[len(name) :])
    return None
