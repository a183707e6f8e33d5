"""What leaves the bin for good, and what a legal hold keeps there."""

import pytest

from storage.purging import purge_due, trim_bins
from storage.store import MailStore
from tests.conftest import Company, RunningServices, plain_message
from tests.directory_rows import Directory
from tests.someone import ADD, DELETED, Someone


@pytest.fixture
def directory(services: RunningServices, company: Company) -> Directory:
    made = Directory(services)
    made.tenant(company.tenant_id)
    return made


@pytest.fixture
async def ada(store: MailStore, company: Company, directory: Directory) -> Someone:
    person = await company.person("ada")
    directory.account(person)
    return Someone(store, person)


async def expunged(ada: Someone, count: int) -> None:
    for number in range(count):
        await ada.receive(plain_message(number))
    uids = await ada.uids()
    await ada.flag("INBOX", uids, ADD, DELETED)
    await ada.expunge()


def age(directory: Directory, ada: Someone, days: int, messages: int = 1000) -> None:
    directory.run(
        """
        UPDATE recoverable SET expunged_at = expunged_at - make_interval(days => %(days)s)
         WHERE (tenant_id, account_id, message_id) IN (
            SELECT tenant_id, account_id, message_id FROM recoverable
             WHERE account_id = %(account_id)s ORDER BY message_id LIMIT %(messages)s)
        """,
        days=days,
        account_id=ada.who.account_id,
        messages=messages,
    )


def left(directory: Directory, ada: Someone) -> int:
    rows = directory.run(
        """
        SELECT (SELECT count(*) FROM recoverable r WHERE r.account_id = a.account_id),
               (SELECT count(*) FROM message m WHERE m.account_id = a.account_id),
               (SELECT count(*) FROM message_blob b JOIN message m ON m.id = b.message_id
                 WHERE m.account_id = a.account_id), a.binned_messages,
               (SELECT coalesce(sum(r.octets), 0) FROM recoverable r WHERE r.account_id = a.account_id)
                   = a.binned_octets
          FROM account_state a WHERE a.account_id = %(account_id)s
        """,
        account_id=ada.who.account_id,
    )
    [(binned, messages, blobs, counted, is_right)] = rows
    assert binned == messages == blobs == counted
    assert is_right
    return int(binned)


async def test_what_lay_there_for_long_goes(ada: Someone, directory: Directory) -> None:
    await expunged(ada, 5)
    await purge_due(ada.store.database)
    assert left(directory, ada) == 5
    age(directory, ada, 31, messages=3)
    assert await purge_due(ada.store.database) >= 3
    assert left(directory, ada) == 2


async def test_the_tenant_says_for_how_long(ada: Someone, directory: Directory) -> None:
    await expunged(ada, 2)
    age(directory, ada, 31)
    directory.tenant(ada.who.tenant_id, recoverable_days=60)
    await purge_due(ada.store.database)
    assert left(directory, ada) == 2
    directory.tenant(ada.who.tenant_id, recoverable_days=7)
    await purge_due(ada.store.database)
    assert left(directory, ada) == 0


@pytest.mark.parametrize("whose", ["tenant", "account"])
async def test_a_legal_hold_keeps_everything_until_it_ends(ada: Someone, directory: Directory, whose: str) -> None:
    def hold(*, is_held: bool) -> None:
        if whose == "tenant":
            directory.tenant(ada.who.tenant_id, is_held=is_held)
        else:
            directory.account(ada.who, is_held=is_held)

    directory.account(ada.who, quota_octets=1)
    await expunged(ada, 3)
    age(directory, ada, 400)
    hold(is_held=True)
    await purge_due(ada.store.database)
    await trim_bins(ada.store.database, ceiling_messages=1)
    assert left(directory, ada) == 3
    hold(is_held=False)
    await purge_due(ada.store.database)
    assert left(directory, ada) == 0


async def test_one_held_account_does_not_keep_that_of_others(
    ada: Someone, directory: Directory, company: Company
) -> None:
    bob = Someone(ada.store, await company.person("bob"))
    directory.account(bob.who, is_held=True)
    for each in (ada, bob):
        await expunged(each, 2)
        age(directory, each, 31)
    await purge_due(ada.store.database)
    assert (left(directory, ada), left(directory, bob)) == (0, 2)


async def test_a_bin_holds_only_so_many_messages_the_newest(ada: Someone, directory: Directory) -> None:
    await expunged(ada, 5)
    age(directory, ada, 2, messages=3)
    assert await trim_bins(ada.store.database, ceiling_messages=2) >= 3
    assert left(directory, ada) == 2
    rows = directory.run(
        "SELECT bool_and(expunged_at > now() - interval '1 day') FROM recoverable WHERE account_id = %(account_id)s",
        account_id=ada.who.account_id,
    )
    assert rows == [(True,)]


async def test_a_bin_holds_no_more_than_the_quota(ada: Someone, directory: Directory) -> None:
    directory.account(ada.who, quota_octets=2 * len(plain_message(1)))
    await expunged(ada, 5)
    await trim_bins(ada.store.database)
    assert left(directory, ada) == 2
    assert await trim_bins(ada.store.database) == 0


async def test_the_bin_of_a_deleted_account_stays_for_whoever_restores_it(ada: Someone, directory: Directory) -> None:
    await expunged(ada, 3)
    directory.account(ada.who, quota_octets=1, status="deleted", deleted_at="2026-11-01")
    await trim_bins(ada.store.database)
    assert left(directory, ada) == 3
    directory.account(ada.who, status="active", deleted_at=None)
    await trim_bins(ada.store.database)
    assert left(directory, ada) == 0
