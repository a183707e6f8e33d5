"""Names in a Maildir."""

from mailserver.mailbox_formats import maildir
from mailserver.mailbox_formats.letters import from_maildir_letters, maildir_letters
from storage.types import Flags, SystemFlag, Uid
from tests.conftest import NOON

SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = SystemFlag


def test_our_names_say_which_message_it_is() -> None:
    name = maildir.unique_name(7, Uid(12), NOON, on_disk=100, octets=110, is_raw=False)
    assert name == "1793620800.M0P7U12.waypost,S=100,W=110"
    assert maildir.parse_unique_name(name + ":2,FS") == maildir.Exported(7, 12, is_raw=False, octets=100)
    raw = maildir.unique_name(7, Uid(12), NOON, on_disk=100, octets=100, is_raw=True)
    assert maildir.parse_unique_name(raw) == maildir.Exported(7, 12, is_raw=True, octets=100)
    assert maildir.parse_unique_name("1793620800.M1P2.host,S=3:2,S") is None


def test_flags_are_letters_in_the_order_of_the_alphabet() -> None:
    letters = maildir.keyword_letters({"work", "$Label1"}, {})
    flags = Flags(SEEN | ANSWERED | FLAGGED | DELETED | DRAFT, frozenset({"$Forwarded", "$Label1", "work"}))
    written = maildir_letters(flags, letters | {"$Forwarded": "c"})
    assert written == "DFPRSTabc"
    read = from_maildir_letters(written, {"a": "$Label1", "b": "work", "c": "$Forwarded"})
    assert read == flags


def test_passed_on_is_a_keyword_here() -> None:
    assert from_maildir_letters("PS", {}) == Flags(SEEN, frozenset({"$Forwarded"}))
    assert maildir.letters_of("1.2.host:2,FSab") == "FSab"
    assert maildir.letters_of("1.2.host") == ""


def test_letters_of_keywords_stay_and_there_are_26() -> None:
    letters = maildir.keyword_letters([f"k{number:02}" for number in range(30)], {"old": "c"})
    assert letters["old"] == "c"
    assert len(letters) == 26
    assert len(set(letters.values())) == 26
    listed = maildir.keywords_file({"old": "c", "new": "a"})
    assert listed == "2 old\n0 new\n"
    assert maildir.read_keywords_file(listed + "bad\n99 x\n-1 y\n3 \n") == {"c": "old", "a": "new"}


def test_keywords_no_client_could_be_shown_are_left_out() -> None:
    read = from_maildir_letters("abcd", {"a": "two words", "b": 'quo"te', "c": "ok", "d": "OK"})
    assert {word.lower() for word in read.keywords} == {"ok"}
