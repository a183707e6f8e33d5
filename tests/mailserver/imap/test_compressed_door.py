"""COMPRESS=DEFLATE over real sockets, under TLS (RFC 4978)."""

import asyncio
import random
import zlib

from mailserver.imap.config import ImapConfig
from mailserver.imap.session.conversation import Services
from tests.conftest import plain_message
from tests.mailserver.imap.conftest import PATIENCE_S, OpenDoor, OpenWith
from tests.mailserver.imap.test_transport import Client, append, connected
from tests.people import Person


class Compressed:
    """A client that has read the OK of COMPRESS."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._compressor = zlib.compressobj(wbits=-15)
        self._decompressor = zlib.decompressobj(wbits=-15)
        self.received = b""

    async def say(self, line: bytes) -> None:
        octets = self._compressor.compress(line + b"\r\n") + self._compressor.flush(zlib.Z_SYNC_FLUSH)
        self._client.writer.write(octets)
        await self._client.writer.drain()

    async def until(self, wanted: bytes) -> bytes:
        """Everything up to and with these octets."""
        async with asyncio.timeout(PATIENCE_S):
            while wanted not in self.received:
                octets = await self._client.reader.read(10_000)
                assert octets, f"the connection ended before {wanted!r}"
                self.received += self._decompressor.decompress(octets)
        found, self.received = self.received.split(wanted, 1)
        return found + wanted


async def compressed(client: Client, person: Person) -> Compressed:
    await client.sign_in(person)
    await client.say(b"z COMPRESS DEFLATE")
    assert await client.line() == b"z OK DEFLATE is active"
    return Compressed(client)


def random_text(octets: int) -> str:
    """Lines that compress badly."""
    digits = random.Random(7)
    return "".join(f"{digits.getrandbits(300):075x}\r\n" for _ in range(octets // 77))


async def test_a_message_comes_whole_and_a_push_at_once(door: OpenDoor, imap: Services, person: Person) -> None:
    sent = plain_message(1, body=random_text(2_000_000))
    await append(imap, person, sent)
    async with connected(door.imaps, door.tls()) as client:
        talk = await compressed(client, person)
        await talk.say(b"a SELECT INBOX")
        await talk.until(b"a OK")
        await talk.say(b"b FETCH 1 BODY.PEEK[]")
        assert sent in await talk.until(b"b OK")
        await talk.say(b"c IDLE")
        await talk.until(b"+ idling\r\n")
        await append(imap, person, plain_message(2))
        await talk.until(b"* 2 EXISTS\r\n")
        await talk.say(b"DONE")
        await talk.until(b"c OK")


async def test_a_message_goes_in_compressed(door: OpenDoor, person: Person) -> None:
    async with connected(door.imaps, door.tls()) as client:
        talk = await compressed(client, person)
        message = plain_message(1, body="All work and no play makes Jack a dull boy.\r\n" * 100_000)
        await talk.say(b"a APPEND INBOX {%d+}\r\n%b" % (len(message), message))
        await talk.until(b"a OK [APPENDUID")
        await talk.say(b"b STATUS INBOX (SIZE)")
        await talk.until(b"(SIZE %d)" % len(message))


async def test_a_client_that_stops_reading_what_is_compressed_is_cut_off(
    open_door: OpenWith, imap: Services, person: Person
) -> None:
    door = await open_door(ImapConfig(write_timeout_s=0.2))
    await append(imap, person, plain_message(1, body=random_text(25_000_000)))
    async with connected(door.imaps, door.tls()) as client:
        talk = await compressed(client, person)
        await talk.say(b"a EXAMINE INBOX")
        await talk.until(b"a OK")
        await talk.say(b"b FETCH 1 BODY[]")
        async with asyncio.timeout(PATIENCE_S):
            await door.door.emptied()


async def test_what_cannot_be_inflated_ends_the_connection_with_a_word(door: OpenDoor, person: Person) -> None:
    async with connected(door.imaps, door.tls()) as client:
        talk = await compressed(client, person)
        await client.say(b"a NOOP")
        await talk.until(b"* BYE ")
        async with asyncio.timeout(PATIENCE_S):
            await door.door.emptied()
