"""Two installations that know each other by DNS alone: mail goes there and back, and what cannot go comes back."""

import contextlib
import os
import pty
import select
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mailserver.dsn.parse import parse_dsn
from tests.flows.clients import Idler, read_inbox, submission
from tests.flows.installation import Installation, Person, end_at_once, plan_installation
from tests.flows.letters import attachment, letter, letter_with_attachment
from tests.flows.names import host, loop_thread, names
from tests.flows.test_programs import mutt_settings
from tests.flows.waiting import wait_until
from tests.outbound_peers.smtp_peer import SmtpPeer, Stage

ONE, OTHER, BUSY = "one.test", "other.test", "busy.test"
ARRIVES_WITHIN_S = 20.0
MUTT_S = 60.0


@dataclass(frozen=True, slots=True)
class Two:
    one: Installation
    other: Installation
    busy: SmtpPeer
    """A host that says 451 to every recipient."""


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    one = plan_installation(tmp_path_factory.mktemp("one"), 3 + 2 * worker)
    with contextlib.ExitStack() as stack:
        thread = stack.enter_context(loop_thread())
        hosts = {ONE: "127.0.0.1", OTHER: "127.0.0.1", BUSY: "127.0.0.3"}
        zone = {domain: {"MX": [f"10 mail.{domain}."]} for domain in hosts}
        zone |= {f"mail.{domain}": {"A": [address]} for domain, address in hosts.items()}
        dns = stack.enter_context(names(thread, zone))
        other = plan_installation(tmp_path_factory.mktemp("other"), 4 + 2 * worker)
        for installation, domain, peer in ((one, ONE, other), (other, OTHER, one)):
            start(installation, domain, dns.text, brings_to=peer)
            stack.callback(end_at_once, installation)
        busy = SmtpPeer(host="127.0.0.3", port=other.base + 25, replies={Stage.RCPT: "451 4.7.1 come back later"})
        yield Two(one, other, stack.enter_context(host(thread, busy)))


def start(installation: Installation, domain: str, dns: str, *, brings_to: Installation) -> None:
    installation.settings.update(
        {
            "WAYPOST_HOSTNAME": f"mail.{domain}",
            "WAYPOST_OUTBOUND": "on",
            "WAYPOST_DNS": dns,
            "WAYPOST_ROUTING_PORT": str(brings_to.base + 25),
            "WAYPOST_ROUTING_PRIVATE_NETWORKS": "yes",
            "WAYPOST_OUTBOUND_FIRST_RETRY_S": "2",
            "WAYPOST_OUTBOUND_TELL_DELAY_AFTER_S": "1",
        }
    )
    installation.up()


def send(installation: Installation, sender: Person, to: str, octets: bytes, *options: str) -> None:
    with submission(installation, sender) as client:
        client.sendmail(sender.address, [to], octets, rcpt_options=list(options))


def written_by(sender: Person, to: str, subject: str, body: str = "At noon?") -> bytes:
    octets = letter(subject, body, date="Sun, 22 Nov 2026 10:00:00 +0000")
    return octets.replace(b"From: Grace <grace@elsewhere.example>", f"From: {sender.address}".encode()).replace(
        b"To: somebody@flows.test", f"To: {to}".encode()
    )


def wait_for_mail(installation: Installation, person: Person, count: int) -> list[bytes]:
    def look() -> list[bytes]:
        found = read_inbox(installation, person)
        return found if len(found) >= count else []

    return wait_until(look, within_s=ARRIVES_WITHIN_S, what=f"{count} messages for {person.address}")


