"""Envelopes and structures that are rendered when they are fetched."""

from mailserver.imap.session.conversation import Services
from mailserver.services import messages
from storage.types import Flags
from tests.conftest import NOON, RunningServices, owner_connection, plain_message
from tests.letters import attachment, lines_of, multipart
from tests.people import Person
from tests.transcripts.runner import Client, Transcript

ITEMS = b"FETCH 1:* (UID ENVELOPE BODYSTRUCTURE BODY)"


async def selected(imap: Services, person: Person) -> Client:
    transcript = Transcript(imap, person)
    await transcript.run("= selected INBOX")
    return transcript.clients["1"]


async def answer(client: Client, command: bytes) -> bytes:
    client.dialogue.receive(command + b"\r\n")
    return b"".join([octets async for octets in client.dialogue.turn()])


async def append(imap: Services, person: Person, octets: bytes) -> None:
    await messages.append(imap.store, person.principal, "INBOX", octets, flags=Flags(), received_at=NOON)


async def test_forms_of_another_version_are_made_anew(
    services: RunningServices, imap: Services, person: Person
) -> None:
    """Of small messages and of long ones, whatever else is asked for."""
    await append(imap, person, plain_message(1))
    await append(imap, person, multipart(attachment(lines_of(bytes(300_000), 76, ends=True))))
    client = await selected(imap, person)
    commands = [
        b"a " + ITEMS,
        b"a FETCH 1:* (ENVELOPE)",
        b"a FETCH 1:* (ENVELOPE BODY.PEEK[HEADER] BODY.PEEK[TEXT]<0.9>)",
    ]
    expected = [await answer(client, command) for command in commands]
    with owner_connection(services) as owner:
        owner.execute(
            "UPDATE message SET wire_version = 0, envelope = '(old)', bodystructure = '(old)' WHERE account_id = %s",
            [person.principal.account_id],
        )
    assert [await answer(client, command) for command in commands] == expected


async def test_what_differs_in_utf8_is_shown_so_to_who_reads_it(imap: Services, person: Person) -> None:
    await append(imap, person, "From: Jørn <j@b.test>\r\nSubject: Grøt\r\n\r\nx\r\n".encode())
    await append(imap, person, plain_message(2))
    client = await selected(imap, person)
    in_seven_bits = await answer(client, b"a " + ITEMS)
    assert in_seven_bits.isascii()
    await answer(client, b"b ENABLE UTF8=ACCEPT")
    in_utf8 = (await answer(client, b"a " + ITEMS)).splitlines()
    assert '"Grøt" (("Jørn" NIL "j" "b.test"))'.encode() in in_utf8[0]
    assert in_utf8[1:] == in_seven_bits.splitlines()[1:]
