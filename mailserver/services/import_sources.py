"""Mail that is to be imported: what mailboxes stand below a path, and their messages one after another.

A source goes on after whatever it cannot read and says so in its turn. Octets of a message are there until the next one
is asked for.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from mmap import mmap
from pathlib import Path
from typing import Protocol

from mailserver.mailbox_formats import line_ends, maildir, mbox_reading, names
from mailserver.mailbox_formats.letters import from_maildir_letters, from_status_fields
from mailserver.mailbox_formats.listings import LETTERS_FILE, MAILBOXES_FILE, read_letters, read_mailboxes
from mailserver.mailbox_formats.mbox import Mark, sha256_of
from mailserver.services.exporting import MailFormat
from mailserver.services.import_files import (
    FileRefused,
    below,
    date_within,
    is_directory,
    lines_of,
    opened,
    spooled,
)
from mailserver.services.spool import Spool
from storage.types import Flags

MESSAGE_LIMIT_OCTETS = 128 * 1024 * 1024
_LEVELS = 20
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Letter:
    """`place` says where it stands, for people."""

    place: str
    octets: bytes | mmap
    flags: Flags
    received_at: datetime


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something that was passed over. `reason` is English and a key of the commands' wording."""

    place: str
    reason: str


class SourceMailbox(Protocol):
    @property
    def name(self) -> str: ...

    def letters(self) -> Iterator[Letter | Complaint]: ...


