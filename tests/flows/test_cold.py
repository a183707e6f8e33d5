"""The life of cold mail in a whole installation: most mail goes cold, S3 goes away and comes back, packs are compacted,
half of everything is deleted, and what is left is backed up and restored elsewhere. Nothing is lost, at any time.

WAYPOST_SOAK=1 does it with 20,000 messages instead of 2,000.
"""

import hashlib
import imaplib
import os
import random
import smtplib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.installation import SOURCE
from tests.flows.clients import read_mailbox, sign_in
from tests.flows.installation import Installation, Person, end_at_once, plan_installation
from tests.flows.letters import attachment, letter, letter_with_attachment
from tests.flows.waiting import wait_until

MESSAGES = 20_000 if os.environ.get("WAYPOST_SOAK") == "1" else 2_000
PEOPLE = 4
COLD_SHARE = 0.8
COLD_DAYS = 120
TAG = "tag"


@dataclass
class Life:
    """What is known of the mail: by person and uid, the digest of its octets. `cold` are uids up to that one."""

    installation: Installation
    people: list[Person]
    known: dict[str, dict[int, bytes]]
    cold: int

    def person(self) -> Person:
        return self.people[0]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    installation = plan_installation(tmp_path_factory.mktemp("cold"), 3 + 2 * worker)
    installation.settings |= {"WAYPOST_S3_READ_TIMEOUT_S": "3", "WAYPOST_S3_ATTEMPTS": "1"}
    try:
        installation.up()
        people = installation.people(PEOPLE)
        installation.manage("tenant", "policy", "flows.test", "--recoverable-days", "0")
        fill(installation, people)
        known = {person.address: digests(installation, person) for person in people}
        assert sum(len(each) for each in known.values()) == MESSAGES
        yield Life(installation, people, known, int(MESSAGES / PEOPLE * COLD_SHARE))
    finally:
        end_at_once(installation)


