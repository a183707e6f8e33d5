"""Signing in, against the real directory."""

import asyncio
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field

import psycopg
import pytest
from redis.asyncio import Redis

from mailserver.services.errors import LoginFailed, LoginRefused, LoginThrottled, RefusalReason
from mailserver.services.failure_counts import FailureCounts, LocalFailureCounts, SharedFailureCounts
from mailserver.services.login import LoginConfig, Logins
from mailserver.services.password_checks import CHECK_SECONDS
from mailserver.services.throttle import LadderConfig, ThrottleConfig
from storage.database import Database
from tenants.passwords import hash_password, hash_password_for_import
from tests.conftest import RunningServices

THROTTLE = ThrottleConfig(
    account=LadderConfig(delay_from=2, refuse_from=4),
    network=LadderConfig(delay_from=3, refuse_from=6),
    wide_network=LadderConfig(delay_from=10, refuse_from=20),
)
OFFICE, ELSEWHERE = "192.0.2.7", "198.51.100.9"


@dataclass(slots=True)
class Time:
    """A clock that only the test moves, and a record of the delays that were asked for."""

    now: float = 1000.0
    slept: list[float] = field(default_factory=list)

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)


@dataclass(frozen=True, slots=True)
class Person:
    tenant_id: int
    account_id: int
    domain: str
    address: str
    password: str


@pytest.fixture
def person(services: RunningServices) -> Person:
    password = secrets.token_urlsafe(12)
    domain = f"t{secrets.token_hex(6)}.test"
    with psycopg.connect(services.owner_url) as owner:
        [tenant_id] = row(
            owner,
            "INSERT INTO tenant (slug, name, status, cell, language, time_zone) "
            "VALUES (%s, 'Mill', 'active', 'main', 'en', 'UTC') RETURNING id",
            domain,
        )
        owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(tenant_id)])
        [domain_id] = row(
            owner,
            "INSERT INTO domain (tenant_id, name, status) VALUES (%s, %s, 'active') RETURNING id",
            tenant_id,
            domain,
        )
        [account_id] = row(
            owner,
            "INSERT INTO account (tenant_id, display_name, password_hash, is_administrator, "
            "language, time_zone, status) VALUES (%s, 'Ann', %s, false, 'zh-hans', 'Asia/Shanghai', 'active') "
            "RETURNING id",
            tenant_id,
            hash_password(password),
        )
        for local_part, is_primary in (("ann", True), ("office", False)):
            owner.execute(
                "INSERT INTO address (tenant_id, domain_id, local_part, account_id, is_primary) "
                "VALUES (%s, %s, %s, %s, %s)",
                [tenant_id, domain_id, local_part, account_id, is_primary],
            )
    return Person(tenant_id, account_id, domain, f"ann@{domain}", password)


def row(owner: psycopg.Connection, statement: str, *values: object) -> tuple[int, ...]:
    found = owner.execute(statement, values).fetchone()
    assert found is not None
    return found


def change(services: RunningServices, person: Person, statement: str, *values: object) -> None:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(person.tenant_id)])
        owner.execute(statement, values)


def hash_of(services: RunningServices, person: Person) -> str:
    with psycopg.connect(services.owner_url) as owner:
        owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(person.tenant_id)])
        found = owner.execute("SELECT password_hash FROM account WHERE id = %s", [person.account_id]).fetchone()
    assert found is not None
    return str(found[0])


@pytest.fixture
def time() -> Time:
    return Time()


def local_counts(time: Time, limit: int = 1000) -> LocalFailureCounts:
    return LocalFailureCounts(forget_after_s=3600, known_for_s=86400, limit=limit, clock=time.clock)


@pytest.fixture(params=["local", "redis"])
async def counts(request: pytest.FixtureRequest, services: RunningServices, time: Time) -> AsyncIterator[FailureCounts]:
    if request.param == "local":
        yield local_counts(time)
        return
    redis = Redis.from_url(services.redis_url)
    yield SharedFailureCounts(
        redis,
        local_counts(time),
        forget_after_s=3600,
        known_for_s=86400,
        timeout_s=5,
        clock=time.clock,
        prefix=f"waypost:test:{secrets.token_hex(6)}:",
    )
    await redis.aclose()


@pytest.fixture
def logins(database: Database, counts: FailureCounts, time: Time) -> Iterator[Logins]:
    logins = Logins(database, counts, LoginConfig(remembered_s=60), THROTTLE, clock=time.clock, sleep=time.sleep)
    yield logins
    logins.close()


async def test_the_right_password_signs_in_by_any_address_and_spelling(logins: Logins, person: Person) -> None:
    principal = await logins.sign_in(person.address, person.password, network=OFFICE)
    assert (principal.tenant_id, principal.account_id) == (person.tenant_id, person.account_id)
    assert (str(principal.address), principal.language, principal.time_zone) == (
        person.address,
        "zh-hans",
        "Asia/Shanghai",
    )
    assert await logins.sign_in(f"OFFICE@{person.domain.upper()}", person.password, network=OFFICE) == principal


