"""People are told once for each mark, in their language, and told anew when they came below it in between."""

from datetime import UTC, datetime, timedelta

import pytest

from mailserver.services.delivery import Deliveries
from mailserver.services.quota_notices import QuotaNotices, mark_of
from mailserver.services.quota_wording import QuotaNotice, compose_notice
from storage.store import MailStore
from tests.conftest import Company, RunningServices, plain_message
from tests.directory_rows import Directory
from tests.someone import ADD, DELETED, Someone

LETTER = plain_message(1, body="x" * 10_000)
LONG = len(LETTER)


class Days:
    def __init__(self) -> None:
        self.now = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def days() -> Days:
    return Days()


@pytest.fixture
def notices(store: MailStore, days: Days) -> QuotaNotices:
    return QuotaNotices(store, Deliveries(store), "mail.test", clock=days, new_token=lambda: "token")


@pytest.fixture
def directory(services: RunningServices, company: Company) -> Directory:
    made = Directory(services)
    made.tenant(company.tenant_id)
    return made


async def person(
    store: MailStore, company: Company, directory: Directory, name: str, quota: int | None, **columns: object
) -> Someone:
    who = await company.person(name, quota_octets=quota)
    directory.account(who, **columns)
    directory.address(who)
    return Someone(store, who)


async def subjects(someone: Someone) -> list[bytes]:
    """Of the notices."""
    found = [octets for octets in await someone.octets() if b"Auto-Submitted" in octets]
    return [line for octets in found for line in octets.split(b"\r\n") if line.startswith(b"Subject: ")]


async def test_each_mark_is_told_once(
    store: MailStore, company: Company, directory: Directory, notices: QuotaNotices
) -> None:
    ada = await person(store, company, directory, "ada", 10 * LONG)
    for _ in range(7):
        await ada.receive(LETTER)
    await notices.tell()
    assert await subjects(ada) == []
    await ada.receive(LETTER)
    await notices.tell()
    await notices.tell()
    assert await subjects(ada) == [b"Subject: Your mailbox is 80 % full"]
    await ada.receive(plain_message(2, body="x" * int(1.5 * LONG)))
    await notices.tell()
    await notices.tell()
    assert (await subjects(ada))[1:] == [b"Subject: Your mailbox is 95 % full"]


async def test_who_is_over_it_is_told_of_the_highest_mark_alone_and_only_once(
    store: MailStore, company: Company, directory: Directory, notices: QuotaNotices
) -> None:
    ada = await person(store, company, directory, "ada", LONG)
    await ada.receive(LETTER)
    for _ in range(3):
        await notices.tell()
    assert await subjects(ada) == [b"Subject: Your mailbox is 95 % full"]
    assert (await ada.usage()).used_octets > LONG, "the notice was placed in a full mailbox"


async def test_who_made_room_is_told_anew_on_another_day(
    store: MailStore, company: Company, directory: Directory, notices: QuotaNotices, days: Days
) -> None:
    ada = await person(store, company, directory, "ada", int(1.2 * LONG))
    for _ in range(2):
        await ada.receive(LETTER)
        await notices.tell()
        await ada.flag("INBOX", [(await ada.uids())[0 if days.now.day == 22 else 1]], ADD, DELETED)
        await ada.expunge()
        await notices.tell()
        days.now += timedelta(days=1)
    assert await subjects(ada) == [b"Subject: Your mailbox is 80 % full"] * 2


async def test_of_one_mark_there_is_one_notice_a_day(
    store: MailStore, company: Company, directory: Directory, notices: QuotaNotices
) -> None:
    """Also when the process that told died before it could note that."""
    ada = await person(store, company, directory, "ada", int(1.2 * LONG))
    await ada.receive(LETTER)
    await notices.tell()
    directory.run("DELETE FROM quota_notice WHERE account_id = %(account)s", account=ada.who.account_id)
    await notices.tell()
    assert len(await subjects(ada)) == 1


async def test_administrators_are_told_of_the_pool(
    store: MailStore, company: Company, directory: Directory, notices: QuotaNotices
) -> None:
    directory.tenant(company.tenant_id, quota_octets=4 * LONG)
    boss = await person(store, company, directory, "boss", None, is_administrator=True, language="zh-hans")
    ada = await person(store, company, directory, "ada", None)
    for each in (boss, ada, ada):
        await each.receive(LETTER)
    await notices.tell()
    assert await subjects(boss) == []
    await ada.receive(plain_message(2, body="x" * (LONG // 2)))
    await notices.tell()
    await notices.tell()
    assert len(await subjects(boss)) == 1
    assert await subjects(ada) == []


@pytest.mark.parametrize(
    ("used", "limit", "mark"), [(79, 100, 0), (80, 100, 80), (94, 100, 80), (95, 100, 95), (500, 100, 95)]
)
def test_marks(used: int, limit: int, mark: int) -> None:
    assert mark_of(used, limit) == mark


def notice(language: str, *, is_pool: bool) -> bytes:
    return compose_notice(
        QuotaNotice(
            to="ann@example.com",
            language=language,
            percent=80,
            used_octets=4 * 2**30,
            limit_octets=5 * 2**30,
            is_pool=is_pool,
            hostname="mail.test",
            token="token",
            written_at=datetime(2026, 11, 22, 12, 0, tzinfo=UTC),
        )
    )


@pytest.mark.parametrize("is_pool", [False, True])
@pytest.mark.parametrize(("language", "words"), [("en", "4 GiB of 5 GiB"), ("zh-hans", "使用 4 GiB，上限 5 GiB")])
def test_a_notice_is_written_in_the_readers_language(language: str, words: str, *, is_pool: bool) -> None:
    from email import message_from_bytes, policy

    message = message_from_bytes(notice(language, is_pool=is_pool), policy=policy.default)
    assert "80" in message["Subject"]
    assert message["Auto-Submitted"] == "auto-generated"
    assert words in message.get_content()
