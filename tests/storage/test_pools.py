"""The pool of a tenant is kept but for what others let in within a few seconds, and stands in for a missing quota."""

import pytest

from mailserver.services import mailboxes
from mailserver.services.addresses import Recipients
from mailserver.services.delivery import Deliveries
from mailserver.services.recovering import recover
from storage.errors import OverQuota
from storage.pools import LIMITS_READ_S, SUMMED_S, Pools, PoolUsage
from storage.store import MailStore
from storage.types import Placed
from tests.conftest import NOON, Company, RunningServices, as_recipient, plain_message
from tests.directory_rows import Directory
from tests.someone import ADD, DELETED, Someone

LETTER = plain_message(1)
LONG = len(LETTER)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def directory(services: RunningServices, company: Company) -> Directory:
    return Directory(services)


def process(store: MailStore, clock: Clock) -> MailStore:
    """The store of another process on the same tables."""
    return MailStore(store.database, store.keys, store.blobs, store.announce, pools=Pools(clock=clock))


async def person(store: MailStore, company: Company, directory: Directory, name: str, octets: int | None) -> Someone:
    """In a tenant with a pool of so many octets."""
    directory.tenant(company.tenant_id, quota_octets=octets)
    who = await company.person(name)
    directory.account(who)
    return Someone(store, who)


async def test_who_has_no_pool_is_not_asked(store: MailStore, company: Company, clock: Clock) -> None:
    pools = Pools(clock=clock)
    assert await pools.usage(store.database, company.tenant_id) is None
    assert await pools.let_in(store.database, company.tenant_id, 2**50) is None


async def test_mail_is_refused_once_the_pool_is_full_whoever_filled_it(
    store: MailStore, company: Company, directory: Directory, clock: Clock
) -> None:
    store = process(store, clock)
    ada = await person(store, company, directory, "ada", 2 * LONG)
    bob = Someone(store, await company.person("bob"))
    await ada.receive(LETTER)
    await bob.append("Sent", LETTER)
    with pytest.raises(OverQuota) as refused:
        await ada.receive(LETTER)
    assert (refused.value.used_octets, refused.value.limit_octets) == (2 * LONG, 2 * LONG)
    with pytest.raises(OverQuota):
        await bob.append("INBOX", LETTER)
    with pytest.raises(OverQuota):
        await Recipients(store)._demand_room(as_recipient(ada.who))
    await ada.copy("INBOX", [1], "Archive")  # takes nothing
    with pytest.raises(OverQuota):
        await ada.copy("INBOX", [1], "INBOX")  # a second message


async def test_one_answer_for_several_counts_each(
    store: MailStore, company: Company, directory: Directory, clock: Clock
) -> None:
    store = process(store, clock)
    ada = await person(store, company, directory, "ada", 3 * LONG)
    both = [as_recipient(ada.who), as_recipient(await company.person("bob"))]
    deliveries = Deliveries(store)
    first = await deliveries.deliver(LETTER, both, reverse_path="", received_at=NOON)
    second = await deliveries.deliver(LETTER, both, reverse_path="", received_at=NOON)
    assert [type(each) for each in (*first, *second)] == [Placed, Placed, OverQuota, OverQuota]
    [third] = await deliveries.deliver_each(LETTER, both[:1], reverse_path="", received_at=NOON)
    assert isinstance(third, Placed)
    [fourth] = await deliveries.deliver_each(LETTER, both[:1], reverse_path="", received_at=NOON)
    assert isinstance(fourth, OverQuota)


async def test_what_another_process_lets_in_is_seen_after_a_moment(
    store: MailStore, company: Company, directory: Directory, clock: Clock
) -> None:
    here, there = process(store, clock), process(store, clock)
    ada = await person(here, company, directory, "ada", 2 * LONG)
    elsewhere = Someone(there, ada.who)
    await ada.receive(LETTER)
    await elsewhere.receive(LETTER)
    await ada.receive(LETTER)  # over by what the other let in
    clock.now += SUMMED_S + 0.1
    with pytest.raises(OverQuota):
        await ada.receive(LETTER)


async def test_room_that_is_made_and_limits_that_change_are_felt(
    store: MailStore, company: Company, directory: Directory, clock: Clock
) -> None:
    store = process(store, clock)
    ada = await person(store, company, directory, "ada", LONG)
    await ada.receive(LETTER)
    await ada.flag("INBOX", [1], ADD, DELETED)
    await ada.expunge()
    clock.now += SUMMED_S + 0.1
    await ada.receive(LETTER)
    with pytest.raises(OverQuota):
        await recover(store, ada.who)
    directory.tenant(company.tenant_id, quota_octets=None)
    clock.now += LIMITS_READ_S + 0.1
    assert (await recover(store, ada.who)).messages == {"INBOX": 1}


@pytest.mark.parametrize(
    ("own", "pool", "shown"),
    [
        (None, None, None),
        (10 * LONG, None, 10),
        (None, 5 * LONG, 4),
        (10 * LONG, 5 * LONG, 4),
        (3 * LONG, 99 * LONG, 3),
    ],
)
async def test_the_lower_limit_is_shown(
    store: MailStore,
    company: Company,
    directory: Directory,
    clock: Clock,
    own: int | None,
    pool: int | None,
    shown: int | None,
) -> None:
    """Ada has one letter, Bob another: of a pool of five letters Ada can come to four."""
    store = process(store, clock)
    bob = await person(store, company, directory, "bob", pool)
    await bob.receive(LETTER)
    ada = Someone(store, await company.person("ada", quota_octets=own))
    await ada.receive(LETTER)
    usage = await mailboxes.quota_usage(store, ada.who)
    assert usage == (None if shown is None else (LONG, shown * LONG))


def test_a_pool_over_its_limit_has_nothing_left() -> None:
    assert PoolUsage(7, 5).left_octets == 0
