"""Log files of bounded size. Children append to them all the time, so a full file is copied and cut, not renamed.

What a child writes between the last read of the copy and the cut is lost: microseconds of a log that was overfull.
"""

import os
import shutil
from pathlib import Path

LIMIT_OCTETS = 16 * 2**20
KEPT = 3


def rotate(directory: Path, *, limit_octets: int = LIMIT_OCTETS, kept: int = KEPT) -> None:
    """Move every `*.log` over the limit to `.log.1`, that to `.log.2`, and so on; the oldest goes."""
    for log in directory.glob("*.log"):
        if log.stat().st_size > limit_octets:
            for number in range(kept - 1, 0, -1):
                older = log.with_name(f"{log.name}.{number}")
                if older.exists():
                    older.replace(log.with_name(f"{log.name}.{number + 1}"))
            _copy_and_cut(log, log.with_name(f"{log.name}.1"))


def _copy_and_cut(log: Path, copy: Path) -> None:
    descriptor = os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with log.open("rb") as source, os.fdopen(descriptor, "wb") as target:
        shutil.copyfileobj(source, target, 2**20)
    os.truncate(log, 0)
