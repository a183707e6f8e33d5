"""Prometheus metrics of all processes of an installation's host, each labelled with the role that counted.

A module declares what it counts where it counts it: `SIGN_INS = counter("sign_ins", "…", "outcome")`, then
`SIGN_INS.labels("ok").inc()`; the name becomes `waypost_sign_ins_total` and the label `role` is put in front. With
WAYPOST_METRICS_DIRECTORY every process keeps its numbers in files there (prometheus_client's multiprocess mode), so
that any process answers /metrics for all. prometheus_client chooses the mode when it is imported, hence `__main__` sets
DIRECTORY_VARIABLE before anything imports it.

Counters of a process that has ended must stay in the sum, or rates would leap; live gauges must go. So whoever
supervises the processes calls `clear_directory` once before starting any, and each process calls
`forget_ended_processes` as it starts.
"""

import contextlib
import os
import re
from pathlib import Path
from typing import Generic, Literal, TypeVar

from prometheus_client import REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.metrics import MetricWrapperBase
from prometheus_client.multiprocess import MultiProcessCollector

DIRECTORY_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
SECONDS_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

M = TypeVar("M", bound=MetricWrapperBase)

_FILE_OF_LIVE_GAUGES = re.compile(r"gauge_live[a-z]*_(\d+)\.db")
_role = "none"


class Family(Generic[M]):
    """A metric with its labels still open; `labels` gives the one to count with, cached because it is called often."""

    def __init__(self, metric: M) -> None:
        self._metric = metric
        self._children: dict[tuple[str, ...], M] = {}

    def labels(self, *values: str) -> M:
        child = self._children.get(values)
        if child is None:
            child = self._children[values] = self._metric.labels(_role, *values)
        return child


def counter(name: str, meaning: str, *labels: str) -> Family[Counter]:
    return Family(Counter(f"waypost_{name}", meaning, ("role", *labels)))


def histogram(name: str, meaning: str, *labels: str, buckets: tuple[float, ...] = SECONDS_BUCKETS) -> Family[Histogram]:
    return Family(Histogram(f"waypost_{name}", meaning, ("role", *labels), buckets=buckets))


def gauge(
    name: str, meaning: str, *labels: str, across: Literal["livesum", "livemax", "livemin"] = "livesum"
) -> Family[Gauge]:
    """`across` says how the values of several processes of a role become one."""
    return Family(Gauge(f"waypost_{name}", meaning, ("role", *labels), multiprocess_mode=across))


def name_role(role: str) -> None:
    """Say what this process is; before the first `labels` of any family."""
    global _role
    _role = role


def exposition() -> bytes:
    """The numbers of all processes, in Prometheus' text format. Reads files: call it in a thread."""
    registry: CollectorRegistry = REGISTRY
    if directory := os.environ.get(DIRECTORY_VARIABLE):
        registry = CollectorRegistry()
        MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def clear_directory(directory: Path) -> None:
    """Make the directory, empty of numbers; only while no process of the installation runs."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    for left_over in directory.glob("*.db"):
        left_over.unlink(missing_ok=True)


def forget_ended_processes(directory: Path) -> None:
    """Remove the live gauges of processes that are gone; their counters stay in the sums."""
    for file in directory.glob("gauge_live*.db"):
        found = _FILE_OF_LIVE_GAUGES.fullmatch(file.name)
        if found and not _is_running(int(found[1])):
            with contextlib.suppress(OSError):
                file.unlink()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
