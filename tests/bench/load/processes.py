"""What a server costs: CPU and memory of whole process trees, and what the machine did meanwhile (Linux, /proc)."""

import os
import re
from dataclasses import dataclass

_TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
_DISK = re.compile(r"(vd|sd|xvd)[a-z]|nvme\d+n\d+")


@dataclass(frozen=True, slots=True)
class Memory:
    rss_mb: float
    pss_mb: float
    processes: int


@dataclass(frozen=True, slots=True)
class Machine:
    """Counters since boot."""

    busy_s: float
    waiting_for_disk_s: float
    written_mb: float
    flushes: int


class ProcessTrees:
    """The processes under some roots, children that have ended included."""

    def __init__(self, roots: list[int]) -> None:
        self._roots = roots

    def pids(self) -> list[int]:
        children: dict[int, list[int]] = {}
        for name in os.listdir("/proc"):
            if name.isdigit():
                try:
                    children.setdefault(_parent_and_cpu(int(name))[0], []).append(int(name))
                except OSError:
                    continue  # it has ended
        found: list[int] = []
        todo = list(self._roots)
        while todo:
            pid = todo.pop()
            if pid not in found:
                found.append(pid)
                todo += children.get(pid, ())
        return found

    def cpu_s(self) -> float:
        """User and system time; of live processes by schedstat, in nanoseconds."""
        total = 0.0
        for pid in self.pids():
            try:
                _, own, ended = _parent_and_cpu(pid)
                nanoseconds = 0
                for thread in os.listdir(f"/proc/{pid}/task"):
                    with open(f"/proc/{pid}/task/{thread}/schedstat") as file:
                        nanoseconds += int(file.read().split()[0])
                total += max(nanoseconds / 1e9, own) + ended
            except (OSError, ValueError, IndexError):
                continue
        return total

    def memory(self) -> Memory:
        rss = pss = processes = 0
        for pid in self.pids():
            try:
                with open(f"/proc/{pid}/smaps_rollup") as file:
                    for line in file:
                        if line.startswith("Rss:"):
                            rss += int(line.split()[1])
                        elif line.startswith("Pss:"):
                            pss += int(line.split()[1])
                processes += 1
            except OSError:
                continue
        return Memory(round(rss / 1024, 1), round(pss / 1024, 1), processes)


def _parent_and_cpu(pid: int) -> tuple[int, float, float]:
    """Parent, own CPU seconds, those of children that have ended (proc(5): fields 4, 14 to 17)."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        rest = file.read().rpartition(b")")[2].split()
    own, ended = int(rest[11]) + int(rest[12]), int(rest[13]) + int(rest[14])
    return int(rest[1]), own / _TICKS_A_SECOND, ended / _TICKS_A_SECOND


def machine() -> Machine:
    with open("/proc/stat") as file:
        spent = [int(text) / _TICKS_A_SECOND for text in file.readline().split()[1:9]]
    flushes = sectors = 0
    with open("/proc/diskstats") as file:
        for line in file:
            fields = line.split()
            if _DISK.fullmatch(fields[2]):
                sectors += int(fields[9])
                flushes += int(fields[18]) if len(fields) > 18 else 0
    return Machine(spent[0] + spent[1] + spent[2] + spent[5] + spent[6], spent[4], sectors * 512 / 1e6, flushes)


def available_memory_kb() -> int:
    with open("/proc/meminfo") as file:
        for line in file:
            if line.startswith("MemAvailable"):
                return int(line.split()[1])
    return 0