class NothingThere(Exception):
    """There is no mail at the path, or it cannot be told what it is."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} holds no mail")
        self.path = path


def find_mailboxes(path: Path, form: MailFormat | None = None) -> list["SourceMailbox | Complaint"]:
    """What is at the path: by the list that an export left, or else by what it looks like. Raises NothingThere."""
    if path.is_dir():
        listed = read_mailboxes(lines_of(path / MAILBOXES_FILE))
        if listed and (form is None or all(each.format == form for each in listed)):
            return [_listed(path, each.name, each.place, each.format) for each in listed]
    form = form or _format_of(path)
    match form:
        case MailFormat.MBOX if path.is_dir():
            files = sorted(each for each in path.iterdir() if each.suffix == ".mbox")
            found: list[SourceMailbox | Complaint] = [Mbox(names.from_file_name(each.stem), each) for each in files]
        case MailFormat.MBOX:
            found = [Mbox(names.from_file_name(path.name.removesuffix(".mbox")), path)]
        case MailFormat.MAILDIR:
            found = list(_maildirs(path))
        case MailFormat.EML:
            found = [Letters(names.from_file_name(path.stem), path)]
        case None:
            found = []
    if not found:
        raise NothingThere(path)
    return found


def _format_of(path: Path) -> MailFormat | None:
    if path.is_dir():
        if any(True for _ in _maildirs(path)):
            return MailFormat.MAILDIR
        with os.scandir(path) as files:
            suffixes = {Path(file.name).suffix for file in files}
        return MailFormat.MBOX if ".mbox" in suffixes else MailFormat.EML if ".eml" in suffixes else None
    if path.suffix == ".eml":
        return MailFormat.EML
    try:
        with opened(path) as file:
            return MailFormat.MBOX if mbox_reading.is_mbox(file.octets) else None
    except FileRefused:
        return None


def _listed(root: Path, name: str, place: str, form: str) -> "SourceMailbox | Complaint":
    path = below(root, place)
    if path is None:
        return Complaint(place, "its place is not below the directory of the import")
    if form == MailFormat.MBOX:
        return Mbox(name, path)
    return Maildir(name, path) if form == MailFormat.MAILDIR else Letters(name, path)


def _maildirs(root: Path, name: str = "", level: int = 0) -> "Iterator[SourceMailbox | Complaint]":
    """Maildir++ (`.Sub.Folder`), and directories that hold Maildirs by name, as mbsync and mutt have them."""
    if is_directory(root / "cur"):
        yield Maildir(name or "INBOX", root)
    if level >= _LEVELS:
        return
    for directory in sorted(each for each in root.iterdir() if each.name not in ("cur", "new", "tmp")):
        if directory.is_symlink():
            if is_directory(directory.resolve()):
                yield Complaint(str(directory), "it is a symbolic link")
        elif is_directory(directory):
            if not directory.name.startswith("."):
                below_it = names.from_maildir_folder(directory.name.replace(".", "&AC4-"))
                yield from _maildirs(directory, f"{name}/{below_it}" if name else below_it, level + 1)
            elif is_directory(directory / "cur"):
                yield Maildir(names.from_maildir_folder(directory.name), directory)


@dataclass(frozen=True, slots=True)
class Mbox:
    name: str
    path: Path

    def letters(self) -> Iterator[Letter | Complaint]:
        try:
            with opened(self.path) as file:
                if not mbox_reading.is_mbox(file.octets):
                    yield Complaint(str(self.path), "it does not begin as an mbox does")
                    return
                for entry in mbox_reading.entries(file.octets):
                    place = f"{self.path}, octet {entry.at}"
                    if entry.end - entry.start > MESSAGE_LIMIT_OCTETS:
                        yield Complaint(place, "it is too long")
                        continue
                    with Spool() as spool, Spool() as other:
                        found = _of_mbox(file.octets, entry, spool, other)
                        if found is not None:
                            octets, flags, received_at = found
                            yield Letter(place, octets, flags, received_at or date_within(octets) or file.modified_at)
        except FileRefused as refused:
            yield Complaint(str(self.path), refused.reason)


def _of_mbox(
    octets: bytes | mmap, entry: mbox_reading.Entry, spool: Spool, other: Spool
) -> tuple[bytes | mmap, Flags, datetime | None] | None:
    """As it was exported, if its digest says so; else what is left without the fields that programs add."""
    if entry.mark is not None:
        fields, content = mbox_reading.exported(octets, entry, entry.mark)
        whole = spooled(spool, content, entry.mark.octets)
        if _is(whole, entry.mark):
            return whole, from_status_fields(fields), entry.mark.received_at
    header = mbox_reading.header_of(octets, entry)
    if header.is_internal:
        return None
    flags = from_status_fields(header.fields)
    for mark in header.marks[:1]:
        with Spool() as attempt:
            read = mbox_reading.altered_raw if mark.is_raw else mbox_reading.altered
            whole = spooled(attempt, read(octets, entry, header), mark.octets)
            if _is(whole, mark):
                return spooled(other, line_ends.pieces(whole)), flags, mark.received_at
    return spooled(other, mbox_reading.altered(octets, entry, header)), flags, entry.sent_at


def _is(octets: bytes | mmap, mark: Mark) -> bool:
    return len(octets) == mark.octets and sha256_of(octets) == mark.sha256


@dataclass(frozen=True, slots=True)
class Maildir:
    name: str
    path: Path

    def letters(self) -> Iterator[Letter | Complaint]:
        keywords = maildir.read_keywords_file("\n".join(lines_of(self.path / maildir.KEYWORDS_FILE)))
        for place in ("cur", "new"):
            directory = self.path / place
            if not is_directory(directory):
                yield Complaint(str(directory), "it is no directory")
                continue
            for name in _files(directory):
                path = directory / name
                ours = maildir.parse_unique_name(name)
                flags = from_maildir_letters(maildir.letters_of(name), keywords)
                try:
                    with opened(path, limit_octets=MESSAGE_LIMIT_OCTETS) as file, Spool() as spool:
                        if ours is not None and ours.is_raw:
                            octets = file.octets
                        else:
                            octets = spooled(spool, map(line_ends.to_crlf, line_ends.pieces(file.octets)))
                        yield Letter(str(path), octets, flags, file.modified_at)
                except FileRefused as refused:
                    yield Complaint(str(path), refused.reason)


@dataclass(frozen=True, slots=True)
class Letters:
    """A directory of letters, or a single one."""

    name: str
    path: Path

    def letters(self) -> Iterator[Letter | Complaint]:
        directory, files = (self.path, None) if self.path.is_dir() else (self.path.parent, [self.path.name])
        listed = read_letters(lines_of(directory / LETTERS_FILE))
        for name in files or [each for each in _files(directory) if each.endswith(".eml")]:
            path = directory / name
            try:
                with opened(path, limit_octets=MESSAGE_LIMIT_OCTETS) as file, Spool() as spool:
                    about = listed.get(name)
                    if about is None:
                        octets = file.octets
                        if b"\r\n" not in octets[:65_536]:
                            octets = spooled(spool, map(line_ends.to_crlf, line_ends.pieces(file.octets)))
                        yield Letter(str(path), octets, Flags(), date_within(octets) or file.modified_at)
                    elif len(file.octets) == about.octets and sha256_of(file.octets) == about.sha256:
                        yield Letter(str(path), file.octets, about.flags, about.received_at)
                    else:
                        yield Complaint(str(path), "it is not what the index beside it says")
            except FileRefused as refused:
                yield Complaint(str(path), refused.reason)


def _files(directory: Path) -> list[str]:
    """In the order in which they came, as far as names tell: numbers count as numbers."""
    with os.scandir(directory) as files:
        return sorted((file.name for file in files if not file.name.startswith(".")), key=_in_order)


def _in_order(name: str) -> tuple[int, int, str]:
    ours = maildir.parse_unique_name(name)
    if ours is not None:
        return ours.uidvalidity, ours.uid, name
    first, _, second = name.removesuffix(".eml").partition("-")
    if first.isdecimal() and second.isdecimal():
        return int(first[:12]), int(second[:12]), name
    number = first.partition(".")[0]
    return int(number[:12]) if number.isdecimal() and number.isascii() else 0, 0, name
