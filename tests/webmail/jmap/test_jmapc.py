"""jmapc, a client that others wrote, at our door (https://pypi.org/project/jmapc/)."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest
import requests
from jmapc import Client, Comparator, EmailQueryFilterCondition, MailboxQueryFilterCondition, Ref
from jmapc.methods import (
    CoreEcho,
    EmailChanges,
    EmailGet,
    EmailQuery,
    MailboxChanges,
    MailboxGet,
    MailboxQuery,
    Method,
    ThreadGet,
)
from jmapc.models import EmailBodyPart

from tests.conftest import plain_message
from tests.webmail.jmap.client import Jmap

Result = TypeVar("Result")


class ToLoopback(requests.adapters.HTTPAdapter):
    """jmapc asks over TLS only, which ends in front of us."""

    def __init__(self, port: int) -> None:
        super().__init__()
        self._port = port

    def send(self, request: requests.PreparedRequest, *arguments: Any, **named: Any) -> requests.Response:
        assert request.url is not None
        request.headers["X-Forwarded-Proto"] = "https"
        request.headers["Host"] = "mail.company.test"
        request.url = request.url.replace("https://mail.company.test", f"http://127.0.0.1:{self._port}", 1)
        return super().send(request, *arguments, **named)


@pytest.fixture
def client(jmap: Jmap, web_port: int) -> Client:
    made = Client.create_with_password("mail.company.test", jmap.person.address, jmap.person.password)
    made.requests_session.mount("https://", ToLoopback(web_port))
    return made


async def responses(client: Client, *calls: Method) -> list[Any]:
    """None of which is an error."""
    return [each.response for each in await told(lambda: client.request(list(calls), raise_errors=True))]


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
