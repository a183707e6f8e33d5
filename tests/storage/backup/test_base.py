"""A running server is copied whole, recovered to a moment from copy and WAL, and damage to either is seen."""

import contextlib
import gzip
import os
import signal
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest

from deploy.local.child import ServiceFailed
from deploy.local.places import make_places
from deploy.local.postgres import Postgres
from deploy.local.recovery import recover
from storage.backup import base
from storage.backup.place import FORMAT, Backup, BackupFailed, BackupNotFound, Facts, Place
from storage.backup.wal_archive import segments
from tests.conftest import ROOT

RECOVERS_WITHIN_S = 30.0


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("archive")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, archive: Path) -> Iterator[Postgres]:
    started = Postgres(make_places(tmp_path_factory.mktemp("server")), archive=archive)
    started.start()
    with psycopg.connect(started.url("waypost_owner"), autocommit=True) as owner:
        owner.execute("CREATE TABLE seen (number integer)")
    yield started
    started.stop()


def write(server: Postgres, number: int) -> datetime:
    """Returns a moment after it."""
    with psycopg.connect(server.url("waypost_owner"), autocommit=True) as owner:
        owner.execute("INSERT INTO seen VALUES (%s)", [number])
        row = owner.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None
    assert isinstance(row[0], datetime)
    return row[0]


def archive_all(server: Postgres, archive: Path) -> None:
    with psycopg.connect(server.url("postgres", "postgres"), autocommit=True) as superuser:
        row = superuser.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()
    assert row is not None
    end = time.monotonic() + RECOVERS_WITHIN_S
    while row[0] not in set(segments(archive)):
        assert time.monotonic() < end
        time.sleep(0.05)


def read(server: Postgres) -> list[int]:
    with psycopg.connect(server.url("waypost_owner")) as owner:
        return [row[0] for row in owner.execute("SELECT number FROM seen ORDER BY number")]


def take(server: Postgres, directory: Path) -> Backup:
    place = Place(directory)
    place.prepare()
    with place.lock() as lock:
        found = base.look(server.backup_url())
        label, draft = place.new_draft(datetime.now(UTC))
        made = base.write_base(
            server.backup_url(), found, draft / "base", lock=lock, on_progress=lambda *_: None, max_rate="500M"
        )
        base.verify_base(draft / "base", lambda *_: None)
        facts = Facts(
            format=FORMAT,
            label=label,
            began_at=datetime.now(UTC),
            ended_at=datetime.now(UTC),
            server_major=found.major,
            system_identifier=found.system_identifier,
            timeline=made.timeline,
            start_lsn=made.start_lsn,
            end_lsn=made.end_lsn,
            first_wal=made.first_wal,
            base_octets=0,
            objects=0,
            object_octets=0,
            objects_are_here=True,
            damaged_objects=0,
            master_key_check="",
        )
        return place.keep(draft, facts)


