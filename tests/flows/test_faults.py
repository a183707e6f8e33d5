"""Processes are killed under load, and nothing that was acknowledged is lost, doubled or half there.

Each test prints its seed; WAYPOST_SEED gives it again. WAYPOST_SOAK=1 kills 1,000 times instead of 20.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from functools import partial

import pytest

from tests.flows.clients import Dialogue, Idler, deliver, read_inbox, sign_in, submission
from tests.flows.installation import LEASE_S, OTHER_COMPANY, Installation, Person
from tests.flows.ledger import Ledger, assert_nothing_lost_or_doubled
from tests.flows.letters import assert_arrived, letter
from tests.flows.load import load_on
from tests.flows.tables import assert_tables_are_sound, waiting_inbound
from tests.flows.waiting import wait_until

KILLS_A_ROUND = 20
IS_SOAK = os.environ.get("WAYPOST_SOAK") == "1"
ROUNDS = 50 if IS_SOAK else 1
POSTGRES_KILLS = 30 if IS_SOAK else 3
ROLES = Counter({"imap": 2, "smtp": 2, "web": 1, "outbound": 1, "upkeep": 1})
KILLED_ROLES = ("imap", "smtp", "outbound", "upkeep")
RECOVERY_S = 45.0
AT_ONCE_S = 3.0
POLL_AWAY_S = 5.0  # WAYPOST_WATCHING_POLL_AWAY_S


@pytest.fixture
def seed() -> int:
    found = int(os.environ.get("WAYPOST_SEED") or random.SystemRandom().getrandbits(32))
    print(f"WAYPOST_SEED={found}")
    return found


def companies(installation: Installation) -> list[list[Person]]:
    return [installation.people(4), installation.people(2, OTHER_COMPANY)]


def wait_for_service(installation: Installation) -> None:
    """Every process is there, every door answers, and what was accepted is placed."""
    wait_until(lambda: Counter(installation.roles().values()) == ROLES, within_s=RECOVERY_S, what="all roles again")
    for door in ("imap", "imaps", "smtp", "submission", "submissions", "lmtp"):
        wait_until(partial(answers, installation, door), within_s=RECOVERY_S, what=f"{door} answers")
    wait_until(lambda: waiting_inbound(installation) == 0, within_s=RECOVERY_S, what="accepted mail is placed")


def answers(installation: Installation, door: str) -> bool:
    try:
        with Dialogue(installation, door) as client:
            return client.greeting.startswith(("220", "* OK"))
    except OSError:
        return False


def wait_for_progress(ledger: Ledger, copies: int) -> None:
    """Until so many more copies are acknowledged: faults come in the midst of work, however fast the machine is."""
    goal = ledger.acknowledged + copies
    wait_until(
        lambda: ledger.acknowledged >= goal or ledger.broken or ledger.stuck, within_s=RECOVERY_S, what="clients get on"
    )


@pytest.mark.parametrize("number", range(ROUNDS))
def test_roles_killed_at_random_points_lose_and_double_nothing(
    installation: Installation, seed: int, number: int
) -> None:
    chance = random.Random(f"{seed} {number}")
    ledger = Ledger()
    with load_on(installation, companies(installation), ledger, seed + number):
        for _ in range(KILLS_A_ROUND):
            wait_for_progress(ledger, chance.randint(1, 60))
            alive = wait_until(lambda: killable(installation), within_s=RECOVERY_S, what="somebody to kill")
            os.kill(chance.choice(alive), signal.SIGKILL)
        wait_for_service(installation)
        wait_for_progress(ledger, 50)
    print(ledger.counts())
    wait_for_service(installation)
    assert_nothing_lost_or_doubled(installation, ledger)
    assert_tables_are_sound(installation)


def killable(installation: Installation) -> list[int]:
    return sorted(pid for pid, role in installation.roles().items() if role in KILLED_ROLES)


def test_postgres_killed_under_load_is_a_temporary_error_and_the_roles_go_on(
    installation: Installation, seed: int
) -> None:
    chance = random.Random(seed)
    ledger = Ledger()
    roles = installation.roles()
    with load_on(installation, companies(installation), ledger, seed):
        for _ in range(POSTGRES_KILLS):
            wait_for_progress(ledger, chance.randint(20, 100))
            installation.wait_for_new("postgres", installation.kill("postgres"))
        wait_for_progress(ledger, 200)
    print(ledger.counts())
    assert installation.roles() == roles
    wait_for_service(installation)
    assert_nothing_lost_or_doubled(installation, ledger)
    assert_tables_are_sound(installation)
    for reply in ledger.refusals:
        assert reply.startswith(("451 4.3.0 ", "454 4.7.0 ", "t1 NO [UNAVAILABLE] ")), reply


def test_everything_killed_at_once_under_load_loses_and_doubles_nothing(installation: Installation, seed: int) -> None:
    """As when the machine's user is logged out, or its memory is over: the supervisor and all that it runs."""
    ledger = Ledger()
    with load_on(installation, companies(installation), ledger, seed):
        wait_for_progress(ledger, random.Random(seed).randint(50, 300))
        installation.kill_everything()
        installation.up()
        wait_for_progress(ledger, 50)
    print(ledger.counts())
    wait_for_service(installation)
    assert_nothing_lost_or_doubled(installation, ledger)
    assert_tables_are_sound(installation)


