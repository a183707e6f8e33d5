"""Ours: an installation as `make up` makes it, durable, with its own directory and ports."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from deploy.local.endpoints import endpoints_file
from deploy.local.installation import SOURCE
from tenants.passwords import hash_password
from tests.bench.destinations import Dns
from tests.bench.load.processes import ProcessTrees
from tests.bench.target import PASSWORD, USERS, CannotStart, Doors, Ports

_START_S = 240.0
_STOP_S = 90.0
_ENVIRONMENT = {
    "WAYPOST_LOG_FORMAT": "json",
    "WAYPOST_IMAP_CONNECTIONS_PER_NETWORK": "20000",  # all clients of the bench come from one address
    "WAYPOST_OUTBOUND": "on",
    "WAYPOST_ROUTING_PRIVATE_NETWORKS": "true",  # the other systems are on this machine
    **{
        f"WAYPOST_QUEUE_{who}_RECIPIENTS_{when}": "10000000"
        for who in ("PERSON", "TENANT")
        for when in ("AN_HOUR", "A_DAY")
    },
    "LANG": "C.UTF-8",
}


class Waypost:
    name = "waypost"

    def __init__(self, directory: Path, ports: Ports) -> None:
        self._var = directory
        self._ports = ports
        self.doors = Doors(*(f"127.0.0.1:{ports.waypost + port}" for port in (143, 993, 25, 24, 465)))
        self._dns: Dns | None = None
        self._supervisor: subprocess.Popen[bytes] | None = None

    def start_for_seeding(self) -> None:
        self.start()
        self._import_people()

    def start(self) -> None:
        self.stop()
        self._var.mkdir(parents=True, exist_ok=True)
        self._dns = Dns()
        log = self._var / "supervisor.log"
        with log.open("wb") as file:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "deploy.local", "up"],
                cwd=SOURCE,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C comes to us; we stop it in our order
            )
        end = time.monotonic() + _START_S
        while not endpoints_file(self._var).exists():
            if self._supervisor.poll() is not None or time.monotonic() > end:
                raise CannotStart(f"make up did not get to work; see {log}")
            time.sleep(0.1)

    def stop(self) -> None:
        if self._dns is not None:
            self._dns.stop()
            self._dns = None
        if self._supervisor is None:
            return
        self._supervisor.send_signal(signal.SIGTERM)
        try:
            self._supervisor.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._supervisor.kill()
            self._supervisor.wait()
        self._supervisor = None

    def root_pids(self) -> list[int]:
        """The supervisor; the roles, Postgres, Redis and S3 are its children."""
        assert self._supervisor is not None
        return [self._supervisor.pid]

    def queue_pids(self) -> list[int]:
        """The role outbound."""
        pids = ProcessTrees(self.root_pids()).pids()
        commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")[1:4] for pid in pids}
        return [pid for pid, command in commands.items() if command == [b"-m", b"mailserver", b"outbound"]]

    def _import_people(self) -> None:
        """All at today's full cost of a password, which is too short for people and therefore given as a hash."""
        people = self._var / "people.csv"
        hashed = hash_password(PASSWORD)
        rows = [f'u{number:04d}@example.test,"{hashed}"' for number in range(USERS)]
        people.write_text("\n".join(["address,password", *rows]) + "\n")
        self.manage("tenant", "add", "example.test", "--name", "Bench")
        self.manage("account", "import", str(people))

    def manage(self, *arguments: str) -> str:
        """What the command says. Raises CannotStart when it fails."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            check=False,
            cwd=SOURCE,
            env=self._environment(),
            capture_output=True,
        )
        if done.returncode != 0:
            raise CannotStart(f"manage.py {' '.join(arguments[:2])}: {done.stderr.decode(errors='replace').strip()}")
        return done.stdout.decode()

    def managing(self, *arguments: str) -> "subprocess.Popen[bytes]":
        """The command at work. Whoever asks for it ends it."""
        return subprocess.Popen(
            [sys.executable, "manage.py", *arguments],
            cwd=SOURCE,
            env=self._environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def _environment(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")}
        return {
            **inherited,
            **_ENVIRONMENT,
            **{name: value for name, value in os.environ.items() if name in _PASSED},
            "WAYPOST_VAR": str(self._var),
            "WAYPOST_PORT_BASE": str(self._ports.waypost),
            "WAYPOST_ROUTING_PORT": str(self._ports.sink),
            **({"WAYPOST_DNS": f"127.0.0.1:{self._dns.port}"} if self._dns is not None else {}),
        }


_PASSED = ("WAYPOST_WORKERS", "WAYPOST_WEBSOCKETS", "WAYPOST_LOG_LEVEL", "WAYPOST_TIERING_DUTY")


def remove_waypost(directory: Path) -> None:
    """The data of an earlier run."""
    with contextlib.suppress(FileNotFoundError):
        subprocess.run(
            [sys.executable, "-m", "deploy.local", "reset"],
            check=False,
            cwd=SOURCE,
            env={**os.environ, "WAYPOST_VAR": str(directory), "YES": "1"},
            stdout=subprocess.DEVNULL,
        )
