"""The WAL archive: finished segments as compressed files in a directory, as PostgreSQL's own commands put and get them.

    archive_command = '/opt/waypost/.venv/bin/python -I …/wal_archive.py put %p %f DIRECTORY'
    restore_command = '/opt/waypost/.venv/bin/python -I …/wal_archive.py get %f %p DIRECTORY'

A segment appears under its name whole and durable, or not at all. One that is there already is not replaced: the same
octets again are fine (PostgreSQL repeats itself after a crash), other ones are refused, for two clusters must not share
an archive. A file that cannot be read whole ends the recovery (status 200: PostgreSQL gives up above 125), instead of
being taken for the end of the WAL.

It is started once for every segment, so it imports nothing of ours.
"""

import contextlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import zstandard

SUFFIX = ".zst"
NOT_THERE, DAMAGED = 1, 200
_SEGMENT = re.compile(r"[0-9A-F]{24}")
_LEVEL = 1  # most of WAL with mail in it is sealed; what remains is zeros and index pages


class ArchiveRefused(Exception):
    """The segment cannot be put there, or what is there is not a segment; the text is for PostgreSQL's log."""


def put_command(python: str, directory: Path) -> list[str]:
    """`%p` and `%f` are for PostgreSQL to fill in."""
    return [python, "-I", str(Path(__file__).resolve()), "put", "%p", "%f", str(directory)]


def get_command(python: str, directory: Path) -> list[str]:
    return [python, "-I", str(Path(__file__).resolve()), "get", "%f", "%p", str(directory)]


def put(segment: Path, name: str, directory: Path) -> None:
    """Raises ArchiveRefused, OSError."""
    octets = segment.read_bytes()
    target = directory / (name + SUFFIX)
    if target.exists():
        if _read(target) != octets:
            raise ArchiveRefused(f"{target} is there with other octets: does another cluster archive here?")
        return
    draft = directory / f".{name}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()  # of a process of this number that was killed
    compressor = zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True, write_content_size=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(compressor.compress(octets))
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, target)
    finally:
        draft.unlink()
    _sync(directory)


def get(name: str, target: Path, directory: Path) -> bool:
    """Whether it was there. Raises ArchiveRefused when it is not what was put."""
    try:
        octets = _read(directory / (name + SUFFIX))
    except FileNotFoundError:
        return False
    target.write_bytes(octets)
    return True


def segments(directory: Path) -> Iterator[str]:
    """The names of what is archived, segments, history and labels alike."""
    for path in directory.iterdir():
        if path.name.endswith(SUFFIX) and not path.name.startswith("."):
            yield path.name.removesuffix(SUFFIX)


def is_segment(name: str) -> bool:
    return _SEGMENT.fullmatch(name) is not None


def prune(directory: Path, first_needed: str) -> int:
    """Delete the WAL before a segment, of whatever timeline; returns how many files went. History files stay."""
    pruned = 0
    for name in sorted(segments(directory)):
        if _SEGMENT.match(name) and name[8:24] < first_needed[8:24]:
            (directory / (name + SUFFIX)).unlink()
            pruned += 1
    return pruned


def segment_of(lsn: str, timeline: int, segment_octets: int) -> str:
    """The name of the segment that holds a position such as 0/2000028."""
    high, low = (int(part, 16) for part in lsn.split("/"))
    number = ((high << 32) + low) // segment_octets
    in_each = 2**32 // segment_octets
    return f"{timeline:08X}{number // in_each:08X}{number % in_each:08X}"


def _read(path: Path) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompress(path.read_bytes())  # in one piece: else a short one goes unseen
    except zstandard.ZstdError as error:
        raise ArchiveRefused(f"{path} is damaged: {error}") from None


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def main(arguments: list[str]) -> int:
    match arguments:
        case ["put", segment, name, directory]:
            try:
                put(Path(segment), name, Path(directory))
            except (ArchiveRefused, OSError) as error:
                print(error, file=sys.stderr)
                return 1
            return 0
        case ["get", name, target, directory]:
            try:
                return 0 if get(name, Path(target), Path(directory)) else NOT_THERE
            except (ArchiveRefused, OSError) as error:
                print(error, file=sys.stderr)
                return DAMAGED
    print("put SEGMENT NAME DIRECTORY, or get NAME TARGET DIRECTORY", file=sys.stderr)
    return DAMAGED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
