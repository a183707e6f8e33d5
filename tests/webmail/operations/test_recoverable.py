"""`manage.py recoverable`, as an administrator types it."""

import asyncio
import string

import pytest

from storage.store import MailStore
from tests.conftest import RunningServices, plain_message
from tests.people import Person, new_person
from tests.someone import ADD, DELETED, Someone
from webmail.operations.recoverable_wording import CHINESE


@pytest.fixture
async def ann(services: RunningServices, store: MailStore) -> Person:
    """She expunged three messages."""
    ann = await asyncio.to_thread(new_person, services)
    someone = Someone(store, ann.principal)
    for number in range(3):
        await someone.append("Sent" if number else "INBOX", plain_message(number))
    for box, uids in (("Sent", [1, 2]), ("INBOX", [1])):
        await someone.flag(box, uids, ADD, DELETED)
        await someone.expunge(box)
    return ann


async def said(services: RunningServices, *arguments: str, status: int = 0) -> str:
    done = await asyncio.to_thread(services.manage, "recoverable", *arguments)
    assert done.returncode == status, done.stderr + done.stdout
    return done.stdout + done.stderr


async def test_what_was_expunged_is_shown_and_brought_back(
    services: RunningServices, store: MailStore, ann: Person
) -> None:
    lines = (await said(services, "list", ann.address, "--speak", "en")).splitlines()
    assert [line.split()[:2] for line in lines] == [["Mailbox", "Messages"], ["INBOX", "1"], ["Sent", "2"]]
    shown = await said(services, "list", ann.address, "--messages", "--mailbox", "Sent", "--speak", "en")
    assert [line.endswith(f"Message {n}") for n, line in enumerate(shown.splitlines()) if n] == [True, True]
    brought = await said(services, "restore", ann.address, "--mailbox", "Sent", "--into", "Found", "--speak", "en")
    assert brought == "Found: 2 messages brought back\n"
    assert await Someone(store, ann.principal).uids("Found") == [1, 2]
    assert await said(services, "restore", ann.address, "--since", "2999-01-01", "--speak", "zh-hans") == (
        "没有可以恢复的邮件。\n"
    )
    assert await said(services, "restore", ann.address, "--speak", "zh-hans") == "INBOX：已恢复 1 封邮件\n"


async def test_what_cannot_be_done_is_said_in_a_line(services: RunningServices, ann: Person) -> None:
    assert "is not a time" in await said(services, "list", ann.address, "--since", "lunch", "--speak", "en", status=1)
    refused = await said(services, "restore", ann.address, "--into", "a*b", "--speak", "en", status=1)
    assert refused.startswith("CommandError: No mailbox can be made there: ")


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items())
def test_both_languages_tell_the_same_facts(english: str, chinese: str) -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert fields(english) == fields(chinese)
