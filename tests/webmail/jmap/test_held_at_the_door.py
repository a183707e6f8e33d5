"""Mail handed in by SMTP for later waits and leaves as that of JMAP does; JMAP shows nothing of it (RFC 4865)."""

import asyncio
import smtplib
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailserver.assembly import Parts
from mailserver.listeners import Endpoint, bind
from mailserver.services import submissions
from mailserver.services.exchanges import SubmissionSignIn
from mailserver.smtp.config import Door
from mailserver.smtp.ports import Services
from mailserver.smtp.server import SmtpServer
from storage import steps
from storage.outgoing_types import Notify, ReturnContent
from tests.conftest import RunningServices
from tests.mailserver.smtp.doors import client_context, server_context
from tests.people import Person, new_person
from tests.someone import Someone
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from tests.webmail.jmap.sending import leaving, let_go, octets_of
from tests.webmail.jmap.test_submissions import Killed, forgetful_releases, inbox, reach_limit, releases, set_status

TIMEOUT_S = 20.0


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    yield
    steps.listener = None


@pytest.fixture
async def door(parts: Parts) -> AsyncIterator[int]:
    """The port of the submission door, as the role smtp opens it."""
    services = Services(
        resolve=parts.arrivals.resolve,
        take=parts.arrivals.take,
        take_each=parts.arrivals.take_each,
        sign_in=SubmissionSignIn(parts.logins),
        sender_addresses=parts.recipients.sender_addresses,
        holding=parts.submissions,
    )
    server = SmtpServer(replace(parts.config.smtp, auth_failure_delay_s=0.0), services, tls=server_context)
    (listening,) = bind(Endpoint("127.0.0.1", 0))
    await server.listen(Door.SUBMISSION, listening)
    yield listening.getsockname()[1]
    await server.drain(0)


def letter(person: Person) -> bytes:
    return f"From: {person.address}\r\nSubject: later\r\nBcc: carl@elsewhere.test\r\n\r\nhi\r\n".encode()


async def send(port: int, person: Person, to: Sequence[str], *options: str, notify: str = "FAILURE") -> None:
    def run() -> None:
        with smtplib.SMTP("127.0.0.1", port, timeout=TIMEOUT_S) as client:
            client.starttls(context=client_context())
            client.login(person.address, person.password)
            wishes = [f"NOTIFY={notify}"]
            refused = client.sendmail(person.address, to, letter(person), mail_options=options, rcpt_options=wishes)
            assert not refused

    await asyncio.to_thread(run)


async def submissions_of(jmap: Jmap) -> Any:
    return (await jmap.call("EmailSubmission/get"))["list"]


async def test_it_waits_unseen_and_leaves_with_its_trace_and_all_wishes(
    new_jmap: NewJmap, parts: Parts, door: int
) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    to = [bob.person.address, "eve@elsewhere.test"]
    handed_in_at = datetime.now(UTC)
    await send(door, ann.person, to, "HOLDFOR=3600", "RET=HDRS", "ENVID=QQ+2B1", notify="SUCCESS,DELAY")
    assert await submissions_of(ann) == []
    await releases(parts, later_s=3_500).release_due()
    assert (await inbox(bob), await leaving(ann.store, ann.person.principal.tenant_id)) == ([], [])
    await releases(parts).release_due()
    await releases(parts).release_due()
    (arrived,) = await inbox(bob)
    assert arrived.startswith(f"Return-Path: <{ann.person.address}>\r\nReceived: from ".encode())
    assert b"ESMTPSA" in arrived
    assert b"carl" not in arrived
    (recipient,) = await leaving(ann.store, ann.person.principal.tenant_id)
    assert await octets_of(ann.store, recipient) == arrived.partition(b"\r\n")[2]
    assert (recipient.address, recipient.notify) == ("eve@elsewhere.test", Notify.SUCCESS | Notify.DELAY)
    message = recipient.message
    assert (message.reverse_path, message.envelope_id) == (ann.person.address, "QQ+1")
    assert message.return_content is ReturnContent.HEADERS
    assert recipient.waits_since - handed_in_at < timedelta(minutes=5), "it was not late before its time"
    (report,) = await inbox(ann)
    assert b"Action: delivered" in report, "bob has it, and ann wished to hear so"
    assert b"Original-Envelope-Id: QQ+1" in report
    assert b"Arrival-Date: " in report
    assert b"\r\nFuture-Release-Request: for;3600\r\n" in report
    assert message.future_release == "for;3600"
    assert abs(message.queued_at - handed_in_at) < timedelta(minutes=5), "reports say when it arrived, not when it left"
    assert await submissions_of(ann) == []


