"""`var/endpoints.json`: where everything listens, for scripts and tests; there while every door answers, and then gone.

One object: for each of imap, imaps, smtp, submission, submissions, lmtp, http, metrics its `host` and `port`; `ca`, a
path; `logins`, each with `address` and `password`; `pids` of supervisor, postgres, s3 and redis. Mode 0600.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from deploy.local.installation import HOST
from deploy.local.places import write_private


@dataclass(frozen=True, slots=True)
class Login:
    address: str
    password: str


@dataclass(frozen=True, slots=True)
class Pids:
    supervisor: int
    postgres: int
    s3: int
    redis: int


def endpoints_file(var: Path) -> Path:
    return var / "endpoints.json"


def write_endpoints(var: Path, doors: Mapping[str, int], ca: Path, logins: Sequence[Login], pids: Pids) -> None:
    told: dict[str, object] = {door: {"host": HOST, "port": port} for door, port in doors.items()}
    told |= {"ca": str(ca), "logins": [asdict(login) for login in logins], "pids": asdict(pids)}
    write_private(endpoints_file(var), json.dumps(told, indent=2) + "\n")


def remove_endpoints(var: Path) -> None:
    endpoints_file(var).unlink(missing_ok=True)
