"""Runs the load generator against the targets in turn (A B, A B, ...) and keeps every line.

Noise of the machine falls on both. Each run waits a while for a quiet machine, and each line tells how fast the machine
was just then (`spin_ms`, a fixed piece of one-core work), how long it waited, and what the host stole meanwhile.
"""

import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deploy.local.installation import SOURCE
from tests.bench.target import PASSWORD, Target

Line = dict[str, Any]

_RUN_LIMIT_S = 1800.0
_QUIET_SHARE = 0.15
_SHOWN = ("failed", "per_s", "mb_per_s", "wall_s", "p50_ms", "p99_ms", "server_cpu_ms_each", "client_busy", "right")


@dataclass(frozen=True, slots=True)
class Suite:
    results: Path
    quiet_wait_s: float
    options: Sequence[str]
    """further ones of the load generator"""
    sink_port: int

    def run(self, target: Target, workload: str, rep: int = 0, *, named: str = "") -> list[Line]:
        """The lines; one with `failed` when the run did not end in time or ended badly. `named`: something else than
        the workload, for one that is measured in two ways."""
        command = [sys.executable, "-m", "tests.bench.load", "--name", target.name, "--rep", str(rep)]
        command += ["--imap", target.doors.imap, "--imaps", target.doors.imaps]
        command += ["--smtp", target.doors.smtp, "--lmtp", target.doors.lmtp, "--password", PASSWORD]
        command += ["--submissions", target.doors.submissions, "--sink-port", str(self.sink_port)]
        command += ["--server-pids", ",".join(map(str, target.root_pids()))]
        command += ["--queue-pids", ",".join(map(str, target.queue_pids())), *self.options, workload]
        around: Line = {"rep": rep, "waited_s": wait_for_quiet(self.quiet_wait_s), "spin_ms": spin_ms()}
        stolen = _stolen_s()
        try:
            done = subprocess.run(command, cwd=SOURCE, stdout=subprocess.PIPE, check=False, timeout=_RUN_LIMIT_S)
            lines = [json.loads(line) for line in done.stdout.splitlines()]
            if not lines:
                lines = [{"target": target.name, "workload": workload, "failed": f"exit status {done.returncode}"}]
        except subprocess.TimeoutExpired:
            lines = [{"target": target.name, "workload": workload, "failed": f"not done in {_RUN_LIMIT_S:.0f} s"}]
        around["stolen_s"] = round(_stolen_s() - stolen, 2)
        lines = [{**line, **around, **({"workload": named} if named else {})} for line in lines]
        with self.results.open("a") as file:
            for line in lines:
                file.write(json.dumps(line) + "\n")
                _show(line)
        return lines

    def interleave(
        self, targets: Sequence[Target], workloads: Sequence[str], reps: int, *, named: str = ""
    ) -> Iterator[Line]:
        for rep in range(reps):
            for workload in workloads:
                for target in targets:
                    yield from self.run(target, workload, rep, named=named)


def _show(line: Line) -> None:
    told = " ".join(f"{name}={line[name]}" for name in _SHOWN if line.get(name) is not None)
    print(f"  {line['rep']} {line['target']:8} {line['workload']:24} {told}", flush=True)


def spin_ms() -> float:
    """How long a fixed piece of one-core work takes now."""
    block = b"x" * 1_000_000
    started = time.perf_counter()
    for _ in range(20):
        hashlib.blake2b(block).digest()
    return round((time.perf_counter() - started) * 1000, 2)


def wait_for_quiet(limit_s: float) -> float:
    """Until the machine is nearly idle for half a second, at most so long; the seconds waited."""
    started = time.monotonic()
    while True:
        busy_before, all_before = _spent()
        time.sleep(0.5)
        busy_after, all_after = _spent()
        waited_s = time.monotonic() - started
        if busy_after - busy_before <= _QUIET_SHARE * max(1, all_after - all_before) or waited_s > limit_s:
            return round(waited_s - 0.5, 1)


def _spent() -> tuple[int, int]:
    ticks = _ticks()
    return sum(ticks) - ticks[3] - ticks[4], sum(ticks)


def _stolen_s() -> float:
    return _ticks()[7] / os.sysconf("SC_CLK_TCK")


def _ticks() -> list[int]:
    with open("/proc/stat") as file:
        return [int(text) for text in file.readline().split()[1:9]]
