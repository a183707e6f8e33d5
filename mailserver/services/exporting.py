"""A mailbox, or all of an account, written to disk as mbox, Maildir or letters, with flags and dates; and gone on with
where an earlier run was interrupted.

Each mailbox is taken as it is at one moment. Messages that are expunged while it is written may be left out; what came
by an earlier run and is gone from the mailbox stays on disk.
"""

import fcntl
import os
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from enum import StrEnum
from mmap import mmap
from pathlib import Path

from mailserver.mailbox_formats import names
from mailserver.mailbox_formats.listings import MAILBOXES_FILE, ListedMailbox, mailbox_line, read_mailboxes
from mailserver.services import mailboxes, messages
from mailserver.services.export_files import LetterDirectory, MailboxFiles, MaildirFolder, MboxFile, write_whole
from mailserver.services.spool import Spool
from storage.errors import ContentDamaged, MessageGone
from storage.rows import Columns, FetchRow
from storage.store import MailStore
from storage.types import Flags, Mailbox, SystemFlag, Uid
from tenants.types import Principal

_READ_OCTETS = 1024 * 1024
_LOCK_FILE = ".waypost-lock"


class MailFormat(StrEnum):
    MBOX = "mbox"
    MAILDIR = "maildir"
    EML = "eml"


class ExportRefused(Exception):
    """The directory holds something else: an export in another format, or of another account."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(f"{path} {reason}")
        self.path = path
        self.reason = reason


class ExportRunning(Exception):
    """Another process exports to this directory now."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is being written to")
        self.path = path


@dataclass(slots=True)
class ExportedMailbox:
    """`present` came by an earlier run; `damaged` are uids whose content cannot be read. `place` None: the mailbox was
    passed over, for its name is too long for a Maildir folder."""

    name: str
    place: str | None
    written: int = 0
    present: int = 0
    keywords_left_out: int = 0
    damaged: list[Uid] = field(default_factory=list)


Progress = Callable[[str, int, int], None]
"""A mailbox, how many of its messages are done, and how many there are."""


def no_progress(_mailbox: str, _done: int, _messages: int) -> None:
    """Nobody looks."""


async def export_mail(
    store: MailStore,
    who: Principal,
    directory: Path,
    form: MailFormat,
    *,
    only: str | None = None,
    progress: Progress = no_progress,
) -> AsyncIterator[ExportedMailbox]:
    """Write the account, or `only` that mailbox, below `directory`; each mailbox is told of when it is done.

    Raises MailboxNotFound, ExportRefused, ExportRunning, ExportElsewhere, OSError, ColdTierUnavailable,
    StoreUnavailable; the next run goes on.
    """
    if only is None:
        chosen = [each for each in await mailboxes.list_mailboxes(store, who) if _has_messages(each)]
    else:
        chosen = [await mailboxes.find_selectable(store, who, only)]
    with closing(_Lock(directory)):
        places = _list(directory, f"{who.tenant_id}/{who.account_id}", form, chosen)
        for mailbox in chosen:
            place = places[mailbox.name]
            if place is None:
                yield ExportedMailbox(mailbox.name, None)
            else:
                yield await _export(store, who, mailbox, form, directory, place, progress)


def _has_messages(mailbox: Mailbox) -> bool:
    return not mailbox.is_deleted and mailbox.is_selectable


class _Lock:
    """Keeps others off a directory as long as this process lives."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._file = os.open(directory / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._file)
            raise ExportRunning(directory) from None

    def close(self) -> None:
        os.close(self._file)


def _list(directory: Path, account: str, form: MailFormat, chosen: Sequence[Mailbox]) -> dict[str, str | None]:
    """Say which mailboxes are here, beside those of earlier runs; returns their places."""
    path = directory / MAILBOXES_FILE
    listed = read_mailboxes(path.read_text("utf-8", "replace").splitlines()) if path.exists() else []
    if any(each.format != form for each in listed):
        raise ExportRefused(directory, "holds an export in another format")
    if any(each.account != account for each in listed):
        raise ExportRefused(directory, "holds an export of another account")
    before = {each.name: each for each in listed}
    places: dict[str, str | None] = {}
    for mailbox in chosen:
        place = places[mailbox.name] = _place(mailbox.name, form)
        if place is not None:
            before[mailbox.name] = ListedMailbox(
                account, mailbox.name, place, form, mailbox.uidvalidity, mailbox.special_use, mailbox.is_subscribed
            )
    write_whole(path, "".join(mailbox_line(each) for each in before.values()).encode())
    return places


def _place(name: str, form: MailFormat) -> str | None:
    match form:
        case MailFormat.MBOX:
            return names.file_name(name) + ".mbox"
        case MailFormat.MAILDIR:
            return names.maildir_folder(name)
        case MailFormat.EML:
            return names.file_name(name)


async def _export(
    store: MailStore,
    who: Principal,
    mailbox: Mailbox,
    form: MailFormat,
    directory: Path,
    place: str,
    progress: Progress,
) -> ExportedMailbox:
    shown = await messages.load_contents(store, who, mailbox.id)
    flags = {
        Uid(uid): Flags(SystemFlag(bits), shown.keywords.get(uid, frozenset()))
        for uid, bits in zip(shown.uids, shown.flags, strict=True)
    }
    path = directory / place
    target: MailboxFiles
    match form:
        case MailFormat.MBOX:
            target = MboxFile(path, mailbox)
        case MailFormat.MAILDIR:
            keywords = {word for words in shown.keywords.values() for word in words}
            target = MaildirFolder(path, mailbox, keywords, is_subfolder=bool(place))
        case MailFormat.EML:
            target = LetterDirectory(path, mailbox)
    done = ExportedMailbox(mailbox.name, place, present=sum(uid in target.present for uid in flags))
    with closing(target):
        wanted = [uid for uid in flags if uid not in target.present]
        async for row, octets in _messages(store, who, mailbox, wanted, done.damaged):
            target.put(row, octets, flags[row.uid], is_recent=row.uid >= mailbox.first_recent_uid)
            done.written += 1
            progress(mailbox.name, done.present + done.written, len(flags))
        target.finish(flags)
    done.keywords_left_out = target.keywords_left_out
    return done


async def _messages(
    store: MailStore, who: Principal, mailbox: Mailbox, uids: Sequence[Uid], damaged: list[Uid]
) -> AsyncIterator[tuple[FetchRow, bytes | mmap]]:
    """Those that can be read; octets are there until the next one is asked for."""
    if not uids:
        return
    async for some in messages.fetch_messages(store, who, mailbox.id, uids, Columns.FACTS):
        for row, octets, _digest, refusal in some:
            if refusal is not None:
                raise refusal
            if octets is not None:
                yield row, octets
                continue
            with Spool() as spool:
                try:
                    content = await messages.open_content(store, who, row.message_id)
                    at = 0
                    while at < content.octets:
                        piece = await content.read(at, _READ_OCTETS)
                        spool.write(piece)
                        at += len(piece)
                except MessageGone:
                    continue
                except ContentDamaged:
                    damaged.append(row.uid)
                    continue
                yield row, spool.octets()
