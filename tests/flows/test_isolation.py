"""A person of one company tries everything on another company, through every door."""

import base64
import smtplib

import pytest

from tests.flows.clients import Dialogue, append, deliver, quoted, read_inbox, read_mailbox, sign_in, submission
from tests.flows.installation import OTHER_COMPANY, Installation, Person
from tests.flows.letters import letter


@pytest.fixture
def insider(installation: Installation) -> Person:
    """Of the other company, with something to hide."""
    person = installation.person(OTHER_COMPANY)
    deliver(installation, [person], letter("The merger", "Nobody may know."))
    with sign_in(installation, person) as client:
        assert client.create("Secret/Plans")[0] == "OK"
        append(client, "Secret/Plans", letter("The plans"))
    return person


@pytest.fixture
def outsider(installation: Installation) -> Person:
    return installation.person()


@pytest.fixture
def names(insider: Person) -> list[str]:
    """How somebody might try to reach a mailbox of another person."""
    name, _, domain = insider.address.partition("@")
    prefixes = ["", "user/", "Other Users/", f"/{domain}/", "../", "#shared/", "~", "user."]
    folders = ["", "/INBOX", "/Secret/Plans", ".Secret.Plans"]
    people = [insider.address, name, f"../{name}"]
    reached = [f"{prefix}{person}{folder}" for prefix in prefixes for person in people for folder in folders]
    return [*reached, "Secret/Plans", "../Secret/Plans", "Secret", "1", "1/INBOX"]


def test_no_mailbox_of_another_company_can_be_named(
    installation: Installation, outsider: Person, names: list[str]
) -> None:
    with Dialogue(installation, "imaps") as client:
        client.sign_in(outsider)
        for name in names:
            for command in ("SELECT", "EXAMINE", "DELETE"):
                assert client.tagged(f"{command} {quoted(name)}")[-1].startswith("t1 NO"), name
            assert client.tagged(f"STATUS {quoted(name)} (MESSAGES UIDNEXT)")[-1].startswith("t1 NO"), name
            assert client.tagged(f"RENAME {quoted(name)} Mine")[-1].startswith("t1 NO"), name
            assert client.tagged(f"APPEND {quoted(name)} {{1+}}\r\nx")[-1].startswith("t1 NO"), name
        listed = client.tagged('LIST "" "*"')[:-1] + client.tagged('LSUB "" "*"')[:-1]
        assert not any("Secret" in line or "other.test" in line for line in listed)
        assert client.tagged("NAMESPACE")[0] == '* NAMESPACE (("" "/")) NIL NIL'


def test_a_mailbox_of_the_same_name_is_ones_own(installation: Installation, outsider: Person, insider: Person) -> None:
    with sign_in(installation, outsider) as client:
        assert client.create("Secret/Plans")[0] == "OK"
        assert read_mailbox(client, "Secret/Plans") == []
        append(client, "Secret/Plans", letter("decoy"))
        client.select(quoted("Secret/Plans"))
        for what in (("STORE", "1:*", "+FLAGS", "(\\Deleted)"), ("COPY", "1:*", "Trash"), ("EXPUNGE", "1:*")):
            assert client.uid(*what)[0] == "OK"
        assert client.delete(quoted("Secret/Plans"))[0] == "OK"
    with sign_in(installation, insider) as client:
        (kept,) = read_mailbox(client, "Secret/Plans")
        assert b"Subject: The plans\r\n" in kept.octets
        assert kept.flags == frozenset()


def test_no_uid_and_no_word_of_another_company_is_found(
    installation: Installation, outsider: Person, insider: Person
) -> None:
    append_count = 3
    with sign_in(installation, outsider) as client:
        for number in range(append_count):
            append(client, "INBOX", letter(f"Mine {number}"))
        client.select()
        status, answer = client.uid("FETCH", "1:4294967295", "(UID ENVELOPE)")
        assert status == "OK"
        assert len(answer) == append_count
        for word in ("merger", "plans", "Nobody may know"):
            assert client.search(None, "TEXT", quoted(word)) == ("OK", [b""])


def test_a_password_opens_one_account_only(installation: Installation, outsider: Person, insider: Person) -> None:
    with Dialogue(installation, "imaps") as client:
        answer = client.tagged(f'LOGIN "{insider.address}" "{outsider.password}"')[-1]
        assert answer == "t1 NO [AUTHENTICATIONFAILED] The name or the password is wrong"
        # RFC 4616: an authorization identity that is somebody else
        plain = f"{insider.address}\0{outsider.address}\0{outsider.password}"
        encoded = base64.b64encode(plain.encode()).decode()
        answer = client.tagged(f"AUTHENTICATE PLAIN {encoded}")[-1]
        assert answer == "t1 NO [AUTHORIZATIONFAILED] Acting as somebody else is not possible"
    with Dialogue(installation, "submissions") as sender:
        sender.ask("EHLO client.example")
        assert sender.ask(f"AUTH PLAIN {encoded}") == "535 5.7.8 The address or the password is wrong"


def test_nobody_sends_as_another_company(installation: Installation, outsider: Person, insider: Person) -> None:
    victim = installation.person(OTHER_COMPANY)
    with submission(installation, outsider) as client:
        assert client.mail(insider.address)[0] == 553
        client.rset()
        for fields in (
            {"from": insider.address},
            {"from": f"{outsider.address}, {insider.address}"},
            {"from": outsider.address, "sender": insider.address},
            {"from": outsider.address, "resent_from": insider.address},
            {"from": f'"{outsider.address}" <{insider.address}>'},
        ):
            with pytest.raises(smtplib.SMTPDataError) as refused:
                client.sendmail(outsider.address, [victim.address], letter("forged", **fields))
            assert refused.value.smtp_code == 550
    assert read_inbox(installation, victim) == []
