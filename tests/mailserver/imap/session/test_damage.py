"""Stored octets that cannot be read any more: what a client sees of it."""

from mailserver.imap.session.conversation import Services
from mailserver.services import messages
from storage.types import Flags
from tests.conftest import NOON, RunningServices, owner_connection, plain_message
from tests.people import Person
from tests.transcripts.runner import Client, Transcript


async def selected(imap: Services, person: Person) -> Client:
    transcript = Transcript(imap, person)
    await transcript.run("= selected INBOX")
    return transcript.clients["1"]


def damage(services: RunningServices, person: Person, *, from_chunk: int) -> None:
    """Change an octet of every stored chunk of the person's company from this one on."""
    tenant_id = person.principal.tenant_id
    with owner_connection(services) as owner:
        owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(tenant_id)])
        owner.execute(
            "UPDATE blob_content SET sealed = set_byte(sealed, 40, 255 - get_byte(sealed, 40)) "
            "WHERE tenant_id = %s AND chunk >= %s",
            [tenant_id, from_chunk],
        )


async def append(imap: Services, person: Person, octets: bytes) -> None:
    await messages.append(imap.store, person.principal, "INBOX", octets, flags=Flags(), received_at=NOON)


async def test_a_damaged_message_does_not_spoil_the_others(
    services: RunningServices, imap: Services, person: Person
) -> None:
    await append(imap, person, plain_message(1))
    damage(services, person, from_chunk=0)
    await append(imap, person, plain_message(2, body="Supper at six?"))
    client = await selected(imap, person)
    await client.send(b"a FETCH 1:2 (UID BODY.PEEK[TEXT])\r\n")
    assert client.lines == ["* 2 FETCH (UID 2 BODY[TEXT] {16}", "Supper at six?", ")", client.lines[-1]]
    assert client.lines[-1].startswith("a NO [CORRUPTION] ")
    assert not client.dialogue.over


async def test_what_was_promised_and_cannot_be_sent_ends_the_connection(
    services: RunningServices, imap: Services, person: Person
) -> None:
    body = "".join(f"{number:077}\r\n" for number in range(60_000))
    await append(imap, person, plain_message(1, body=body))
    damage(services, person, from_chunk=1)
    client = await selected(imap, person)
    await client.send(b"a FETCH 1 BODY.PEEK[]\r\n")
    assert client.lines[0].startswith("* 1 FETCH (BODY[] {")
    assert not any(line.startswith("a ") for line in client.lines)
    assert client.dialogue.session.is_interrupted
    assert client.dialogue.over


async def test_without_the_companys_key_what_is_sealed_is_refused_and_the_session_goes_on(
    services: RunningServices, imap: Services, person: Person
) -> None:
    """As in a connection that is open while the company is shredded."""
    await append(imap, person, plain_message(1))
    client = await selected(imap, person)
    tenant_id = person.principal.tenant_id
    key = services.secrets / "tenants" / f"{tenant_id}.key"
    away = key.rename(key.with_suffix(".away"))
    imap.store.keys.forget(tenant_id)
    await client.send(b"a FETCH 1 BODY.PEEK[]\r\n")
    assert client.lines[-1].startswith("a NO [CONTACTADMIN] ")
    away.rename(key)
    await client.send(b"b FETCH 1 BODY.PEEK[]\r\n")
    assert client.lines[-1].startswith("b OK ")
