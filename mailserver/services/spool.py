"""A message while it arrives: in memory while it is small, then in an unlinked temporary file."""

import contextlib
import mmap
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

MEMORY_LIMIT_OCTETS = 256 * 1024


class SpoolUnavailable(Exception):
    """The temporary file cannot be written: the disk is full or away. Trying again later is right."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the spool cannot be written: {reason}")
        self.reason = reason


class Spool:
    """Write chunks, then take the whole with `octets`. A context manager; `close` frees memory and disk.

    The file has no name, so that nothing is left behind by a process that is killed. Writes go to the page cache and
    do not wait for the disk: what must last is made durable by whoever stores the message.
    """

    __slots__ = ("_chunks", "_directory", "_file", "_memory_limit_octets", "_whole", "octets_written")

    def __init__(self, *, memory_limit_octets: int = MEMORY_LIMIT_OCTETS, directory: Path | None = None) -> None:
        self._memory_limit_octets = memory_limit_octets
        self._directory = directory
        self._chunks: list[bytes] = []
        self._file: BinaryIO | None = None
        self._whole: bytes | mmap.mmap | None = None
        self.octets_written = 0

    def write(self, chunk: bytes) -> None:
        """Add octets at the end; not after `octets` was called. Raises SpoolUnavailable."""
        if self._whole is not None:
            raise RuntimeError("the spool was already taken")
        self.octets_written += len(chunk)
        if self._file is None and self.octets_written <= self._memory_limit_octets:
            self._chunks.append(chunk)
            return
        try:
            if self._file is None:
                self._file = tempfile.TemporaryFile(prefix="waypost-", dir=self._directory)  # noqa: SIM115 (close does)
                self._file.writelines(self._chunks)
                self._chunks = []
            self._file.write(chunk)
        except OSError as error:
            raise SpoolUnavailable(error.strerror or type(error).__name__) from error

    def octets(self) -> bytes | mmap.mmap:
        """All that was written; the file as a read-only map, valid until `close`. Raises SpoolUnavailable."""
        if self._whole is None:
            self._whole = self._gather()
        return self._whole

    def close(self) -> None:
        """Let memory and file go. Views of the map that are still held keep the map alive until they are dropped."""
        if isinstance(self._whole, mmap.mmap):
            with contextlib.suppress(BufferError):  # a view is held somewhere; the map goes with its last view
                self._whole.close()
        if self._file is not None:
            with contextlib.suppress(OSError):  # what could not be flushed to a full disk is not wanted any more
                self._file.close()
        self._whole = b""
        self._file = None
        self._chunks = []

    def _gather(self) -> bytes | mmap.mmap:
        if self._file is None:
            whole = b"".join(self._chunks)
            self._chunks = []
            return whole
        try:
            self._file.flush()
            return mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ)
        except OSError as error:
            raise SpoolUnavailable(error.strerror or type(error).__name__) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()