def fill(installation: Installation, people: list[Person]) -> None:
    """Different messages by LMTP, each connection for one person; some with attachments that others have too."""
    dice = random.Random(20_000)
    words = ["quarter", "harbour", "invoice", "会议", "lantern", "合同", "meadow", "ticket", "报价", "winter"]

    def message(number: int) -> bytes:
        text = " ".join(dice.choice(words) for _ in range(dice.randrange(20, 600)))
        fields = {"message_id": f"<{number}@cold.test>", "subject": f"Cold {number} 第{number}封"}
        if number % 50 == 0 and number < MESSAGES // 2:  # large parts rest in S3 from the beginning
            return letter_with_attachment(attachment(90_000, number % 200), **fields)
        return letter(body=text, **fields)

    letters = [message(number) for number in range(MESSAGES)]
    failures: list[BaseException] = []

    def send(person: Person, share: list[bytes]) -> None:
        try:
            with smtplib.LMTP("127.0.0.1", installation.port("lmtp")) as client:
                for octets in share:
                    client.sendmail("sender@elsewhere.test", [person.address], octets)
        except BaseException as failure:  # noqa: BLE001  (told by the test's own thread)
            failures.append(failure)

    threads = [
        threading.Thread(target=send, args=(person, letters[place::PEOPLE])) for place, person in enumerate(people)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures


def digests(installation: Installation, person: Person) -> dict[int, bytes]:
    with sign_in(installation, person) as client:
        return {copy.uid: hashlib.sha256(copy.octets).digest() for copy in read_mailbox(client)}


def test_most_of_the_mail_goes_cold(life: Life) -> None:
    with life.installation.sql() as sql:
        old = """
            SELECT DISTINCT u.tenant_id, u.digest FROM message_blob u
              JOIN placement p ON p.tenant_id = u.tenant_id AND p.message_id = u.message_id WHERE p.uid <= %s
        """
        sql.execute(
            f"UPDATE blob_content c SET content_on = c.content_on - {COLD_DAYS} FROM ({old}) o"  # noqa: S608
            " WHERE c.tenant_id = o.tenant_id AND c.digest = o.digest",
            (life.cold,),
        )
        sql.execute(
            f"UPDATE blob b SET content_on = content_on - {COLD_DAYS},"  # noqa: S608
            f" touched_at = touched_at - interval '{COLD_DAYS} days' FROM ({old}) o"
            " WHERE b.tenant_id = o.tenant_id AND b.digest = o.digest AND b.object_id IS NULL",
            (life.cold,),
        )
    assert "packs" in life.installation.manage("tiers", "run")
    with life.installation.sql() as sql:
        sql.execute(
            "DELETE FROM blob_content c USING blob b"
            " WHERE b.tenant_id = c.tenant_id AND b.digest = c.digest AND b.object_id IS NOT NULL"
        )
        row = sql.execute("SELECT count(object_id), count(*) FROM blob").fetchone()
    assert row is not None
    assert row[0] >= 0.75 * row[1]
    print(life.installation.manage("tiers", "status"))


def test_without_s3_everything_is_listed_and_found_and_cold_mail_is_out_of_reach_for_now(life: Life) -> None:
    with life.installation.unattended():
        life.installation.kill("s3")
        with sign_in(life.installation, life.person(), mailbox="INBOX") as client:
            all_listed_and_found(client, MESSAGES // PEOPLE)
            first_hot = life.cold + 1
            status, lines = client.uid("FETCH", f"{first_hot}:*", "(BODY.PEEK[])")
            assert status == "OK"
            assert sum(isinstance(line, tuple) for line in lines) == MESSAGES // PEOPLE - life.cold
            status, lines = client.uid("FETCH", f"1:{first_hot}", "(BODY.PEEK[])")
            assert status == "NO"
            assert b"[UNAVAILABLE]" in lines[-1]
            assert client.noop()[0] == "OK"


def all_listed_and_found(client: imaplib.IMAP4, count: int) -> None:
    status, lines = client.fetch("1:*", "(UID FLAGS ENVELOPE BODYSTRUCTURE RFC822.SIZE BODY.PEEK[HEADER])")
    assert status == "OK"
    assert sum(isinstance(line, tuple) for line in lines) == count
    for criteria in (
        'SUBJECT "Cold"',
        'FROM "Grace"',
        'HEADER "Message-ID" "@cold.test"',
        "SINCE 1-Jan-2020",
        "LARGER 1",
    ):
        status, (found,) = client.search(None, criteria)
        assert status == "OK", criteria
        assert len(found.split()) == count, criteria


def test_with_s3_back_every_message_is_what_it_was(life: Life) -> None:
    def is_back() -> bool:
        with sign_in(life.installation, life.person(), mailbox="INBOX") as client:
            return client.uid("FETCH", "1", "(BODY.PEEK[])")[0] == "OK"

    def is_back_everywhere() -> bool:
        """In each process that may answer: every one of them finds out for itself."""
        return all(is_back() for _ in range(10))

    wait_until(is_back_everywhere, within_s=60, what="S3")
    for person in life.people:
        assert digests(life.installation, person) == life.known[person.address]


def test_half_is_deleted_and_collected_and_the_rest_verifies(life: Life) -> None:
    for person in life.people:
        doomed = [uid for uid in life.known[person.address] if uid % 20 < 11]  # somewhat more than half of every pack
        with sign_in(life.installation, person, mailbox="INBOX") as client:
            for start in range(0, len(doomed), 500):
                some = ",".join(map(str, doomed[start : start + 500]))
                assert client.uid("STORE", some, "+FLAGS.SILENT", "(\\Deleted)")[0] == "OK"
                assert client.uid("EXPUNGE", some)[0] == "OK"
        for uid in doomed:
            del life.known[person.address][uid]
    with life.installation.sql() as sql:
        sql.execute("UPDATE blob SET touched_at = touched_at - interval '2 days'")
    assert "deleted" in life.installation.manage("tiers", "collect")
    compacted = life.installation.manage("tiers", "compact")
    assert " 0 packs" not in compacted, compacted
    life.installation.manage("tiers", "sweep")
    life.installation.manage("verify", "--share", "1")
    for person in life.people:
        assert digests(life.installation, person) == life.known[person.address]


def test_what_is_restored_elsewhere_is_equal(life: Life, tmp_path: Path) -> None:
    place = tmp_path / "place"
    life.installation.manage("backup", "installation", "--to", str(place))
    life.installation.down()
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    elsewhere = plan_installation(tmp_path, 4 + 2 * worker)
    secrets = str(life.installation.var / "secrets")
    done = subprocess.run(
        [
            *(sys.executable, "manage.py", "restore", "installation", "--from", str(place)),
            *("--latest", "--secrets", secrets, "--to-var", str(elsewhere.var)),
        ],
        cwd=SOURCE,
        env=elsewhere.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    elsewhere.up()
    try:
        for person in life.people:
            assert digests(elsewhere, person) == life.known[person.address]
    finally:
        end_at_once(elsewhere)
