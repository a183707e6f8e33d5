"""Attachments by SMTP: several large ones at once in little memory, and while S3 is away."""

from collections.abc import Iterator

import pytest

from tests.bench.attachments import Own, send_all
from tests.flows.clients import deliver, read_inbox
from tests.flows.installation import Installation
from tests.flows.letters import assert_arrived, attachment, letter_with_attachment
from tests.flows.processes import forget_peak, peak_octets, resident_octets
from tests.flows.waiting import wait_until

OCTETS = 5 * 1024 * 1024
CONNECTIONS = 8
MOST_OCTETS = 16_000_000


def large_parts(installation: Installation) -> tuple[int, int]:
    """How many rest in objects, and how many wait for one."""
    with installation.sql() as connection:
        cursor = connection.execute(
            "SELECT count(object_id), count(*) FILTER (WHERE is_waiting AND object_id IS NULL)"
            " FROM blob WHERE octets > 65536"
        )
        found = cursor.fetchone()
    assert found is not None
    return int(str(found[0])), int(str(found[1]))


def test_attachments_of_5_mb_take_less_than_16_mb_a_connection(installation: Installation) -> None:
    people = installation.people(CONNECTIONS)
    letters = [letter_with_attachment(attachment(OCTETS, number), f"Plans {number}") for number in range(CONNECTIONS)]
    in_objects, _ = large_parts(installation)
    doors = [pid for pid, role in installation.roles().items() if role == "smtp"]
    before = {pid: resident_octets(pid) for pid in doors}
    for pid in doors:
        forget_peak(pid)
    own = [Own(pid) for pid in doors]
    send_all(installation.port("smtp"), people, letters)
    grown = sum(peak_octets(pid) - before[pid] for pid in doors)
    kept = sum(each.now() - each.before for each in own)
    print(f"{grown / CONNECTIONS / 1e6:.1f} MB a connection, {kept / 1e6:.1f} MB kept of the processes' own")
    assert grown < CONNECTIONS * MOST_OCTETS
    assert large_parts(installation)[0] == in_objects + CONNECTIONS
    for person, letter in zip(people, letters, strict=True):
        (arrived,) = read_inbox(installation, person)
        assert_arrived(arrived, letter)


@pytest.fixture
def bad_day(_one_installation: Installation) -> Iterator[Installation]:
    """It may write of S3 as an error."""
    if not _one_installation.is_up:
        _one_installation.up()
    before = _one_installation.log_positions()
    yield _one_installation
    assert not [line for line in _one_installation.logged_errors(before) if "S3 is left alone" not in line]


def test_while_s3_is_away_attachments_are_taken_and_read_and_go_there_later(bad_day: Installation) -> None:
    installation = bad_day
    person = installation.person()
    letters = [letter_with_attachment(attachment(OCTETS, 100 + number), f"Away {number}") for number in range(2)]
    old = installation.pid("s3")
    with installation.unattended():
        installation.kill("s3")
        for letter in letters:
            deliver(installation, [person], letter)
        assert large_parts(installation)[1] >= 2
        for arrived, letter in zip(read_inbox(installation, person), letters, strict=True):
            assert_arrived(arrived, letter)
    installation.wait_for_new("s3", old)
    wait_until(lambda: large_parts(installation)[1] == 0, within_s=90, what="parts in S3")
    for arrived, letter in zip(read_inbox(installation, person), letters, strict=True):
        assert_arrived(arrived, letter)
