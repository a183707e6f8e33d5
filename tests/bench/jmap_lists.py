"""Lists of mail over JMAP, on an account of many messages: a page of Emails as a webmail opens it, and what is new.

    python -m tests.bench.jmap_lists [--messages 100000] [--clients 8] [--seconds 15] [--deliveries 200]

A page is one request: Email/query of a mailbox, threads collapsed, Email/get of the 50 rows, their Threads, and all
Mailboxes with their counts. Clients page through the mailbox, at once, each over a connection of its own. Then mail
comes, message by message, and somebody asks Email/changes after each. Everything is on this machine, with one process
of the web role.
"""

import argparse
import asyncio
import base64
import json
import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from deploy.local.endpoints import endpoints_file
from tests.bench.cold_requests import Timed
from tests.bench.installation import Waypost, remove_waypost
from tests.bench.load.options import Options
from tests.bench.load.rig import Rig
from tests.bench.target import PASSWORD, Ports

USER = 0
ROWS = 50
PAGES = 40
USING = ["urn:ietf:params:jmap:core", "urn:ietf:params:jmap:mail"]
PROPERTIES = (
    "id", "threadId", "mailboxIds", "keywords", "subject", "from", "to", "receivedAt", "size", "preview",
    "hasAttachment",
)  # fmt: skip


class Jmap:
    """One connection of a client that is kept open."""

    def __init__(self, address: str, host: str, port: int) -> None:
        self._address, self._host, self._port = address, host, port
        self.account = ""

    async def open(self) -> None:
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        session = await self._exchange("GET", "/jmap/session/", b"")
        self.account = session["primaryAccounts"][USING[1]]

    def close(self) -> None:
        self._writer.close()

    async def calls(self, *calls: Sequence[Any]) -> Any:
        """The method responses. Raises RuntimeError when one is an error."""
        numbered = [
            [name, {"accountId": self.account, **arguments}, str(at)] for at, (name, arguments) in enumerate(calls)
        ]
        body = json.dumps({"using": USING, "methodCalls": numbered}).encode()
        responses = (await self._exchange("POST", "/jmap/api/", body))["methodResponses"]
        if any(name == "error" for name, _, _ in responses):
            raise RuntimeError(f"JMAP refuses: {responses}")
        return [told for _, told, _ in responses]

    async def _exchange(self, method: str, target: str, body: bytes) -> Any:
        credentials = base64.b64encode(f"{self._address}:{PASSWORD}".encode()).decode()
        head = (
            f"{method} {target} HTTP/1.1\r\nHost: {self._host}:{self._port}\r\nAuthorization: Basic {credentials}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        self._writer.write(head.encode() + body)
        status, _, fields = (await self._reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")
        named = dict(line.lower().split(b": ", 1) for line in fields.split(b"\r\n") if line)
        octets = await self._reader.readexactly(int(named[b"content-length"]))
        if b" 200" not in status:
            raise RuntimeError(f"{method} {target}: {status!r} {octets[:300]!r}")
        return json.loads(octets)


def letter(number: int) -> bytes:
    """Every fourth answers the one before."""
    answers = f"In-Reply-To: <{number - 1}@bench.test>\r\n" if number % 4 == 3 else ""
    return (
        f"From: Grace Number {number % 97} <grace{number % 97}@elsewhere.test>\r\nTo: Ada <u0000@example.test>\r\n"
        f"Subject: {'Re: ' if answers else ''}The matter of {number // 4}\r\nMessage-ID: <{number}@bench.test>\r\n"
        f"Date: Mon, 02 Nov 2026 10:00:00 +0000\r\n{answers}\r\nWhat was said of it the other day, number {number}.\r\n"
    ).encode()


async def fill(rig: Rig, count: int) -> None:
    client = await rig.imap(USER)
    for start in range(0, count, 200):
        await client.append_many(b"INBOX", [letter(number) for number in range(start, min(start + 200, count))])
    client.close()


def page(mailbox: str, number: int) -> list[tuple[str, dict[str, Any]]]:
    asked = {
        "filter": {"inMailbox": mailbox},
        "sort": [{"property": "receivedAt", "isAscending": False}],
        "collapseThreads": True,
        "position": number * ROWS,
        "limit": ROWS,
        "calculateTotal": True,
    }
    return [
        ("Email/query", asked),
        ("Email/get", {"#ids": {"resultOf": "0", "name": "Email/query", "path": "/ids"}, "properties": PROPERTIES}),
        ("Thread/get", {"#ids": {"resultOf": "1", "name": "Email/get", "path": "/list/*/threadId"}}),
        ("Mailbox/get", {"ids": None}),
    ]


async def read_pages(client: Jmap, mailbox: str, until: float, seconds: list[float]) -> None:
    dice = random.Random(id(client))
    while time.monotonic() < until:
        begin = time.perf_counter()
        _, emails, threads, _ = await client.calls(*page(mailbox, dice.randrange(PAGES)))
        seconds.append(time.perf_counter() - begin)
        assert len(emails["list"]) == ROWS
        assert threads["list"]


async def measure(waypost: Waypost, var: Path, options: argparse.Namespace) -> None:
    rig = Rig(Options(name="waypost", imap=waypost.doors.imap, imaps=waypost.doors.imaps))
    begin = time.perf_counter()
    await fill(rig, options.messages)
    print(f"{options.messages} messages appended in {time.perf_counter() - begin:.0f} s", flush=True)
    http = json.loads(endpoints_file(var).read_text())["http"]
    clients = [Jmap(rig.address(USER), http["host"], http["port"]) for _ in range(options.clients)]
    for client in clients:
        await client.open()
    first = clients[0]
    begin = time.perf_counter()
    (mailboxes,) = await first.calls(("Mailbox/get", {"ids": None}))
    print(f"first question of a process  {(time.perf_counter() - begin) * 1000:.0f} ms", flush=True)
    inbox = next(each for each in mailboxes["list"] if each["role"] == "inbox")
    assert inbox["totalEmails"] == options.messages

    seconds: list[float] = []
    until = time.monotonic() + options.seconds
    await asyncio.gather(*(read_pages(client, inbox["id"], until, seconds) for client in clients))
    pages = Timed(sorted(seconds))
    print(f"a page, {options.clients} clients at once  {pages.told()}, p95 asked under 50 ms")
    print(f"pages a second  {len(seconds) / options.seconds:.0f}", flush=True)

    appending = await rig.imap(USER)
    (queried,) = await first.calls(("Email/query", {"limit": 1}))
    state, seconds = queried["queryState"], []
    for number in range(options.deliveries):
        await appending.append_many(b"INBOX", [letter(options.messages + number)])
        begin = time.perf_counter()
        (told,) = await first.calls(("Email/changes", {"sinceState": state}))
        seconds.append(time.perf_counter() - begin)
        state = told["newState"]
        assert len(told["created"]) == 1
    appending.close()
    for client in clients:
        client.close()
    print(f"Email/changes after a message came  {Timed(sorted(seconds)).told()}, asked under 5 ms")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=100_000)
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=15.0)
    parser.add_argument("--deliveries", type=int, default=200)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="waypost-jmap-") as directory:
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
