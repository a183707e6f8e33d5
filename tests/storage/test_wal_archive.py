"""What Postgres hands over is archived once, whole, and comes back as it was or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from storage.backup.wal_archive import (
    DAMAGED,
    NOT_THERE,
    ArchiveRefused,
    get,
    get_command,
    prune,
    put,
    put_command,
    segment_of,
    segments,
)

NAME = "000000010000000A000000FE"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    made = tmp_path / "archive of 100%"
    made.mkdir()
    return made


@pytest.fixture
def segment(tmp_path: Path) -> Path:
    path = tmp_path / "segment"
    path.write_bytes(os.urandom(50_000) + bytes(200_000))
    return path


def test_a_segment_comes_back_as_it_was_and_takes_less_room(archive: Path, segment: Path, tmp_path: Path) -> None:
    put(segment, NAME, archive)
    assert get(NAME, tmp_path / "back", archive)
    assert (tmp_path / "back").read_bytes() == segment.read_bytes()
    assert (archive / f"{NAME}.zst").stat().st_size < 60_000
    assert list(segments(archive)) == [NAME]


def test_the_same_segment_again_is_fine(archive: Path, segment: Path) -> None:
    put(segment, NAME, archive)
    put(segment, NAME, archive)
    assert len(list(archive.iterdir())) == 1


def test_another_segment_of_the_same_name_is_refused(archive: Path, segment: Path, tmp_path: Path) -> None:
    put(segment, NAME, archive)
    before = (archive / f"{NAME}.zst").read_bytes()
    segment.write_bytes(b"of another cluster")
    with pytest.raises(ArchiveRefused):
        put(segment, NAME, archive)
    assert (archive / f"{NAME}.zst").read_bytes() == before
    assert len(list(archive.iterdir())) == 1


def test_what_a_killed_process_left_is_no_segment(archive: Path, tmp_path: Path) -> None:
    (archive / f".{NAME}.77").write_bytes(b"half")
    assert list(segments(archive)) == []
    assert not get(NAME, tmp_path / "back", archive)
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("left", [0, 10, 40_000])
def test_a_segment_that_was_cut_short_is_not_taken_for_the_end(
    archive: Path, segment: Path, tmp_path: Path, left: int
) -> None:
    put(segment, NAME, archive)
    os.truncate(archive / f"{NAME}.zst", left)
    with pytest.raises(ArchiveRefused):
        get(NAME, tmp_path / "back", archive)


def test_a_flipped_bit_is_seen(archive: Path, segment: Path, tmp_path: Path) -> None:
    put(segment, NAME, archive)
    octets = bytearray((archive / f"{NAME}.zst").read_bytes())
    octets[20_000] ^= 1
    (archive / f"{NAME}.zst").write_bytes(octets)
    with pytest.raises(ArchiveRefused):
        get(NAME, tmp_path / "back", archive)


def test_the_commands_of_postgres_do_the_same(archive: Path, segment: Path, tmp_path: Path) -> None:
    def run(command: list[str], path: Path) -> int:
        filled = [{"%p": str(path), "%f": NAME}.get(part, part) for part in command]
        return subprocess.run(filled, capture_output=True, check=False).returncode

    back = tmp_path / "back"
    assert run(get_command(sys.executable, archive), back) == NOT_THERE
    assert run(put_command(sys.executable, archive), segment) == 0
    assert run(get_command(sys.executable, archive), back) == 0
    assert back.read_bytes() == segment.read_bytes()
    (archive / f"{NAME}.zst").write_bytes(b"damaged")
    assert run(get_command(sys.executable, archive), back) == DAMAGED
    assert run(put_command(sys.executable, archive), segment) == 1


def test_wal_before_the_oldest_backup_goes_and_history_stays(archive: Path, segment: Path) -> None:
    names = [f"0000000{timeline}00000000000000{number:02X}" for timeline in (1, 2) for number in range(4)]
    for name in (*names, "00000002.history", names[1] + ".00000028.backup"):
        put(segment, name, archive)
    assert prune(archive, names[2]) == 5
    assert sorted(segments(archive)) == sorted([names[2], names[3], names[6], names[7], "00000002.history"])


@pytest.mark.parametrize(
    ("lsn", "timeline", "name"),
    [
        ("0/2000028", 1, "000000010000000000000002"),
        ("0/FFFFFFFF", 2, "0000000200000000000000FF"),
        ("1A/1000000", 16, "000000100000001A00000001"),
    ],
)
def test_the_segment_of_a_position(lsn: str, timeline: int, name: str) -> None:
    assert segment_of(lsn, timeline, 16 * 1024 * 1024) == name
