"""CPU of the exchange alone: messages into Postfix's smtp-sink, over one site or many, beside its own smtp-source.

    python -m tests.bench.exchange [--messages 20000] [--octets 4096] [--sites 1] [--connections 8] [--fresh]

No queue, no database: what is printed is this process' CPU time for each message, kernel included, beside the wall
clock and the CPU of the sink. smtp-source, in C, is what the sink allows at best.
"""

import argparse
import asyncio
import cProfile
import json
import os
import pstats
import resource
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import uvloop

from mailserver.observability.logs import configure_logs
from mailserver.outbound.config import ExchangeConfig
from mailserver.outbound.exchange import Exchange
from mailserver.outbound.outcomes import Delivered
from mailserver.outbound.sites import Host, Site
from storage.outgoing_types import BodyKind, Notify, ReturnContent

LINE = b"0123456789" * 7 + b"\r\n"
HEADER = b"From: <a@bench.test>\r\nTo: ann@demo.test\r\nSubject: bench\r\nMessage-ID: <x@bench.test>\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Letter:
    octets: int
    reverse_path: str = "a@bench.test"
    envelope_id: str | None = None
    return_content: ReturnContent | None = None
    needs_utf8: bool = False
    body: BodyKind = BodyKind.EIGHTBIT


@dataclass(frozen=True, slots=True)
class To:
    address: str
    original_recipient: str | None = None
    notify: Notify | None = None


async def send(options: argparse.Namespace, port: int) -> float:
    """Seconds of the wall clock."""
    config = ExchangeConfig(messages_per_connection=1 if options.fresh else 100)
    exchange = Exchange("bench.test", config)
    sites = [Site(f"site{number}", (Host("mx.demo.test", ("127.0.0.1",)),), port) for number in range(options.sites)]
    content = HEADER + LINE * ((options.octets - len(HEADER)) // len(LINE))
    letter = Letter(len(content))
    addressees = [To(f"p{number}@demo.test") for number in range(options.recipients)]
    numbers = iter(range(options.messages))

    async def read() -> AsyncIterator[bytes]:
        for at in range(0, len(content), 65_536):
            yield content[at : at + 65_536]

    async def work() -> None:
        for number in numbers:
            outcomes = await exchange.exchange(sites[number % len(sites)], letter, addressees, read)
            if not all(isinstance(outcome, Delivered) for outcome in outcomes):
                raise SystemExit(f"not delivered: {outcomes}")

    began = time.monotonic()
    await asyncio.gather(*(work() for _ in range(options.connections)))
    wall_s = time.monotonic() - began
    await exchange.close()
    return wall_s


def cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def cpu_of(pid: int) -> float:
    fields = open(f"/proc/{pid}/stat").read().rpartition(")")[2].split()  # noqa: SIM115
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start_sink() -> tuple["subprocess.Popen[bytes]", int]:
    program = shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise SystemExit("smtp-sink is missing; `make tools` installs Postfix")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    user = ["-u", "nobody"] if os.getuid() == 0 else []
    sink = subprocess.Popen([program, *user, f"127.0.0.1:{port}", "1000"])
    for _ in range(100):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return sink, port
    raise SystemExit("smtp-sink does not start")


def run_source(options: argparse.Namespace, port: int) -> dict[str, float]:
    """The same with smtp-source: its CPU and the wall clock."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began = time.monotonic()
    subprocess.run(
        [
            *("smtp-source", "-m", str(options.messages), "-s", str(options.connections)),
            *("-l", str(options.octets), "-r", str(options.recipients)),
            *([] if options.fresh else ["-d"]),
            *("-f", "a@bench.test", "-t", "p@demo.test", f"127.0.0.1:{port}"),
        ],
        check=True,
        env={**os.environ, "PATH": f"{os.environ.get('PATH', '')}:/usr/sbin"},
    )
    wall_s = time.monotonic() - began
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"messages_per_s": round(options.messages / wall_s), "cpu_us": round(used_s / options.messages * 1e6, 1)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--messages", type=int, default=20_000)
    parser.add_argument("--octets", type=int, default=4_096)
    parser.add_argument("--recipients", type=int, default=1, help="of each message")
    parser.add_argument("--sites", type=int, default=1)
    parser.add_argument("--connections", type=int, default=8, help="exchanges at the same time")
    parser.add_argument("--fresh", action="store_true", help="a connection for each message")
    parser.add_argument("--profile", action="store_true", help="where our time goes")
    options = parser.parse_args()
    sys.stderr = open(os.devnull, "w")  # noqa: SIM115 (for the life of the process)
    configure_logs("json", "info", role="outbound")
    sink, port = start_sink()
    profiler = cProfile.Profile()
    try:
        sink_before, before = cpu_of(sink.pid), cpu_s()
        if options.profile:
            profiler.enable()
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            wall_s = runner.run(send(options, port))
        profiler.disable()
        used_s, sink_s = cpu_s() - before, cpu_of(sink.pid) - sink_before
        result = {
            **{name: getattr(options, name) for name in ("messages", "octets", "recipients", "sites", "connections")},
            "fresh": options.fresh,
            "messages_per_s": round(options.messages / wall_s),
            "cpu_us": round(used_s / options.messages * 1e6, 1),
            "sink_cpu_us": round(sink_s / options.messages * 1e6, 1),
            "smtp_source": None if options.profile else run_source(options, port),
        }
    finally:
        sink.terminate()
        sink.wait()
    print(json.dumps(result))
    if options.profile:
        pstats.Stats(profiler, stream=sys.stdout).sort_stats("tottime").print_stats(30)


if __name__ == "__main__":
    main()
