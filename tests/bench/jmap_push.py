"""Push over JMAP: how soon an event source and a WebSocket hear of mail, and what idle ones take of memory.

    python -m tests.bench.jmap_push [--deliveries 500] [--idle 3000] [--people 500] [--only WHAT]

Mail comes over SMTP; the time is from the 250 to the StateChange, which may even come first. Then idle clients connect,
first 500, then up to `--idle`, over accounts of `--people`; what the web process grew by between the two is told for
each of them (PSS, so that what processes share counts once). WebSockets stand beside HTTP and at the listener that is
for them alone (WAYPOST_WEBSOCKETS). Everything is on this machine.
"""

import argparse
import asyncio
import base64
import json
import os
import struct
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from deploy.local.endpoints import endpoints_file
from mailserver.runtime import raise_file_limit
from tests.bench.cold_requests import Timed
from tests.bench.installation import Waypost, remove_waypost
from tests.bench.load.options import Options
from tests.bench.load.processes import ProcessTrees
from tests.bench.load.rig import Rig
from tests.bench.load.smtp_client import stuffed
from tests.bench.target import PASSWORD, USERS, Ports

FIRST = 500
AT_ONCE = 20
SETTLE_S = 3.0
KINDS = ("event-source", "web-socket", "web-socket-alone")
ALONE_PORT = 81
ENABLE = b'{"@type":"WebSocketPushEnable","dataTypes":null}'


@dataclass(slots=True)
class Listener:
    """A client that hears of changes. `heard` is when the last StateChange came, by the clock of perf_counter."""

    kind: str
    address: str
    heard: float = 0.0
    is_heard: asyncio.Event = field(default_factory=asyncio.Event)
    _reader: asyncio.StreamReader = field(init=False)
    _writer: asyncio.StreamWriter = field(init=False)

    async def open(self, host: str, port: int) -> None:
        self._reader, self._writer = await asyncio.open_connection(host, port, limit=4_096)
        credentials = base64.b64encode(f"{self.address}:{PASSWORD}".encode()).decode()
        head = f"Host: {host}:{port}\r\nAuthorization: Basic {credentials}\r\n"
        if self.kind == "event-source":
            target = "/jmap/eventsource/?types=*&closeafter=no&ping=0"
        else:
            target = "/jmap/ws/"
            head += (
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: jmap\r\n"
            )
        self._writer.write(f"GET {target} HTTP/1.1\r\n{head}\r\n".encode())
        answer = await self._reader.readuntil(b"\r\n\r\n")
        if b" 429 " in answer.partition(b"\r")[0]:  # passwords are checked two at once
            self._writer.close()
            await asyncio.sleep(1)
            await self.open(host, port)
            return
        if not answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 101")):
            raise RuntimeError(f"{self.kind} of {self.address}: {answer!r}")
        if self.kind != "event-source":
            self._writer.write(struct.pack(">BB", 0x81, 0x80 | len(ENABLE)) + bytes(4) + ENABLE)
        else:
            await self._reader.readuntil(b"\n\n")

    async def listen(self) -> None:
        while octets := await self._reader.read(4_096):
            if b"StateChange" in octets:
                self.heard = time.perf_counter()
                self.is_heard.set()

    def close(self) -> None:
        self._writer.close()


async def time_deliveries(waypost: Waypost, host: str, port: int, deliveries: int) -> None:
    rig = Rig(Options(name="waypost", imap=waypost.doors.imap, imaps=waypost.doors.imaps, smtp=waypost.doors.smtp))
    listeners = [Listener(kind, rig.address(0)) for kind in KINDS]
    for listener in listeners:
        await listener.open(host, port_of(listener.kind, port))
    listening = [asyncio.create_task(listener.listen()) for listener in listeners]
    await asyncio.sleep(SETTLE_S)
    client = await rig.smtp()
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for message in rig.stock(deliveries):
        for listener in listeners:
            listener.is_heard.clear()
        await client.send([rig.address(0).encode()], stuffed(message))
        accepted = time.perf_counter()
        for listener in listeners:
            async with asyncio.timeout(10):
                await listener.is_heard.wait()
            seconds[listener.kind].append(max(0.0, listener.heard - accepted))
        await asyncio.sleep(0.02)
    for kind in KINDS:
        print(
            f"{kind:16} hears after the 250  {Timed(sorted(seconds[kind])).told()}, p99 asked under 50 ms", flush=True
        )
    for task, listener in zip(listening, listeners, strict=True):
        task.cancel()
        listener.close()
    client.quit()


async def weigh_idle(kind: str, host: str, port: int, pid: int, options: argparse.Namespace) -> None:
    clients: list[Listener] = []

    async def grow(count: int) -> None:
        while len(clients) < count:
            some = [
                Listener(kind, Options(name="waypost").user_pattern % ((len(clients) + at) % options.people))
                for at in range(min(AT_ONCE, count - len(clients)))
            ]
            await asyncio.gather(*(each.open(host, port_of(kind, port)) for each in some))
            clients.extend(some)
        await asyncio.sleep(SETTLE_S)

    await grow(FIRST)
    first = pss_kb(pid)
    begin = time.perf_counter()
    await grow(options.idle)
    each_kb = (pss_kb(pid) - first) / (options.idle - FIRST)
    took_s = time.perf_counter() - begin
    print(
        f"{kind:16} idle clients {FIRST} to {options.idle}  {each_kb:.1f} KB each, asked under 60; {took_s:.0f} s",
        flush=True,
    )
    for client in clients:
        client.close()
    await asyncio.sleep(SETTLE_S)


def port_of(kind: str, http_port: int) -> int:
    return Ports().waypost + ALONE_PORT if kind == "web-socket-alone" else http_port


def pss_kb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def web_pid(waypost: Waypost) -> int:
    for pid in ProcessTrees(waypost.root_pids()).pids():
        if Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:4] == [b"-m", b"mailserver", b"web"]:
            return pid
    raise RuntimeError("the role web does not run")


async def measure(waypost: Waypost, var: Path, options: argparse.Namespace) -> None:
    http = json.loads(endpoints_file(var).read_text())["http"]
    host, port = http["host"], http["port"]
    if options.only in (None, "latency"):
        await time_deliveries(waypost, host, port, options.deliveries)
    for kind in KINDS:
        if options.only in (None, kind):
            await weigh_idle(kind, host, port, web_pid(waypost), options)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=500)
    parser.add_argument("--idle", type=int, default=3_000)
    parser.add_argument("--people", type=int, default=500, choices=range(1, USERS + 1), metavar=f"1..{USERS}")
    parser.add_argument("--only", choices=("latency", *KINDS))
    options = parser.parse_args(arguments)
    raise_file_limit()
    os.environ.setdefault("WAYPOST_WORKERS", "1")
    os.environ["WAYPOST_WEBSOCKETS"] = f"127.0.0.1:{Ports().waypost + ALONE_PORT}"
    with tempfile.TemporaryDirectory(prefix="waypost-push-") as directory:
        var = Path(directory) / "var"
        waypost = Waypost(var, Ports())
        try:
            waypost.start_for_seeding()
            asyncio.run(measure(waypost, var, options))
        finally:
            waypost.stop()
            remove_waypost(var)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
