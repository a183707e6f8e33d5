"""Somebody with mail of many kinds, some of it cold, and an archive of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from mailserver.services import mailboxes
from storage.archive.files import Archive
from storage.archive.restoring_mailbox import RestoredMailbox, restore_mailbox
from storage.archive.taking import Subject, Taken, take
from storage.blobs.objects import ObjectStore
from storage.store import MailStore
from tests.conftest import NOON, RunningServices, owner_connection, plain_message
from tests.letters import TEXT, attachment, lines_of, multipart
from tests.people import Person, new_person
from tests.someone import ANSWERED, DELETED, FLAGGED, SEEN, Someone
from tests.storage.tiers.conftest import Attic

LARGE = multipart(TEXT, attachment(lines_of(bytes(range(256)) * 9000, 76, ends=True)))
LONG = b"Subject: long\r\n\r\n" + b"A line that is different each time it is looked at.\r\n" * 40_000


@dataclass(frozen=True, slots=True)
class Office:
    """A person of a company that the directory knows."""

    person: Person
    one: Someone
    attic: Attic
    services: RunningServices
    directory: Path

    async def archive(
        self, *, mailbox: str | None = None, whole_tenant: bool = False, name: str = "archive"
    ) -> Archive:
        await self.take(mailbox=mailbox, whole_tenant=whole_tenant, name=name)
        return await asyncio.to_thread(Archive, self.directory / name)

    async def take(self, *, mailbox: str | None = None, whole_tenant: bool = False, name: str = "archive") -> Taken:
        account_id = None if whole_tenant else self.one.who.account_id
        subject = Subject(self.person.address.partition("@")[2], account_id, self.person.address, mailbox)
        return await take(
            self.services.owner_url, self.attic.keys, self.attic.objects, subject, self.directory / name, NOON
        )

    async def restore(self, archive: Archive, into: Someone | None = None) -> RestoredMailbox:
        who = (into or self.one).who
        return await restore_mailbox(
            archive, self.one.store.database, self.attic.keys, self.services.secrets, who.account_id
        )


@pytest.fixture
async def office(
    services: RunningServices, tiered_store: MailStore, objects: ObjectStore, tmp_path: Path
) -> AsyncIterator[Office]:
    person = await asyncio.to_thread(new_person, services)
    with owner_connection(services) as owner:
        owner.autocommit = True
        keys = await tiered_store.keys.of(person.principal.tenant_id)
        one = Someone(tiered_store, person.principal)
        attic = Attic(one, objects, keys, owner, services.secrets)
        yield Office(person, one, attic, services, tmp_path)


@pytest.fixture
async def filled(office: Office) -> Office:
    """Thirty messages in three mailboxes, most of them cold, one of them in two mailboxes."""
    one = office.one
    await mailboxes.create(one.store, one.who, "项目/计划")
    kinds = [(), (SEEN,), (SEEN, ANSWERED, "$Forwarded"), (FLAGGED, "work")]
    for number in range(28):
        box = ("INBOX", "项目/计划", "Archive")[number % 3]
        await one.append(
            box, plain_message(number, body="Text. " * number), *kinds[number % 4],
            received_at=NOON + timedelta(minutes=number),
        )  # fmt: skip
    await one.append("INBOX", LARGE, SEEN)
    await one.append("Archive", LONG)
    await one.flag("INBOX", [2], 1, DELETED)  # type: ignore[arg-type]
    await one.expunge("INBOX")
    office.attic.age()
    await office.attic.tier()
    office.attic.drop_old_weeks()
    await one.append("INBOX", plain_message(100, in_reply_to="<1@elsewhere.test>"))
    await one.copy("INBOX", [1], "Archive")
    hot, cold = office.attic.hot_and_cold()
    assert hot
    assert cold > 20
    return office


Join = Callable[[], Awaitable[Someone]]


@pytest.fixture
def colleague(office: Office) -> Join:
    """Another person of the same company."""

    async def join() -> Someone:
        ((account_id,),) = office.attic.sql(
            "INSERT INTO account"
            " (tenant_id, display_name, password_hash, is_administrator, language, time_zone, status)"
            " SELECT tenant_id, 'Bob', password_hash, false, 'en', 'UTC', 'active' FROM account WHERE tenant_id = {t}"
            " RETURNING id"
        )
        return Someone(office.one.store, replace(office.one.who, account_id=account_id))

    return join
