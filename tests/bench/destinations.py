"""Other systems that mail is sent to: 200 domains, each with a host of its own, all answered by one sink.

    python -m tests.bench.destinations      a DNS server that knows them; prints its port, ends with its input

Every host has an address of its own in 127.0.0.0/8, so that none of the servers takes two of them for one.
"""

import asyncio
import subprocess
import sys

from deploy.local.installation import SOURCE
from tests.bench.target import CannotStart
from tests.outbound_peers.dns_server import DnsServer, Zone

DESTINATIONS = 200


def domain(number: int) -> str:
    return f"d{number % DESTINATIONS:03d}.elsewhere.test"


def address(number: int) -> str:
    return f"127.77.0.{number % DESTINATIONS + 1}"


def zone() -> Zone:
    every = range(DESTINATIONS)
    return {
        **{domain(number): {"MX": [f"10 mx.{domain(number)}."]} for number in every},
        **{f"mx.{domain(number)}": {"A": [address(number)]} for number in every},
    }


def transport_map(port: int) -> str:
    """The same for Postfix, which has no setting for a DNS server (transport(5))."""
    return "".join(f"{domain(number)} smtp:[{address(number)}]:{port}\n" for number in range(DESTINATIONS))


class Dns:
    """The server as a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.bench.destinations"],
            cwd=SOURCE,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise CannotStart("the DNS server of tests.bench.destinations does not start")
        self.port = int(line)

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(10)


async def _serve() -> None:
    async with DnsServer(zone(), ttl_s=3_600) as server:
        print(server.port, flush=True)
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(_serve())
