"""The peer: Debian's Dovecot and Postfix, run by the scripts of `peers/` under a directory of ours.

Maildir, `mail_fsync = always` (never while it is filled), long-lived login and session processes, Sieve on without a
script; Postfix hands over by LMTP and counts as part of it. People submit to Postfix, signed in at Dovecot.
"""

import os
import subprocess
from pathlib import Path
from typing import Literal

from tests.bench.destinations import transport_map
from tests.bench.target import PASSWORD, USERS, CannotStart, Doors, Ports

_SCRIPTS = Path(__file__).with_name("peers")


class DovecotAndPostfix:
    name = "dovecot"

    def __init__(self, directory: Path, ports: Ports, mailboxes: Literal["maildir", "mdbox"] = "maildir") -> None:
        self._directory = directory
        self._ports = ports
        self._mailboxes = mailboxes
        self.doors = Doors(*(f"127.0.0.1:{ports.peers + port}" for port in (143, 993, 25, 24, 465)))
        self._has_dovecot = self._has_postfix = False

    def start_for_seeding(self) -> None:
        self._start_dovecot("--fsync", "never")

    def start(self) -> None:
        self.stop()
        self._start_dovecot("--fsync", "always", "--keep")
        transports = self._directory / "transports"
        transports.write_text(transport_map(self._ports.sink))
        self._run("postfix_up.sh", str(USERS), str(transports))
        self._has_postfix = True

    def stop(self) -> None:
        if self._has_postfix:
            self._run("postfix_down.sh")
            self._has_postfix = False
        if self._has_dovecot:
            self._run("dovecot_down.sh")
            self._has_dovecot = False

    def root_pids(self) -> list[int]:
        files = [self._directory / "dovecot/run/master.pid"]
        if self._has_postfix:
            files.append(self._directory / "postfix/queue/pid/master.pid")
        return [int(file.read_text()) for file in files]

    def mail_of(self, user: int) -> Path:
        return self._directory / "dovecot/mail" / f"u{user:04d}"

    def queue_pids(self) -> list[int]:
        return self.root_pids()[1:]

    def _start_dovecot(self, *options: str) -> None:
        if os.getuid() != 0:
            raise CannotStart("Dovecot and Postfix can only be started by root; --targets waypost measures ours alone")
        self._run("dovecot_up.sh", "--users", str(USERS), "--password", PASSWORD, "--format", self._mailboxes, *options)
        self._has_dovecot = True

    def _run(self, script: str, *arguments: str) -> None:
        """Its output goes to a file: what the daemons inherit must not be a pipe that somebody waits for."""
        self._directory.mkdir(parents=True, exist_ok=True)
        log = self._directory / "scripts.log"
        with log.open("a") as file:
            done = subprocess.run(
                [_SCRIPTS / script, *arguments],
                check=False,
                env={**os.environ, "PEERS_DIR": str(self._directory), "PEERS_PORTS": str(self._ports.peers)},
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
            )
        if done.returncode != 0:
            lines = log.read_text().splitlines()[-3:]
            raise CannotStart(f"{script} failed: " + "; ".join(lines))
