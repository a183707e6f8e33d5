"""CPU of the SMTP door alone: 4 KB messages over some connections into a delivery that does nothing.

    python -m tests.bench.smtp_door [--messages 20000] [--octets 4096] [--connections 8] [--pipelined] [--profile]

The server runs in a child process on uvloop with logs as in production (JSON, to /dev/null); what is printed is its own
CPU time for each message, kernel included, beside the wall clock.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import resource
import socket
import sys
import time
from collections.abc import Callable, Sequence
from multiprocessing import Pipe, Process
from multiprocessing.connection import Connection as PipeEnd

import uvloop

from mailserver.listeners import Endpoint, bind
from mailserver.observability.logs import configure_logs
from mailserver.services.incoming import IncomingMail
from mailserver.smtp.config import Door, SmtpConfig
from mailserver.smtp.ports import Services
from mailserver.smtp.server import SmtpServer
from tenants.types import AccountId, Address, Principal, Recipient, Resolution, TenantId

ANN = Recipient(TenantId(1), AccountId(1), Address("ann", "demo.test"), "", None)
ONLY_ANN = Resolution(ANN.tenant_id, (ANN,))


async def resolve(address: str, /, *, reverse_path: str, sender: Principal | None = None) -> Resolution:
    return ONLY_ANN


async def take(mail: IncomingMail, /) -> Sequence[object]:
    return ["placed" for _ in mail.addressees]


class NobodySignsIn:
    mechanisms = ()

    def begin(self, mechanism: str, /, *, network: str) -> None:
        return None

    def enter(self, principal: Principal, /, *, network: str, end: Callable[[], None]) -> Callable[[], None]:
        raise NotImplementedError


async def sender_addresses(principal: Principal, /) -> frozenset[str]:
    raise NotImplementedError


def serve(pipe: PipeEnd, profile: bool) -> None:
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for the life of the process)
    configure_logs("json", "info", role="smtp")
    profiler = cProfile.Profile()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(pipe, profiler if profile else None))
    if profile:
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(35)


async def _serve(pipe: PipeEnd, profiler: cProfile.Profile | None) -> None:
    services = Services(resolve, take, take, NobodySignsIn(), sender_addresses)
    server = SmtpServer(SmtpConfig(hostname="bench.test"), services, tls=None)
    [listening] = bind(Endpoint("127.0.0.1", 0))
    port = listening.getsockname()[1]
    await server.listen(Door.MX, listening)
    pipe.send(port)
    asked = asyncio.Event()
    asyncio.get_running_loop().add_reader(pipe.fileno(), asked.set)
    await _asked(pipe, asked)
    if profiler is not None:
        profiler.enable()
    before = _cpu_s()
    pipe.send("ready")
    await _asked(pipe, asked)
    pipe.send(_cpu_s() - before)
    if profiler is not None:
        profiler.disable()
    await server.drain(1)


async def _asked(pipe: PipeEnd, asked: asyncio.Event) -> None:
    await asked.wait()
    pipe.recv()
    asked.clear()


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def send(port: int, messages: int, octets: int, pipelined: bool) -> None:
    """One connection; a blocking socket costs the least of the CPU that the server shares with us."""
    line = b"0123456789" * 7 + b"\r\n"
    header = b"From: <a@bench.test>\r\nTo: ann@demo.test\r\nSubject: bench\r\nMessage-ID: <x@bench.test>\r\n\r\n"
    body = header + line * ((octets - len(header)) // len(line)) + b".\r\n"
    envelope = [b"MAIL FROM:<a@bench.test>\r\n", b"RCPT TO:<ann@demo.test>\r\n", b"DATA\r\n"]
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _expect(client, 1)
        client.sendall(b"HELO bench.test\r\n")
        _expect(client, 1)
        for _ in range(messages):
            if pipelined:
                client.sendall(b"".join(envelope))
                _expect(client, 3)
            else:
                for command in envelope:
                    client.sendall(command)
                    _expect(client, 1)
            client.sendall(body)
            _expect(client, 1)


def _expect(client: socket.socket, lines: int) -> None:
    received = b""
    while received.count(b"\n") < lines:
        chunk = client.recv(65_536)
        if not chunk:
            raise SystemExit("the server hung up")
        received += chunk
    if any(line[:1] not in (b"2", b"3") for line in received.splitlines()):
        raise SystemExit(f"refused: {received!r}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=20_000, help="in all")
    parser.add_argument("--octets", type=int, default=4_096)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--pipelined", action="store_true", help="MAIL, RCPT and DATA in one write")
    parser.add_argument("--profile", action="store_true", help="where the server's time goes")
    options = parser.parse_args()
    ours, theirs = Pipe()
    server = Process(target=serve, args=(theirs, options.profile))
    server.start()
    port = ours.recv()
    ours.send("begin")
    ours.recv()
    each = options.messages // options.connections
    began = time.monotonic()
    clients = [
        Process(target=send, args=(port, each, options.octets, options.pipelined)) for _ in range(options.connections)
    ]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    wall_s = time.monotonic() - began
    ours.send("end")
    cpu_s = ours.recv()
    server.join()
    sent = each * options.connections
    print(
        json.dumps(
            {
                "messages": sent,
                "octets": options.octets,
                "connections": options.connections,
                "pipelined": options.pipelined,
                "cpu_us_per_message": round(cpu_s / sent * 1e6, 1),
                "messages_per_s": round(sent / wall_s),
            }
        )
    )


if __name__ == "__main__":
    main()