def test_without_redis_push_comes_by_polling_and_with_it_at_once_again(installation: Installation) -> None:
    person = installation.person()
    with Idler(installation, person) as idler:
        deliver(installation, [person], letter("with Redis"))
        idler.wait_for(b"* 1 EXISTS", within_s=AT_ONCE_S)
        with installation.unattended():
            pid = installation.kill("redis")
            for number in (2, 3):
                deliver(installation, [person], letter(f"without Redis {number}"))
                idler.wait_for(b"* %d EXISTS" % number, within_s=POLL_AWAY_S + AT_ONCE_S)
            with sign_in(installation, person) as client:
                assert client.noop()[0] == "OK"
        installation.wait_for_new("redis", pid)
        for number in range(4, 24):  # until the processes have found Redis again
            deliver(installation, [person], letter(f"with Redis again {number}"))
            if idler.wait_for(b"* %d EXISTS" % number, within_s=POLL_AWAY_S + AT_ONCE_S) < POLL_AWAY_S / 10:
                return
    raise AssertionError("hints do not come back")


def test_a_redis_that_hangs_holds_nobody_up(installation: Installation) -> None:
    person, colleague = installation.people(2)
    pid = installation.pid("redis")
    with Idler(installation, person) as idler:
        os.kill(pid, signal.SIGSTOP)
        try:
            began = time.monotonic()
            deliver(installation, [person], letter("while Redis hangs"))
            assert len(read_inbox(installation, person)) == 1
            with submission(installation, colleague) as client:
                client.sendmail(colleague.address, [person.address], letter(**{"from": colleague.address}))
            assert time.monotonic() - began < AT_ONCE_S
        finally:
            os.kill(pid, signal.SIGCONT)
        idler.wait_for(b"* 2 EXISTS", within_s=POLL_AWAY_S + AT_ONCE_S)


def test_without_s3_mail_goes_on(installation: Installation) -> None:
    person = installation.person()
    with installation.unattended(), Idler(installation, person) as idler:
        pid = installation.kill("s3")
        sent = letter("without S3")
        deliver(installation, [person], sent)
        idler.wait_for(b"* 1 EXISTS", within_s=AT_ONCE_S)
        (arrived,) = read_inbox(installation, person)
        assert_arrived(arrived, sent)
    installation.wait_for_new("s3", pid)


@pytest.fixture
def upkeep_lives(installation: Installation) -> Iterator[None]:
    yield
    wait_for_service(installation)


@pytest.mark.usefixtures("upkeep_lives")
def test_mail_for_two_companies_and_many_people_survives_the_death_of_who_accepted_it(
    installation: Installation, seed: int
) -> None:
    """The processes of smtp die right after they said 250; upkeep places the message when the lease has ended."""
    people = installation.people(110) + installation.people(3, OTHER_COMPANY)
    subject = f"To all {seed}"
    sent = letter(subject)
    with Dialogue(installation, "smtp") as client:
        client.ask("EHLO client.example")
        client.ask("MAIL FROM:<grace@elsewhere.example>")
        for person in people:
            assert client.ask(f"RCPT TO:<{person.address}>").startswith("250")
        client.ask("DATA")
        client.data(sent)
        assert client.reply().startswith("250")
        for pid, role in installation.roles().items():
            if role == "smtp":
                os.kill(pid, signal.SIGKILL)
    wait_until(lambda: waiting_inbound(installation) == 0, within_s=LEASE_S + 30, what="accepted mail is placed")
    with installation.sql() as connection:
        rows = connection.execute(
            "SELECT tenant_id, account_id, count(*) FROM message WHERE subject = %s GROUP BY 1, 2", [subject]
        ).fetchall()
    assert [copies for _, _, copies in rows] == [1] * len(people)
    for person in (people[0], people[109], people[-1]):
        (arrived,) = read_inbox(installation, person)
        assert_arrived(arrived, sent)
    assert_tables_are_sound(installation)
