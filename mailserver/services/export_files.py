"""Where exported mail is written: an mbox file, a Maildir, or a directory of letters, for each mailbox.

Whatever is there has come whole: a file is written under another name first. Who begins anew at an interrupted export
asks what is `present` and goes on. Nothing is ever deleted. Files and directories are for their owner alone.
"""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import BinaryIO

from mailserver.mailbox_formats import line_ends, maildir, mbox
from mailserver.mailbox_formats.letters import maildir_letters
from mailserver.mailbox_formats.listings import LETTERS_FILE, ListedLetter, letter_line, read_letters
from mailserver.mailbox_formats.mbox_reading import entries
from storage.rows import FetchRow
from storage.types import Flags, Mailbox, Uid

PART = ".part"
_MARK_OCTETS = 300  # of a part that ends before, nothing can be said
_PLACES = ("tmp", "new", "cur")


class ExportElsewhere(Exception):
    """What is at this place was not written by an export of this mailbox, or was altered since."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is no export of this mailbox")
        self.path = path


class MailboxFiles(ABC):
    """Mail of one mailbox on disk. Raises OSError, ExportElsewhere."""

    present: dict[Uid, str]
    """What has come before: uids, and the names of their files if they have some."""
    keywords_left_out = 0

    @abstractmethod
    def put(self, row: FetchRow, octets: bytes | mmap, flags: Flags, *, is_recent: bool) -> None: ...

    @abstractmethod
    def finish(self, flags_now: Mapping[Uid, Flags]) -> None:
        """All of the mailbox has come; flags of what was present may have changed."""

    @abstractmethod
    def close(self) -> None:
        """It is over, finished or not."""


class MboxFile(MailboxFiles):
    """`NAME.mbox`, written as `NAME.mbox.part`. Of a part the last message is written again: it may be half there.

    Flags of messages that came by an earlier export stay as they were then.
    """

    def __init__(self, path: Path, mailbox: Mailbox) -> None:
        self._path, self._mailbox = path, mailbox
        self._part = path.with_name(path.name + PART)
        self._file: BinaryIO | None = None
        is_whole = path.exists() and not self._part.exists()
        self._at = self._look(path if is_whole else self._part, is_whole=is_whole)
        if not is_whole:
            self._file = self._open()

    def _look(self, path: Path, *, is_whole: bool) -> int:
        """Find out what is there; returns where to go on."""
        self.present = {}
        if not path.exists() or path.stat().st_size == 0:
            return 0
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as octets:
            last_at, last = 0, Uid(0)
            for entry in entries(octets):
                if last:
                    self.present[last] = ""
                mark = entry.mark
                if mark is None or mark.uidvalidity != self._mailbox.uidvalidity or Uid(mark.uid) in self.present:
                    if is_whole or (not last and len(octets) - entry.start > _MARK_OCTETS):
                        raise ExportElsewhere(path)
                    return entry.at
                last_at, last = entry.at, Uid(mark.uid)
            if not last:
                if is_whole:
                    raise ExportElsewhere(path)
                return 0
            if is_whole:
                self.present[last] = ""
            return len(octets) if is_whole else last_at

    def _open(self) -> BinaryIO:
        file = os.fdopen(_open(self._part, os.O_RDWR | os.O_CREAT), "r+b", buffering=line_ends.PIECE_OCTETS)
        file.seek(self._at)
        file.truncate()
        return file

    def put(self, row: FetchRow, octets: bytes | mmap, flags: Flags, *, is_recent: bool) -> None:
        if self._file is None:
            self._path.rename(self._part)
            self._file = self._open()
        self._file.writelines(
            mbox.written(
                octets, uidvalidity=self._mailbox.uidvalidity, uid=row.uid, received_at=row.received_at, flags=flags,
                is_recent=is_recent,
            )
        )  # fmt: skip

    def finish(self, flags_now: Mapping[Uid, Flags]) -> None:
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._part.rename(self._path)

    def close(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()


class MaildirFolder(MailboxFiles):
    """A directory with tmp, new and cur; messages go to cur."""

    def __init__(self, path: Path, mailbox: Mailbox, keywords: Iterable[str], *, is_subfolder: bool) -> None:
        self._path, self._mailbox = path, mailbox
        for place in _PLACES:
            _make_directory(path / place)
        if is_subfolder:
            _write(path / maildir.SUBFOLDER_FILE, b"")
        listed = path / maildir.KEYWORDS_FILE
        before = maildir.read_keywords_file(listed.read_text("utf-8", "replace")) if listed.exists() else {}
        self._letters = maildir.keyword_letters(keywords, {word: letter for letter, word in before.items()})
        if self._letters:
            _write(listed, maildir.keywords_file(self._letters).encode())
        self.present = dict(self._look())

    def _look(self) -> Iterator[tuple[Uid, str]]:
        for place in ("new", "cur"):
            with os.scandir(self._path / place) as files:
                for file in files:
                    ours = maildir.parse_unique_name(file.name)
                    if ours is None or ours.uidvalidity != self._mailbox.uidvalidity:
                        continue
                    if file.stat(follow_symlinks=False).st_size == ours.octets:
                        yield Uid(ours.uid), f"{place}/{file.name}"

    def put(self, row: FetchRow, octets: bytes | mmap, flags: Flags, *, is_recent: bool) -> None:
        is_raw = not line_ends.is_reversible(octets)
        draft = self._path / "tmp" / f"{self._mailbox.uidvalidity}-{row.uid}.waypost"
        on_disk = 0
        with os.fdopen(_open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            for piece in line_ends.pieces(octets):
                on_disk += file.write(piece if is_raw else line_ends.to_lf(piece))
        _set_time(draft, row)
        name = maildir.unique_name(
            self._mailbox.uidvalidity, row.uid, row.received_at, on_disk=on_disk, octets=len(octets), is_raw=is_raw
        )
        draft.rename(self._path / "cur" / f"{name}:2,{maildir_letters(flags, self._letters)}")
        self._count_left_out(flags)

    def close(self) -> None:
        """Every file is closed already."""

    def finish(self, flags_now: Mapping[Uid, Flags]) -> None:
        for uid, name in self.present.items():
            flags = flags_now.get(uid)
            if flags is None:
                continue
            unique = Path(name).name.partition(":")[0]
            wanted = f"cur/{unique}:2,{maildir_letters(flags, self._letters)}"
            if wanted != name:
                (self._path / name).rename(self._path / wanted)
            self._count_left_out(flags)

    def _count_left_out(self, flags: Flags) -> None:
        if not flags.keywords <= self._letters.keys():
            self.keywords_left_out += 1


class LetterDirectory(MailboxFiles):
    """Each message a file with its own octets, `<uidvalidity>-<uid>.eml`, and an index beside them with flags, dates
    and digests. It gets a line for each message; lines of flags that changed are added at the end."""

    def __init__(self, path: Path, mailbox: Mailbox) -> None:
        self._path, self._mailbox = path, mailbox
        _make_directory(path)
        listed = path / LETTERS_FILE
        lines = listed.read_text("utf-8", "replace").splitlines() if listed.exists() else []
        self._listed = read_letters(lines)
        self.present = {}
        for letter in self._listed.values():
            uidvalidity, _, uid = letter.file.removesuffix(".eml").partition("-")
            file = path / letter.file
            if uidvalidity == str(mailbox.uidvalidity) and uid.isdecimal() and "/" not in letter.file:
                with contextlib.suppress(FileNotFoundError):
                    if file.lstat().st_size == letter.octets:
                        self.present[Uid(int(uid))] = letter.file
        self._index = os.fdopen(_open(listed, os.O_WRONLY | os.O_CREAT | os.O_APPEND), "w", encoding="utf-8")
        if lines:
            self._index.write("\n")  # behind a line that was cut

    def put(self, row: FetchRow, octets: bytes | mmap, flags: Flags, *, is_recent: bool) -> None:
        name = f"{self._mailbox.uidvalidity}-{row.uid}.eml"
        draft = self._path / f".{name}{PART}"
        with os.fdopen(_open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
            file.writelines(line_ends.pieces(octets))
        _set_time(draft, row)
        draft.rename(self._path / name)
        self._index.write(letter_line(ListedLetter(name, len(octets), mbox.sha256_of(octets), row.received_at, flags)))

    def finish(self, flags_now: Mapping[Uid, Flags]) -> None:
        for uid, name in self.present.items():
            before, flags = self._listed[name], flags_now.get(uid)
            if flags is not None and flags != before.flags:
                self._index.write(
                    letter_line(ListedLetter(name, before.octets, before.sha256, before.received_at, flags))
                )

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._index.close()


def write_whole(path: Path, octets: bytes) -> None:
    """Under another name first, so that what is there is never half of it."""
    draft = path.with_name(path.name + PART)
    _write(draft, octets)
    draft.rename(path)


def _write(path: Path, octets: bytes) -> None:
    with os.fdopen(_open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "wb") as file:
        file.write(octets)


def _make_directory(path: Path) -> None:
    path.mkdir(mode=0o700, parents=True, exist_ok=True)


def _open(path: Path, how: int) -> int:
    return os.open(path, how | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _set_time(path: Path, row: FetchRow) -> None:
    moment = int(row.received_at.timestamp()) * 1_000_000_000 + row.received_at.microsecond * 1000
    os.utime(path, ns=(moment, moment))
