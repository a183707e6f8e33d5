"""A mailbox or an account comes back from its archive while mail programs know of another time: they end with what the
server has."""

import random
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.flows.believing import Believer
from tests.flows.clients import append, deliver, sign_in
from tests.flows.installation import Installation, Person
from tests.flows.letters import letter
from tests.flows.test_mbsync import Desk, account_mail, message
from tests.flows.test_views import truth_of
from tests.imap_cache import Kept, Speaks

MESSAGES = 12


@pytest.fixture
def person(installation: Installation) -> Person:
    made = installation.person()
    with sign_in(installation, made) as client:
        for number in range(MESSAGES):
            append(client, "INBOX", message("INBOX", number), ("", "\\Seen", "\\Flagged $Forwarded")[number % 3])
    return made


def delete(installation: Installation, person: Person, uids: str) -> None:
    with sign_in(installation, person, mailbox="INBOX") as client:
        client.uid("STORE", uids, "+FLAGS", "(\\Deleted)")
        assert client.expunge()[0] == "OK"


async def opened(installation: Installation, person: Person) -> Believer:
    believer = Believer(installation, person, Speaks.QRESYNC, False, random.Random(1))
    await believer.connect()
    await believer.say("SELECT INBOX (CONDSTORE)")
    await believer.catch_up()
    return believer


async def cache_of(installation: Installation, person: Person) -> Kept:
    believer = await opened(installation, person)
    kept = believer.cache.kept()
    believer.wire.close()
    return kept


async def all_come_back(installation: Installation, person: Person, caches: Sequence[Kept]) -> None:
    truth = await truth_of(installation, person, "INBOX")
    for kept in caches:
        for number in range(3):
            believer = Believer(installation, person, Speaks.QRESYNC, number % 2 == 1, random.Random(number))
            await believer.connect()
            await believer.select("INBOX", kept)
            await believer.catch_up()
            assert believer.cache.picture() == truth, believer.cache.said
            believer.wire.close()


async def stays_right(installation: Installation, person: Person, believer: Believer) -> None:
    """Whoever stayed connected."""
    await believer.say("NOOP")
    await believer.catch_up()
    assert believer.cache.picture() == await truth_of(installation, person, "INBOX"), believer.cache.said
    believer.wire.close()


async def test_messages_that_come_back_are_new_to_every_program(
    installation: Installation, person: Person, tmp_path: Path
) -> None:
    early = await cache_of(installation, person)
    archive = str(tmp_path / "archive")
    installation.manage("backup", "mailbox", person.address, archive)
    desk = Desk(installation, person, tmp_path / "home")
    desk.home.mkdir()
    desk.set_up()
    desk.sync()
    delete(installation, person, "3:7")
    desk.sync()
    late = await cache_of(installation, person)
    staying = await opened(installation, person)
    told = installation.manage("restore", "mailbox", archive, "--into", person.address)
    assert f"5 messages, {MESSAGES - 5} were there" in told
    await stays_right(installation, person, staying)
    await all_come_back(installation, person, [early, late])
    desk.sync()
    assert desk.mail() == account_mail(installation, person)
    assert len(desk.mail()) == MESSAGES


async def test_an_account_that_is_rebuilt_is_read_anew_by_every_program(
    installation: Installation, person: Person, tmp_path: Path
) -> None:
    early = await cache_of(installation, person)
    archive = str(tmp_path / "archive")
    installation.manage("backup", "mailbox", person.address, archive)
    desk = Desk(installation, person, tmp_path / "home")
    desk.home.mkdir()
    desk.set_up()
    desk.sync()
    delete(installation, person, "1:*")
    late = await cache_of(installation, person)
    staying = await opened(installation, person)
    told = installation.manage("restore", "mailbox", archive, "--into", person.address)
    assert f"{MESSAGES} messages, under their old uids, in a new epoch" in told
    await staying.say("NOOP")
    assert staying.cache.is_over  # what it selected is no more
    staying.wire.close()
    await all_come_back(installation, person, [early, late])
    deliver(installation, [person], letter("after", message_id="<INBOX-99@flows.test>"))
    desk.sync()
    assert desk.mail() == account_mail(installation, person)
    assert len(desk.mail()) == MESSAGES + 1
