"""A deleted account is whole until its window is over, and then nothing is left of its mail."""

import pytest

from storage.database import Database
from storage.ended_accounts import delete_ended_accounts
from storage.purging import purge_due
from storage.retention import apply_rules
from storage.store import MailStore
from tests.conftest import Company, RunningServices, plain_message
from tests.directory_rows import Directory
from tests.someone import ADD, DELETED, Someone

TABLES = (
    "account_state",
    "mailbox",
    "message",
    "placement",
    "change",
    "thread_reference",
    "recoverable",
    "search_page",
    "inbound_placed",
    "quota_notice",
)


@pytest.fixture
async def ada(store: MailStore, company: Company, services: RunningServices) -> Someone:
    directory = Directory(services)
    directory.tenant(company.tenant_id)
    person = await company.person("ada")
    directory.account(person)
    ada = Someone(store, person)
    for number in range(7):
        await ada.receive(plain_message(number))
    await ada.copy("INBOX", [1, 2], "Archive")
    await ada.flag("INBOX", [2, 3, 4], ADD, DELETED)
    await ada.expunge()
    return ada


@pytest.fixture
def directory(services: RunningServices) -> Directory:
    return Directory(services)


def rows(directory: Directory, ada: Someone) -> dict[str, int]:
    found = {}
    for table in TABLES:
        statement = f"SELECT count(*) FROM {table} WHERE tenant_id = %(tenant)s AND account_id = %(account)s"  # noqa: S608
        [(found[table],)] = directory.run(
            statement,
            tenant=ada.who.tenant_id,
            account=ada.who.account_id,
        )
    return {table: count for table, count in found.items() if count}


def delete(directory: Directory, ada: Someone, *, days_ago: int) -> None:
    directory.account(ada.who, status="deleted")
    directory.run(
        "UPDATE account SET deleted_at = now() - make_interval(days => %(days)s) WHERE id = %(account)s",
        days=days_ago,
        account=ada.who.account_id,
    )


def is_gone(directory: Directory, ada: Someone) -> bool:
    [(gone,)] = directory.run(
        "SELECT gone_at IS NOT NULL FROM account WHERE id = %(account)s", account=ada.who.account_id
    )
    return bool(gone)


async def test_within_the_window_everything_stays(ada: Someone, directory: Directory, database: Database) -> None:
    before = rows(directory, ada)
    assert {"message", "placement", "recoverable", "thread_reference", "change"} <= set(before)
    delete(directory, ada, days_ago=29)
    directory.rule(ada.who.tenant_id, "INBOX", 1, "remove")
    directory.run(
        "UPDATE placement SET saved_at = now() - interval '400 days' WHERE account_id = %(account)s",
        account=ada.who.account_id,
    )
    directory.run(
        "UPDATE recoverable SET expunged_at = now() - interval '400 days' WHERE account_id = %(account)s",
        account=ada.who.account_id,
    )
    await delete_ended_accounts(database)
    await purge_due(database)
    await apply_rules(ada.store)
    assert rows(directory, ada) == before


async def test_afterwards_nothing_is_left(ada: Someone, directory: Directory, database: Database) -> None:
    bob = Someone(ada.store, await Company(ada.who.tenant_id, database).person("bob"))
    await bob.receive(plain_message(1))
    others = rows(directory, bob)
    delete(directory, ada, days_ago=31)
    assert await delete_ended_accounts(database, chunk_rows=2) >= 1
    assert rows(directory, ada) == {}
    assert not is_gone(directory, ada), "mail may come late"
    await delete_ended_accounts(database)
    assert is_gone(directory, ada)
    assert rows(directory, bob) == others
    orphans = directory.run(
        """
        SELECT count(*) FROM message_blob b WHERE b.tenant_id = %(tenant)s
           AND NOT EXISTS (SELECT FROM message m WHERE m.tenant_id = b.tenant_id AND m.id = b.message_id)
        """,
        tenant=ada.who.tenant_id,
    )
    assert orphans == [(0,)]


async def test_mail_that_comes_late_goes_too(ada: Someone, directory: Directory, database: Database) -> None:
    delete(directory, ada, days_ago=31)
    await delete_ended_accounts(database)
    await ada.receive(plain_message(99))
    await delete_ended_accounts(database)
    assert rows(directory, ada) == {}
    await delete_ended_accounts(database)
    assert is_gone(directory, ada)


@pytest.mark.parametrize("whose", ["tenant", "account"])
async def test_under_legal_hold_everything_stays(
    ada: Someone, directory: Directory, database: Database, whose: str
) -> None:
    before = rows(directory, ada)
    delete(directory, ada, days_ago=400)
    if whose == "tenant":
        directory.tenant(ada.who.tenant_id, is_held=True)
    else:
        directory.account(ada.who, is_held=True)
    await delete_ended_accounts(database)
    assert rows(directory, ada) == before


async def test_a_hold_that_comes_in_between_stops_it(ada: Someone, directory: Directory, database: Database) -> None:
    """The account has ended, and what is left of it stays."""
    delete(directory, ada, days_ago=400)
    directory.run("UPDATE account SET ended_at = now() WHERE id = %(account)s", account=ada.who.account_id)
    directory.account(ada.who, is_held=True, status="deleted")
    before = rows(directory, ada)
    await delete_ended_accounts(database)
    assert rows(directory, ada) == before
    assert not is_gone(directory, ada)