@pytest.mark.parametrize("name", ["ann@{0}", "nobody@{0}", "ann@nowhere.test", "ann", "", "ann@@{0}", "a\x00b@{0}"])
async def test_wrong_and_unknown_are_one_refusal(logins: Logins, person: Person, name: str) -> None:
    with pytest.raises(LoginFailed):
        await logins.sign_in(name.format(person.domain), "wrong", network=OFFICE)


@pytest.mark.parametrize("password", ["", "x" * 5000, "\ud800", "a\x00b"])
async def test_odd_passwords_are_just_wrong(logins: Logins, person: Person, password: str) -> None:
    with pytest.raises(LoginFailed):
        await logins.sign_in(person.address, password, network=OFFICE)


async def test_failures_delay_the_answer_and_then_refuse_even_the_right_password(
    logins: Logins, person: Person, time: Time
) -> None:
    for number in range(4):
        with pytest.raises(LoginFailed):
            await logins.sign_in(person.address, f"wrong {number}", network=OFFICE)
    assert time.slept == [1, 2, 3]
    with pytest.raises(LoginThrottled) as refusal:
        await logins.sign_in(person.address, person.password, network=OFFICE)
    assert refusal.value.retry_after_s == pytest.approx(30, abs=1)


async def test_an_unknown_person_is_slowed_just_the_same(logins: Logins, person: Person, time: Time) -> None:
    for number in range(4):
        with pytest.raises(LoginFailed):
            await logins.sign_in(f"nobody@{person.domain}", f"wrong {number}", network=OFFICE)
    assert time.slept == [1, 2, 3]
    with pytest.raises(LoginThrottled):
        await logins.sign_in(f"nobody@{person.domain}", "wrong", network=OFFICE)


async def test_how_a_name_is_spelt_does_not_tell_whether_it_is_somebodys(logins: Logins, person: Person) -> None:
    for name in ("ann", "nobody"):
        for number in range(4):
            with pytest.raises(LoginFailed):
                await logins.sign_in(f"{name}@{person.domain}", f"wrong {number}", network=f"198.51.{number}.1")
        with pytest.raises(LoginThrottled):
            await logins.sign_in(f'"{name}"@{person.domain}', "wrong", network="203.0.113.5")


async def test_guessing_at_many_accounts_slows_the_network(logins: Logins, person: Person, time: Time) -> None:
    for number in range(6):
        with pytest.raises(LoginFailed):
            await logins.sign_in(f"nobody{number}@{person.domain}", "wrong", network=ELSEWHERE)
    with pytest.raises(LoginThrottled):
        await logins.sign_in(person.address, person.password, network=ELSEWHERE)
    await logins.sign_in(person.address, person.password, network=OFFICE)


async def test_nobody_is_locked_out_of_a_known_network_by_guesses_from_elsewhere(
    logins: Logins, person: Person, time: Time
) -> None:
    await logins.sign_in(person.address, person.password, network=OFFICE)
    for number in range(4):
        with pytest.raises(LoginFailed):
            await logins.sign_in(person.address, f"wrong {number}", network=ELSEWHERE)
    with pytest.raises(LoginThrottled):
        await logins.sign_in(person.address, "wrong", network=ELSEWHERE)
    time.now += 61  # what was remembered of the first sign-in is over
    await logins.sign_in(person.address, person.password, network=OFFICE)


async def test_a_device_with_an_old_password_locks_nobody_out(logins: Logins, person: Person, time: Time) -> None:
    for _ in range(40):
        with pytest.raises(LoginFailed):
            await logins.sign_in(person.address, "of last year", network=OFFICE)
    assert set(time.slept) == {1.0}  # no more than one guess, and no more work than one
    await logins.sign_in(person.address, person.password, network=OFFICE)


async def test_an_old_password_that_is_given_again_is_right_again(
    logins: Logins, person: Person, services: RunningServices
) -> None:
    for _ in range(2):
        with pytest.raises(LoginFailed):
            await logins.sign_in(person.address, "to come", network=OFFICE)
    new_hash = hash_password("to come")
    change(services, person, "UPDATE account SET password_hash = %s WHERE id = %s", new_hash, person.account_id)
    await logins.sign_in(person.address, "to come", network=OFFICE)


async def test_loopback_is_not_counted_as_a_network(logins: Logins, person: Person) -> None:
    for number in range(30):
        with pytest.raises(LoginFailed):
            await logins.sign_in(f"nobody{number}@{person.domain}", "wrong", network="127.0.0.1")
    await logins.sign_in(person.address, person.password, network="127.0.0.1")


