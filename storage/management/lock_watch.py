"""Who has the locks that a session of ours waits for, watched from a thread while it waits: afterwards nobody can tell.

Nothing is told of what they do (pg_stat_activity.query): only who they are, and which lock is held.
"""

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass

from django.db import Error, connections

LOOKS_A_WAIT = 4  # in the time that a lock is waited for


@dataclass(frozen=True, slots=True)
class Holder:
    """A session that is in the way. `process` is 0 for a prepared transaction; what the role may not see is None.

    `wanted` and `on` are the lock that is waited for and its table (None: a row). `has`: what the session holds there,
    or waits for, ahead of ours.
    """

    process: int
    role: str | None
    application: str | None
    in_transaction_s: int | None
    wanted: str
    on: str | None
    has: str | None


_HOLDERS = """
SELECT b.pid, s.usename, nullif(s.application_name, ''),
       extract(epoch FROM clock_timestamp() - s.xact_start)::integer, w.mode, w.relation::regclass::text,
       (SELECT h.mode FROM pg_locks h WHERE h.pid = b.pid AND h.relation = w.relation ORDER BY h.granted DESC LIMIT 1)
  FROM pg_stat_activity a
 CROSS JOIN LATERAL (SELECT l.mode, l.relation FROM pg_locks l WHERE l.pid = a.pid AND NOT l.granted LIMIT 1) w
 CROSS JOIN LATERAL unnest(pg_blocking_pids(a.pid)) AS b (pid)
  LEFT JOIN pg_stat_activity s ON s.pid = b.pid
 WHERE a.pid = %s AND a.wait_event_type = 'Lock'
 ORDER BY b.pid
"""


class LockWatch:
    """`holders`: who was in the way when it was last looked and anybody was."""

    def __init__(self) -> None:
        self.holders: tuple[Holder, ...] = ()

    def look(self, database: str, process: int) -> None:
        with connections[database].cursor() as cursor:  # of this thread: Django's connections are each thread's own
            cursor.execute(_HOLDERS, [process])
            found = tuple(Holder(*row) for row in cursor.fetchall())
        self.holders = found or self.holders


@contextlib.contextmanager
def watching(database: str, process: int, *, timeout_s: float) -> Iterator[LockWatch]:
    """Look after a session that waits `timeout_s` for a lock (0: for ever). Nobody is seen without a connection."""
    watch, is_over = LockWatch(), threading.Event()

    def look_on() -> None:
        with contextlib.suppress(Error):
            while not is_over.wait(timeout_s / LOOKS_A_WAIT or 1.0):
                watch.look(database, process)
        connections[database].close()

    thread = threading.Thread(target=look_on, daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        is_over.set()
        thread.join()