@pytest.mark.parametrize(
    "step", ["release: leased", "release: placed", "release: written, not committed", "release: settled"]
)
async def test_killed_at_any_step_it_goes_once(
    new_jmap: NewJmap, parts: Parts, services: RunningServices, door: int, step: str
) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    await send(door, ann.person, [bob.person.address, "eve@elsewhere.test"], "HOLDFOR=60")

    def kill(reached: str) -> None:
        if reached == step:
            raise Killed

    steps.listener = kill
    with pytest.raises(Killed):
        await releases(parts).release_due()
    steps.listener = None
    await let_go(services, ann.person.principal)
    await releases(parts).release_due()
    await releases(parts).release_due()
    assert len(await inbox(bob)) == 1
    assert len(await leaving(ann.store, ann.person.principal.tenant_id)) == 1


async def test_an_address_given_twice_is_reached_once(new_jmap: NewJmap, parts: Parts, door: int) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    await send(door, ann.person, [bob.person.address, bob.person.address, "eve@elsewhere.test"], "HOLDFOR=60")
    await releases(parts).release_due()
    assert len(await inbox(bob)) == 1
    assert len(await leaving(ann.store, ann.person.principal.tenant_id)) == 1


async def test_the_same_number_may_wait_as_of_jmap(
    new_jmap: NewJmap, door: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann = await new_jmap()
    monkeypatch.setattr(submissions, "MOST_WAITING", 1)
    await send(door, ann.person, ["eve@elsewhere.test"], "HOLDFOR=60")
    with pytest.raises(smtplib.SMTPSenderRefused) as refused:
        await send(door, ann.person, ["eve@elsewhere.test"], "HOLDFOR=60")
    assert refused.value.smtp_code == 552
    assert b"1 messages of yours wait" in refused.value.smtp_error


async def test_limits_count_when_it_leaves(
    new_jmap: NewJmap, parts: Parts, services: RunningServices, door: int
) -> None:
    ann = await new_jmap()
    tenant_id = ann.person.principal.tenant_id
    await send(door, ann.person, ["eve@elsewhere.test"], "HOLDFOR=60")
    await asyncio.to_thread(reach_limit, services, ann.person.principal, 1_000)
    await releases(parts).release_due()
    assert await leaving(ann.store, tenant_id) == []
    await asyncio.to_thread(reach_limit, services, ann.person.principal, 0)
    await releases(parts).release_due()
    assert len(await leaving(ann.store, tenant_id)) == 1


async def test_nothing_leaves_of_who_is_gone(
    new_jmap: NewJmap, parts: Parts, services: RunningServices, door: int
) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    await send(door, ann.person, [bob.person.address], "HOLDFOR=60")
    await asyncio.to_thread(set_status, services, ann.person.principal, "deleted")
    await forgetful_releases(parts).release_due()
    await asyncio.to_thread(set_status, services, ann.person.principal, "active")
    await forgetful_releases(parts).release_due()
    assert await inbox(bob) == []


async def test_one_who_never_opened_a_mailbox_may_hold_mail_too(
    parts: Parts, services: RunningServices, door: int
) -> None:
    person = await asyncio.to_thread(new_person, services)
    await send(door, person, ["eve@elsewhere.test"], "HOLDFOR=60")
    await releases(parts).release_due()
    assert len(await leaving(parts.store, person.principal.tenant_id)) == 1
    assert await Someone(parts.store, person.principal).octets() == []
