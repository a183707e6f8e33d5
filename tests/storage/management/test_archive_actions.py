"""`manage.py backup` and `restore` of a tenant and a mailbox, as an administrator types them."""

import ast
import asyncio
import shutil
import string
from collections.abc import Callable
from pathlib import Path

import pytest

from mailserver.services import mailboxes
from storage.management import archive_wording
from storage.management.archive_wording import CHINESE
from storage.store import MailStore
from tests.conftest import RunningServices, plain_message, running_services
from tests.people import Person, new_person
from tests.someone import Someone

Say = Callable[..., str]


@pytest.fixture
async def ann(services: RunningServices) -> Person:
    return await asyncio.to_thread(new_person, services)


@pytest.fixture
def manage(services: RunningServices, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    def run(*arguments: str, status: int = 0, at: RunningServices = services) -> str:
        done = at.manage(*arguments)
        assert done.returncode == status, done.stderr + done.stdout
        return done.stdout + done.stderr

    return run


async def test_a_deleted_mailbox_is_restored(store: MailStore, ann: Person, manage: Say, tmp_path: Path) -> None:
    one = Someone(store, ann.principal)
    await mailboxes.create(one.store, one.who, "Plans")
    for number in range(3):
        await one.append("Plans", plain_message(number))
    await one.append("INBOX", plain_message(9))
    path = str(tmp_path / "plans")
    said = await asyncio.to_thread(manage, "backup", "mailbox", ann.address, path, "--mailbox", "Plans")
    assert f"{path} has 3 messages of {ann.address} with 1 pieces of content, all of them verified.\n" in said
    await mailboxes.delete(one.store, one.who, "Plans")
    said = await asyncio.to_thread(manage, "restore", "mailbox", path, "--into", ann.address)
    assert said == f"Restored {ann.address}: 3 messages, 0 were there.\n"
    assert await one.octets("Plans") == [plain_message(number) for number in range(3)]
    said = await asyncio.to_thread(manage, "restore", "mailbox", path, "--into", ann.address, "--speak", "zh-hans")
    assert said == f"已恢复 {ann.address}：0 封邮件，另有 3 封已存在。\n"


async def test_what_cannot_be_done_is_said_in_a_line(
    services: RunningServices, store: MailStore, ann: Person, manage: Say, tmp_path: Path
) -> None:
    def refused(*arguments: str) -> str:
        return manage(*arguments, status=1)

    path = str(tmp_path / "all")
    said = await asyncio.to_thread(refused, "backup", "mailbox", ann.address, path, "--mailbox", "Nowhere")
    assert said == "CommandError: There is no mailbox Nowhere.\n"
    await asyncio.to_thread(manage, "backup", "mailbox", ann.address, path)
    said = await asyncio.to_thread(refused, "backup", "mailbox", ann.address, path)
    assert said == f"CommandError: {path} is there already. Choose a new directory.\n"
    bob = await asyncio.to_thread(new_person, services)
    said = await asyncio.to_thread(refused, "restore", "mailbox", path, "--into", bob.address)
    assert "is of another company" in said
    said = await asyncio.to_thread(refused, "restore", "tenant", path)
    assert "it is of a mailbox, not of a tenant. Nothing was written." in said
    said = await asyncio.to_thread(refused, "restore", "tenant", str(tmp_path))
    assert "it has no manifest" in said


async def test_a_company_moves_to_another_installation(
    services: RunningServices, store: MailStore, ann: Person, manage: Say, tmp_path: Path
) -> None:
    one = Someone(store, ann.principal)
    await one.append("INBOX", plain_message(1))
    path = str(tmp_path / "company")
    said = await asyncio.to_thread(manage, "backup", "tenant", ann.principal.address.domain, path)
    assert "Mail that was in the queue is not in an archive." in said
    with running_services(tmp_path / "elsewhere") as elsewhere:
        said = await asyncio.to_thread(manage, "restore", "tenant", path, status=1, at=elsewhere)
        assert "Nothing was written" in said
        shutil.copy(services.secrets / "master.key", elsewhere.secrets / "master.key")
        (elsewhere.secrets / "tenants").mkdir(exist_ok=True)
        key = f"tenants/{ann.principal.tenant_id}.key"
        shutil.copy(services.secrets / key, elsewhere.secrets / key)
        said = await asyncio.to_thread(manage, "restore", "tenant", path, at=elsewhere)
        assert "1 accounts with 1 messages" in said
        said = await asyncio.to_thread(manage, "account", "list", at=elsewhere)
        assert ann.address in said
        out = str(tmp_path / "out")
        said = await asyncio.to_thread(manage, "mail", "export", ann.address, out, "--mailbox", "INBOX", at=elsewhere)
        assert "INBOX: 1 written" in said
        (letter,) = (tmp_path / "out" / "INBOX").glob("*.eml")
        assert letter.read_bytes() == plain_message(1)
        said = await asyncio.to_thread(manage, "restore", "tenant", path, status=1, at=elsewhere)
        assert "is here already" in said


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items())
def test_both_languages_tell_the_same_facts(english: str, chinese: str) -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert fields(english) == fields(chinese)


def test_every_sentence_is_there_in_chinese() -> None:
    tree = ast.parse(Path(archive_wording.__file__).with_name("archive_actions.py").read_text())
    said = {
        node.args[1].value
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("_tell", "_failure")
        and isinstance(node.args[1], ast.Constant)
    }
    assert said
    assert said <= CHINESE.keys()
