"""How far a backup or a restore is: a bar on a terminal, a line for each step elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from storage.management.backup_wording import say

COUNTED = frozenset({"new epochs"})
"""Steps that count things, not octets."""
UNCOUNTED = frozenset({"recovering", "looking"})
"""Steps of which nobody knows how far they are."""

Tell = Callable[[int, int | None], None]


class TerminalSteps:
    """`taking.Steps` for whoever sits before the command."""

    def __init__(self, language: str, write: Callable[[str], object]) -> None:
        self._language = language
        self._write = write
        self._console = Console(stderr=True) if sys.stderr.isatty() else None

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[Tell]:
        name = say(self._language, what)
        if self._console is None:
            self._write(f"{name} …")
            yield _say_nothing
            return
        amount: ProgressColumn = MofNCompleteColumn() if what in COUNTED else DownloadColumn()
        amounts = () if what in UNCOUNTED else (amount,)
        columns = (TextColumn("{task.description}"), BarColumn(), *amounts, TimeElapsedColumn())
        with Progress(*columns, console=self._console) as shown:
            task = shown.add_task(name, total=None)

            def tell(done: int, total: int | None) -> None:
                if total is None:
                    shown.update(task, completed=done)
                else:
                    shown.update(task, completed=done, total=max(total, done))

            yield tell
            if not shown.tasks[0].total:
                shown.update(task, total=1, completed=1)


def _say_nothing(_done: int, _total: int | None) -> None:
    pass
