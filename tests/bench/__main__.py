"""Measures Waypost beside Dovecot and Postfix, in one run: what `make bench` runs.

    python -m tests.bench [--only smtp_deliver,idle_push] [--reps 3] [--targets waypost,dovecot] [-- LOAD OPTIONS]

Starts both servers under a scratch directory, fills both alike, runs each workload at one and then at the other, stops
what it started, and writes the table to `report.md` there (and every line measured to `results.jsonl`). Options after
`--` go to the load generator (`python -m tests.bench.load --help`), for other sizes.
"""

import argparse
import os
import platform
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import astuple
from pathlib import Path

from tests.bench.dovecot import DovecotAndPostfix
from tests.bench.installation import Waypost, remove_waypost
from tests.bench.report import report
from tests.bench.suite import Line, Suite
from tests.bench.target import CannotStart, Ports, Target

WORKLOADS = (
    "fetch_envelope",
    "fetch_headers_list",
    "check_fetch",
    "fetch_flags",
    "fetch_flags_huge",
    "fetch_page",
    "fetch_body",
    "body_ranges",
    "search",
    "store_flags",
    "append",
    "lmtp_deliver",
    "smtp_deliver",
    "sending",
    "login_select",
    "login_select_tls",
    "idle_push",
    "idle_push_lmtp",
    "mixed",
)
ON_A_FRESH_SERVER = ("idle_memory", "idle_memory_tls")
BESIDE_MDBOX = "append_mdbox"  # `append` beside a Dovecot that keeps its faster kind of mailboxes
OURS_ALONE = ("queued",)
EVERY = (*WORKLOADS, *OURS_ALONE, BESIDE_MDBOX, *ON_A_FRESH_SERVER)
_LISTS = {"fetch_envelope", "check_fetch", "fetch_flags", "fetch_page", "search"}
_WORK = {"fetch_body", "body_ranges", "store_flags", "mixed"}
_HUGE_MESSAGES = 100_000


def main(arguments: list[str]) -> int:
    at = arguments.index("--") if "--" in arguments else len(arguments)
    options = _parser().parse_args(arguments[:at])
    asked = options.only.split(",") if options.only else list(EVERY)
    if unknown := set(asked) - {*EVERY}:
        print(f"no such workload: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    directory: Path = options.directory
    ports = Ports(*(int(text) for text in options.ports.split(",")))
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o755)  # Dovecot's and Postfix' users pass through
    known: dict[str, Target] = {
        "waypost": Waypost(directory / "waypost", ports),
        "dovecot": DovecotAndPostfix(directory / "peers", ports),
    }
    targets = [known[name] for name in options.targets.split(",")]
    mdbox = DovecotAndPostfix(directory / "peers-mdbox", ports, "mdbox")
    sizes = [*_sizes(asked, options.reps), *arguments[at + 1 :]]
    suite = Suite(directory / "results.jsonl", options.quiet_wait, sizes, ports.sink)
    started = time.monotonic()
    try:
        text = _measure(suite, targets, mdbox, asked, options.reps, has_seeded=options.keep)
    except CannotStart as refusal:
        print(refusal, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        for target in (*targets, mdbox):
            target.stop()
    text = f"{_machine()}; {(time.monotonic() - started) / 60:.0f} minutes.\n\n{text}"
    (directory / "report.md").write_text(text)
    print(f"\n{text}\nIn {directory}: report.md, results.jsonl")
    return 0


def _measure(
    suite: Suite, targets: Sequence[Target], mdbox: Target, asked: Sequence[str], reps: int, *, has_seeded: bool
) -> str:
    if not has_seeded:
        suite.results.unlink(missing_ok=True)
        for target in targets:
            _remove(suite.results.parent, target)
    for target in targets:
        if not has_seeded:
            print(f"filling {target.name}", flush=True)
            target.start_for_seeding()
            if any("failed" in line for line in suite.run(target, "seed")):
                raise CannotStart(f"{target.name} could not be filled")
        target.start()
    usual = [workload for workload in asked if workload in WORKLOADS]
    lines: list[Line] = list(suite.interleave(targets, usual, reps))
    lines += suite.interleave(targets[:1], [workload for workload in asked if workload in OURS_ALONE], 1)
    if BESIDE_MDBOX in asked:
        lines += _beside(suite, targets, mdbox, reps)
    for workload in asked:
        if workload in ON_A_FRESH_SERVER:
            for target in targets:
                target.start()
                lines += suite.run(target, workload)
    return report(lines, [target.name for target in targets])


def _beside(suite: Suite, targets: Sequence[Target], mdbox: Target, reps: int) -> list[Line]:
    """`append` with the other peer, which takes the place of the usual one."""
    for target in targets[1:]:
        target.stop()
    mdbox.start_for_seeding()  # empty
    mdbox.start()
    lines = list(suite.interleave([targets[0], mdbox], ["append"], reps, named=BESIDE_MDBOX))
    mdbox.stop()
    return lines


def _sizes(asked: Sequence[str], reps: int) -> list[str]:
    """Only what the workloads need is filled."""
    listed, work = bool(_LISTS & {*asked}), bool(_WORK & {*asked})
    return [
        f"--fresh={reps if listed else 0}",
        f"--fresh-headers={reps if 'fetch_headers_list' in asked else 0}",
        f"--huge={_HUGE_MESSAGES if 'fetch_flags_huge' in asked else 0}",
        *([] if work else ["--work-users=0"]),
    ]


def _remove(directory: Path, target: Target) -> None:
    if target.name == "waypost":
        remove_waypost(directory / "waypost")
        shutil.rmtree(directory / "waypost", ignore_errors=True)


def _machine() -> str:
    memory_gb = int(Path("/proc/meminfo").read_text().split()[1]) / 2**20
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    day = time.strftime("%Y-%m-%d")
    return f"{day}, {os.cpu_count()} cores ({model}), {memory_gb:.0f} GB, Linux {platform.release()}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tests.bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help=f"workloads, by commas, of: {', '.join(EVERY)}")
    parser.add_argument("--reps", type=int, default=3)
    parser.add_argument("--targets", default="waypost,dovecot", help="waypost, dovecot, or both")
    parser.add_argument("--keep", action="store_true", help="the servers are filled already, by an earlier run")
    parser.add_argument("--quiet-wait", type=float, default=15.0, help="seconds to wait for a quiet machine")
    usual = ",".join(map(str, astuple(Ports())))
    parser.add_argument("--ports", default=usual, help="bases of Waypost and its peers, port of the sink")
    default = Path(tempfile.gettempdir()) / "waypost-bench"
    parser.add_argument("--directory", type=Path, default=default, help=f"where all of it goes (default {default})")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
