"""One supervisor for one `var`: a lock that the kernel drops when its holder ends, with the holder's pid in it."""

import fcntl
import os
from pathlib import Path


class AlreadyRunning(Exception):
    """Another supervisor holds the lock of this `var`."""

    def __init__(self, var: Path, pid: int | None) -> None:
        super().__init__(f"Waypost already runs on {var} (pid {pid or 'unknown'}); stop it with: make down")
        self.pid = pid


class Lock:
    """Held from `acquire_lock` until `release`, or the end of the process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def release(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.close(self._descriptor)


def acquire_lock(var: Path) -> Lock:
    """Raises AlreadyRunning, PermissionError."""
    descriptor = os.open(var / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(descriptor, 32).decode("ascii", "replace").strip()
        os.close(descriptor)
        raise AlreadyRunning(var, int(text) if text.isdigit() else None) from None
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, f"{os.getpid()}\n".encode("ascii"), 0)
    return Lock(descriptor)


def holder(var: Path) -> int | None:
    """The pid of the running supervisor, or None when none runs."""
    if not (var / "lock").exists():
        return None
    try:
        acquire_lock(var).release()
    except AlreadyRunning as running:
        return running.pid
    return None
