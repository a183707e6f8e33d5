"""Where an installation keeps its files, and the short private directory of its sockets.

    var/secrets  credentials and keys, 0600          var/log      what every process prints
    var/postgres, var/objects, var/redis  data       var/run      sockets, when the path is short enough

A unix socket's path may take 107 octets (unix(7): sun_path). Where `var/run` would be longer, the sockets go to a 0700
directory under $XDG_RUNTIME_DIR or /tmp, named for the path of `var`, so that it is the same after every start.
"""

import contextlib
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass
from pathlib import Path

from deploy.local.child import Identity, ServiceFailed

SOCKET_PATH_LIMIT_OCTETS = 107
_LONGEST_SOCKET_NAME = "postgres/.s.PGSQL.5432"


@dataclass(frozen=True, slots=True)
class Places:
    """The directories of one installation; all exist and are ours alone."""

    var: Path
    secrets: Path
    log: Path
    run: Path


def make_places(var: Path) -> Places:
    """Make the directories that are missing. Raises ServiceFailed when one exists and is another user's."""
    var = var.resolve()
    var.mkdir(parents=True, exist_ok=True)
    return Places(
        var=var,
        secrets=private_directory(var / "secrets"),
        log=private_directory(var / "log"),
        run=private_directory(socket_directory(var)),
    )


def socket_directory(var: Path) -> Path:
    """`var/run`, or where its path is too long for a socket a directory of the same name after every start."""
    inside = var / "run"
    if len(os.fsencode(inside / _LONGEST_SOCKET_NAME)) <= SOCKET_PATH_LIMIT_OCTETS:
        return inside
    name = hashlib.sha256(os.fsencode(var)).hexdigest()[:12]
    runtime = os.environ.get("XDG_RUNTIME_DIR", "")
    if runtime and Path(runtime).is_dir() and len(os.fsencode(runtime)) < 60:
        return Path(runtime) / f"waypost-{name}"
    return Path("/tmp") / f"waypost-{os.getuid()}-{name}"  # noqa: S108 (private_directory refuses another user's)


def private_directory(path: Path) -> Path:
    """Make it with mode 0700. One that exists must be ours and no link: /tmp is open to all who could make it first."""
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid():
        raise ServiceFailed(f"{path} exists and is not a directory of this user; remove it")
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


def service_directory(path: Path, identity: Identity | None) -> Path:
    """A 0700 directory that belongs to the account which the service runs as."""
    if identity is None:
        return private_directory(path)
    path.mkdir(mode=0o700, exist_ok=True)
    found = path.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid not in (os.getuid(), identity.uid):
        raise ServiceFailed(f"{path} exists and is not a directory of this installation; remove it")
    os.chown(path, identity.uid, identity.gid)
    path.chmod(0o700)
    return path


def credential(path: Path) -> str:
    """The random secret that the file holds (0600); made on the first call, 192 bits, safe in URLs.

    Of several first calls at once, in threads or processes, one makes it.
    """
    try:
        return path.read_text("ascii").strip()
    except FileNotFoundError:
        beside = _beside(path)
        write_private(beside, secrets.token_urlsafe(24) + "\n")
        with contextlib.suppress(FileExistsError):
            os.link(beside, path)
        beside.unlink()
        return path.read_text("ascii").strip()


def write_private(path: Path, text: str) -> None:
    """Replace a file as a whole, with mode 0600; a reader sees the old text or the new."""
    beside = _beside(path)
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}")
