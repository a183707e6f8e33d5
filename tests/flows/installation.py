"""A whole installation, started as `make up` starts it, in a directory and on ports of its own."""

import base64
import contextlib
import csv
import io
import itertools
import json
import os
import signal
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg

from deploy.local.child import ServiceFailed
from deploy.local.doors import demand_free
from deploy.local.installation import SOURCE, read_installation
from deploy.local.objects import all_ports
from deploy.local.places import make_places
from deploy.local.postgres import Postgres
from tests.flows.processes import children_of, roles_of, wait_for_end
from tests.flows.waiting import wait_until

START_DEADLINE_S = 120.0
STOP_DEADLINE_S = 60.0
DRAIN_S = 5
MESSAGE_LIMIT_OCTETS = 33_554_432
RECIPIENTS_LIMIT = 140
LEASE_S = 3
LOOK_EVERY_S = 1

SETTINGS = {
    "WAYPOST_DRAIN_S": str(DRAIN_S),
    "WAYPOST_RESTART_PAUSE_S": "1",
    "WAYPOST_MESSAGE_LIMIT_OCTETS": str(MESSAGE_LIMIT_OCTETS),
    "WAYPOST_SMTP_RECIPIENTS_LIMIT": str(RECIPIENTS_LIMIT),
    "WAYPOST_DELIVERY_LEASE_S": str(LEASE_S),
    "WAYPOST_DELIVERY_LOOK_EVERY_S": str(LOOK_EVERY_S),
    "LANG": "C.UTF-8",
}

COMPANY, OTHER_COMPANY = "flows.test", "other.test"
_STOCK = {COMPANY: 130, OTHER_COMPANY: 20}  # people that are made at once: a command for each would take a second
_LOWEST_BASE, _BASES = 11_000, 9  # with S3 at 9,000 above all of it stays below the ports of clients


@dataclass(frozen=True, slots=True)
class Person:
    address: str
    password: str

    @property
    def sasl_plain(self) -> str:
        """The response of SASL PLAIN, in base64 (RFC 4616)."""
        return base64.b64encode(f"\0{self.address}\0{self.password}".encode()).decode()


