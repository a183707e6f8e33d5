"""An installation is backed up while mail comes and goes, and restored elsewhere to a moment: messages, flags and uids
are as they were, and mail programs that saw the time after it end with what the server has.
"""

import asyncio
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deploy.local.installation import SOURCE
from storage.backup.place import BackupUnderWay, Place
from tests.flows.believing import Believer
from tests.flows.clients import append, deliver, read_mailbox, sign_in
from tests.flows.installation import OTHER_COMPANY, Installation, Person, end_at_once, plan_installation
from tests.flows.ledger import Ledger
from tests.flows.letters import attachment, letter, letter_with_attachment
from tests.flows.load import load_on
from tests.flows.test_mbsync import Desk, account_mail, folders
from tests.flows.test_views import NAMES, come_back, truth_of
from tests.flows.waiting import wait_until
from tests.imap_cache import Kept, Speaks

COLD_DAYS = 100
MESSAGES = 12

Picture = dict[str, dict[int, tuple[frozenset[str], bytes]]]
"""By mailbox and uid: flags, and the digest of the octets."""


@dataclass(frozen=True, slots=True)
class Before:
    """What was known before the restore."""

    source: Installation
    place: Path
    moment: datetime
    people: dict[str, Person]
    pictures: dict[str, Picture]
    later: dict[str, Picture]
    desk: Desk
    kept: dict[str, Kept]
    deleted_uids: set[int]
    wanderer: Believer


@dataclass(frozen=True, slots=True)
class Restored:
    before: Before
    installation: Installation
    told: str


def picture_of(installation: Installation, person: Person) -> Picture:
    with sign_in(installation, person) as client:
        return {
            name: {copy.uid: (copy.flags, hashlib.sha256(copy.octets).digest()) for copy in read_mailbox(client, name)}
            for name in folders(installation, person)
        }


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    planned = plan_installation(tmp_path_factory.mktemp("source"), 5 + 2 * worker)
    planned.settings["WAYPOST_WAL_ARCHIVE"] = "on"
    planned.up()
    yield planned
    end_at_once(planned)


@pytest.fixture(scope="module")
def before(source: Installation, tmp_path_factory: pytest.TempPathFactory) -> Before:
    place = tmp_path_factory.mktemp("backups") / "place"
    crowd = source.people(4, OTHER_COMPANY)
    ada, ben, cleo, dora = source.people(4, OTHER_COMPANY)
    for person in (ada, ben, cleo):
        with sign_in(source, person) as client:
            for number in range(MESSAGES):
                append(client, "INBOX", message(number), ("", "\\Seen", "\\Flagged $Forwarded")[number % 3])
    source.manage("tenant", "policy", OTHER_COMPANY, "--cold-after", "30")
    grow_cold(source)
    source.manage("tiers", "run")

    ledger = Ledger()
    with load_on(source, [crowd], ledger, seed=4):
        told = source.manage("backup", "installation", "--to", str(place))
        assert "is whole" in told, told
    assert not ledger.broken
    assert not ledger.stuck
    assert ledger.acknowledged > 20, ledger.counts()

    home = tmp_path_factory.mktemp("home")
    desk = Desk(source, ada, home)
    desk.set_up()
    desk.sync()
    with sign_in(source, cleo, mailbox="INBOX") as client:
        client.uid("STORE", "2:3", "+FLAGS", "(\\Deleted)")
        client.expunge()
    early = asyncio.run(cache_of(source, ben))
    wanderer = asyncio.run(wander(source, dora, steps=30))
    people = {
        "ada": ada,
        "ben": ben,
        "cleo": cleo,
        "dora": dora,
        **{f"crowd {n}": person for n, person in enumerate(crowd)},
    }
    pictures = {name: picture_of(source, person) for name, person in people.items()}
    with source.sql() as sql:
        row = sql.execute("SELECT clock_timestamp()").fetchone()
    assert row is not None

    live_on(source, ada)
    live_on(source, ben)
    asyncio.run(wander(source, dora, steps=60, wanderer=wanderer))
    with sign_in(source, ben) as client:
        assert client.create("Later")[0] == "OK"
        append(client, "Later", letter("lost too", message_id="<later@flows.test>"))
    desk.sync()
    assert desk.mail() == account_mail(source, ada)
    late = asyncio.run(cache_of(source, ben))
    later = {name: picture_of(source, people[name]) for name in ("ada", "ben", "dora")}
    deleted = pictures["ben"]["INBOX"].keys() - later["ben"]["INBOX"].keys()
    source.down()  # which archives the last of the WAL
    kept = {"before": early, "later": late}
    return Before(source, place, row[0], people, pictures, later, desk, kept, deleted, wanderer)


