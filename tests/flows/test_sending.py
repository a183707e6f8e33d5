"""People of the installation write to each other, and only as themselves; other servers write to them."""

import smtplib

import pytest

from tests.flows.clients import (
    PATIENCE_S,
    Dialogue,
    bystander,
    deliver,
    read_inbox,
    read_mailbox,
    sign_in,
    submission,
)
from tests.flows.installation import OTHER_COMPANY, Installation, Person
from tests.flows.letters import assert_arrived, letter
from tests.flows.waiting import wait_until


def test_a_reply_through_submission_reaches_another_demo_person(installation: Installation) -> None:
    _, first, second, *_ = installation.demo_people()
    question = letter("A question", message_id="<question@demo.test>", **{"from": first.address, "to": second.address})
    answer = letter(
        *("Re: A question", "Yes."),
        **{"from": second.address, "to": first.address, "in_reply_to": "<question@demo.test>"},
    )
    with submission(installation, first) as client:
        client.sendmail(first.address, [second.address], question)
    with smtplib.SMTP("localhost", installation.port("submission"), timeout=PATIENCE_S) as starttls:
        starttls.starttls(context=installation.tls())
        starttls.login(second.address, second.password)
        starttls.sendmail(second.address, [first.address], answer)
    assert_arrived(read_inbox(installation, second)[-1], question)
    assert_arrived(read_inbox(installation, first)[-1], answer)


def test_what_is_missing_is_put_in(installation: Installation) -> None:
    person = installation.person()
    with submission(installation, person) as client:
        client.sendmail(person.address, [person.address], f"From: {person.address}\r\n\r\nNo header to speak of.\r\n")
    (arrived,) = read_inbox(installation, person)
    header = arrived[: arrived.index(b"\r\n\r\n") + 2]
    assert header.count(b"\r\nDate: ") == 1
    assert header.count(b"\r\nMessage-ID: <") == 1


def test_nobody_sends_as_somebody_else(installation: Installation) -> None:
    person, colleague = installation.people(2)
    stranger = installation.person(OTHER_COMPANY)
    with submission(installation, person) as client:
        for other in (colleague, stranger):
            assert client.docmd(f"MAIL FROM:<{other.address}>") == (
                553,
                f"5.7.1 MAIL FROM: <{other.address}> does not belong to the account you signed in with".encode(),
            )
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail(person.address, [colleague.address], letter(**{"from": other.address}))
            assert refused.value.smtp_code == 550
            assert refused.value.smtp_error == (
                f"5.7.1 From: <{other.address}> does not belong to the account you signed in with".encode()
            )
        client.sendmail(person.address, [colleague.address], letter("honest", **{"from": person.address}))
    (arrived,) = read_inbox(installation, colleague)
    assert b"Subject: honest\r\n" in arrived


def test_submission_wants_a_sign_in(installation: Installation) -> None:
    person = installation.person()
    with smtplib.SMTP("localhost", installation.port("submission"), timeout=PATIENCE_S) as client:
        client.ehlo("client.example")
        assert client.docmd("MAIL FROM:<a@b.example>") == (530, b"5.7.0 Must issue a STARTTLS command first")
        client.starttls(context=installation.tls())
        client.ehlo("client.example")
        assert client.docmd("MAIL FROM:<a@b.example>") == (530, b"5.7.0 Authentication required")
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login(person.address, "wrong")
        assert refused.value.smtp_code == 535
        client.login(person.address, person.password)


