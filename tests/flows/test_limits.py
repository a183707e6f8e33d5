"""Over a limit there is an exact answer; the connection goes on, and nobody else notices."""

import contextlib
import itertools
import random
import time

import pytest

from tests.flows.clients import Dialogue, append, bystander, deliver, read_inbox, sign_in
from tests.flows.installation import MESSAGE_LIMIT_OCTETS, RECIPIENTS_LIMIT, Installation, Person
from tests.flows.letters import assert_arrived, letter

IMAP_LINE_OCTETS = 65_536
SMTP_LINE_OCTETS = 2_048


def test_smtp_says_what_was_too_much_and_goes_on(installation: Installation) -> None:
    person, colleague = installation.people(2)
    with bystander(installation, colleague), Dialogue(installation, "smtp") as client:
        client.ask("EHLO client.example")
        assert client.ask("NOOP " + "x" * 5000) == f"500 5.5.2 The line is too long: at most {SMTP_LINE_OCTETS} octets"
        too_big = f"552 5.3.4 The message is too big: at most {MESSAGE_LIMIT_OCTETS} octets"
        assert client.ask(f"MAIL FROM:<a@b.example> SIZE={MESSAGE_LIMIT_OCTETS + 1}") == too_big
        client.ask("MAIL FROM:<a@b.example>")
        client.ask(f"RCPT TO:<{person.address}>")
        assert client.ask("DATA").startswith("354")
        for _ in range(MESSAGE_LIMIT_OCTETS // 1_000_000 + 1):
            client.send((b"x" * 998 + b"\r\n") * 1000)
        client.send(b".\r\n")
        assert client.reply() == too_big
        client.ask("MAIL FROM:<a@b.example>")
        client.ask(f"RCPT TO:<{person.address}>")
        assert client.ask("DATA").startswith("354")
        client.send(b"Subject: smuggling\r\n\r\nbody\n.\r\nMAIL FROM:<c@d.example>\r\n.\r\n")
        assert client.reply() == "550 5.6.11 The message holds a bare CR or LF; every line ends in CR LF"
        client.ask("MAIL FROM:<a@b.example>")
        client.ask(f"RCPT TO:<{person.address}>")
        assert client.ask("DATA").startswith("354")
        sent = letter("after all that")
        client.data(sent)
        assert client.reply().startswith("250 2.0.0 Accepted as ")
    (arrived,) = read_inbox(installation, person)
    assert_arrived(arrived, sent)


def test_too_many_recipients_are_told_to_be_sent_again(installation: Installation) -> None:
    person, colleague = installation.people(2)
    with bystander(installation, colleague), Dialogue(installation, "smtp") as client:
        client.ask("EHLO client.example")
        client.ask("MAIL FROM:<a@b.example>")
        rcpt = f"RCPT TO:<{person.address}>"
        assert {client.ask(rcpt)[:3] for _ in range(RECIPIENTS_LIMIT)} == {"250"}
        assert client.ask(rcpt) == (
            f"452 4.5.3 Too many recipients: at most {RECIPIENTS_LIMIT} for one message; send it again for the others"
        )
        assert client.ask("DATA").startswith("354")
        client.data(letter("for the others"))
        assert client.reply().startswith("250 2.0.0 Accepted as ")
    assert len(read_inbox(installation, person)) == 1


def test_twenty_errors_end_a_connection_of_smtp(installation: Installation) -> None:
    with bystander(installation, installation.person()), Dialogue(installation, "smtp") as client:
        for _ in range(20):
            assert client.ask("WHATEVER") == "500 5.5.1 No such command here"
        assert client.reply() == "421 4.7.0 Too many errors on this connection"
        assert client.line() == ""


def test_imap_says_what_was_too_much_and_goes_on(installation: Installation) -> None:
    person, colleague = installation.people(2)
    with bystander(installation, colleague), Dialogue(installation, "imaps") as client:
        client.sign_in(person)
        assert client.tagged("NOOP " + "x" * 2 * IMAP_LINE_OCTETS) == ["t1 BAD the command line is too long"]
        over = MESSAGE_LIMIT_OCTETS + 1
        assert client.tagged(f"APPEND INBOX {{{over}}}") == ["t1 NO [TOOBIG] the message is too big"]
        client.send(b"t1 APPEND INBOX {%d+}\r\n" % over)
        for _ in range(over // 65_536):
            client.send(b"t9 DELETE Sent\r\n" * 4096)
        client.send(b"x" * (over % 65_536) + b"\r\n")
        assert client.until_tagged() == ["t1 NO [TOOBIG] the message is too big"]
        assert client.tagged("SELECT {70000}") == ["t1 NO [TOOBIG] the literals are too big"]
        assert client.tagged("STATUS Sent (MESSAGES)") == [
            "* STATUS Sent (MESSAGES 0)",
            "t1 OK Done",
        ]


def test_who_has_not_signed_in_may_send_little(installation: Installation) -> None:
    with bystander(installation, installation.person()), Dialogue(installation, "imaps") as client:
        assert client.tagged("NOOP " + "x" * 10_000) == ["t1 BAD the command line is too long"]
        assert client.tagged("LOGIN {5000}") == ["t1 NO [TOOBIG] the literals are too big"]
        assert client.tagged("APPEND INBOX {1}") == ["t1 NO [TOOBIG] the message is too big"]
        assert client.tagged("NOOP")[-1] == "t1 OK Done"


def test_guessing_a_password_becomes_slow_at_all_doors_together(installation: Installation) -> None:
    person = installation.person()
    guesses = itertools.count()  # the same one again would count once

    def guess_by_imap() -> float:
        with Dialogue(installation, "imaps") as client:
            began = time.monotonic()
            (answer,) = client.tagged(f'LOGIN "{person.address}" "guess {next(guesses)}"')
            assert answer == "t1 NO [AUTHENTICATIONFAILED] The name or the password is wrong"
            return time.monotonic() - began

    def guess_by_submission() -> float:
        with Dialogue(installation, "submissions") as client:
            client.ask("EHLO client.example")
            wrong = Person(person.address, f"guess {next(guesses)}")
            began = time.monotonic()
            assert client.ask(f"AUTH PLAIN {wrong.sasl_plain}") == "535 5.7.8 The address or the password is wrong"
            return time.monotonic() - began

    guess_by_imap()
    assert guess_by_submission() >= 2  # a second for the account's second failure, one for the connection's first
    assert guess_by_imap() >= 2
    with sign_in(installation, person) as client:
        assert client.noop()[0] == "OK"


def test_over_quota_is_told_by_each_door(installation: Installation) -> None:
    person = installation.person_with_quota("20KiB")
    with sign_in(installation, person) as client:
        append(client, "INBOX", letter("fits", "x\n" * 3000))
    with Dialogue(installation, "imaps") as client:
        client.sign_in(person)
        sent = letter("does not fit", "x\n" * 6000)
        client.send(b"t1 APPEND INBOX {%d+}\r\n" % len(sent) + sent + b"\r\n")
        assert client.until_tagged() == ["t1 NO [OVERQUOTA] The mailbox is full"]
        assert client.tagged("STATUS INBOX (MESSAGES)")[0] == "* STATUS INBOX (MESSAGES 1)"
    with Dialogue(installation, "smtp") as sender:
        sender.ask("EHLO client.example")
        sender.ask("MAIL FROM:<a@b.example>")
        assert sender.ask(f"RCPT TO:<{person.address}>").startswith("250")
        assert sender.ask("DATA").startswith("354")
        sender.data(sent)
        assert sender.reply() == "452 4.2.2 This mailbox is full; try again later"
    assert len(read_inbox(installation, person)) == 1


def test_500_commands_at_once_are_answered_in_order(installation: Installation) -> None:
    person = installation.person()
    deliver(installation, [person], letter("one"))
    with Dialogue(installation, "imaps") as client:
        client.sign_in(person)
        client.tagged("SELECT INBOX")
        commands = (
            "NOOP",
            "FETCH 1 (UID)",
            "STATUS Sent (MESSAGES)",
            "UID SEARCH ALL",
            "STORE 1 +FLAGS.SILENT (\\Seen)",
        )
        client.send(b"".join(b"p%d %s\r\n" % (each, commands[each % 5].encode()) for each in range(500)))
        for number in range(500):
            *untagged, done = client.until_tagged(f"p{number}")
            assert done.startswith(f"p{number} OK"), done
            assert len(untagged) == (0, 1, 1, 1, 0)[number % 5]
    with Dialogue(installation, "smtp") as sender:
        sender.ask("EHLO client.example")
        octets = b"MAIL FROM:<a@b.example>\r\nRCPT TO:<%s>\r\nRCPT TO:<nobody@flows.test>\r\nRSET\r\n"
        octets = octets.replace(b"%s", person.address.encode())
        sender.send(octets * 18 + b"NOOP\r\n" * 428)
        for _ in range(18):
            assert [sender.reply()[:9] for _ in range(4)] == ["250 2.1.0", "250 2.1.5", "550 5.1.1", "250 2.0.0"]
        assert {sender.reply()[:3] for _ in range(428)} == {"250"}


@pytest.mark.parametrize("door", ["imap", "imaps", "smtp", "submission", "submissions", "lmtp"])
def test_noise_at_a_door_hurts_nobody(installation: Installation, door: str) -> None:
    noise = random.Random(door).randbytes(200_000)
    with bystander(installation, installation.person()):
        with Dialogue(installation, door) as client, contextlib.suppress(OSError):  # being cut off is an answer too
            client.send(noise)
            client.send(b"\r\n" * 50)
        with Dialogue(installation, door) as after:
            assert after.greeting.startswith(("* OK", "220"))
