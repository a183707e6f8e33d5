"""NULs and binary content, which no transcript can hold (RFC 3516, RFC 3501 §4.3)."""

import random
import re

import pytest

from mailserver.imap.session.conversation import Services
from mailserver.services import messages
from storage.types import Flags
from tests.conftest import NOON
from tests.letters import attachment, lines_of, multipart
from tests.people import Person
from tests.transcripts.runner import Client, Transcript

PICTURE = bytes(range(256)) * 4
MESSAGE = (
    b"From: a@b.test\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"
    b"--b\r\n\r\nHello\r\n--b\r\nContent-Type: image/made\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    + PICTURE
    + b"\r\n--b--\r\n"
)
NOISE = random.Random(8).randbytes(1_000_000)


async def selected(imap: Services, person: Person) -> Client:
    transcript = Transcript(imap, person)
    await transcript.run("= selected INBOX")
    return transcript.clients["1"]


async def answer(client: Client, command: bytes) -> bytes:
    """All that the server says until the tagged response, octet for octet."""
    client.dialogue.receive(command)
    return b"".join([octets async for octets in client.dialogue.turn()])


def sections(said: bytes) -> dict[bytes, bytes]:
    """The literals of a FETCH response by their item, their own braces in front."""
    found, at = {}, 0
    while match := re.compile(rb"([A-Z.]+\[[^]]*\](?:<\d+>)?) (~?\{(\d+)\})\r\n").search(said, at):
        at = match.end() + int(match[3])
        found[match[1]] = match[2] + said[match.end() : at]
    return found


async def test_a_part_with_nuls_is_kept_in_base64_and_given_back_as_it_was(imap: Services, person: Person) -> None:
    client = await selected(imap, person)
    said = await answer(client, b"a APPEND INBOX ~{%d+}\r\n%b\r\n" % (len(MESSAGE), MESSAGE))
    assert b"a OK [APPENDUID " in said
    said = await answer(client, b"b FETCH 1 (BINARY.SIZE[2] BINARY.PEEK[2] BINARY.PEEK[1] BINARY.PEEK[2]<1.3>)\r\n")
    assert b"BINARY.SIZE[2] 1024 " in said
    assert sections(said) == {
        b"BINARY[2]": b"~{1024}" + PICTURE,
        b"BINARY[1]": b"{5}Hello",
        b"BINARY[2]<1>": b"{3}\1\2\3",
    }
    said = await answer(client, b"c FETCH 1 (BODYSTRUCTURE BODY.PEEK[])\r\n")
    assert b"\0" not in said
    assert b'("image" "made" NIL NIL NIL "base64" ' in said


@pytest.mark.parametrize("form", [b"{%d+}", b"{%d}"])
async def test_a_nul_in_a_plain_literal_is_refused(imap: Services, person: Person, form: bytes) -> None:
    client = await selected(imap, person)
    head = b"a APPEND INBOX " + form % len(MESSAGE) + b"\r\n"
    said = await answer(client, head) + await answer(client, MESSAGE + b"\r\nb NOOP\r\n")
    assert re.sub(rb"\+ [^\r]*\r\n", b"", said).startswith(b"a BAD ")
    assert said.endswith(b"b OK Done\r\n")
    assert b"EXISTS" not in said


async def test_a_nul_where_no_encoding_covers_it_is_refused(imap: Services, person: Person) -> None:
    client = await selected(imap, person)
    said = await answer(client, b"a APPEND INBOX ~{15+}\r\nSubject: \0\r\n\r\nx\r\n")
    assert said.startswith(b"a NO [UNKNOWN-CTE] ")


async def test_what_was_kept_with_a_nul_is_shown_without_and_given_as_it_is(imap: Services, person: Person) -> None:
    """As it was taken before, or came from elsewhere."""
    octets = b"Subject: x\r\n\r\na\0b\r\n"
    await messages.append(imap.store, person.principal, "INBOX", octets, flags=Flags(), received_at=NOON)
    client = await selected(imap, person)
    said = sections(await answer(client, b"a FETCH 1 (BODY.PEEK[] BODY.PEEK[TEXT] BINARY.PEEK[] BINARY.PEEK[1])\r\n"))
    assert said == {
        b"BODY[]": b"{19}Subject: x\r\n\r\na\x80b\r\n",
        b"BODY[TEXT]": b"{5}a\x80b\r\n",
        b"BINARY[]": b"~{19}" + octets,
        b"BINARY[1]": b"~{5}a\0b\r\n",
    }


@pytest.mark.parametrize(("offset", "octets"), [(0, 10), (999_990, 100), (400_000, 300_000), (2_000_000, 5)])
async def test_large_parts_are_decoded_in_pieces(imap: Services, person: Person, offset: int, octets: int) -> None:
    message = multipart(attachment(lines_of(NOISE, 76, ends=True)))
    await messages.append(imap.store, person.principal, "INBOX", message, flags=Flags(), received_at=NOON)
    client = await selected(imap, person)
    said = await answer(
        client, b"a FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1] BINARY.PEEK[1]<%d.%d>)\r\n" % (offset, octets)
    )
    assert b"BINARY.SIZE[1] 1000000 " in said
    found = sections(said)
    assert found[b"BINARY[1]"] == b"~{1000000}" + NOISE
    wanted = NOISE[offset : offset + octets]
    assert found[b"BINARY[1]<%d>" % offset] == (b"~" if b"\0" in wanted else b"") + b"{%d}" % len(wanted) + wanted


async def test_text_has_crlf_for_every_line_end(imap: Services, person: Person) -> None:
    octets = b"Content-Type: text/plain\r\nContent-Transfer-Encoding: base64\r\n\r\nYQpiCg==\r\n"
    await messages.append(imap.store, person.principal, "INBOX", octets, flags=Flags(), received_at=NOON)
    client = await selected(imap, person)
    said = await answer(client, b"a FETCH 1 (BINARY.SIZE[1] BINARY.PEEK[1])\r\n")
    assert b"BINARY.SIZE[1] 6 BINARY[1] {6}\r\na\r\nb\r\n)" in said


async def test_long_messages_of_a_multiappend_wait_in_files(imap: Services, person: Person) -> None:
    client = await selected(imap, person)
    client.dialogue._framer.limits = client.dialogue._limits_signed_in = type(client.dialogue._framer.limits)()
    many = [b"Subject: %d\r\n\r\n" % number + b"x" * size for number, size in enumerate((400_000, 3, 300_000, 5))]
    said = await answer(client, b"a APPEND INBOX" + b"".join(b" {%d+}\r\n%b" % (len(m), m) for m in many) + b"\r\n")
    assert b"a OK [APPENDUID " in said
    said = await answer(client, b"b FETCH 1:4 (BODY.PEEK[])\r\n")
    assert said.count(b" FETCH (BODY[] ") == 4
    assert all(message in said for message in many)