async def test_a_changed_password_counts_at_once(logins: Logins, person: Person, services: RunningServices) -> None:
    await logins.sign_in(person.address, person.password, network=OFFICE)
    change(
        services,
        person,
        "UPDATE account SET password_hash = %s WHERE id = %s",
        hash_password("fresh words"),
        person.account_id,
    )
    with pytest.raises(LoginFailed):
        await logins.sign_in(person.address, person.password, network=OFFICE)
    await logins.sign_in(person.address, "fresh words", network=OFFICE)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE account SET status = 'suspended' WHERE tenant_id = %s", RefusalReason.ACCOUNT_SUSPENDED),
        ("UPDATE tenant SET status = 'suspended' WHERE id = %s", RefusalReason.TENANT_SUSPENDED),
        ("UPDATE domain SET status = 'suspended' WHERE tenant_id = %s", RefusalReason.TENANT_SUSPENDED),
    ],
)
async def test_only_who_knows_the_password_learns_of_a_suspension(
    logins: Logins, person: Person, services: RunningServices, statement: str, reason: RefusalReason
) -> None:
    await logins.sign_in(person.address, person.password, network=OFFICE)
    change(services, person, statement, person.tenant_id)
    with pytest.raises(LoginFailed):
        await logins.sign_in(person.address, "wrong", network=OFFICE)
    with pytest.raises(LoginRefused) as refusal:
        await logins.sign_in(person.address, person.password, network=OFFICE)
    assert refusal.value.reason is reason


async def test_a_deleted_account_is_unknown(logins: Logins, person: Person, services: RunningServices) -> None:
    change(services, person, "UPDATE account SET status = 'deleted' WHERE id = %s", person.account_id)
    with pytest.raises(LoginFailed):
        await logins.sign_in(person.address, person.password, network=OFFICE)


async def test_an_imported_hash_is_replaced_by_one_of_full_cost(
    logins: Logins, person: Person, services: RunningServices, time: Time
) -> None:
    cheap = hash_password_for_import(person.password)
    change(services, person, "UPDATE account SET password_hash = %s WHERE id = %s", cheap, person.account_id)
    with pytest.raises(LoginFailed):
        await logins.sign_in(person.address, "wrong", network=OFFICE)
    assert hash_of(services, person) == cheap
    await logins.sign_in(person.address, person.password, network=OFFICE)
    upgraded = hash_of(services, person)
    assert upgraded != cheap
    time.now += 61
    await logins.sign_in(person.address, person.password, network=OFFICE)
    assert hash_of(services, person) == upgraded


async def test_a_password_that_was_right_in_one_process_is_right_in_the_others(
    database: Database, services: RunningServices, person: Person, time: Time
) -> None:
    redis = Redis.from_url(services.redis_url)
    shared = SharedFailureCounts(
        redis, local_counts(time), forget_after_s=3600, known_for_s=86400, timeout_s=5, clock=time.clock
    )
    one, other = (
        Logins(database, shared, LoginConfig(), THROTTLE, secret=b"s" * 32, clock=time.clock, sleep=time.sleep)
        for _ in range(2)
    )
    await one.sign_in(person.address, person.password, network=OFFICE)
    checked = CHECK_SECONDS.labels()._sum.get()
    await other.sign_in(person.address, person.password, network=OFFICE)
    assert CHECK_SECONDS.labels()._sum.get() == checked
    change(
        services, person, "UPDATE account SET password_hash = %s WHERE id = %s", hash_password("x"), person.account_id
    )
    with pytest.raises(LoginFailed):
        await other.sign_in(person.address, person.password, network=OFFICE)
    for each in (one, other):
        await each.settle()
        each.close()
    await redis.aclose()


async def test_a_password_typed_on_another_keyboard_is_the_same(
    logins: Logins, person: Person, services: RunningServices
) -> None:
    stored = hash_password("caf\u00e9 fi")
    change(services, person, "UPDATE account SET password_hash = %s WHERE id = %s", stored, person.account_id)
    await logins.sign_in(person.address, "cafe\u0301\u00a0\ufb01", network=OFFICE)


async def test_many_connections_of_one_client_sign_in_at_once(logins: Logins, person: Person) -> None:
    attempts = [logins.sign_in(person.address, person.password, network=OFFICE) for _ in range(100)]
    assert len({principal.account_id for principal in await asyncio.gather(*attempts)}) == 1


async def test_guesses_sent_all_at_once_are_not_all_tried(logins: Logins, person: Person) -> None:
    guesses = [logins.sign_in(person.address, f"guess {number}", network=ELSEWHERE) for number in range(40)]
    outcomes = await asyncio.gather(*guesses, return_exceptions=True)
    tried = [outcome for outcome in outcomes if isinstance(outcome, LoginFailed)]
    assert 4 <= len(tried) <= 4 + LoginConfig().check_threads
    assert all(isinstance(outcome, LoginFailed | LoginThrottled) for outcome in outcomes)


async def test_more_sign_ins_than_may_wait_are_asked_to_try_again(
    database: Database, person: Person, time: Time
) -> None:
    config = LoginConfig(check_threads=1, checks_waiting_limit=2)
    logins = Logins(database, local_counts(time), config, THROTTLE, clock=time.clock, sleep=time.sleep)
    attempts = [logins.sign_in(f"nobody{number}@{person.domain}", "x", network="127.0.0.1") for number in range(9)]
    outcomes = await asyncio.gather(*attempts, return_exceptions=True)
    logins.close()
    assert {type(outcome) for outcome in outcomes} == {LoginFailed, LoginThrottled}
    assert sum(isinstance(outcome, LoginThrottled) for outcome in outcomes) >= 4
