"""A stop in the midst of work: what is on its way finishes, everybody is told, and the next start has it all."""

import re
import socket
import time

from tests.flows.clients import Dialogue, Idler, deliver, read_inbox, read_mailbox, sign_in
from tests.flows.installation import DRAIN_S, Installation, Person
from tests.flows.letters import assert_arrived, letter
from tests.flows.processes import children_of, wait_for_end
from tests.flows.waiting import wait_until

SERVICES_S = 10.0  # Redis, S3 and Postgres end after the roles


def in_the_midst_of_data(installation: Installation, person: Person, octets: bytes) -> Dialogue:
    """A connection that has sent half of a message."""
    client = Dialogue(installation, "smtp")
    client.ask("EHLO client.example")
    client.ask("MAIL FROM:<grace@elsewhere.example>")
    client.ask(f"RCPT TO:<{person.address}>")
    assert client.ask("DATA").startswith("354")
    client.send(octets[: len(octets) // 2])
    return client


def in_the_midst_of_append(installation: Installation, person: Person, octets: bytes) -> Dialogue:
    client = Dialogue(installation, "imaps")
    client.sign_in(person)
    client.send(b"t1 APPEND Drafts {%d}\r\n" % len(octets))
    assert client.line().startswith("+ ")
    client.send(octets[: len(octets) // 2])
    return client


def test_a_stop_lets_messages_finish_and_tells_everybody(installation: Installation) -> None:
    person = installation.person()
    deliver(installation, [person], letter("before"))
    sent, draft = letter("on its way", "A line.\n" * 5000), letter("a draft on its way", "A line.\n" * 5000)
    children = set(children_of(installation.pid("supervisor")))
    waiting = Dialogue(installation, "smtp")
    waiting.ask("EHLO client.example")
    reader = Dialogue(installation, "imaps")
    with (
        in_the_midst_of_data(installation, person, sent) as finishing,
        in_the_midst_of_data(installation, person, letter("never finished", "A line.\n" * 5000)) as stalling,
        in_the_midst_of_append(installation, person, draft) as appending,
        Idler(installation, person) as idler,
        waiting,
        reader,
    ):
        smtp_port = installation.port("smtp")
        installation.ask_to_stop()
        began = time.monotonic()
        idler.wait_for(b"* BYE ", within_s=DRAIN_S)
        assert reader.line().startswith("* BYE ")
        assert waiting.reply() == "421 4.3.2 The service is going down for a moment; try again"
        assert is_refused(smtp_port)
        finishing.send(sent[len(sent) // 2 :] + b".\r\n")
        assert finishing.reply().startswith("250 2.0.0 Accepted as ")
        assert finishing.reply().startswith("421 4.3.2 ")
        appending.send(draft[len(draft) // 2 :] + b"\r\n")
        assert re.match(r"t1 OK \[APPENDUID \d+ 1\] ", appending.line())
        assert appending.line().startswith("* BYE ")
        installation.wait_for_stop(DRAIN_S + SERVICES_S)
        assert time.monotonic() - began < DRAIN_S + SERVICES_S
        assert stalling.line() in ("", "421 4.3.2 The service is going down for a moment; try again")
    wait_for_end(children, within_s=1)
    assert not (installation.var / "endpoints.json").exists()

    installation.up()
    first, second = read_inbox(installation, person)
    assert b"Subject: before\r\n" in first
    assert_arrived(second, sent)
    with sign_in(installation, person) as client:
        (kept,) = read_mailbox(client, "Drafts")
    assert kept.octets == draft


def is_refused(port: int) -> bool:
    """Whether who comes now is turned away: by 421, or because nobody listens any more."""

    def turned_away() -> bool:
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as late:
                return late.recv(100)[:4] in (b"421 ", b"")
        except ConnectionError:
            return True

    return wait_until(turned_away, within_s=2, what="newcomers are turned away")