def test_mail_for_elsewhere_is_taken_from_who_signed_in_alone_and_held_while_outbound_is_off(
    installation: Installation,
) -> None:
    person, colleague = installation.people(2)
    with smtplib.SMTP("localhost", installation.port("smtp"), timeout=PATIENCE_S) as client:
        client.ehlo("client.example")
        client.mail("grace@elsewhere.example")
        refusal = (550, b"5.7.1 Relaying denied: mail for elsewhere.example is not taken here")
        assert client.rcpt("grace@elsewhere.example") == refusal
        assert client.docmd("AUTH PLAIN AGEAYg==")[0] == 502
    sent = letter("to both", **{"from": person.address})
    with submission(installation, person) as client:
        client.sendmail(person.address, ["grace@elsewhere.example", colleague.address], sent)
    (arrived,) = read_inbox(installation, colleague)
    assert_arrived(arrived, sent)
    listed = installation.manage("queue", "list", "--account", person.address)
    assert "grace@elsewhere.example" in listed
    assert "held, outbound is off" in listed
    installation.manage("queue", "bounce", "--account", person.address)
    wait_until(lambda: read_inbox(installation, person), within_s=PATIENCE_S, what="the report")
    (report,) = read_inbox(installation, person)
    assert b"Returned by the administrator" in report
    assert b"grace@elsewhere.example" in report
    wait_until(
        lambda: "Nothing in the queue" in installation.manage("queue", "list", "--account", person.address),
        within_s=PATIENCE_S,
        what="an empty queue",
    )


def test_lmtp_answers_for_each_recipient(installation: Installation) -> None:
    first, second = installation.people(2)
    full = installation.person_with_quota("1KiB")
    with bystander(installation, first), Dialogue(installation, "lmtp") as client:
        client.ask("LHLO relay.example")
        client.ask("MAIL FROM:<grace@elsewhere.example>")
        assert client.ask("RCPT TO:<nobody@flows.test>") == "550 5.1.1 No such person here"
        for person in (first, full, second):
            assert client.ask(f"RCPT TO:<{person.address}>").startswith("250 2.1.5")
        assert client.ask("DATA").startswith("354")
        sent = letter("to three", "x" * 60 + "\n" + "A line.\n" * 200)
        client.data(sent)
        replies = [client.reply() for _ in range(3)]
        assert replies[0].startswith(f"250 2.1.5 <{first.address}> Accepted as ")
        assert replies[1] == f"452 4.2.2 <{full.address}> This mailbox is full; try again later"
        assert replies[2].startswith(f"250 2.1.5 <{second.address}> Accepted as ")
    for person in (first, second):
        (arrived,) = read_inbox(installation, person)
        assert_arrived(arrived, sent)
    assert read_inbox(installation, full) == []


def test_one_message_to_several_people_of_one_company_comes_to_each_once(installation: Installation) -> None:
    people = installation.people(5)
    sent = letter("to five")
    deliver(installation, [*people, people[0]], sent)
    for person in people:
        (arrived,) = read_inbox(installation, person)
        assert_arrived(arrived, sent)


def test_plus_addresses_and_letter_case_reach_the_person(installation: Installation) -> None:
    person = installation.person()
    name, _, domain = person.address.partition("@")
    variants = [f"{name}+newsletter@{domain}", f"{name.upper()}@{domain.upper()}"]
    deliver(installation, [Person(variants[0], "")], letter("plus"))
    deliver(installation, [Person(variants[1], "")], letter("capitals"))
    with sign_in(installation, person) as client:
        assert len(read_mailbox(client)) == 2


def test_a_message_waits_for_its_time_and_then_reaches_people_here_and_the_queue(installation: Installation) -> None:
    """RFC 4865 at the real door, with the real job that releases."""
    person, colleague = installation.people(2)
    sent = letter("later", **{"from": person.address})
    to = ["grace@elsewhere.example", colleague.address]
    with submission(installation, person) as client:
        assert client.has_extn("futurerelease")
        client.sendmail(person.address, to, sent, mail_options=["HOLDFOR=86400", "ENVID=QQ1"])
        client.sendmail(person.address, to, sent, mail_options=["HOLDFOR=1"])
    wait_until(lambda: read_inbox(installation, colleague), within_s=PATIENCE_S, what="what waited for a second")
    (arrived,) = read_inbox(installation, colleague)
    assert_arrived(arrived, sent)
    listed = installation.manage("queue", "list", "--account", person.address)
    assert "held, outbound is off" in listed
