"""Programs run as our own foreground children: started, watched, stopped by a deadline, never left behind.

Start children from a thread that lives as long as they should: Linux sends the parent-death signal when the *thread*
that forked ends, not when the process does (prctl(2), PR_SET_PDEATHSIG). The signal survives the user namespace in
which Postgres runs for root, and setuid happens before it is asked for.

Every child gets its own session, so that Ctrl-C in the terminal reaches only the supervisor, which stops them in order.
"""

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

_LIBC = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG = 1
_TAIL_OCTETS = 4096


class ServiceFailed(Exception):
    """A program did not start, did not become ready in time, or ended by itself; the text is for a person."""


@dataclass(frozen=True, slots=True)
class Identity:
    """The account a child runs as, where it is not our own."""

    uid: int
    gid: int


@dataclass(frozen=True, slots=True)
class StopStep:
    """Send the signal, then wait this long for the end before the next step."""

    signal: signal.Signals
    wait_s: float


class Child:
    """One running program. What it prints goes to `log`, which is opened for appending, so it may be truncated."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], log: Path) -> None:
        self.name = name
        self.log = log
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    def exit_status(self) -> int | None:
        """None while it runs. Reaps it when it has ended."""
        return self._process.poll()

    def signal(self, number: signal.Signals) -> None:
        """Nothing happens when it has already ended."""
        self._process.send_signal(number)

    def wait(self, wait_s: float) -> bool:
        """Whether it ended within the time."""
        try:
            self._process.wait(wait_s)
        except subprocess.TimeoutExpired:
            return False
        return True

    def stop(self, steps: Sequence[StopStep]) -> None:
        """Go through the steps until it has ended; SIGKILL comes after the last."""
        for step in steps:
            self.signal(step.signal)
            if self.wait(step.wait_s):
                return
        self.signal(signal.SIGKILL)
        self._process.wait()

    def failure(self) -> ServiceFailed:
        """What to raise when it should be running and is not: its exit and the last lines that it printed."""
        return ServiceFailed(f"{self.name} ended with status {self.exit_status()}; {self.log} ends:\n{self.tail()}")

    def tail(self, lines: int = 12) -> str:
        with self.log.open("rb") as log:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - _TAIL_OCTETS))
            text = log.read().decode("utf-8", "replace")
        return "\n".join("  " + line for line in text.splitlines()[-lines:])


def launch(
    name: str,
    arguments: Sequence[str | os.PathLike[str]],
    *,
    log: Path,
    environment: Mapping[str, str],
    directory: Path,
    death_signal: signal.Signals,
    identity: Identity | None = None,
) -> Child:
    """Start a program that gets `death_signal` when the calling thread ends, however it ends."""
    descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        process = subprocess.Popen(
            [os.fspath(argument) for argument in arguments],
            stdin=subprocess.DEVNULL,
            stdout=descriptor,
            stderr=descriptor,
            cwd=directory,
            env=dict(environment),
            start_new_session=True,
            **become(identity),
            umask=0o077,
            preexec_fn=_die_with_parent(death_signal),
        )
    except OSError as error:
        raise ServiceFailed(f"{name} could not be started: {error}") from error
    finally:
        os.close(descriptor)
    return Child(name, process, log)


class Become(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def become(identity: Identity | None) -> Become:
    """The arguments of subprocess that give a child another account, with no groups but its own."""
    if identity is None:
        return {}
    if os.getuid() != 0:
        return {"user": identity.uid, "group": identity.gid}
    return {"user": identity.uid, "group": identity.gid, "extra_groups": []}


def _die_with_parent(number: signal.Signals) -> Callable[[], None]:
    parent = os.getpid()

    def before_exec() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, ())  # a mask would outlive exec, and the child could not be stopped
        _LIBC.prctl(_PR_SET_PDEATHSIG, int(number), 0, 0, 0)
        if os.getppid() != parent:  # the parent died before the signal was set
            os._exit(1)

    return before_exec


def wait_until(child: Child, is_ready: Callable[[], bool], *, deadline_s: float) -> None:
    """Ask `is_ready` until it says yes. Raises ServiceFailed when the child ends or the time is over."""
    end = time.monotonic() + deadline_s
    pause_s = 0.005
    while not is_ready():
        if child.exit_status() is not None:
            raise child.failure()
        if time.monotonic() > end:
            raise ServiceFailed(f"{child.name} was not ready after {deadline_s:.0f} s; see {child.log}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.1)