def message(number: int) -> bytes:
    fields = {"message_id": f"<INBOX-{number}@flows.test>", "subject": f"Message {number} 第{number}封"}
    if number % 4 == 0:
        return letter_with_attachment(attachment(90_000, number), **fields)
    return letter(body="Line\n" * number, **fields)


def grow_cold(installation: Installation) -> None:
    """What is there now is old enough to leave Postgres."""
    with installation.sql() as sql:
        for statement in (
            "UPDATE blob_content SET content_on = content_on - %s",
            "UPDATE blob SET content_on = content_on - %s WHERE object_id IS NULL",
            "UPDATE blob SET touched_at = touched_at - make_interval(days => %s) WHERE object_id IS NULL",
        ):
            sql.execute(statement, (COLD_DAYS,))


def live_on(installation: Installation, person: Person) -> None:
    """The time that will be lost: mail comes, goes and moves, flags change."""
    with sign_in(installation, person, mailbox="INBOX") as client:
        client.uid("STORE", "1:2", "+FLAGS", "(\\Answered \\Seen)")
        client.uid("STORE", "3", "-FLAGS", "(\\Flagged)")
        client.uid("STORE", "4:6", "+FLAGS", "(\\Deleted)")
        assert client.uid("EXPUNGE", "4:6")[0] == "OK"
        assert client.uid("MOVE", "8", "Archive")[0] == "OK"
        for number in range(50, 53):
            append(client, "INBOX", letter("lost", message_id=f"<INBOX-{number}@flows.test>"), "\\Seen")
    deliver(installation, [person], letter("delivered and lost", message_id="<INBOX-99@flows.test>"))


async def wander(
    installation: Installation, person: Person, *, steps: int, wanderer: Believer | None = None
) -> Believer:
    """Random deeds in three mailboxes; what is known of them is remembered after each."""
    if wanderer is None:
        seed = int(os.environ.get("WAYPOST_SEED") or random.SystemRandom().getrandbits(32))
        print(f"WAYPOST_SEED={seed}")
        wanderer = Believer(installation, person, Speaks.QRESYNC, False, random.Random(seed))
        await wanderer.connect()
        for name in NAMES[1:]:
            await wanderer.say(f"CREATE {name}")
        for number in range(12):
            await asyncio.to_thread(deliver, installation, [person], letter(f"Number {number}"))
    else:
        await wanderer.connect()
    for _ in range(steps):
        await wanderer.step(NAMES)
    if wanderer.is_idling:
        await wanderer.end_idle()
    wanderer.wire.close()
    return wanderer


async def cache_of(installation: Installation, person: Person) -> Kept:
    believer = Believer(installation, person, Speaks.QRESYNC, False, random.Random(1))
    await believer.connect()
    await believer.say("SELECT INBOX (CONDSTORE)")
    await believer.catch_up()
    kept = believer.cache.kept()
    believer.wire.close()
    return kept


@pytest.fixture(scope="module")
def restored(before: Before, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Restored]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    planned = plan_installation(tmp_path_factory.mktemp("restored"), 6 + 2 * worker)
    done = restore(before, planned, "--until", before.moment.isoformat(" "))
    assert done.returncode == 0, done.stdout + done.stderr
    planned.up()
    yield Restored(before, planned, done.stdout)
    end_at_once(planned)


def restore(before: Before, target: Installation, *options: str) -> "subprocess.CompletedProcess[str]":
    var = before.source.var
    arguments = ["--from", str(before.place), "--wal", str(var / "wal-archive"), "--secrets", str(var / "secrets")]
    return subprocess.run(
        [sys.executable, "manage.py", "restore", "installation", *arguments, "--to-var", str(target.var), *options],
        cwd=SOURCE,
        env=target.environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )


def test_every_message_flag_and_uid_is_as_it_was_at_the_moment(restored: Restored) -> None:
    """What was deleted afterwards is there with new uids, at the end."""
    for name, person in restored.before.people.items():
        then, now = restored.before.pictures[name], picture_of(restored.installation, person)
        assert then.keys() == now.keys()
        for mailbox, messages in then.items():
            gone = messages.keys() - restored.before.later.get(name, then)[mailbox].keys()
            stayed = {uid: message for uid, message in messages.items() if uid not in gone}
            assert {uid: message for uid, message in now[mailbox].items() if uid in messages} == stayed
            again = [now[mailbox][uid] for uid in sorted(now[mailbox].keys() - messages.keys())]
            assert again == [messages[uid] for uid in sorted(gone)]
    assert restored.before.deleted_uids == {4, 5, 6, 8}
    assert "messages that were deleted later are there again" in restored.told


