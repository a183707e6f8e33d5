"""The IMAP door over real sockets."""

import asyncio
import contextlib
import imaplib
import socket
import ssl
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from mailserver.imap.config import ImapConfig
from mailserver.imap.session.conversation import Services
from mailserver.services import messages
from storage.types import Flags
from tenants.types import AccountId
from tests.conftest import plain_message
from tests.mailserver.imap.conftest import PATIENCE_S, OpenDoor, OpenWith
from tests.people import Person

NOON = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)


@dataclass(slots=True)
class Client:
    """A client that says what the test says."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def line(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return (await self.reader.readline()).rstrip(b"\r\n")

    async def say(self, *lines: bytes) -> None:
        self.writer.write(b"".join(line + b"\r\n" for line in lines))
        await self.writer.drain()

    async def until(self, tag: bytes) -> list[bytes]:
        lines = [await self.line()]
        while not lines[-1].startswith(tag):
            assert lines[-1] or not self.reader.at_eof(), f"the connection ended before {tag!r}: {lines}"
            lines.append(await self.line())
        return lines

    async def rest(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read()

    async def sign_in(self, person: Person) -> None:
        await self.say(f"in LOGIN {person.address} {person.password}".encode())
        assert (await self.until(b"in "))[-1].startswith(b"in OK")


@contextlib.asynccontextmanager
async def connected(port: int, tls: ssl.SSLContext | None = None) -> AsyncIterator[Client]:
    name = "localhost" if tls else None
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname=name, limit=1 << 20)
    client = Client(reader, writer)
    try:
        assert (await client.line()).startswith(b"* OK ")
        yield client
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            await writer.wait_closed()


async def append(imap: Services, person: Person, octets: bytes) -> None:
    await messages.append(imap.store, person.principal, "INBOX", octets, flags=Flags(), received_at=NOON)


async def test_starttls_is_offered_in_clear_and_sign_in_after_it(door: OpenDoor, person: Person) -> None:
    async with connected(door.imap) as client:
        await client.say(b"a STARTTLS")
        assert (await client.line()).startswith(b"a OK")
        await client.writer.start_tls(door.tls(), server_hostname="localhost")
        await client.sign_in(person)
        await client.say(b"b SELECT INBOX")
        assert (await client.until(b"b "))[-1].startswith(b"b OK [READ-WRITE]")


async def test_what_is_sent_in_clear_ahead_of_tls_is_dropped(door: OpenDoor) -> None:
    async with connected(door.imap) as client:
        await client.say(b"a STARTTLS", b"b CAPABILITY")
        assert (await client.line()).startswith(b"a OK")
        await client.writer.start_tls(door.tls(), server_hostname="localhost")
        await client.say(b"c NOOP")
        assert (await client.line()).startswith(b"c OK")


async def test_pipelined_commands_are_answered_in_order(door: OpenDoor, person: Person) -> None:
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        await client.say(*(b"a%d NOOP" % number for number in range(2000)))
        for number in range(2000):
            assert await client.line() == b"a%d OK Done" % number


async def test_a_delivery_is_pushed_to_an_idling_client(door: OpenDoor, imap: Services, person: Person) -> None:
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        await client.say(b"a SELECT INBOX")
        await client.until(b"a ")
        await client.say(b"b IDLE")
        assert await client.line() == b"+ idling"
        await append(imap, person, plain_message(1))
        assert await client.line() == b"* 1 EXISTS"
        assert await client.line() == b"* 1 RECENT"
        await client.say(b"DONE")
        assert (await client.line()).startswith(b"b OK")


async def test_a_large_message_comes_whole_to_a_client_that_reads_slowly(
    door: OpenDoor, imap: Services, person: Person
) -> None:
    sent = plain_message(1, body="".join(f"{number:077}\r\n" for number in range(100_000)))
    await append(imap, person, sent)
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        await client.say(b"a SELECT INBOX")
        await client.until(b"a ")
        await client.say(b"b FETCH 1 BODY[]", b"c NOOP")
        assert await client.line() == b"* 1 FETCH (FLAGS (\\Recent \\Seen) BODY[] {%d}" % len(sent)
        received = bytearray()
        while len(received) < len(sent):
            received += await client.reader.readexactly(min(100_000, len(sent) - len(received)))
            await asyncio.sleep(0)
        assert bytes(received) == sent
        assert await client.line() == b")"
        assert (await client.line()).startswith(b"b OK")
        assert (await client.line()).startswith(b"c OK")


async def test_a_client_that_stops_reading_is_cut_off(open_door: OpenWith, imap: Services, person: Person) -> None:
    door = await open_door(ImapConfig(write_timeout_s=0.2))
    await append(imap, person, plain_message(1, body="x" * 30_000_000))
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        await client.say(b"a EXAMINE INBOX")
        await client.until(b"a ")
        await client.say(b"b FETCH 1 BODY[]")
        await client.line()
        async with asyncio.timeout(PATIENCE_S):
            await door.door.emptied()


async def test_a_search_ends_with_its_client(door: OpenDoor, imap: Services, person: Person) -> None:
    for number in range(100):
        await append(imap, person, plain_message(number))
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        await client.say(b"a EXAMINE INBOX")
        await client.until(b"a ")
        await client.say(b"b SEARCH " + b"OR CC x " * 4_900 + b"SEEN")  # for longer than anybody waits
        await client.say(b"c NOOP")
    async with asyncio.timeout(3):
        await door.door.emptied()


async def test_an_appended_message_is_spooled_and_comes_back_the_same(door: OpenDoor, person: Person) -> None:
    sent = plain_message(1, body="0123456789" * 200_000)
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        await client.say(b"a APPEND INBOX {%d}" % len(sent))
        assert (await client.line()).startswith(b"+ ")
        await client.say(sent)
        assert b"[APPENDUID " in (await client.line())
        await client.say(b"b SELECT INBOX")
        await client.until(b"b ")
        await client.say(b"c FETCH 1 BODY.PEEK[]")
        assert await client.line() == b"* 1 FETCH (BODY[] {%d}" % len(sent)
        assert await client.reader.readexactly(len(sent)) == sent


async def test_a_client_may_close_its_side_and_still_gets_its_answers(door: OpenDoor) -> None:
    async with connected(door.imap) as client:
        await client.say(b"a CAPABILITY", b"b NOOP")
        client.writer.write_eof()
        answers = await client.rest()
        assert b"a OK" in answers
        assert b"b OK" in answers


async def test_a_draining_door_says_bye_and_lets_an_append_finish(open_door: OpenWith, person: Person) -> None:
    door = await open_door(ImapConfig())
    async with connected(door.imaps, door.tls()) as idle, connected(door.imaps, door.tls()) as busy:
        await busy.sign_in(person)
        await busy.say(b"a APPEND INBOX {10}")
        assert (await busy.line()).startswith(b"+ ")
        drained = asyncio.create_task(door.door.drain(PATIENCE_S))
        assert (await idle.rest()).startswith(b"* BYE ")
        await busy.say(b"0123456789")
        answers = await busy.rest()
        assert b"a OK [APPENDUID" in answers
        assert b"\r\n* BYE " in answers
        await drained


async def test_a_client_that_sleeps_through_bye_does_not_hold_up_the_drain(open_door: OpenWith) -> None:
    door = await open_door(ImapConfig())
    with socket.create_connection(("127.0.0.1", door.imaps)) as raw:
        sleeper = await asyncio.to_thread(door.tls().wrap_socket, raw, server_hostname="localhost")
        with sleeper:
            async with asyncio.timeout(PATIENCE_S):  # far less than the drain may take
                await door.door.drain(100 * PATIENCE_S)


async def test_too_many_connections_are_turned_away(open_door: OpenWith) -> None:
    door = await open_door(ImapConfig(connections=1))
    async with connected(door.imap) as first:
        reader, writer = await asyncio.open_connection("127.0.0.1", door.imap)
        assert (await reader.read()).startswith(b"* BYE [UNAVAILABLE] ")
        writer.close()
        await first.say(b"a NOOP")
        assert (await first.line()).startswith(b"a OK")


async def test_whoever_does_not_sign_in_is_hung_up_on(open_door: OpenWith) -> None:
    door = await open_door(ImapConfig(sign_in_within_s=0.1))
    async with connected(door.imap) as client:
        assert (await client.rest()).startswith(b"* BYE ")


@pytest.mark.parametrize("sent", [b"", b"\x16\x03\x01"])
@pytest.mark.parametrize("is_implicit", [True, False])
async def test_a_handshake_that_never_comes_is_not_awaited(open_door: OpenWith, sent: bytes, is_implicit: bool) -> None:
    door = await open_door(ImapConfig(sign_in_within_s=0.1))
    reader, writer = await asyncio.open_connection("127.0.0.1", door.imaps if is_implicit else door.imap)
    writer.write(sent if is_implicit else b"a STARTTLS\r\n")
    if not is_implicit:
        while not (await reader.readline()).startswith(b"a OK"):
            pass
        writer.write(sent)
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(PATIENCE_S):
            assert await reader.read() == b""
    writer.close()


async def test_strangers_make_room_for_strangers_and_not_for_people(open_door: OpenWith, person: Person) -> None:
    door = await open_door(ImapConfig(connections_before_sign_in=2))
    async with connected(door.imaps, door.tls()) as signed_in, connected(door.imap) as oldest:
        await signed_in.sign_in(person)
        async with connected(door.imap) as younger, connected(door.imap) as youngest:
            with contextlib.suppress(ConnectionResetError):
                assert await oldest.rest() == b""
            for client in (signed_in, younger, youngest):
                await client.say(b"a NOOP")
                assert (await client.until(b"a "))[-1].startswith(b"a OK")


async def test_a_connection_that_was_somebody_can_be_somebody_else_and_not_nobody_for_long(
    open_door: OpenWith, person: Person
) -> None:
    door = await open_door(ImapConfig(sign_in_within_s=2.0))
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        await client.say(b"a UNAUTHENTICATE")
        assert (await client.until(b"a "))[-1].startswith(b"a OK [CAPABILITY ")
        await client.sign_in(person)
        await client.say(b"b UNAUTHENTICATE")
        assert (await client.rest()).splitlines()[-1].startswith(b"* BYE ")


async def test_a_line_over_the_limit_is_refused_and_the_connection_lives_on(door: OpenDoor) -> None:
    async with connected(door.imap) as client:
        await client.say(b"a NOOP " + b"x" * 1_000_000, b"b NOOP")
        assert (await client.line()).startswith(b"a BAD")
        assert (await client.line()).startswith(b"b OK")


async def test_imaplib_reads_flags_moves_and_idles(door: OpenDoor, imap: Services, person: Person) -> None:
    for number in range(1, 4):
        await append(imap, person, plain_message(number))

    def use() -> None:
        with imaplib.IMAP4("localhost", door.imap) as client:
            client.starttls(door.tls())
            client.login(person.address, person.password)
            client.create("Later")
            assert client.select("INBOX") == ("OK", [b"3"])
            assert client.search(None, "SUBJECT", '"Message 2"') == ("OK", [b"2"])
            status, data = client.fetch("2", "(RFC822)")
            assert status == "OK"
            assert isinstance(data[0], tuple)
            assert data[0][1] == plain_message(2)
            assert client.store("1", "+FLAGS", "\\Flagged") == ("OK", [b"1 (FLAGS (\\Recent \\Flagged))"])
            assert client.uid("MOVE", "3", "Later")[0] == "OK"
            assert client.status("Later", "(MESSAGES)") == ("OK", [b"Later (MESSAGES 1)"])
            assert (
                client.append("Later", "(\\Seen)", imaplib.Time2Internaldate(time.time()), plain_message(9))[0] == "OK"
            )

    await asyncio.to_thread(use)


async def test_curl_lists_and_fetches_byte_for_byte(door: OpenDoor, imap: Services, person: Person) -> None:
    await append(imap, person, plain_message(1))
    arguments = ["--silent", "--show-error", "--cacert", str(door.ca), "--user", f"{person.address}:{person.password}"]

    async def curl(*more: str) -> bytes:
        process = await asyncio.create_subprocess_exec(
            "curl", *arguments, *more, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        said, complaint = await process.communicate()
        assert process.returncode == 0, complaint
        return said

    assert b'"/" INBOX\r\n' in await curl(f"imaps://localhost:{door.imaps}/")
    assert await curl(f"imaps://localhost:{door.imaps}/INBOX;MAILINDEX=1") == plain_message(1)


async def test_who_is_signed_out_hears_bye_while_idling(door: OpenDoor, imap: Services, person: Person) -> None:
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        await client.say(b"a SELECT INBOX")
        await client.until(b"a ")
        await client.say(b"b IDLE")
        assert await client.line() == b"+ idling"
        imap.logins.connections.end_before(person.principal.account_id, 1)
        assert await client.line() == b"* BYE You were signed out: sign in again"
        assert await client.rest() == b""


async def test_who_is_signed_out_and_goes_on_sending_is_cut_off(
    open_door: OpenWith, imap: Services, person: Person
) -> None:
    door = await open_door(ImapConfig())
    door.door.linger_s = 0.1
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        await client.say(b"a APPEND INBOX {1000000}")
        assert (await client.line()).startswith(b"+ ")
        imap.logins.connections.end_before(person.principal.account_id, 1)
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            assert b"OK" not in await client.rest()


async def test_somebody_elses_connections_stay(door: OpenDoor, imap: Services, person: Person) -> None:
    async with connected(door.imaps, door.tls()) as client:
        await client.sign_in(person)
        imap.logins.connections.end_before(AccountId(person.principal.account_id + 1), 1)
        await client.say(b"a NOOP")
        assert await client.line() == b"a OK Done"
