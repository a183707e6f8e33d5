"""mbsync keeps a Maildir and an account of 200 messages the same, whichever side changed."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.flows.clients import append, quoted, read_mailbox, sign_in
from tests.flows.installation import Installation, Person
from tests.flows.letters import attachment, letter, letter_with_attachment

PLANS = "&mHl27g-/&i6FSEg-"  # 项目/计划 in modified UTF-7 (RFC 3501 §5.1.3)
FOLDERS = {"INBOX": 130, "Archive": 40, PLANS: 30}
_LETTERS = {"\\Seen": "S", "\\Answered": "R", "\\Flagged": "F", "\\Draft": "D", "\\Deleted": "T", "$Forwarded": "P"}

Mail = dict[tuple[str, str], tuple[frozenset[str], bytes]]
"""Folder and Message-ID of every message, with its flags and octets."""


@dataclass
class Desk:
    """A person's Maildir beside their account."""

    installation: Installation
    person: Person
    home: Path

    def sync(self) -> str:
        """Run mbsync to its end. Returns what it says it did."""
        done = subprocess.run(
            ["mbsync", "--config", str(self.home / "mbsyncrc"), "--all", "--verbose"],
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def set_up(self) -> None:
        (self.home / "mail").mkdir()
        self.configure()

    def configure(self) -> None:
        """For the installation, which may be another one than before."""
        (self.home / "mbsyncrc").write_text(
            f"""\
IMAPStore account
Host localhost
Port {self.installation.port("imaps")}
SSLType IMAPS
SystemCertificates no
CertificateFile {self.installation.ca}
User {self.person.address}
Pass {self.person.password}

MaildirStore desk
Path {self.home}/mail/
Inbox {self.home}/mail/INBOX
SubFolders Verbatim

Channel all
Far :account:
Near :desk:
Patterns *
Create Both
Expunge Both
SyncState *
"""
        )

    # the Maildir

    def files(self, folder: str) -> list[Path]:
        directory = self.home / "mail" / folder
        return sorted(path for part in ("cur", "new") for path in (directory / part).glob("*"))

    def file(self, folder: str, number: int) -> Path:
        """The file of the message that was `number` when the account was filled."""
        sought = f"Message-ID: <{folder}-{number}@flows.test>\n".encode()
        return next(path for path in self.files(folder) if sought in path.read_bytes())

    def flag(self, folder: str, number: int, letters: str) -> None:
        path = self.file(folder, number)
        name = path.name.partition(":")[0]
        path.rename(path.parent.parent / "cur" / f"{name}:2,{''.join(sorted(letters))}")

    def add(self, folder: str, octets: bytes, letters: str = "") -> None:
        directory = self.home / "mail" / folder
        name = f"1.{os.getpid()}_{len(self.files(folder))}.desk"
        (directory / "tmp" / name).write_bytes(octets.replace(b"\r\n", b"\n"))
        (directory / "tmp" / name).rename(directory / "cur" / f"{name}:2,{letters}")

    def move(self, folder: str, number: int, target: str) -> None:
        """As a mail program at the Maildir does it: gone here, and another file there."""
        path = self.file(folder, number)
        octets, letters = path.read_bytes(), path.name.partition(":2,")[2]
        path.unlink()
        self.add(target, octets, letters)

    def mail(self) -> Mail:
        """What the Maildir holds. mbsync puts X-TUID into what it copies and ends lines in LF."""
        found = {}
        for directory in (self.home / "mail").rglob("cur"):
            folder = str(directory.parent.relative_to(self.home / "mail"))
            for path in self.files(folder):
                octets = re.sub(rb"X-TUID: \S+\n", b"", path.read_bytes(), count=1)
                flags = frozenset(path.name.partition(":2,")[2])
                key = (folder, message_id(octets))
                assert key not in found
                found[key] = (flags, octets)
        return found


def message_id(octets: bytes) -> str:
    found = re.search(rb"\nMessage-ID: <([^>]*)>", octets)
    assert found, octets[:400]
    return found[1].decode()


def account_mail(installation: Installation, person: Person) -> Mail:
    found = {}
    with sign_in(installation, person) as client:
        for folder in folders(installation, person):
            for copy in read_mailbox(client, folder):
                octets = re.sub(rb"X-TUID: \S+\r\n", b"", copy.octets, count=1).replace(b"\r\n", b"\n")
                flags = frozenset(_LETTERS[flag] for flag in copy.flags)
                key = (folder, message_id(octets))
                assert key not in found
                found[key] = (flags, octets)
    return found


def folders(installation: Installation, person: Person) -> list[str]:
    with sign_in(installation, person) as client:
        _, lines = client.list()
    texts = [line.decode() for line in lines if isinstance(line, bytes)]
    return [text.rpartition(' "/" ')[2].strip('"') for text in texts if "\\Noselect" not in text]


def standing(installation: Installation, person: Person) -> dict[str, bytes]:
    """HIGHESTMODSEQ, UIDNEXT and counts of every mailbox: the same again when nothing was written."""
    with sign_in(installation, person) as client:
        items = "(MESSAGES UIDNEXT UIDVALIDITY UNSEEN HIGHESTMODSEQ)"
        return {folder: client.status(quoted(folder), items)[1][0] for folder in folders(installation, person)}


@pytest.fixture
def desk(installation: Installation, tmp_path: Path) -> Desk:
    """200 messages at the account, nothing at the desk."""
    made = Desk(installation, installation.person(), tmp_path)
    with sign_in(installation, made.person) as client:
        assert client.create(quoted(PLANS))[0] == "OK"
        for folder, count in FOLDERS.items():
            for number in range(count):
                append(client, folder, message(folder, number), ("", "\\Seen", "\\Seen \\Flagged")[number % 3])
    made.set_up()
    made.sync()
    return made


def message(folder: str, number: int) -> bytes:
    fields = {"message_id": f"<{folder}-{number}@flows.test>", "subject": f"Message {number} 第{number}封"}
    if number % 10 == 0:
        return letter_with_attachment(attachment(90_000, number), **fields)
    return letter(body="Line\n" * number, **fields)


def test_an_account_of_200_messages_is_copied_and_then_left_alone(desk: Desk) -> None:
    mail = desk.mail()
    assert len(mail) == sum(FOLDERS.values()) == 200
    assert mail == account_mail(desk.installation, desk.person)
    for folder, count in FOLDERS.items():
        for number in range(count):
            assert mail[folder, f"{folder}-{number}@flows.test"][1] == message(folder, number).replace(b"\r\n", b"\n")
    before = standing(desk.installation, desk.person)
    for _ in range(2):
        desk.sync()
        assert desk.mail() == mail
        assert standing(desk.installation, desk.person) == before


def test_what_changed_at_the_account_comes_to_the_desk(desk: Desk) -> None:
    with sign_in(desk.installation, desk.person, mailbox="INBOX") as client:
        client.uid("STORE", "1:20", "+FLAGS.SILENT", "(\\Answered)")
        client.uid("STORE", "2", "-FLAGS", "(\\Seen)")
        client.uid("STORE", "21", "FLAGS", "(\\Flagged $Forwarded)")
        client.uid("STORE", "31:40", "+FLAGS", "(\\Deleted)")
        assert client.uid("EXPUNGE", "31:40")[0] == "OK"
        assert client.uid("MOVE", "41:50", "Archive")[0] == "OK"
        assert client.uid("COPY", "51", quoted(PLANS))[0] == "OK"
        append(client, "INBOX", letter("new at the account", message_id="<new-far@flows.test>"))
        assert client.create("Later")[0] == "OK"
        append(client, "Later", letter("in a new folder", message_id="<later@flows.test>"), "\\Seen")
    desk.sync()
    mail = desk.mail()
    assert mail == account_mail(desk.installation, desk.person)
    assert mail["INBOX", "INBOX-1@flows.test"][0] == {"R"}
    assert mail["INBOX", "INBOX-20@flows.test"][0] == {"F", "P"}
    assert ("INBOX", "INBOX-35@flows.test") not in mail
    assert ("INBOX", "INBOX-45@flows.test") not in mail
    assert ("Archive", "INBOX-45@flows.test") in mail
    assert (PLANS, "INBOX-50@flows.test") in mail
    assert ("Later", "later@flows.test") in mail
    assert len(mail) == 200 - 10 + 3


def test_what_changed_at_the_desk_comes_to_the_account(desk: Desk) -> None:
    desk.flag("INBOX", 3, "S")
    desk.flag("INBOX", 4, "FRS")
    desk.flag("INBOX", 5, "P")
    for number in range(30, 40):
        desk.flag("INBOX", number, "ST")
    desk.file("Archive", 7).unlink()
    for number in range(50, 60):
        desk.move("INBOX", number, PLANS)
    desk.add("INBOX", letter_with_attachment(attachment(200_000, 99), message_id="<new-near@flows.test>"), "FPS")
    desk.sync()
    mail = account_mail(desk.installation, desk.person)
    assert mail == desk.mail()
    assert mail["INBOX", "INBOX-3@flows.test"][0] == {"S"}
    assert mail["INBOX", "INBOX-4@flows.test"][0] == {"F", "R", "S"}
    assert mail["INBOX", "INBOX-5@flows.test"][0] == {"P"}
    assert ("INBOX", "INBOX-33@flows.test") not in mail
    assert ("Archive", "Archive-7@flows.test") not in mail
    assert ("INBOX", "INBOX-55@flows.test") not in mail
    assert mail[PLANS, "INBOX-55@flows.test"][1] == message("INBOX", 55).replace(b"\r\n", b"\n")
    assert mail["INBOX", "new-near@flows.test"][0] == {"F", "P", "S"}
    assert len(mail) == 200 - 10 - 1 + 1
    before = standing(desk.installation, desk.person)
    desk.sync()
    assert standing(desk.installation, desk.person) == before


def test_changes_on_both_sides_meet(desk: Desk) -> None:
    with sign_in(desk.installation, desk.person, mailbox="INBOX") as client:
        client.uid("STORE", "1:10", "+FLAGS", "(\\Flagged)")
        client.uid("STORE", "101", "+FLAGS", "(\\Deleted)")
        client.expunge()
    for number in range(5, 15):
        desk.flag("INBOX", number, "RS" + ("F" if number % 3 == 2 else ""))
    desk.file("INBOX", 110).unlink()
    desk.sync()
    mail = desk.mail()
    assert mail == account_mail(desk.installation, desk.person)
    assert mail["INBOX", "INBOX-6@flows.test"][0] == {"F", "R", "S"}
    assert mail["INBOX", "INBOX-0@flows.test"][0] == {"F"}
    assert ("INBOX", "INBOX-100@flows.test") not in mail
    assert ("INBOX", "INBOX-110@flows.test") not in mail
    assert len(mail) == 198
