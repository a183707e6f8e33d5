"""The processes of an installation as the kernel sees them."""

import contextlib
import os
import select
from collections.abc import Iterable, Iterator
from pathlib import Path

_PAGE_OCTETS = os.sysconf("SC_PAGE_SIZE")


def children_of(parent: int) -> dict[int, list[str]]:
    """The running children of a process, each with its arguments."""
    return {pid: arguments for pid, of, arguments in _all_processes() if of == parent and arguments}


def roles_of(supervisor: int) -> dict[int, str]:
    """The mail server's processes: pid and role."""
    found = children_of(supervisor).items()
    return {pid: arguments[-1] for pid, arguments in found if arguments[1:3] == ["-m", "mailserver"]}


def resident_octets(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_OCTETS


def wait_for_end(pids: Iterable[int], *, within_s: float) -> None:
    """Wait until every process of these has ended, by the kernel's word."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            ready, _, _ = select.select([descriptor], [], [], within_s)
        finally:
            os.close(descriptor)
        assert ready, f"process {pid} has not ended within {within_s:.0f} s"


def _all_processes() -> Iterator[tuple[int, int, list[str]]]:
    for directory in Path("/proc").iterdir():
        if directory.name.isdigit():
            with contextlib.suppress(OSError):
                parent = int((directory / "stat").read_text().rpartition(")")[2].split()[1])
                arguments = (directory / "cmdline").read_bytes().split(b"\0")[:-1]
                yield int(directory.name), parent, [os.fsdecode(argument) for argument in arguments]


def forget_peak(pid: int) -> None:
    """From now on `peak_octets` is the most that is resident from now on (proc(5): clear_refs)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def peak_octets(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM:")).split()[1]) * 1024
