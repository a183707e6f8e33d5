"""`manage.py mail`, as an administrator types it."""

import asyncio
import string
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.store import MailStore
from tests.conftest import RunningServices, plain_message
from tests.people import Person, new_person
from tests.someone import FLAGGED, SEEN, Someone
from webmail.operations.mail_wording import CHINESE

Say = Callable[..., str]


@pytest.fixture
async def ann(services: RunningServices) -> Person:
    return await asyncio.to_thread(new_person, services)


@pytest.fixture
def mail(services: RunningServices, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    def run(*arguments: str, status: int = 0) -> str:
        done = services.manage("mail", *arguments)
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout + done.stderr

    return run


async def test_mail_goes_from_one_person_to_another(
    services: RunningServices, store: MailStore, ann: Person, mail: Say, tmp_path: Path
) -> None:
    ann_s = Someone(store, ann.principal)
    for number in range(3):
        await ann_s.append("INBOX", plain_message(number), *((SEEN, FLAGGED, "work") if number else ()))
    said = await asyncio.to_thread(mail, "export", ann.address, str(tmp_path / "out"))
    assert "INBOX: 3 written to INBOX, 0 were there\n" in said
    assert said.endswith("Exported 3 messages, 0 were there.\n")
    bob = await asyncio.to_thread(new_person, services)
    said = await asyncio.to_thread(mail, "import", bob.address, str(tmp_path / "out"), "--into", "旧邮件")
    assert "旧邮件/INBOX: 3 added, 0 were there\n" in said
    said = await asyncio.to_thread(
        mail, "import", bob.address, str(tmp_path / "out"), "--into", "旧邮件", "--speak", "zh-hans"
    )
    assert said.endswith("已导入 0 封邮件，另有 3 封已存在。\n")
    bobs = Someone(store, bob.principal)
    assert await bobs.octets("旧邮件/INBOX") == await ann_s.octets()
    assert await bobs.flags_of("旧邮件/INBOX") == await ann_s.flags_of()


async def test_one_mailbox_goes_into_another(store: MailStore, ann: Person, mail: Say, tmp_path: Path) -> None:
    person = Someone(store, ann.principal)
    await person.append("Sent", plain_message(1))
    await asyncio.to_thread(mail, "export", ann.address, str(tmp_path), "--format", "mbox", "--mailbox", "Sent")
    said = await asyncio.to_thread(mail, "import", ann.address, str(tmp_path / "Sent.mbox"), "--into", "Copies")
    assert "Copies: 1 added, 0 were there" in said
    assert await person.octets("Copies") == [plain_message(1)]


async def test_what_cannot_be_done_is_said_in_a_line(store: MailStore, ann: Person, mail: Say, tmp_path: Path) -> None:
    def refused(*arguments: str) -> str:
        return mail(*arguments, status=1)

    out = str(tmp_path / "out")
    assert "no mailbox Nowhere" in await asyncio.to_thread(refused, "export", ann.address, out, "--mailbox", "Nowhere")
    assert "Nobody has the address" in await asyncio.to_thread(refused, "export", "x@nowhere.example", out)
    assert "holds no mail that can be told" in await asyncio.to_thread(refused, "import", ann.address, str(tmp_path))
    await asyncio.to_thread(mail, "export", ann.address, out)
    again = await asyncio.to_thread(refused, "export", ann.address, out, "--format", "maildir")
    assert again == f"CommandError: {out} holds an export in another format. Choose another directory.\n"


async def test_what_is_passed_over_is_told_and_the_rest_is_taken(
    services: RunningServices, store: MailStore, ann: Person, mail: Say, tmp_path: Path
) -> None:
    (tmp_path / "cur").mkdir()
    (tmp_path / "new").mkdir()
    (tmp_path / ".a&AAo-b" / "cur").mkdir(parents=True)
    (tmp_path / "cur" / "1.{x}.host:2,S").write_bytes(plain_message(1))
    (tmp_path / "cur" / "2.{x}.host:2,S").symlink_to("/etc/passwd")
    (tmp_path / "cur" / "3.{x}.host:2,S").write_bytes(plain_message(2) * 100)
    said = await asyncio.to_thread(mail, "import", ann.address, str(tmp_path), status=1)
    assert "2.{x}.host:2,S: passed over, it is a symbolic link" in said
    assert "INBOX: 2 added, 0 were there" in said
    assert "no mailbox can be called so" in said
    assert said.endswith("CommandError: Not everything could be imported; see above.\n")
    bob = await asyncio.to_thread(new_person, services)
    services.manage("account", "set", bob.address, "--quota", "1KiB")
    said = await asyncio.to_thread(mail, "import", bob.address, str(tmp_path), status=1)
    assert "there is no room for more" in said


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items())
def test_both_languages_tell_the_same_facts(english: str, chinese: str) -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert fields(english) == fields(chinese)