@pytest.fixture(scope="module")
def copy(server: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Backup:
    write(server, 1)
    return take(server, tmp_path_factory.mktemp("backups") / "place")


def recovered(backup: Backup, var: Path, archive: Path | None, until: datetime | None) -> list[int]:
    postgres = recover(
        make_places(var),
        backup,
        wal=archive,
        until=until,
        on_unpacked=lambda *_: None,
        on_recovery=lambda: None,
    )
    try:
        return read(postgres)
    finally:
        postgres.stop()


def test_a_moment_the_end_of_the_wal_and_the_copy_alone(
    server: Postgres, archive: Path, copy: Backup, tmp_path: Path
) -> None:
    moment = write(server, 2)
    write(server, 3)
    archive_all(server, archive)
    assert recovered(copy, tmp_path / "moment", archive, moment) == [1, 2]
    assert recovered(copy, tmp_path / "end", archive, None) == [1, 2, 3]
    assert recovered(copy, tmp_path / "alone", None, None) == [1]


def test_a_recovered_server_starts_as_any_other(server: Postgres, archive: Path, copy: Backup, tmp_path: Path) -> None:
    """With the passwords of its own installation, and as the primary."""
    recovered(copy, tmp_path / "var", None, None)
    postgres = Postgres(make_places(tmp_path / "var"))
    postgres.start()
    try:
        write(postgres, 10)
        assert read(postgres) == [1, 10]
        assert base.look(postgres.backup_url()).system_identifier == copy.facts.system_identifier
    finally:
        postgres.stop()


def test_a_data_directory_for_a_cluster_of_the_systems(
    server: Postgres, archive: Path, copy: Backup, tmp_path: Path
) -> None:
    """PostgreSQL does the rest by itself, with the settings that the command leaves."""
    moment = write(server, 20)
    write(server, 21)
    archive_all(server, archive)
    places = make_places(tmp_path / "var")
    arguments = ["--from", str(copy.directory.parents[1]), "--to", str(places.var / "postgres"), "--wal", str(archive)]
    done = subprocess.run(
        [sys.executable, "manage.py", "restore", "cluster", *arguments, "--until", moment.isoformat(" ")],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")}
        | {"WAYPOST_VAR": "/none"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    postgres = Postgres(places, trusts_socket=True)
    postgres.own(places.var / "postgres")
    postgres.start()
    try:
        found = read(postgres)
        with psycopg.connect(postgres.url("postgres", "postgres"), autocommit=True) as superuser:
            assert superuser.execute("SHOW waypost.needs_epoch").fetchone() == ("on",)
            superuser.execute("ALTER SYSTEM RESET waypost.needs_epoch")
    finally:
        postgres.stop()
    assert "needs_epoch" not in (places.var / "postgres" / "postgresql.auto.conf").read_text()
    assert 20 in found
    assert 21 not in found


def test_damaged_wal_ends_the_recovery_instead_of_shortening_it(
    server: Postgres, archive: Path, copy: Backup, tmp_path: Path
) -> None:
    write(server, 4)
    archive_all(server, archive)
    damaged = tmp_path / "archive"
    damaged.mkdir()
    for name in segments(archive):
        (damaged / f"{name}.zst").write_bytes((archive / f"{name}.zst").read_bytes())
    needed = min(name for name in segments(archive) if name > copy.facts.first_wal and len(name) == 24)
    path = damaged / f"{needed}.zst"
    os.truncate(path, path.stat().st_size // 2)
    with pytest.raises(ServiceFailed):
        recovered(copy, tmp_path / "var", damaged, None)


def test_a_copy_in_which_a_bit_flipped_is_refused(server: Postgres, tmp_path: Path) -> None:
    backup = take(server, tmp_path / "place")
    path = backup.base / base.BASE
    octets = path.read_bytes()
    path.write_bytes(next(each for each in flipped(octets) if not is_same(each, octets)))
    with pytest.raises(BackupFailed):
        base.verify_base(backup.base, lambda *_: None)


def flipped(octets: bytes) -> Iterator[bytes]:
    """With one bit that is another, from the middle on."""
    for place in range(len(octets) // 2, len(octets)):
        yield octets[:place] + bytes([octets[place] ^ 1]) + octets[place + 1 :]


def is_same(one: bytes, other: bytes) -> bool:
    """Do they unpack to the same? In a run of zeros it does not matter from how far back they are repeated."""
    try:
        return gzip.decompress(one) == gzip.decompress(other)
    except (OSError, EOFError, zlib.error):
        return False


def test_a_copy_whose_wal_is_another_is_refused(server: Postgres, tmp_path: Path) -> None:
    """No manifest has it: the checksum of the whole does."""
    backup = take(server, tmp_path / "place")
    path = backup.base / base.BASE
    octets = bytearray(path.read_bytes())
    octets[-8] ^= 1  # of the checksum, as if the WAL were not what it was
    path.write_bytes(octets)
    with pytest.raises(BackupFailed, match="damaged"):
        base.verify_base(backup.base, lambda *_: None)
    with pytest.raises(BackupFailed, match="damaged"):
        base.unpack_base(backup.base, tmp_path / "data", lambda *_: None)


def test_a_file_that_differs_from_the_manifest_is_refused_at_unpacking(server: Postgres, tmp_path: Path) -> None:
    backup = take(server, tmp_path / "place")
    manifest = (backup.base / base.MANIFEST).read_text()
    at = manifest.index('"Checksum": "') + len('"Checksum": "')
    changed = manifest[:at] + ("0" if manifest[at] != "0" else "1") + manifest[at + 1 :]
    (backup.base / base.MANIFEST).write_text(changed)
    with pytest.raises(BackupFailed):
        base.unpack_base(backup.base, tmp_path / "data", lambda *_: None)


def test_a_server_that_dies_meanwhile_is_no_backup(tmp_path: Path) -> None:
    dying = Postgres(make_places(tmp_path / "server"))
    dying.start()
    try:

        def kill(done: int, _total: int) -> None:
            assert dying.child is not None
            dying.child.signal(signal.SIGKILL)

        found = base.look(dying.backup_url())
        with pytest.raises(BackupFailed):
            base.write_base(dying.backup_url(), found, tmp_path / "copy", lock=1, on_progress=kill, max_rate="1M")
    finally:
        dying.stop()


def test_a_role_that_may_not_copy_is_told_so(server: Postgres) -> None:
    with pytest.raises(BackupFailed):
        base.look(server.url("waypost_app", ""))


def test_the_password_stands_in_no_process_list(server: Postgres, monkeypatch: pytest.MonkeyPatch) -> None:
    url = server.backup_url()
    password = url.partition(":")[2].partition(":")[2].partition("@")[0]
    assert len(password) > 20
    shown: list[str] = []

    def look(done: int, total: int) -> None:
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            with contextlib.suppress(OSError):  # it has ended
                shown.append(path.read_bytes().decode("utf-8", "replace"))

    place = Path(str(server.socket_directory)) / "copy"
    base.write_base(url, base.look(url), place, lock=1, on_progress=look)
    assert any("pg_basebackup" in text for text in shown)
    assert not any(password in text for text in shown)


def test_an_unfinished_one_has_no_name(tmp_path: Path) -> None:
    place = Place(tmp_path)
    place.prepare()
    with place.lock():
        place.new_draft(datetime.now(UTC))
    assert place.backups() == []
    with pytest.raises(BackupNotFound):
        place.find(None)
