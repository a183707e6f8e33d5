"""The files of an archive."""

from pathlib import Path

import pytest

from storage.archive.files import Archive, ArchiveWriter
from storage.archive.format import ArchiveUnusable, ListedFile, Manifest, packed_manifest, read_manifest
from storage.blobs.layout import SealedChunk
from storage.types import BlobDigest

MANIFEST = Manifest(7, "mill", None, None, None, "2026-11-02T12:00:00+00:00", "ab", (), {"message": 1})


def written(path: Path) -> Archive:
    writer = ArchiveWriter(path)
    file = writer.rows_file("rows/message.ndjson.zst")
    file.write(b'{"id": 1}\n{"id": 2, "name": "\xe4\xbd\xa0"}\n')
    file.finish(2)
    file.close()
    writer.write_blob(BlobDigest(b"d" * 20), 3, [SealedChunk(2, 1, b"sealed"), SealedChunk(3, 0, b"")])
    writer.finish(Manifest(**{**_fields(MANIFEST), "files": writer.files}))
    return Archive(path)


def _fields(manifest: Manifest) -> dict[str, object]:
    return {name: getattr(manifest, name) for name in manifest.__dataclass_fields__}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    archive = written(tmp_path / "a")
    assert list(archive.rows("rows/message.ndjson.zst")) == [{"id": 1}, {"id": 2, "name": "你"}]
    assert list(archive.rows("rows/nothing.ndjson.zst")) == []
    ((head, chunks),) = archive.blobs()
    assert (head.digest, head.octets) == (b"d" * 20, 3)
    assert chunks == [SealedChunk(2, 1, b"sealed"), SealedChunk(3, 0, b"")]
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a").rglob("*") if path.is_file()} == {0o600}


def test_what_a_killed_one_left_is_cleared_away(tmp_path: Path) -> None:
    ArchiveWriter(tmp_path / "a").rows_file("x").write(b"half")
    with pytest.raises(ArchiveUnusable):
        Archive(tmp_path / "a")
    assert written(tmp_path / "a").manifest.tenant_id == 7
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_directory_that_only_has_our_name_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a.part").mkdir()
    (tmp_path / "a.part" / "mine").touch()
    with pytest.raises(FileExistsError):
        ArchiveWriter(tmp_path / "a")
    assert (tmp_path / "a.part" / "mine").exists()


@pytest.mark.parametrize("octets", [b"", b"{}", b"[]", b"\xff", b'{"manifest": 3, "sha256": 4}', b"[" * 100_000])
def test_manifests_that_are_none_are_refused(octets: bytes) -> None:
    with pytest.raises(ArchiveUnusable):
        read_manifest(octets)


def test_a_later_version_is_refused() -> None:
    later = Manifest(**{**_fields(MANIFEST), "version": 2})  # type: ignore[arg-type]
    with pytest.raises(ArchiveUnusable, match="version 2"):
        read_manifest(packed_manifest(later))


def test_a_file_outside_is_not_read(tmp_path: Path) -> None:
    written(tmp_path / "a")
    manifest = read_manifest((tmp_path / "a" / "manifest.json").read_bytes())
    files = (ListedFile("../b", 0, "", 0),)
    altered = Manifest(**{**_fields(manifest), "files": files})  # type: ignore[arg-type]
    (tmp_path / "a" / "manifest.json").write_bytes(packed_manifest(altered))
    with pytest.raises(ArchiveUnusable, match="outside"):
        Archive(tmp_path / "a")
