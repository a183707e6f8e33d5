"""Medians side by side, as Markdown.

A run during which other programs took over 12 % of the machine is left out where two others remain ("2 of 3"); where
none was calm the runs are marked "noisy".
"""

import os
import statistics
from collections.abc import Sequence

from tests.bench.goals import Figure, Goal, goal_of
from tests.bench.suite import Line

_NOISE_S, _NOISE_SHARE = 0.05, 0.12
_UNITS: dict[Figure, tuple[float, str]] = {
    "per_s": (1.0, "/s"),
    "wall_s": (1000.0, " ms"),
    "p99_ms": (1.0, " ms p99"),
    "pss_kb_each": (1.0, " KB"),
    "growth_mb": (1.0, " MB more"),
}
_HEADING = "| workload | {names} | ratio | asked | {cpu} | runs | limit |\n|---|{dashes}--:|---|{dashes}---|---|"


def report(lines: Sequence[Line], targets: Sequence[str]) -> str:
    """`ratio` is how many times better the first target is than the second, by the figure of the goal; no verdict on
    one that was measured alone."""
    workloads = list(dict.fromkeys(line["workload"] for line in lines))
    names = " | ".join(targets)
    cpu = " | ".join(f"{name}: CPU ms each" for name in targets)
    table = [_HEADING.format(names=names, cpu=cpu, dashes="--:|" * len(targets))]
    told = []
    for workload in workloads:
        if workload == "seed":
            continue
        runs = {
            name: [line for line in lines if (line["target"], line["workload"]) == (name, workload)] for name in targets
        }
        if workload.startswith("check_"):
            told += [
                f"{workload} at {name}: {'right' if line.get('right') else 'WRONG'} ({line.get('lines')} messages)"
                for name, found in runs.items()
                for line in found
            ]
            continue
        table.append(_row(workload, runs))
        told += [
            f"{workload} at {name}: {_what_is_wrong(line)}"
            for name, found in runs.items()
            for line in found
            if _is_wrong(line)
        ]
    return "\n".join(table) + "\n" + "".join(f"\n* {text}" for text in dict.fromkeys(told)) + "\n"


def _row(workload: str, runs: dict[str, list[Line]]) -> str:
    goal = goal_of(workload)
    factor, unit = _UNITS[goal.figure]
    values: list[float | None] = []
    cpus: list[str] = []
    counts: list[str] = []
    limits: list[str] = []
    for found in runs.values():
        good, count = _calm([line for line in found if not line.get("failed") and goal.figure in line])
        values.append(statistics.median(line[goal.figure] * factor for line in good) if good else None)
        cpu = [line["server_cpu_ms_each"] for line in good if "server_cpu_ms_each" in line]
        cpus.append(_number(statistics.median(cpu)) if cpu else "-")
        counts.append(count)
        limits.append(statistics.mode(line.get("limit", "-") for line in good) if good else "-")
    shown = [
        _number(value) + unit if value is not None else "failed" if found else "–"
        for value, found in zip(values, runs.values(), strict=True)
    ]
    ratio, asked = _ratio(goal, values)
    return "| " + " | ".join([workload, *shown, ratio, asked, *cpus, " / ".join(counts), " / ".join(limits)]) + " |"


def _ratio(goal: Goal, values: Sequence[float | None]) -> tuple[str, str]:
    ours = values[0]
    ratio = None
    if len(values) > 1 and ours and values[1]:
        ratio = ours / values[1] if goal.figure == "per_s" else values[1] / ours
    shown = f"{ratio:.2f}" if ratio is not None else "-"
    if len(values) == 1:
        return shown, ""
    if goal.at_most is not None:
        is_met = ours is not None and ours <= goal.at_most
        return shown, f"at most {goal.at_most:g}: {'met' if is_met else 'NOT MET'}"
    if goal.ratio is not None:
        verdict = "-" if ratio is None else "met" if ratio >= goal.ratio else "NOT MET"
        return shown, f"{goal.ratio:g}: {verdict}"
    return shown, ""


def _calm(lines: list[Line]) -> tuple[list[Line], str]:
    allowed = _NOISE_SHARE * (os.cpu_count() or 1)
    calm = [line for line in lines if line.get("other_cpu_s", 0.0) <= _NOISE_S + allowed * line.get("wall_s", 0.0)]
    if len(calm) == len(lines):
        return lines, f"{len(lines)}"
    if len(calm) >= 2:
        return calm, f"{len(calm)} of {len(lines)}"
    return lines, f"{len(lines)} noisy"


def _is_wrong(line: Line) -> bool:
    return bool(line.get("failed") or line.get("errors") or line.get("right") is False)


def _what_is_wrong(line: Line) -> str:
    return str(line.get("failed") or f"{line['errors']} errors, right: {line.get('right', '-')}")


def _number(value: float) -> str:
    size = abs(value)
    return f"{value:,.0f}" if size >= 100 else f"{value:.1f}" if size >= 10 else f"{value:.2f}"
