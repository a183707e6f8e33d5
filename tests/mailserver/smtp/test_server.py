"""The doors over real sockets: standard clients, hostile clients, closing in order."""

import asyncio
import random
import smtplib
import socket
from collections.abc import Sequence
from email.message import EmailMessage
from pathlib import Path

import pytest

from mailserver.listeners import Endpoint, bind
from mailserver.services.incoming import IncomingMail
from mailserver.smtp.config import Door
from mailserver.smtp.server import LmtpExposed, SmtpServer
from storage.outgoing_types import Submitter
from tenants.types import AccountId, TenantId
from tests.mailserver.smtp.doors import CONFIG, client_context, config_with, open_door
from tests.mailserver.smtp.people_in_memory import PASSWORD, Town

TIMEOUT_S = 20.0


async def connect(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert (await reader.readline()).startswith(b"220 ")
    return reader, writer


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> bytes:
    writer.write(line + b"\r\n")
    async with asyncio.timeout(TIMEOUT_S):
        return await reader.readline()


async def begin_message(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, recipient: bytes) -> None:
    for line in (b"HELO c.test", b"MAIL FROM:<>", b"RCPT TO:<%s>" % recipient, b"DATA"):
        assert (await ask(reader, writer, line))[:1] in b"23"


def a_message() -> EmailMessage:
    message = EmailMessage()
    message["From"] = "ann@demo.test"
    message["To"] = "bob@demo.test"
    message["Subject"] = "hello"
    message.set_content(".\n..\nFrom here\n" + "x" * 300)
    return message


async def test_smtplib_delivers_to_the_mx() -> None:
    async with open_door(Door.MX) as opened:

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", opened.port, timeout=TIMEOUT_S) as client:
                client.sendmail("ann@client.test", ["bob@demo.test"], message)

        message = b"Subject: hello\r\n\r\n.\r\n..\r\nFrom here\r\n" + b"x" * 3_000 + b"\r\n"
        await asyncio.to_thread(send)
        [delivered] = opened.town.delivered
        assert delivered.recipients == ("bob@demo.test",)
        assert delivered.octets.endswith(b"\r\n" + message)


async def test_smtplib_signs_in_and_submits_after_starttls() -> None:
    async with open_door(Door.SUBMISSION) as opened:

        def send() -> None:
            with smtplib.SMTP("127.0.0.1", opened.port, timeout=TIMEOUT_S) as client:
                client.starttls(context=client_context())
                client.login("ann@demo.test", PASSWORD)
                client.send_message(a_message())

        await asyncio.to_thread(send)
        assert opened.town.delivered[0].mail.sender == Submitter(TenantId(1), AccountId(1))


async def test_smtplib_submits_over_implicit_tls() -> None:
    async with open_door(Door.SUBMISSIONS) as opened:

        def send() -> None:
            with smtplib.SMTP_SSL("127.0.0.1", opened.port, timeout=TIMEOUT_S, context=client_context()) as client:
                client.login("ann@demo.test", PASSWORD)
                client.send_message(a_message())

        await asyncio.to_thread(send)
        assert opened.town.delivered[0].mail.sender == Submitter(TenantId(1), AccountId(1))


async def test_a_large_message_arrives_whole_in_small_pieces() -> None:
    message = b"Subject: large\r\n\r\n" + b"".join(b"%d %s\r\n" % (n, b"." * (n % 90)) for n in range(20_000))
    async with open_door(Door.MX, config_with(spool_memory_limit_octets=1_000)) as opened:
        reader, writer = await connect(opened.port)
        await begin_message(reader, writer, b"ann@demo.test")
        stuffed = message.replace(b"\r\n.", b"\r\n..") + b".\r\n"
        chance = random.Random(1)
        at = 0
        while at < len(stuffed):
            size = chance.choice([1, 7, 1_000, 30_000])
            writer.write(stuffed[at : at + size])
            await writer.drain()
            at += size
        assert (await reader.readline()).startswith(b"250 2.0.0")
        assert opened.town.delivered[0].octets.endswith(message)
        writer.close()


async def test_a_client_that_closes_its_side_still_gets_its_replies() -> None:
    async with open_door(Door.MX) as opened:
        reader, writer = await connect(opened.port)
        writer.write(b"HELO c\r\nMAIL FROM:<>\r\nRCPT TO:<ann@demo.test>\r\nDATA\r\n\r\n.\r\n")
        writer.write_eof()
        async with asyncio.timeout(TIMEOUT_S):
            said = await reader.read()
        assert said.splitlines()[-1].startswith(b"250 2.0.0 Accepted")
        assert len(opened.town.delivered) == 1
        writer.close()


@pytest.mark.parametrize("door", [Door.MX, Door.LMTP])
async def test_a_message_that_begins_with_a_fold_does_not_continue_our_trace(door: Door) -> None:
    async with open_door(door) as opened:
        reader, writer = await connect(opened.port)
        hello = b"LHLO c.test" if door is Door.LMTP else b"HELO c.test"
        writer.write(hello + b"\r\nMAIL FROM:<>\r\nRCPT TO:<ann@demo.test>\r\nDATA\r\n")
        writer.write(b" by mail.bank.test; Thu, 1 Jan 1970 00:00:00 +0000\r\nSubject: x\r\n\r\ntext\r\n.\r\nQUIT\r\n")
        async with asyncio.timeout(TIMEOUT_S):
            await reader.read()
        writer.close()
        header, _, body = opened.town.delivered[0].octets.partition(b"\r\n\r\n")
        assert header.endswith(b"Tue, 1 Dec 2026 10:00:00 +0000")
        assert body == b" by mail.bank.test; Thu, 1 Jan 1970 00:00:00 +0000\r\nSubject: x\r\n\r\ntext\r\n"


async def test_a_client_that_goes_away_within_a_message_delivers_nothing() -> None:
    async with open_door(Door.MX) as opened:
        reader, writer = await connect(opened.port)
        await begin_message(reader, writer, b"ann@demo.test")
        writer.write(b"half a message\r\n")
        writer.write_eof()
        assert await reader.read() == b""
        assert opened.town.delivered == []
        writer.close()


async def test_a_client_that_does_not_read_is_not_read_either() -> None:
    """Replies pile up to the kernel's buffers and no further, and the neighbour is served meanwhile."""
    async with open_door(Door.MX, config_with(command_timeout_s=0.5, data_timeout_s=0.5)) as opened:
        deaf = socket.socket()
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        deaf.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(deaf, ("127.0.0.1", opened.port))

        async def talk() -> int:
            sent = 0
            try:
                while True:
                    await loop.sock_sendall(deaf, b"HELP\r\n" * 1_000)
                    sent += 1
            except OSError:
                return sent

        talking = asyncio.create_task(talk())
        reader, writer = await connect(opened.port)
        assert await ask(reader, writer, b"NOOP") == b"250 2.0.0 OK\r\n"
        async with asyncio.timeout(TIMEOUT_S):
            assert await talking < 20_000
        deaf.close()
        writer.close()


async def test_a_long_pipeline_does_not_hold_up_the_neighbours() -> None:
    async with open_door(Door.MX) as opened:
        greedy_reader, greedy_writer = await connect(opened.port)
        reader, writer = await connect(opened.port)
        greedy_writer.write(b"NOOP\r\n" * 20_000)
        greedy_reply = await greedy_reader.readline()
        assert await ask(reader, writer, b"NOOP") == b"250 2.0.0 OK\r\n"
        writer.write(b"QUIT\r\n")
        await reader.read()
        answered_meanwhile = len(await greedy_reader.read(1_000_000)) // len(greedy_reply)
        assert answered_meanwhile < 2_000
        greedy_writer.transport.abort()
        writer.close()


async def test_no_octets_kill_a_session_or_its_neighbours() -> None:
    words = [
        b"EHLO a",
        b"MAIL FROM:<>",
        b"RCPT TO:<ann@demo.test>",
        b"DATA",
        b"\r\n",
        b"\n",
        b".",
        b"\r\n.\r\n",
        b"AUTH",
    ]
    async with open_door(Door.MX, config_with(errors_per_connection_limit=10_000)) as opened:
        reader, writer = await connect(opened.port)
        for seed in range(150):
            chance = random.Random(seed)
            noise = [chance.choice([*words, chance.randbytes(chance.randrange(60))]) for _ in range(60)]
            their_reader, their_writer = await asyncio.open_connection("127.0.0.1", opened.port)
            for piece in noise:
                their_writer.write(piece)
                if chance.random() < 0.1:
                    await asyncio.sleep(0)
            their_writer.write_eof()
            async with asyncio.timeout(TIMEOUT_S):
                said = await their_reader.read()
            for line in said.splitlines():
                assert line[:3].isdigit(), (seed, line)
                assert not line.startswith(b"451"), (seed, line)
            their_writer.close()
            assert await ask(reader, writer, b"NOOP") == b"250 2.0.0 OK\r\n"
        writer.close()


async def test_too_many_connections_are_told_so() -> None:
    async with open_door(Door.MX, config_with(connections_limit=1)) as opened:
        reader, writer = await connect(opened.port)
        late_reader, late_writer = await asyncio.open_connection("127.0.0.1", opened.port)
        assert await late_reader.read() == b"421 4.3.2 Too many connections; try again later\r\n"
        late_writer.close()
        assert await ask(reader, writer, b"QUIT") == b"221 2.0.0 Bye\r\n"
        assert await reader.read() == b""
        writer.close()
        next_reader, next_writer = await asyncio.open_connection("127.0.0.1", opened.port)
        assert (await next_reader.readline()).startswith(b"220 ")
        next_writer.close()


class SlowTown(Town):
    """Delivery waits until the test lets it go on."""

    def __init__(self) -> None:
        super().__init__()
        self.began = asyncio.Event()
        self.may_end = asyncio.Event()

    async def take(self, mail: IncomingMail, /) -> Sequence[object]:
        self.began.set()
        await self.may_end.wait()
        return await super().take(mail)


async def test_draining_ends_idle_connections_and_lets_messages_finish() -> None:
    town = SlowTown()
    async with open_door(Door.MX, town=town) as opened:
        idle_reader, idle_writer = await connect(opened.port)
        half_reader, half_writer = await connect(opened.port)
        await begin_message(half_reader, half_writer, b"bob@demo.test")
        busy_reader, busy_writer = await connect(opened.port)
        await begin_message(busy_reader, busy_writer, b"ann@demo.test")
        busy_writer.write(b"hello\r\n.\r\n")
        await town.began.wait()
        draining = asyncio.create_task(opened.server.drain(TIMEOUT_S))
        assert (await idle_reader.read()).startswith(b"421 4.3.2 ")
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", opened.port)
        town.may_end.set()
        half_writer.write(b"the rest\r\n.\r\n")
        for reader in (busy_reader, half_reader):
            accepted, goodbye = (await reader.read()).splitlines()
            assert accepted.startswith(b"250 2.0.0 Accepted")
            assert goodbye.startswith(b"421 4.3.2 ")
        await draining
        assert len(town.delivered) == 2
        for writer in (idle_writer, half_writer, busy_writer):
            writer.close()


async def test_draining_cuts_off_at_its_deadline() -> None:
    town = SlowTown()
    async with open_door(Door.MX, town=town) as opened:
        reader, writer = await connect(opened.port)
        await begin_message(reader, writer, b"ann@demo.test")
        writer.write(b"hello\r\n.\r\n")
        await town.began.wait()
        await opened.server.drain(0.01)
        assert await reader.read() == b""
        assert town.delivered == []
        writer.close()


async def test_storing_has_a_time_limit() -> None:
    async with open_door(Door.MX, config_with(delivery_timeout_s=0.01), town=SlowTown()) as opened:
        reader, writer = await connect(opened.port)
        await begin_message(reader, writer, b"ann@demo.test")
        assert (await ask(reader, writer, b".")).startswith(b"451 4.3.0 ")
        assert await ask(reader, writer, b"NOOP") == b"250 2.0.0 OK\r\n"
        writer.close()


async def test_a_directory_that_does_not_answer_is_not_waited_for_for_ever() -> None:
    async with open_door(Door.MX, config_with(command_work_timeout_s=0.01)) as opened:
        reader, writer = await connect(opened.port)
        for line in (b"HELO c.test", b"MAIL FROM:<>"):
            assert (await ask(reader, writer, line)).startswith(b"250")
        assert (await ask(reader, writer, b"RCPT TO:<directory-hangs@demo.test>")).startswith(b"451 4.3.0 ")
        assert await ask(reader, writer, b"RCPT TO:<ann@demo.test>") == b"250 2.1.5 Recipient OK\r\n"
        writer.close()


async def test_a_command_that_comes_octet_by_octet_has_the_time_of_one_command() -> None:
    async with open_door(Door.MX, config_with(command_timeout_s=0.3)) as opened:
        reader, writer = await connect(opened.port)
        said = asyncio.create_task(reader.readline())
        for _ in range(200):
            writer.write(b"N")
            await asyncio.wait({said}, timeout=0.05)
            if said.done():
                break
        assert (await said).startswith(b"421 4.4.2 ")
        writer.close()


async def test_a_message_finds_no_room_where_large_ones_are_kept(tmp_path: Path) -> None:
    config = config_with(spool_memory_limit_octets=10, spool_directory=tmp_path / "gone")
    async with open_door(Door.MX, config) as opened:
        reader, writer = await connect(opened.port)
        await begin_message(reader, writer, b"ann@demo.test")
        writer.write(b"Subject: larger than ten\r\n\r\n")
        assert (await ask(reader, writer, b".")).startswith(b"452 4.3.1 ")
        assert await ask(reader, writer, b"NOOP") == b"250 2.0.0 OK\r\n"
        writer.close()


async def test_each_failed_sign_in_waits_longer() -> None:
    waits: list[float] = []

    async def pause(seconds: float) -> None:
        waits.append(seconds)

    async with open_door(Door.SUBMISSIONS, config_with(auth_failure_delay_s=1.0), pause=pause) as opened:

        def fail() -> list[int]:
            with smtplib.SMTP_SSL("127.0.0.1", opened.port, timeout=TIMEOUT_S, context=client_context()) as client:
                client.ehlo()
                return [client.docmd("AUTH", "PLAIN AGFubkBkZW1vLnRlc3QAd3Jvbmc=")[0] for _ in range(3)]

        assert await asyncio.to_thread(fail) == [535, 535, 421]
    assert waits == [1.0, 2.0, 3.0]


async def test_a_sign_in_is_counted_against_the_clients_own_address() -> None:
    async with open_door(Door.SUBMISSIONS) as opened:

        def sign_in() -> None:
            with smtplib.SMTP_SSL("127.0.0.1", opened.port, timeout=TIMEOUT_S, context=client_context()) as client:
                client.login("ann@demo.test", PASSWORD)

        await asyncio.to_thread(sign_in)
        assert opened.town.sign_ins_from == ["127.0.0.1"]


async def test_lmtp_listens_on_a_unix_socket_and_not_to_the_world(tmp_path: Path) -> None:
    town = Town()
    server = SmtpServer(CONFIG, town.services(), tls=None)
    [world] = bind(Endpoint("0.0.0.0", 0))  # noqa: S104 (that it is refused is the point)
    with pytest.raises(LmtpExposed):
        await server.listen(Door.LMTP, world)
    world.close()
    local = socket.socket(socket.AF_UNIX)
    local.bind(str(tmp_path / "lmtp"))
    local.listen()
    await server.listen(Door.LMTP, local)

    def send() -> None:
        with smtplib.LMTP(str(tmp_path / "lmtp")) as client:
            client.sendmail("a@client.test", ["ann@demo.test"], b"Subject: x\r\n\r\ny\r\n")

    await asyncio.to_thread(send)
    assert b"(local)" in town.delivered[0].octets
    await server.drain(TIMEOUT_S)


async def test_a_refused_chunk_that_drips_in_is_not_awaited_for_ever() -> None:
    config = config_with(message_timeout_s=0.3, data_timeout_s=5.0, command_timeout_s=5.0)
    async with open_door(Door.MX, config) as opened:
        reader, writer = await connect(opened.port)
        writer.write(b"BDAT 1000000 LAST\r\n")

        async def drip() -> None:
            while True:
                writer.write(b"x")
                await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        async with asyncio.timeout(TIMEOUT_S):
            assert (await reader.readline()).startswith(b"421 4.4.2")
        dripping.cancel()
        writer.close()
