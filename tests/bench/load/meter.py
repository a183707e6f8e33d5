"""Wall clock, CPU of server and client, and the machine, around one workload; one JSON line for it.

`limit` is a guess from those: client (over 0.85 of a core), server-cpu (the machine over 85 % busy, or the server over
0.85 of one core), else latency (round trips, fsync, timers).
"""

import json
import os
import time
from collections.abc import Sequence
from typing import Any

from tests.bench.load.processes import Machine, Memory, ProcessTrees, machine

_CORES = os.cpu_count() or 1


def tell(**line: Any) -> None:
    print(json.dumps(line), flush=True)


class Meter:
    def __init__(self, name: str, server: ProcessTrees | None) -> None:
        self._name = name
        self._server = server
        self._memory: Memory | None = None
        self.wall_s = 0.0
        self.started = 0.0

    def start(self) -> "Meter":
        self._server_before = self._server.cpu_s() if self._server else 0.0
        self._machine_before = machine()
        self._client_before, self.started = time.process_time(), time.perf_counter()
        return self

    def stop(self) -> "Meter":
        self.wall_s = max(time.perf_counter() - self.started, 1e-9)
        self._client_s = time.process_time() - self._client_before
        self._machine_after: Machine = machine()
        if self._server:
            self._server_s = self._server.cpu_s() - self._server_before
            self._memory = self._server.memory()
        return self

    def tell(
        self,
        workload: str,
        operations: int,
        *,
        latencies_s: Sequence[float] = (),
        octets: int | None = None,
        errors: int = 0,
        **more: Any,
    ) -> None:
        before, after = self._machine_before, self._machine_after
        busy = after.busy_s - before.busy_s
        share = busy / self.wall_s / _CORES
        line: dict[str, Any] = {
            "target": self._name,
            "workload": workload,
            "operations": operations,
            "errors": errors,
            "wall_s": round(self.wall_s, 4),
            "per_s": round(operations / self.wall_s, 2),
        }
        if octets is not None:
            line["mb_per_s"] = round(octets / 1e6 / self.wall_s, 2)
            line["octets_each"] = round(octets / max(operations, 1))
        if latencies_s:
            ordered = sorted(latencies_s)
            for percent in (50, 95, 99):
                line[f"p{percent}_ms"] = round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000, 3)
        line["client_busy"] = round(self._client_s / self.wall_s, 2)
        is_server_busy = share > 0.85
        if self._server:
            line["server_cpu_ms_each"] = round(self._server_s * 1000 / max(operations, 1), 4)
            line["other_cpu_s"] = round(max(0.0, busy - self._client_s - self._server_s), 2)
            is_server_busy = is_server_busy or self._server_s / self.wall_s > 0.85
        if self._memory:
            line["server_pss_mb"] = self._memory.pss_mb
        line["machine_busy"] = round(share, 2)
        line["disk_wait_s"] = round(after.waiting_for_disk_s - before.waiting_for_disk_s, 2)
        line["disk_written_mb"] = round(after.written_mb - before.written_mb, 1)
        line["disk_flushes"] = after.flushes - before.flushes
        is_client_busy = self._client_s / self.wall_s > 0.85
        line["limit"] = "client" if is_client_busy else "server-cpu" if is_server_busy else "latency"
        tell(**line, **more)
