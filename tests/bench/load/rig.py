"""What every workload needs: connections as a user, messages in stock, and workers that go through jobs.

Every IMAP workload signs in over TLS, at each server alike: Waypost takes no password in clear. SMTP and LMTP are in
clear, as between servers of one host.
"""

import asyncio
import random
import re
import ssl
import sys
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TypeVar

from tests.bench.corpus import Corpus
from tests.bench.load.imap_client import Failed, ImapClient
from tests.bench.load.meter import Meter
from tests.bench.load.options import Options
from tests.bench.load.processes import ProcessTrees
from tests.bench.load.smtp_client import SmtpClient

Job = TypeVar("Job")

_BODIES = 400
_TOKEN_OCTETS = 34


class Rig:
    def __init__(self, options: Options) -> None:
        self.options = options
        self.corpus = Corpus(options.seed)
        pids = [int(pid) for pid in options.server_pids.split(",") if pid]
        self.server = ProcessTrees(pids) if pids else None
        self._tls = ssl.create_default_context()
        self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    def meter(self) -> Meter:
        return Meter(self.options.name, self.server)

    def address(self, user: int) -> str:
        return self.options.user_pattern % user

    async def imap(self, user: int, select: bytes | None = None, *, starttls: bool = False) -> ImapClient:
        """Signed in, over implicit TLS or after STARTTLS."""
        host, _, port = (self.options.imap if starttls else self.options.imaps).rpartition(":")
        loop = asyncio.get_running_loop()
        _, client = await loop.create_connection(ImapClient, host, int(port), ssl=None if starttls else self._tls)
        await client.greeting
        if starttls:
            await client.start_tls(self._tls)
        status = await client.command(b"LOGIN %s %s" % (self.address(user).encode(), self.options.password.encode()))
        if b"CAPABILITY" in status:
            client.capabilities = status
        elif starttls or b"LITERAL" not in client.capabilities:
            client.capabilities = await client.whole_answer(b"CAPABILITY")
        if select:
            await client.command(b"SELECT " + select)
        return client

    async def smtp(self, *, is_lmtp: bool = False) -> SmtpClient:
        host, _, port = (self.options.lmtp if is_lmtp else self.options.smtp).rpartition(":")
        _, client = await asyncio.get_running_loop().create_connection(SmtpClient, host, int(port))
        await client.hello(is_lmtp=is_lmtp)
        return client

    async def submission(self, user: int) -> SmtpClient:
        """Signed in, over implicit TLS."""
        host, _, port = self.options.submissions.rpartition(":")
        _, client = await asyncio.get_running_loop().create_connection(SmtpClient, host, int(port), ssl=self._tls)
        await client.hello(is_lmtp=False)
        await client.sign_in(self.address(user), self.options.password)
        return client

    def stock(self, count: int) -> list[bytes]:
        """Messages of the mix. None was ever sent before, by Message-ID and by its first line of text, so that neither
        the suppression of duplicates nor the sharing of equal content makes one cheaper than real mail."""
        halves = []
        for number, size in enumerate(self._sizes(min(count, _BODIES))):
            message = self.corpus.sized(1000 + number, size - 2 * _TOKEN_OCTETS - 2)
            before, found, after = message.partition(b"Message-ID: <")
            rest, _, text = after.partition(b"\r\n\r\n")
            halves.append((before + found, rest + b"\r\n\r\n", text))
        run = b"%016x" % time.time_ns()
        messages = []
        for number in range(count):
            before, rest, text = halves[number % len(halves)]
            token = b"%s.%016x." % (run, number)
            messages.append(b"".join((before, token, rest, token, b"\r\n", text)))
        return messages

    def _sizes(self, count: int) -> list[int]:
        pool: list[int] = []
        for part in self.options.mix.split(","):
            size, _, weight = part.partition(":")
            pool += [int(size)] * int(weight or 1)
        rng = random.Random(7)
        return [rng.choice(pool) for _ in range(count)]

    async def count_messages(self, clients: Iterable[ImapClient]) -> int:
        """Of the inboxes of the users who are signed in, by STATUS."""

        async def one(client: ImapClient) -> int:
            return messages_of(await client.whole_answer(b"STATUS INBOX (MESSAGES)"))

        return sum(await asyncio.gather(*(one(client) for client in clients)))


def messages_of(status: bytes) -> int:
    found = re.search(rb"MESSAGES (\d+)", status)
    if found is None:
        raise Failed(f"no MESSAGES in {status[:100]!r}")
    return int(found.group(1))


async def work(
    jobs: Iterable[Job], workers: int, do: Callable[[int, Job], Awaitable[object]]
) -> tuple[list[float], int]:
    """Do each job by the next free worker; how long each took, and how many failed."""
    waiting = iter(jobs)
    latencies_s: list[float] = []
    errors: list[str] = []

    async def run(worker: int) -> None:
        for job in waiting:
            started = time.perf_counter()
            try:
                await do(worker, job)
                latencies_s.append(time.perf_counter() - started)
            except (Failed, OSError) as error:
                errors.append(str(error))

    await asyncio.gather(*(run(worker) for worker in range(workers)))
    if errors:
        print(f"# {len(errors)} errors, first: {errors[0]}", file=sys.stderr)
    return latencies_s, len(errors)


def close_all(clients: Sequence[ImapClient]) -> None:
    for client in clients:
        client.close()
