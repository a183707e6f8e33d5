"""Writing an archive's files and reading them again. What stands under its name is whole: it is written as `NAME.part`
and gets its name last; and before anything of it is used every file is compared with the manifest."""

import hashlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import zstandard

from storage.archive.format import (
    CONTENT,
    CONTENT_FILE_OCTETS,
    HEAD_OCTETS,
    MANIFEST,
    ArchiveUnusable,
    BlobHead,
    ListedFile,
    Manifest,
    packed_blob,
    packed_manifest,
    read_chunks,
    read_head,
    read_manifest,
    sealed_octets,
)
from storage.blobs.layout import SealedChunk
from storage.durable_files import sync_directory
from storage.types import BlobDigest

PART = ".part"
_MARK = ".waypost-archive"
_LEVEL = 3
_PIECE_OCTETS = 1024 * 1024
_LINE_OCTETS = 64 * 1024 * 1024


class ArchiveWriter:
    """Raises OSError; FileExistsError when there is something at the path already."""

    def __init__(self, path: Path) -> None:
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise FileExistsError(path)
        self._path, self._part = path, path.with_name(path.name + PART)
        if (self._part / _MARK).exists():
            shutil.rmtree(self._part)
        self._part.mkdir(mode=0o700, parents=True)
        (self._part / _MARK).touch(mode=0o600)
        self._files: list[ListedFile] = []
        self._content: _Digested | None = None
        self._content_number = 0
        self._blobs = 0

    def rows_file(self, name: str) -> "RowsFile":
        """For lines of JSON; to be finished and closed before the next one."""
        return RowsFile(self._open(name), lambda file, rows: self._list(name, file, rows))

    def write_blob(self, digest: BlobDigest, octets: int, chunks: Sequence[SealedChunk]) -> None:
        if self._content is not None and self._content.octets >= CONTENT_FILE_OCTETS:
            self._close_content()
        if self._content is None:
            self._content_number += 1
            self._content = self._open(f"{CONTENT}/{self._content_number:04}")
        for piece in packed_blob(digest, octets, chunks):
            self._content.write(piece)
        self._blobs += 1

    @property
    def files(self) -> Sequence[ListedFile]:
        """All, once the content is closed."""
        self._close_content()
        return tuple(self._files)

    def finish(self, manifest: Manifest) -> None:
        """The archive is there from now on."""
        with self._open(MANIFEST) as file:
            file.write(packed_manifest(manifest))
        (self._part / _MARK).unlink()
        for directory in {self._part, *(path.parent for path in self._part.rglob("*"))}:
            sync_directory(directory)
        if self._path.exists():
            self._path.rmdir()
        self._part.rename(self._path)
        sync_directory(self._path.parent)

    def abandon(self) -> None:
        if self._content is not None:
            self._content.close()
        shutil.rmtree(self._part, ignore_errors=True)

    def _close_content(self) -> None:
        if self._content is not None:
            self._list(f"{CONTENT}/{self._content_number:04}", self._content, self._blobs)
            self._content.close()
            self._content, self._blobs = None, 0

    def _open(self, name: str) -> "_Digested":
        path = self._part / name
        path.parent.mkdir(mode=0o700, exist_ok=True)
        return _Digested(os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"))

    def _list(self, name: str, file: "_Digested", rows: int) -> None:
        self._files.append(ListedFile(name, file.octets, file.sha256.hexdigest(), rows))


class RowsFile:
    """Lines, compressed."""

    def __init__(self, file: "_Digested", listed: "Callable[[_Digested, int], None]") -> None:
        self._file, self._listed = file, listed
        packer = zstandard.ZstdCompressor(level=_LEVEL)
        self._packed = packer.stream_writer(cast("IO[bytes]", file), closefd=False)

    def write(self, octets: bytes) -> None:
        self._packed.write(octets)

    def finish(self, rows: int) -> None:
        self._packed.flush(zstandard.FLUSH_FRAME)
        self._listed(self._file, rows)

    def close(self) -> None:
        self._file.close()


class _Digested(io.RawIOBase):
    """A file that is digested while it is written, and on disk when it is closed."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.octets = 0
        self.sha256 = hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self.sha256.update(piece)
        written = self._file.write(piece)
        self.octets += written
        return written

    def close(self) -> None:
        if not self.closed:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._file.close()
        super().close()


class Archive:
    """An archive that was compared with its manifest when this was made. Raises ArchiveUnusable, OSError."""

    def __init__(self, path: Path) -> None:
        try:
            self.manifest = read_manifest((path / MANIFEST).read_bytes())
        except FileNotFoundError:
            raise ArchiveUnusable("it has no manifest: it is no archive, or was not finished") from None
        self._path = path
        for listed in self.manifest.files:
            self._compare(listed)

    def rows(self, name: str) -> Iterator[dict[str, Any]]:
        """Those of a file, or none if the archive has no such file."""
        if all(each.name != name for each in self.manifest.files):
            return
        with (
            (self._path / name).open("rb") as file,
            zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True) as unpacked,
            io.BufferedReader(unpacked, _PIECE_OCTETS) as lines,
        ):
            while line := lines.readline(_LINE_OCTETS):
                yield json.loads(line)

    def blobs(self) -> Iterator[tuple[BlobHead, list[SealedChunk]]]:
        for listed in self.manifest.files:
            if listed.name.startswith(CONTENT + "/"):
                with (self._path / listed.name).open("rb") as file:
                    while head_octets := file.read(HEAD_OCTETS):
                        head = read_head(head_octets)
                        layout = file.read(head.layout_octets)
                        yield head, read_chunks(layout, file.read(sealed_octets(layout)))

    def _compare(self, listed: ListedFile) -> None:
        if ".." in Path(listed.name).parts or Path(listed.name).is_absolute():
            raise ArchiveUnusable(f"it names a file outside of itself: {listed.name}")
        digest, octets = hashlib.sha256(), 0
        try:
            with (self._path / listed.name).open("rb") as file:
                while piece := file.read(_PIECE_OCTETS):
                    digest.update(piece)
                    octets += len(piece)
        except FileNotFoundError:
            raise ArchiveUnusable(f"{listed.name} is missing") from None
        if octets != listed.octets or digest.hexdigest() != listed.sha256:
            raise ArchiveUnusable(f"{listed.name} is cut or altered")
