"""jmapc, a client that others wrote, at our door (https://pypi.org/project/jmapc/)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pytest
import sseclient  # type: ignore[import-untyped]
from jmapc import (
    Client,
    Comparator,
    Email,
    EmailAddress,
    EmailBodyPart,
    EmailBodyValue,
    EmailQueryFilterCondition,
    EmailSubmission,
    Event,
    MailboxQueryFilterCondition,
    Ref,
)
from jmapc.methods import (
    CoreEcho,
    EmailChanges,
    EmailGet,
    EmailQuery,
    EmailSet,
    EmailSubmissionSet,
    IdentityGet,
    MailboxChanges,
    MailboxGet,
    MailboxQuery,
    Method,
    ThreadGet,
)

from deploy.local.certificates import Certificates, make_certificates
from tests.conftest import plain_message
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from tests.webmail.jmap.tls_front import tls_front
from tests.webmail.jmap.web_role import PATIENCE_S

Result = TypeVar("Result")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("tls")
    return make_certificates(directory / "public", directory / "keys", now=datetime.now(UTC))


@pytest.fixture(scope="module")
async def tls_port(web_port: int, certificates: Certificates) -> AsyncIterator[int]:
    async with tls_front(web_port, certificates) as port:
        yield port


@pytest.fixture
def client(jmap: Jmap, tls_port: int, certificates: Certificates, monkeypatch: pytest.MonkeyPatch) -> Iterator[Client]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificates.ca))
    made = Client.create_with_password(f"localhost:{tls_port}", jmap.person.address, jmap.person.password)
    yield made
    if made._events is not None:
        made._events.resp.close()
    made.requests_session.close()


async def responses(client: Client, *calls: Method) -> list[Any]:
    """None of which is an error."""
    return [each.response for each in await told(lambda: client.request(list(calls), raise_errors=True))]


def listening(client: Client) -> sseclient.SSEClient:
    """What `client.events` begins with; here, so that it has begun before anything happens."""
    url = client.jmap_session.event_source_url.format(types="*", closeafter="no", ping=0)
    return sseclient.SSEClient(url, auth=client.requests_session.auth, timeout=PATIENCE_S)


async def told(ask: Callable[[], Result]) -> Result:
    return await asyncio.to_thread(ask)


async def test_it_finds_its_session_and_is_echoed(client: Client, jmap: Jmap) -> None:
    session = await told(lambda: client.jmap_session)
    assert session.username == jmap.person.address
    assert client.account_id == jmap.account_id
    (echoed,) = await responses(client, CoreEcho(data={"hello": "world"}))
    assert echoed.data == {"hello": "world"}


async def test_it_reads_a_mailbox_by_one_request_of_references(client: Client, jmap: Jmap) -> None:
    placed = await jmap.receive(plain_message(subject="Plans", body="Lunch at noon?"))
    _, boxes = await responses(
        client, MailboxQuery(filter=MailboxQueryFilterCondition(name="INBOX")), MailboxGet(ids=Ref("/ids"))
    )
    (inbox,) = boxes.data
    assert (inbox.role, inbox.total_emails, inbox.unread_emails) == ("inbox", 1, 1)
    query, mail, threads = await responses(
        client,
        EmailQuery(
            collapse_threads=True,
            filter=EmailQueryFilterCondition(in_mailbox=inbox.id),
            sort=[Comparator(property="receivedAt", is_ascending=False)],
            limit=10,
        ),
        EmailGet(ids=Ref("/ids"), fetch_all_body_values=True),
        ThreadGet(ids=Ref("/list/*/threadId")),
    )
    assert query.ids == [f"M{placed.message_id}"]
    (email,) = mail.data
    assert (email.subject, email.mail_from[0].email) == ("Plans", "grace@elsewhere.test")
    assert [each.value for each in email.body_values.values()] == ["Lunch at noon?\n"]
    assert threads.data[0].email_ids == [email.id]


async def test_it_hears_what_changed(client: Client, jmap: Jmap) -> None:
    emails, boxes = await responses(client, EmailGet(ids=[]), MailboxGet(ids=[]))
    placed = await jmap.receive()
    emails, boxes = await responses(
        client, EmailChanges(since_state=emails.state), MailboxChanges(since_state=boxes.state)
    )
    assert emails.created == [f"M{placed.message_id}"]
    assert boxes.updated == [f"F{placed.mailbox_id}"]


async def test_it_uploads_and_downloads(client: Client, tmp_path: Path) -> None:
    there, back = tmp_path / "picture.png", tmp_path / "back.png"
    there.write_bytes(bytes(range(256)) * 5000)
    blob = await told(lambda: client.upload_blob(there))
    assert (blob.type, blob.size) == ("image/png", 1_280_000)
    part = EmailBodyPart(blob_id=blob.id, name="picture.png", type=blob.type)
    await told(lambda: client.download_attachment(part, back))
    assert back.read_bytes() == there.read_bytes()


async def test_it_writes_sends_and_hears_of_it(client: Client, new_jmap: NewJmap, jmap: Jmap) -> None:
    """A draft is made, sent to somebody here, and filed among what was sent; an event tells that mail changed."""

    def is_of_email(event: Event) -> bool:
        return event.data.changed[jmap.account_id].email is not None

    other = await new_jmap()
    client._events = await told(lambda: listening(client))
    heard = asyncio.create_task(told(lambda: next(each for each in client.events if is_of_email(each))))
    (identities,) = await responses(client, IdentityGet())
    drafts, sent = [
        (await responses(client, MailboxQuery(filter=MailboxQueryFilterCondition(name=name))))[0].ids[0]
        for name in ("Drafts", "Sent")
    ]
    draft = Email(
        mailbox_ids={drafts: True},
        keywords={"$draft": True},
        mail_from=[EmailAddress(name="Ann", email=jmap.person.address)],
        to=[EmailAddress(name="Other", email=other.person.address)],
        subject="From jmapc",
        body_values={"1": EmailBodyValue(value="Hello from a program that others wrote.")},
        text_body=[EmailBodyPart(part_id="1", type="text/plain")],
    )
    made, submitted, filed = await responses(
        client,
        EmailSet(create={"draft": draft}),
        EmailSubmissionSet(
            create={"send": EmailSubmission(email_id="#draft", identity_id=identities.data[0].id)},
            on_success_update_email={
                "#send": {f"mailboxIds/{drafts}": None, f"mailboxIds/{sent}": True, "keywords/$draft": None}
            },
        ),
    )
    email = made.created["draft"].id
    assert submitted.created["send"].id.startswith("S")
    assert list(filed.updated) == [email]
    (there,) = await responses(client, EmailGet(ids=[email], properties=["mailboxIds", "keywords"]))
    assert (there.data[0].mailbox_ids, there.data[0].keywords) == ({sent: True}, {})
    assert is_of_email(await asyncio.wait_for(heard, PATIENCE_S))