@pytest.mark.parametrize("which", ["before", "later"])
async def test_the_cache_of_a_qresync_client_ends_with_what_the_server_has(restored: Restored, which: str) -> None:
    installation, ben = restored.installation, restored.before.people["ben"]
    truth = await truth_of(installation, ben, "INBOX")
    assert len(truth) == MESSAGES
    for number in range(4):  # with and without known uids and matches
        believer = Believer(installation, ben, Speaks.QRESYNC, number % 2 == 1, random.Random(number))
        await believer.connect()
        await believer.select("INBOX", restored.before.kept[which])
        await believer.catch_up()
        assert believer.cache.picture() == truth, believer.cache.said
        believer.wire.close()


async def test_every_cache_of_a_client_that_did_random_things_comes_back(restored: Restored) -> None:
    """Those it kept before the moment, and those of the time that is lost."""
    old = restored.before.wanderer
    believer = Believer(restored.installation, old.person, Speaks.QRESYNC, False, old.dice)
    for name in NAMES:
        truth = await truth_of(restored.installation, old.person, name)
        history = old.kept.get(name, [])
        for kept in history if len(history) < 20 else old.dice.sample(history, 20):
            await come_back(believer, name, kept, truth)


def test_mbsync_ends_with_what_the_server_has(restored: Restored) -> None:
    desk = Desk(restored.installation, restored.before.people["ada"], restored.before.desk.home)
    desk.configure()
    desk.sync()
    mail = account_mail(restored.installation, desk.person)
    assert len(mail) == MESSAGES
    assert desk.mail() == mail
    deliver(restored.installation, [desk.person], letter("after the restore", message_id="<INBOX-100@flows.test>"))
    desk.sync()
    assert desk.mail() == account_mail(restored.installation, desk.person)
    assert ("INBOX", "INBOX-100@flows.test") in desk.mail()


def test_what_rested_in_objects_came_along(restored: Restored) -> None:
    with restored.installation.sql() as sql:
        row = sql.execute("SELECT count(*) FROM blob WHERE object_id IS NOT NULL").fetchone()
    assert row is not None
    assert row[0] > MESSAGES


def test_nothing_of_the_lost_time_is_given_out_again(restored: Restored) -> None:
    with restored.installation.sql() as sql:
        row = sql.execute("SELECT min(uidnext), min(modseq) FROM mailbox").fetchone()
    assert row is not None
    assert row[0] > 2**20
    assert row[1] > 2**40


def test_other_keys_are_refused_before_anything_is_written(before: Before, restored: Restored, tmp_path: Path) -> None:
    other = tmp_path / "secrets"
    other.mkdir(mode=0o700)
    (other / "master.key").write_text("ab" * 32)
    target = Installation(tmp_path / "var", restored.installation.base)
    done = restore(before, target, "--until", before.moment.isoformat(" "), "--secrets", str(other))
    assert done.returncode != 0
    assert "another master key" in done.stderr
    assert list(tmp_path.iterdir()) == [other]


def test_a_tenant_whose_key_is_missing_is_named(before: Before, restored: Restored, tmp_path: Path) -> None:
    """As it is when it was shredded since; --lost-keys says that this is known."""
    secrets = tmp_path / "secrets"
    shutil.copytree(before.source.var / "secrets", secrets)
    (secrets / "tenants" / "2.key").unlink()
    target = Installation(tmp_path / "var", restored.installation.base)
    done = restore(before, target, "--latest", "--secrets", str(secrets))
    assert done.returncode != 0
    assert "tenant 2: " in done.stderr
    assert "--lost-keys" in done.stderr
    assert list(tmp_path.iterdir()) == [secrets]


def test_a_moment_that_the_wal_does_not_reach_is_refused(before: Before, restored: Restored, tmp_path: Path) -> None:
    target = Installation(tmp_path / "var", restored.installation.base)
    done = restore(before, target, "--until", datetime.now(UTC).isoformat(" "))
    assert done.returncode != 0
    assert "before configured recovery target was reached" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_backup_that_was_killed_looks_like_nothing(restored: Restored, tmp_path: Path) -> None:
    """And the next one clears up after it."""
    place = tmp_path / "place"
    process = subprocess.Popen(
        [sys.executable, "manage.py", "backup", "installation", "--to", str(place), "--max-rate", "1M"],
        cwd=SOURCE,
        env=restored.installation.environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    wait_until(lambda: any((place / "backups").glob(".*.draft/base/base.tar.gz")), within_s=30, what="a draft")
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert "There is no backup" in restored.installation.manage("backup", "list", "--in", str(place))
    wait_until(lambda: not is_locked(place), within_s=20, what="the end of pg_basebackup")
    restored.installation.manage("backup", "installation", "--to", str(place))
    assert not list((place / "backups").glob(".*"))
    restored.installation.manage("backup", "check", "--in", str(place))


def is_locked(place: Path) -> bool:
    try:
        with Place(place).lock():
            return False
    except BackupUnderWay:
        return True
