"""Mail from files of other programs: what is broken is passed over and told of, what is killed goes on."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from mailserver.services import mailboxes
from mailserver.services.import_sources import (
    MESSAGE_LIMIT_OCTETS,
    Complaint,
    NothingThere,
    SourceMailbox,
    find_mailboxes,
)
from mailserver.services.importing import ImportedMailbox, import_mailbox
from storage.errors import MailboxNameInvalid
from storage.store import MailStore
from storage.types import Flags
from tests.conftest import NOON, Company, RunningServices, plain_message
from tests.someone import ANSWERED, FLAGGED, SEEN, Someone

LINE = b"From grace@elsewhere.test Mon Nov  2 12:00:00 2026\n"


def mbox(*messages: bytes) -> bytes:
    return b"".join(LINE + message.replace(b"\r\n", b"\n") + b"\n" for message in messages)


async def bring(person: Someone, path: Path, into: str | None = None) -> list[ImportedMailbox]:
    done = []
    for source in find_mailboxes(path):
        assert not isinstance(source, Complaint)
        done.append(await import_mailbox(person.store, person.who, into or source.name, source.letters()))
    return done


async def test_an_mbox_of_another_program_is_taken_with_its_flags(ada: Someone, tmp_path: Path) -> None:
    file = tmp_path / "Old mail.mbox"
    seen = b"Status: RO\nX-Status: AF\nX-Keywords: work\n" + plain_message(1)
    file.write_bytes(mbox(seen, plain_message(2, body=">From me\r\n>>From you")))
    (told,) = await bring(ada, file)
    assert (told.name, told.added, told.complaints) == ("Old mail", 2, [])
    assert await ada.octets("Old mail") == [plain_message(1), plain_message(2, body="From me\r\n>From you")]
    flags = await ada.flags_of("Old mail")
    assert list(flags.values()) == [Flags(SEEN | ANSWERED | FLAGGED, frozenset({"work"})), Flags()]
    assert {row.received_at for row in await ada.rows("Old mail")} == {NOON}
    (again,) = await bring(ada, file)
    assert (again.added, again.present) == (0, 2)


async def test_what_the_source_has_three_times_is_there_three_times(ada: Someone, tmp_path: Path) -> None:
    file = tmp_path / "a.mbox"
    file.write_bytes(mbox(*[plain_message(1)] * 2))
    await bring(ada, file, "a")
    file.write_bytes(mbox(*[plain_message(1)] * 3, plain_message(2)))
    (told,) = await bring(ada, file, "a")
    assert (told.added, told.present) == (2, 2)
    assert Counter(await ada.octets("a")) == {plain_message(1): 3, plain_message(2): 1}


async def test_a_message_like_one_that_is_there_is_another_one(ada: Someone, tmp_path: Path) -> None:
    """Of the same length and second."""
    file = tmp_path / "a.mbox"
    file.write_bytes(mbox(plain_message(1), plain_message(2)))
    await bring(ada, file, "a")
    file.write_bytes(mbox(plain_message(3), plain_message(1, body="Lunch at nine?")))
    (told,) = await bring(ada, file, "a")
    assert (told.added, told.present) == (2, 0)


async def test_what_has_room_is_taken_and_the_rest_when_there_is_more(
    store: MailStore, company: Company, tmp_path: Path
) -> None:
    messages = [plain_message(number, body="x" * 500) for number in range(10)]
    poor = Someone(store, await company.person("poor", quota_octets=len(messages[0]) * 4 + 10))
    file = tmp_path / "a.mbox"
    file.write_bytes(mbox(*messages))
    (told,) = await bring(poor, file, "INBOX")
    assert told.added == 4
    assert told.over_quota is not None
    rich = Someone(store, replace(poor.who, quota_octets=None))
    (told,) = await bring(rich, file, "INBOX")
    assert (told.added, told.present, told.over_quota) == (6, 4, None)
    assert await rich.octets() == messages


async def test_a_maildir_is_taken_and_links_are_not_followed(ada: Someone, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(plain_message(9))
    root = tmp_path / "Maildir"
    for place in ("cur", "new", "tmp", ".Sub.Folder/cur", ".Sub.Folder/new", "Plain/cur", "Plain/new"):
        (root / place).mkdir(parents=True)
    (root / "dovecot-keywords").write_text("0 work\n1 bad word\n")
    letter = root / "cur" / "1793620800.1.host:2,FSab"
    letter.write_bytes(plain_message(1).replace(b"\r\n", b"\n"))
    os.utime(letter, (NOON.timestamp(), NOON.timestamp()))
    (root / "new" / "1793620801.2.host").write_bytes(plain_message(2))
    (root / ".Sub.Folder" / "cur" / "1.x:2,").write_bytes(plain_message(3))
    (root / "Plain" / "new" / "1.x").write_bytes(plain_message(4))
    (root / "cur" / "link:2,").symlink_to(secret)
    (root / "cur" / "directory").mkdir()
    os.mkfifo(root / "cur" / "pipe")
    (root / "cur" / "huge").touch()
    os.truncate(root / "cur" / "huge", MESSAGE_LIMIT_OCTETS + 1)
    (root / ".Linked").symlink_to(root / ".Sub.Folder")
    found = find_mailboxes(root)
    boxes: list[SourceMailbox] = [each for each in found if not isinstance(each, Complaint)]
    assert [each for each in found if isinstance(each, Complaint)] == [
        Complaint(str(root / ".Linked"), "it is a symbolic link")
    ]
    told = [await import_mailbox(ada.store, ada.who, each.name, each.letters()) for each in boxes]
    assert {each.name: each.added for each in told} == {"INBOX": 2, "Sub/Folder": 1, "Plain": 1}
    assert {(Path(each.place).name, each.reason) for box in told for each in box.complaints} == {
        ("link:2,", "it is a symbolic link"),
        ("directory", "it is no plain file"),
        ("pipe", "it is no plain file"),
        ("huge", "it is too long"),
    }
    assert await ada.octets() == [plain_message(1), plain_message(2)]
    assert (await ada.flags_of())[1] == Flags(SEEN | FLAGGED, frozenset({"work"}))
    assert (await ada.rows())[0].received_at == NOON


async def test_letters_of_other_programs_are_dated_by_their_header(ada: Someone, tmp_path: Path) -> None:
    (tmp_path / "one.eml").write_bytes(plain_message(1).replace(b"\r\n", b"\n"))
    received = b"Received: from a by b;\r\n\tTue, 3 Nov 2026 12:00:00 +0000\r\n"
    (tmp_path / "two.eml").write_bytes(received + plain_message(2))
    (tmp_path / "notes.txt").write_bytes(b"not mail")
    (told,) = await bring(ada, tmp_path, "letters")
    assert told.added == 2
    assert [(row.received_at.day, row.received_at.hour) for row in await ada.rows("letters")] == [(2, 10), (3, 12)]
    assert await ada.octets("letters") == [plain_message(1), received + plain_message(2)]


async def test_a_letter_that_is_not_what_the_index_says_is_told_of(ada: Someone, tmp_path: Path) -> None:
    (tmp_path / "1-1.eml").write_bytes(plain_message(1))
    (tmp_path / "waypost-index.ndjson").write_text(
        '{"file": "1-1.eml", "octets": 5, "sha256": "00", "received_at": "2026-11-02T12:00:00Z"}\n'
    )
    (told,) = await bring(ada, tmp_path, "letters")
    assert [each.reason for each in told.complaints] == ["it is not what the index beside it says"]


async def test_a_list_cannot_lead_elsewhere(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "link").symlink_to(tmp_path)
    lines = [
        '{{"name": "{}", "place": "{}", "format": "eml"}}'.format(*pair)
        for pair in (("a", "/etc"), ("b", "../"), ("c", "link"), ("d", "link/x"))
    ]
    (tmp_path / "in" / "waypost-mailboxes.ndjson").write_text("\n".join(lines))
    assert all(isinstance(each, Complaint) for each in find_mailboxes(tmp_path / "in"))


async def test_names_that_no_mailbox_can_have_are_refused(ada: Someone, tmp_path: Path) -> None:
    file = tmp_path / "a.mbox"
    file.write_bytes(mbox(plain_message(1)))
    with pytest.raises(MailboxNameInvalid):
        await bring(ada, file, "a*b")


async def test_a_name_that_only_holds_others_becomes_a_mailbox(ada: Someone, tmp_path: Path) -> None:
    await mailboxes.create(ada.store, ada.who, "a/b")
    await mailboxes.delete(ada.store, ada.who, "a")
    file = tmp_path / "a.mbox"
    file.write_bytes(mbox(plain_message(1)))
    (told,) = await bring(ada, file)
    assert told.added == 1
    assert await ada.octets("a") == [plain_message(1)]


def test_what_holds_no_mail_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"Dear Sir,\n")
    for path in (tmp_path, tmp_path / "text", tmp_path / "missing"):
        with pytest.raises(NothingThere):
            find_mailboxes(path)


async def test_an_mbox_that_is_none_is_told_of(ada: Someone, tmp_path: Path) -> None:
    (tmp_path / "a.mbox").write_bytes(b"\0\xff" * 1000)
    (told,) = await bring(ada, tmp_path)
    assert [each.reason for each in told.complaints] == ["it does not begin as an mbox does"]


_PROGRAM = textwrap.dedent(
    """
    import asyncio, os, signal, sys
    from pathlib import Path
    from mailserver.services.exporting import MailFormat, export_mail
    from mailserver.services.import_sources import find_mailboxes
    from mailserver.services.importing import import_mailbox
    from storage.blobs.hot import HotBlobs
    from storage.blobs.tiered import TieredBlobs
    from storage.database import Database, DatabaseConfig
    from storage.keys import KeyRing
    from storage.store import MailStore
    from tenants.types import AccountId, Address, Principal, TenantId

    act, path, tenant, account, die_at = sys.argv[1], Path(sys.argv[2]), *map(int, sys.argv[3:])
    form = MailFormat(path.name)

    def progress(*told):
        done = told[-1] if len(told) == 1 else told[1]
        if done >= die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        config = DatabaseConfig(os.environ["WAYPOST_DATABASE_URL"], os.environ["WAYPOST_SYSTEM_DATABASE_URL"])
        database = Database(config)
        keys = KeyRing(Path(os.environ["WAYPOST_SECRETS"]), database)
        store = MailStore(database, keys, TieredBlobs(HotBlobs()), lambda *_: None)
        who = Principal(
            TenantId(tenant), AccountId(account), Address("a", "b.test"), "", "en", "UTC", None, False)
        if act == "export":
            async for _ in export_mail(store, who, path, form, only="INBOX", progress=progress):
                pass
        else:
            for source in find_mailboxes(path):
                await import_mailbox(store, who, source.name, source.letters(), progress=progress)
        await database.close()

    asyncio.run(main())
    """
)


@pytest.mark.parametrize("form", ["mbox", "maildir", "eml"])
async def test_whatever_is_killed_goes_on_when_it_is_run_again(
    services: RunningServices, store: MailStore, company: Company, tmp_path: Path, form: str
) -> None:
    ada, bob = [Someone(store, await company.person(name)) for name in ("ada", "bob")]
    messages = [plain_message(number // 2, body="From me\r\n" * (number % 7)) for number in range(500)]
    for start in range(0, 500, 50):
        await asyncio.gather(*(ada.append("INBOX", each, SEEN) for each in messages[start : start + 50]))

    def run(act: str, person: Someone, die_at: int) -> int:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, act, str(tmp_path / form), str(person.who.tenant_id),
             str(person.who.account_id), str(die_at)],
            env=services.environment(), capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        return done.returncode

    for act, person in (("export", ada), ("import", bob)):
        for die_at in (1, 250, 251, 499):
            assert await asyncio.to_thread(run, act, person, die_at) == -signal.SIGKILL
        assert await asyncio.to_thread(run, act, person, 10**9) == 0
    assert Counter(await bob.octets()) == Counter(messages)
    assert {each.system for each in (await bob.flags_of()).values()} == {SEEN}
