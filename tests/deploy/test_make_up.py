"""`make up` as a whole: a real installation with every role, on ports of its own."""

import asyncio
import contextlib
import email
import imaplib
import json
import os
import select
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy.local.child import ServiceFailed
from deploy.local.doors import demand_free, door_answers
from deploy.local.installation import DOORS, SOURCE, read_installation
from deploy.local.objects import all_ports

DEADLINE_S = 120


@dataclass
class Installation:
    """A directory and a range of ports, with `make up` running on them or not."""

    var: Path
    base: int
    process: "subprocess.Popen[str] | None" = None

    def environment(self) -> dict[str, str]:
        return {**os.environ, "WAYPOST_VAR": str(self.var), "WAYPOST_PORT_BASE": str(self.base), "LANG": "C.UTF-8"}

    def act(self, act: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "deploy.local", act],
            cwd=SOURCE,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )

    def up(self) -> None:
        self.close()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy.local", "up"],
            cwd=SOURCE,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.read_until("Stop with Ctrl-C")

    def close(self) -> None:
        """Stop what runs, if anything does."""
        if self.process is not None:
            self.process.terminate()
            self.process.communicate(timeout=DEADLINE_S)

    def read_until(self, text: str) -> None:
        """Follow the screen to a line with this text."""
        assert self.process is not None
        assert self.process.stdout is not None
        seen = []
        for line in self.process.stdout:
            seen.append(line)
            if text in line:
                return
        raise AssertionError("".join(seen))

    def endpoints(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.var / "endpoints.json").read_text())
        return found

    def children(self) -> dict[int, str]:
        """Processes of the supervisor: pid and command."""
        assert self.process is not None
        return {pid: command for pid, parent, command in processes() if parent == self.process.pid}

    def roles(self) -> dict[int, str]:
        return {pid: command for pid, command in self.children().items() if " -m mailserver " in command}

    def sign_in(self, login: int = 1) -> imaplib.IMAP4_SSL:
        endpoints = self.endpoints()
        context = ssl.create_default_context(cafile=endpoints["ca"])
        client = imaplib.IMAP4_SSL("localhost", endpoints["imaps"]["port"], ssl_context=context, timeout=20)
        person = endpoints["logins"][login]
        try:
            client.login(person["address"], person["password"])
        except BaseException:
            client.shutdown()
            raise
        return client


def processes() -> Iterator[tuple[int, int, str]]:
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
                command = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                yield int(directory.name), parent, command


def wait_for_end(pids: set[int]) -> None:
    """Wait until every process of these has ended, by the kernel's word."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        ready, _, _ = select.select([descriptor], [], [], DEADLINE_S)
        os.close(descriptor)
        assert ready, f"process {pid} is left behind"


def free_base() -> int:
    for base in range(10000 + os.getpid() % 50 * 20, 19000, 1000):
        installation = read_installation({"WAYPOST_PORT_BASE": str(base)})
        ports = {**installation.doors, **{str(port): port for port in all_ports(installation.object_ports)}}
        with contextlib.suppress(ServiceFailed):
            demand_free(ports)
            return base
    raise AssertionError("no range of ports is free")


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    found = Installation(tmp_path_factory.mktemp("up") / "var", free_base())
    found.up()
    yield found
    found.close()


async def test_every_door_is_told_and_answers(installation: Installation) -> None:
    endpoints = installation.endpoints()
    assert set(endpoints) == {*DOORS, "ca", "logins", "pids"}
    for door in DOORS:
        assert await door_answers(door, endpoints[door]["port"], Path(endpoints["ca"]))
    assert set(endpoints["pids"]) == {"supervisor", "postgres", "s3", "redis"}
    assert {endpoints["pids"][name] for name in ("postgres", "s3", "redis")} <= installation.children().keys()


def test_everybody_signs_in_and_finds_mail(installation: Installation) -> None:
    found = []
    for login in range(6):
        with installation.sign_in(login) as client:
            status, (count,) = client.select("INBOX")
            assert status == "OK"
            found.append(int(count or b"0"))
            _, answer = client.fetch("1", "(BODY.PEEK[])")
            assert isinstance(answer[0], tuple)
            assert email.message_from_bytes(answer[0][1])["Subject"]
    assert all(found)
    assert sum(found) > 100


def test_a_second_supervisor_and_a_reset_are_refused(installation: Installation) -> None:
    for act in ("up", "reset"):
        refused = installation.act(act)
        assert refused.returncode == 1
        assert "make down" in refused.stderr
        assert "Traceback" not in refused.stderr


def test_postgres_killed_is_started_again_and_the_roles_go_on(installation: Installation) -> None:
    before = installation.endpoints()["pids"]["postgres"]
    roles = installation.roles()
    os.kill(before, signal.SIGKILL)
    installation.read_until("postgres started")
    assert installation.endpoints()["pids"]["postgres"] not in (before, 0)
    end = time.monotonic() + DEADLINE_S
    while True:
        try:
            installation.sign_in().logout()
            break
        except imaplib.IMAP4.error:
            assert time.monotonic() < end
    assert installation.roles() == roles


async def test_a_role_killed_is_started_again(installation: Installation) -> None:
    before = installation.roles()
    victim = next(pid for pid, command in before.items() if command.endswith(" web "))
    os.kill(victim, signal.SIGKILL)
    installation.read_until("web started")
    after = installation.roles()
    assert victim not in after
    assert len(after) == len(before)
    endpoints = installation.endpoints()
    end = time.monotonic() + DEADLINE_S
    while not await door_answers("http", endpoints["http"]["port"], Path(endpoints["ca"])):
        assert time.monotonic() < end
        await asyncio.sleep(0)


def test_down_ends_everything_and_the_next_start_has_the_same_mail_and_people(installation: Installation) -> None:
    with installation.sign_in() as client:
        before = client.select("INBOX")
    logins, children = installation.endpoints()["logins"], set(installation.children())
    assert installation.process is not None
    assert installation.act("down").returncode == 0
    assert installation.process.wait(DEADLINE_S) == 0
    wait_for_end(children)
    assert not (installation.var / "endpoints.json").exists()
    assert installation.act("down").returncode == 0
    installation.up()
    assert installation.endpoints()["logins"] == logins
    with installation.sign_in() as client:
        assert client.select("INBOX") == before


def test_a_supervisor_killed_leaves_nothing_behind_and_can_be_started_again(installation: Installation) -> None:
    children = set(installation.children())
    assert len(children) >= 7
    assert installation.process is not None
    installation.process.kill()
    wait_for_end(children)
    installation.up()
    installation.sign_in().logout()
