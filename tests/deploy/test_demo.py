"""The demo tenant's mail: enough of it, of every kind, and whole."""

import datetime as dt
import email
import email.policy
import zlib
from collections import Counter
from email.message import EmailMessage

import pytest

from deploy.local.demo import DemoMessage, demo_messages
from deploy.local.demo_content.people import ADMINISTRATOR, PEOPLE
from storage.types import SystemFlag

NOW = dt.datetime(2026, 11, 22, 9, 30, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def copies() -> list[DemoMessage]:
    return demo_messages(NOW, 1)


@pytest.fixture(scope="module")
def parsed(copies: list[DemoMessage]) -> list[EmailMessage]:
    """Each message once, read by a strict reader."""
    found = []
    for octets in dict.fromkeys(copy.octets for copy in copies):
        message = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        found.append(message)
    return found


def parts(messages: list[EmailMessage]) -> list[EmailMessage]:
    return [part for message in messages for part in message.walk() if isinstance(part, EmailMessage)]


def test_about_two_hundred_messages_reach_an_administrator_and_five_people(
    copies: list[DemoMessage], parsed: list[EmailMessage]
) -> None:
    assert 180 <= len(parsed) <= 220
    assert len({message["Message-ID"] for message in parsed}) == len(parsed)
    assert {copy.recipient for copy in copies} == {person.address for person in PEOPLE.values()}
    assert len(PEOPLE) == 6
    assert ADMINISTRATOR in PEOPLE
    counts = Counter(copy.recipient for copy in copies)
    assert min(counts[person.address] for key, person in PEOPLE.items() if key != ADMINISTRATOR) >= 40


def test_every_message_parses_without_defects(parsed: list[EmailMessage]) -> None:
    for part in parts(parsed):
        assert part.defects == []
        if not part.is_multipart():
            part.get_content()
            assert part.defects == []


def test_messages_go_over_the_wire_as_they_are(copies: list[DemoMessage]) -> None:
    for copy in copies:
        assert copy.octets.isascii()
        assert copy.octets.count(b"\n") == copy.octets.count(b"\r") == copy.octets.count(b"\r\n")
        assert max(len(line) for line in copy.octets.split(b"\r\n")) <= 998


def test_threads_refer_to_messages_that_are_there(parsed: list[EmailMessage]) -> None:
    known = {message["Message-ID"]: message for message in parsed}
    replies = [message for message in parsed if message["References"]]
    assert len(replies) >= 80
    for reply in replies:
        references = reply["References"].split()
        assert references[-1] == reply["In-Reply-To"]
        for reference in references:
            assert known[reference]["Date"].datetime < reply["Date"].datetime
        assert reply["Subject"] == "Re: " + known[references[0]]["Subject"]
    assert max(len(reply["References"].split()) for reply in replies) >= 5


def test_there_is_html_chinese_and_every_kind_of_attachment(parsed: list[EmailMessage]) -> None:
    kinds = Counter(part.get_content_type() for part in parts(parsed))
    for kind, least in {
        "text/html": 30,
        "multipart/alternative": 30,
        "application/pdf": 10,
        "image/png": 8,
        "text/csv": 8,
        "text/calendar": 2,
    }.items():
        assert kinds[kind] >= least, kind
    charsets = Counter(part.get_content_charset() for part in parts(parsed) if part.get_content_maintype() == "text")
    assert charsets["gb18030"] >= 8
    assert charsets["utf-8"] >= 60
    assert charsets["us-ascii"] >= 20
    chinese = [message for message in parsed if any("一" <= letter <= "鿿" for letter in str(message["Subject"]))]
    assert 50 <= len(chinese) <= len(parsed) - 50
    filenames = [part.get_filename() for part in parts(parsed) if part.get_filename()]
    assert "报价单.pdf" in filenames


def test_pictures_and_documents_are_what_they_say(parsed: list[EmailMessage]) -> None:
    for part in parts(parsed):
        if part.get_content_type() == "image/png":
            octets = part.get_content()
            assert octets.startswith(b"\x89PNG\r\n\x1a\n")
            start = octets.index(b"IDAT") + 4
            length = int.from_bytes(octets[start - 8 : start - 4], "big")
            assert len(zlib.decompress(octets[start : start + length])) == 481 * 200
        if part.get_content_type() == "application/pdf":
            octets = part.get_content()
            assert octets.startswith(b"%PDF-1.4")
            xref = int(octets.split(b"startxref\n")[1].split()[0])
            assert octets[xref : xref + 4] == b"xref"


def test_dates_lie_in_the_last_three_months_and_none_ahead(
    copies: list[DemoMessage], parsed: list[EmailMessage]
) -> None:
    assert copies == sorted(copies, key=lambda copy: copy.received_at)
    assert NOW - dt.timedelta(days=92) < copies[0].received_at < NOW - dt.timedelta(days=80)
    assert copies[-1].received_at <= NOW + dt.timedelta(seconds=10)
    assert all(message["Date"].datetime <= NOW for message in parsed)


def test_folders_and_flags_look_lived_in(copies: list[DemoMessage]) -> None:
    folders = Counter(copy.folder for copy in copies)
    assert folders["INBOX"] >= 100
    assert folders["Sent"] >= 80
    for folder in ("Drafts", "Junk", "Archive", "Trash", "Customers", "客户"):
        assert folders[folder] >= 2, folder
    unseen = [copy for copy in copies if not copy.flags.system & SystemFlag.SEEN]
    assert 5 <= len(unseen) <= 60
    assert all(copy.received_at > NOW - dt.timedelta(days=7) for copy in unseen)
    for flag in (SystemFlag.ANSWERED, SystemFlag.FLAGGED, SystemFlag.DRAFT):
        assert sum(bool(copy.flags.system & flag) for copy in copies) >= 4
    assert any(copy.flags.keywords for copy in copies)


def test_no_place_for_a_value_is_left_open(parsed: list[EmailMessage]) -> None:
    for message in parsed:
        assert "{" not in str(message["Subject"])
        assert "{" not in message.get_body(("plain",)).get_content()


def test_the_same_seed_writes_the_same_mail_and_another_writes_other_mail() -> None:
    first, again, other = demo_messages(NOW, 7), demo_messages(NOW, 7), demo_messages(NOW, 8)
    assert first == again
    assert {copy.octets for copy in first}.isdisjoint(copy.octets for copy in other)


@pytest.mark.parametrize(
    "day", [dt.datetime(2027, 1, 2, tzinfo=dt.UTC), dt.datetime(2028, 2, 29, 23, 59, tzinfo=dt.UTC)]
)
def test_it_can_be_written_on_any_day(day: dt.datetime) -> None:
    assert 180 <= len({copy.octets for copy in demo_messages(day, 3)}) <= 220
