"""Hosts that mail is sent to, in a process of their own: Postfix's smtp-sink, or one that counts recipients.

    python -m tests.bench.load.sink PORT DELAY_S      the counting one; tells what it took until it is ended

Both listen at all addresses of this machine while they run: destinations have addresses of their own in 127.0.0.0/8.
"""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from typing import Self, cast

import uvloop

from tests.bench.load.imap_client import Failed

_SESSIONS_LIMIT = 2_000
_TELL_EVERY_S = 0.1


class Sink:
    """A program that writes what it took into a file, so that whoever waits for it need not read along."""

    def __init__(self, command: list[str], port: int) -> None:
        self._port = port
        self._output = tempfile.TemporaryFile()  # noqa: SIM115 (for as long as the program runs)
        self._process = subprocess.Popen(command, stdout=self._output)

    async def __aenter__(self) -> Self:
        for _ in range(200):
            if self._process.poll() is not None:
                break
            try:
                socket.create_connection(("127.0.0.1", self._port)).close()
            except ConnectionRefusedError:
                await asyncio.sleep(0.05)
            else:
                return self
        raise Failed(f"no sink at port {self._port}")

    async def __aexit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._output.close()

    def newest(self) -> bytes:
        end = os.fstat(self._output.fileno()).st_size
        return os.pread(self._output.fileno(), 400, max(0, end - 400))


def smtp_sink(port: int) -> Sink:
    program = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise Failed("smtp-sink is missing; `make tools` installs Postfix")
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    return Sink([program, *user, "-c", "-m", str(_SESSIONS_LIMIT), f":{port}", "1000"], port)


def messages_of(sink: Sink) -> int:
    """What an smtp-sink has taken so far."""
    found = re.findall(rb"mesg=(\d+)\r", sink.newest())
    return int(found[-1]) if found else 0


@dataclass(slots=True)
class Taken:
    """By a counting sink so far. `distinct`: recipients, each counted once however often it came."""

    messages: int = 0
    recipients: int = 0
    distinct: int = 0


def counting_sink(port: int, delay_s: float) -> Sink:
    """Answers each message after `delay_s`."""
    return Sink([sys.executable, "-m", "tests.bench.load.sink", str(port), str(delay_s)], port)


def taken_by(sink: Sink) -> Taken:
    lines = sink.newest().split(b"\n")
    return Taken(**json.loads(lines[-2])) if len(lines) > 2 else Taken()


@dataclass(slots=True)
class _Counts:
    delay_s: float
    taken: Taken = field(default_factory=Taken)
    seen: set[bytes] = field(default_factory=set)


class _Host(asyncio.Protocol):
    """One connection. Says yes to everything."""

    def __init__(self, counts: _Counts) -> None:
        self._counts = counts
        self._buffer = b""
        self._recipients: list[bytes] = []
        self._is_in_message = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are not its subclasses
        self._transport.write(b"220 sink.test ESMTP\r\n")

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while True:
            if self._is_in_message:
                end = self._buffer.find(b"\r\n.\r\n")
                if end < 0:
                    self._buffer = self._buffer[-4:]
                    return
                self._buffer = self._buffer[end + 5 :]
                self._is_in_message = False
                asyncio.get_running_loop().call_later(self._counts.delay_s, self._take)
            line, ended, rest = self._buffer.partition(b"\r\n")
            if not ended:
                return
            self._buffer = rest
            self._answer(line)

    def _answer(self, line: bytes) -> None:
        match line[:4].upper():
            case b"EHLO":
                self._transport.write(b"250-sink.test\r\n250-PIPELINING\r\n250-8BITMIME\r\n250 ENHANCEDSTATUSCODES\r\n")
            case b"MAIL":
                self._recipients = []
                self._transport.write(b"250 2.1.0 Ok\r\n")
            case b"RCPT":
                self._recipients.append(line[line.index(b"<") + 1 : line.index(b">")])
                self._transport.write(b"250 2.1.5 Ok\r\n")
            case b"DATA":
                self._is_in_message = True
                self._transport.write(b"354 Go on\r\n")
            case b"QUIT":
                self._transport.write(b"221 2.0.0 Bye\r\n")
                self._transport.close()
            case _:
                self._transport.write(b"250 2.0.0 Ok\r\n")

    def _take(self) -> None:
        taken = self._counts.taken
        taken.messages += 1
        taken.recipients += len(self._recipients)
        self._counts.seen.update(self._recipients)
        taken.distinct = len(self._counts.seen)
        self._transport.write(b"250 2.0.0 Taken\r\n")


async def _serve(port: int, delay_s: float) -> None:
    counts = _Counts(delay_s)
    await asyncio.get_running_loop().create_server(lambda: _Host(counts), "0.0.0.0", port, backlog=1000)  # noqa: S104
    while True:
        taken = counts.taken
        told = {"messages": taken.messages, "recipients": taken.recipients, "distinct": taken.distinct}
        print(json.dumps(told), flush=True)
        await asyncio.sleep(_TELL_EVERY_S)


if __name__ == "__main__":
    uvloop.run(_serve(int(sys.argv[1]), float(sys.argv[2])))