def test_a_message_goes_there_and_the_answer_comes_back(two: Two) -> None:
    ada, bob = two.one.person(ONE), two.other.person(OTHER)
    sent = letter_with_attachment(attachment(300_000, 9), subject="方案 and plans")
    sent = sent.replace(b"From: Grace <grace@elsewhere.example>", f"From: {ada.address}".encode())
    with Idler(two.other, bob) as idler:
        began = time.monotonic()
        send(two.one, ada, bob.address, sent)
        idler.wait_for(b"EXISTS", within_s=ARRIVES_WITHIN_S)
        assert time.monotonic() - began < ARRIVES_WITHIN_S
    (arrived,) = wait_for_mail(two.other, bob, 1)
    body = sent[sent.index(b"\r\n\r\n") :]
    assert arrived.endswith(body)
    assert arrived.startswith(f"Return-Path: <{ada.address}>\r\n".encode())
    assert arrived.count(b"Received: ") == 2
    send(two.other, bob, ada.address, written_by(bob, ada.address, "Re: plans"))
    (answer,) = wait_for_mail(two.one, ada, 1)
    assert b"Subject: Re: plans" in answer


def test_an_unknown_person_comes_back_as_a_report_that_mutt_shows(two: Two, tmp_path: Path) -> None:
    ada = two.one.person(ONE)
    unknown = f"nobody@{OTHER}"
    send(two.one, ada, unknown, written_by(ada, unknown, "Will you come?"))
    (report,) = wait_for_mail(two.one, ada, 1)
    told = parse_dsn(report)
    assert told is not None
    assert [(each.address, each.action, each.status) for each in told.recipients] == [(unknown, "failed", "5.1.1")]
    shown = show_in_mutt(two.one, ada, tmp_path)
    for text in (unknown, "Will you come?", "Status: 5.1.1", "Action: failed", "550"):
        assert text in shown, shown


def test_a_delayed_message_is_told_of_once(two: Two, tmp_path: Path) -> None:
    ada = two.one.person(ONE)
    late = f"carol@{BUSY}"
    send(two.one, ada, late, written_by(ada, late, "Soon?"))
    (report,) = wait_for_mail(two.one, ada, 1)
    told = parse_dsn(report)
    assert told is not None
    assert [(each.action, each.status[:2]) for each in told.recipients] == [("delayed", "4.")]
    shown = show_in_mutt(two.one, ada, tmp_path)
    for text in (late, "Soon?", "Action: delayed", "come back later"):
        assert text in shown, shown
    assert late in two.one.manage("queue", "list")
    assert len(read_inbox(two.one, ada)) == 1


def test_success_is_told_when_asked_for(two: Two) -> None:
    ada, bob = two.one.person(ONE), two.other.person(OTHER)
    send(two.one, ada, bob.address, written_by(ada, bob.address, "Tell me"), "NOTIFY=SUCCESS")
    (report,) = wait_for_mail(two.one, ada, 1)
    told = parse_dsn(report)
    assert told is not None
    assert [each.action for each in told.recipients] == ["delivered"]
    wait_for_mail(two.other, bob, 1)


def show_in_mutt(installation: Installation, person: Person, directory: Path) -> str:
    """The newest message of the INBOX as mutt's pager decodes it."""
    settings = mutt_settings(installation, person, directory)
    shown = directory / "shown.txt"
    with settings.open("a") as more:
        more.write("set pipe_decode=yes wait_key=no quit=yes mark_old=no\n")
        more.write(f'push "<last-entry><pipe-message>cat >{shown}<enter><quit>"\n')
    command = ["mutt", "-F", str(settings), "-f", f"imaps://localhost:{installation.port('imaps')}/INBOX"]
    terminal, end = pty.openpty()
    environment = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(directory), "TERM": "xterm"}
    running = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment, start_new_session=True)
    os.close(end)
    try:
        deadline = time.monotonic() + MUTT_S
        while running.poll() is None and time.monotonic() < deadline:
            if select.select([terminal], [], [], 0.1)[0]:
                with contextlib.suppress(OSError):
                    os.read(terminal, 65_536)
    finally:
        running.kill()
        running.wait()
        os.close(terminal)
    return shown.read_text("utf-8", "replace")