@dataclass
class Installation:
    """`up`, `down` and again; what it was told stays the same."""

    var: Path
    base: int
    settings: dict[str, str] = field(default_factory=dict)  # beside SETTINGS
    process: "subprocess.Popen[bytes] | None" = None
    _stock: dict[str, list[Person]] = field(default_factory=dict)
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    # start and stop

    def up(self) -> None:
        """Return when endpoints.json says that every door answers."""
        with self.screen.open("ab") as screen:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "deploy.local", "up"],
                cwd=SOURCE,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=screen,
                stderr=subprocess.STDOUT,
            )
        wait_until(self._has_started, within_s=START_DEADLINE_S, what="make up")

    def _has_started(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.screen.read_text("utf-8", "replace")
        return (self.var / "endpoints.json").exists()

    @property
    def is_up(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def ask_to_stop(self) -> None:
        """As Ctrl-C does; `wait_for_stop` follows."""
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)

    def wait_for_stop(self, within_s: float = STOP_DEADLINE_S) -> None:
        assert self.process is not None
        assert self.process.wait(within_s) == 0, self.screen.read_text("utf-8", "replace")

    def down(self) -> None:
        if self.is_up:
            self.ask_to_stop()
            self.wait_for_stop()

    def delete(self) -> None:
        """All its data, as `make reset` does."""
        environment = {**self.environment(), "YES": "1"}
        subprocess.run([sys.executable, "-m", "deploy.local", "reset"], cwd=SOURCE, env=environment, check=True)

    def environment(self) -> dict[str, str]:
        """Nothing of the caller's own installation, but its settings for these tests."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")}
        return {
            **inherited,
            **SETTINGS,
            **self.settings,
            "WAYPOST_VAR": str(self.var),
            "WAYPOST_PORT_BASE": str(self.base),
        }

    # what it tells

    @property
    def screen(self) -> Path:
        """What the supervisor prints."""
        return self.var.with_name("screen.txt")

    def endpoints(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.var / "endpoints.json").read_text("utf-8"))
        return told

    def port(self, door: str) -> int:
        return int(self.endpoints()[door]["port"])

    @property
    def ca(self) -> Path:
        return Path(self.endpoints()["ca"])

    def tls(self) -> ssl.SSLContext:
        """Trusts this installation's authority and nobody else."""
        return ssl.create_default_context(cafile=self.ca)

    def demo_people(self) -> list[Person]:
        return [Person(login["address"], login["password"]) for login in self.endpoints()["logins"]]

    def pid(self, service: str) -> int:
        """Of supervisor, postgres, s3 or redis."""
        return int(self.endpoints()["pids"][service])

    def roles(self) -> dict[int, str]:
        assert self.process is not None
        return roles_of(self.process.pid)

    # people

    def person(self, company: str = COMPANY) -> Person:
        """Somebody nobody has heard of before, with an empty mailbox."""
        stock = self._stock.get(company)
        if not stock:
            if stock is None:
                self.manage("tenant", "add", company)
            stock = self._stock[company] = self._import_people(company, _STOCK.get(company, 10))
        return stock.pop()

    def people(self, count: int, company: str = COMPANY) -> list[Person]:
        return [self.person(company) for _ in range(count)]

    def person_with_quota(self, quota: str) -> Person:
        """Made by a command of its own, which takes a second."""
        person = self._new_person(COMPANY)
        arguments = ("account", "add", person.address, "--password-stdin", "--quota", quota)
        self.manage(*arguments, stdin=person.password + "\n")
        return person

    def manage(self, *arguments: str, stdin: str = "") -> str:
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=SOURCE,
            env=self.environment(),
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, f"manage.py {' '.join(arguments)}: {done.stdout}{done.stderr}"
        return done.stdout

    def _import_people(self, company: str, count: int) -> list[Person]:
        people = [self._new_person(company) for _ in range(count)]
        table = io.StringIO()
        csv.writer(table).writerows([("address", "password"), *((each.address, each.password) for each in people)])
        path = self.var.with_name("people.csv")
        path.write_text(table.getvalue(), "utf-8")
        self.manage("account", "import", str(path))
        return people[::-1]

    def _new_person(self, company: str) -> Person:
        number = next(self._numbers)
        return Person(f"person{number}@{company}", f"kettle-orbit-{number}-lantern")

    # its tables, as their owner sees them

    @contextlib.contextmanager
    def sql(self) -> "Iterator[psycopg.Connection[tuple[Any, ...]]]":
        with psycopg.connect(self._postgres().urls().owner, autocommit=True) as connection:
            yield connection

    def _postgres(self) -> Postgres:
        return Postgres(make_places(self.var))

    # faults

    def kill(self, service: str) -> int:
        """End postgres, s3 or redis at once. Returns the pid it had."""
        pid = self.pid(service)
        os.kill(pid, signal.SIGKILL)
        return pid

    def kill_everything(self) -> None:
        """The supervisor and all its children at once; `up` starts again."""
        assert self.process is not None
        pids = {self.process.pid, *children_of(self.process.pid)}
        self.process.send_signal(signal.SIGSTOP)  # or it would start again what dies first
        for pid in pids:
            os.kill(pid, signal.SIGKILL)
        self.process.wait()
        (self.var / "endpoints.json").unlink()
        wait_for_end(pids, within_s=STOP_DEADLINE_S)

    def wait_for_new(self, service: str, old_pid: int) -> None:
        """Until the supervisor has started another."""
        wait_until(lambda: self.pid(service) != old_pid, within_s=30, what=f"another {service}")

    @contextlib.contextmanager
    def unattended(self) -> Iterator[None]:
        """The supervisor stands still meanwhile: what is killed stays away, and the rest goes on."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    def logged_errors(self, since: "dict[Path, int] | None" = None) -> list[str]:
        """What roles wrote at the level error after those positions: bugs, for whatever may happen has a name."""
        found = []
        for path in self._role_logs():
            with path.open("rb") as log:
                log.seek((since or {}).get(path, 0))
                found += [line.decode("utf-8", "replace") for line in log if b'"level": "error"' in line]
        return found

    def log_positions(self) -> dict[Path, int]:
        return {path: path.stat().st_size for path in self._role_logs()}

    def _role_logs(self) -> list[Path]:
        names = ("imap", "smtp", "web", "outbound", "upkeep")
        return sorted(path for name in names for path in (self.var / "log").glob(f"{name}*.log"))

    def log_tails(self, lines: int = 15) -> str:
        """The last words of everybody, for whoever looks at a failed test."""
        logs = [
            path for path in sorted((self.var / "log").glob("*.log")) if path.stem not in ("objects", "redis", "seed")
        ]
        return "\n".join(f"--- {path.name}\n{_tail(path, lines)}" for path in (self.screen, *logs))


def _tail(path: Path, lines: int) -> str:
    text = path.read_bytes()[-20_000:].decode("utf-8", "replace")
    return "\n".join(text.splitlines()[-lines:])


def start_installation(directory: Path, number: int) -> Installation:
    """Start one on the first free range of ports, beginning with the range `number`."""
    installation = plan_installation(directory, number)
    installation.up()
    return installation


def plan_installation(directory: Path, number: int) -> Installation:
    """One that is not started yet, on the first free range of ports, beginning with the range `number`."""
    for attempt in range(_BASES):
        base = _LOWEST_BASE + 1000 * ((number + attempt) % _BASES)
        described = read_installation({"WAYPOST_PORT_BASE": str(base)})
        ports = {**described.doors, **{str(port): port for port in all_ports(described.object_ports)}}
        try:
            demand_free(ports)
        except ServiceFailed:
            continue
        return Installation(directory / "var", base)
    raise AssertionError("no range of ports is free")


def end_at_once(installation: Installation) -> None:
    """However it stands; nothing of it is left. For the end of the tests."""
    if not installation.is_up:
        return
    assert installation.process is not None
    children = set(installation.roles())
    installation.process.send_signal(signal.SIGCONT)
    installation.process.terminate()
    try:
        installation.process.wait(STOP_DEADLINE_S)
    except subprocess.TimeoutExpired:
        installation.process.kill()
        installation.process.wait()
    wait_for_end(children, within_s=STOP_DEADLINE_S)
