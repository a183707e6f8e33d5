"""mbsync (isync) keeps a Maildir and an account equal: new mail, flags, moves, deletions, in both directions."""

import asyncio
from pathlib import Path

import psycopg
import pytest

from mailserver.imap.session.conversation import Services
from mailserver.services import mailboxes, messages
from storage.types import FlagChange, FlagOperation, Flags, SystemFlag, Uid
from tenants.types import Scope
from tests.conftest import NOON, RunningServices, plain_message
from tests.mailserver.imap.conftest import OpenDoor
from tests.people import Person

MESSAGES = 200


class Maildir:
    """The local side."""

    def __init__(self, directory: Path, door: OpenDoor, person: Person) -> None:
        self._config = directory / "mbsyncrc"
        self._mail = directory / "mail"
        self._mail.mkdir()
        self._config.write_text(
            f"""
IMAPAccount waypost
Host localhost
Port {door.imaps}
User {person.address}
Pass {person.password}
SSLType IMAPS
CertificateFile {door.ca}

IMAPStore remote
Account waypost

MaildirStore local
Path {self._mail}/
Inbox {self._mail}/INBOX
SubFolders Verbatim

Channel all
Far :remote:
Near :local:
Patterns *
Create Both
Remove Both
Expunge Both
SyncState *
"""
        )
        self._config.chmod(0o600)

    async def sync(self) -> None:
        process = await asyncio.create_subprocess_exec(
            "mbsync", "-c", str(self._config), "-a", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode()

    def files(self, mailbox: str) -> list[Path]:
        return sorted(file for part in ("cur", "new") for file in (self._mail / mailbox / part).glob("*"))

    def with_subject(self, mailbox: str, subject: str) -> Path:
        [found] = [file for file in self.files(mailbox) if f"Subject: {subject}\n" in file.read_text()]
        return found


@pytest.fixture
def maildir(tmp_path: Path, door: OpenDoor, person: Person) -> Maildir:
    return Maildir(tmp_path, door, person)


async def test_mbsync_signs_in_by_scram(
    imap: Services, maildir: Maildir, person: Person, services: RunningServices
) -> None:
    """Cyrus SASL prefers it wherever it is offered, and takes no other when it fails."""
    async with await psycopg.AsyncConnection.connect(services.owner_url) as owner:
        everybody_else = "UPDATE account SET scram_made_for = password_hash WHERE id <> %s"
        await owner.execute(everybody_else, [person.principal.account_id])
    await imap.logins.sign_in(person.address, person.password, network="127.0.0.1", scope=Scope.IMAP)
    await imap.logins.settle()
    await imap.logins.look_for_scram()
    assert imap.logins.offers_scram
    await maildir.sync()


async def flags_by_uid(imap: Services, person: Person, name: str) -> dict[int, int]:
    mailbox = await mailboxes.find(imap.store, person.principal, name)
    contents = await messages.load_contents(imap.store, person.principal, mailbox.id)
    return dict(zip(contents.uids, contents.flags, strict=True))


async def test_mbsync_syncs_both_ways(maildir: Maildir, imap: Services, person: Person) -> None:
    who = person.principal
    for number in range(1, MESSAGES + 1):
        await messages.append(imap.store, who, "INBOX", plain_message(number), flags=Flags(), received_at=NOON)
    await maildir.sync()
    assert len(maildir.files("INBOX")) == MESSAGES

    seen_here = maildir.with_subject("INBOX", "Message 7")
    seen_here.rename(seen_here.parent.parent / "cur" / f"{seen_here.name.partition(':')[0]}:2,S")
    maildir.with_subject("INBOX", "Message 8").unlink()
    moved = maildir.with_subject("INBOX", "Message 9")
    moved.rename(moved.parents[2] / "Archive" / "cur" / "1.moved.here:2,S")
    inbox = await mailboxes.find(imap.store, who, "INBOX")
    flagged_there = FlagChange(FlagOperation.ADD, Flags(SystemFlag.FLAGGED))
    await messages.change_flags(imap.store, who, inbox.id, [Uid(10)], flagged_there)
    await messages.move(imap.store, who, inbox.id, [Uid(11)], "Archive")
    await maildir.sync()

    there = await flags_by_uid(imap, person, "INBOX")
    assert there[7] & SystemFlag.SEEN
    assert not there.keys() & {8, 9, 11}
    assert len(there) == MESSAGES - 3
    assert len(await flags_by_uid(imap, person, "Archive")) == 2
    assert maildir.with_subject("INBOX", "Message 10").name.endswith("F")
    assert len(maildir.files("INBOX")) == MESSAGES - 3
    assert len(maildir.files("Archive")) == 2
