"""An embedded PostgreSQL from a base backup: unpacked, recovered to a moment, and opened with the passwords of `var`.

    postgres = recover(places, backup, wal=Path("backups/wal"), until=None, …)     it runs, and is nobody's standby

While it recovers nobody is let in (hot_standby off: settings of the old server need not fit ours), and whoever reaches
its private socket is believed, for the passwords in the cluster may be others than those of `var/secrets`.
"""

import signal
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from deploy.local.child import StopStep
from deploy.local.places import Places
from deploy.local.postgres import Postgres, as_setting
from storage.backup import wal_archive
from storage.backup.base import unpack_base
from storage.backup.place import Backup

RECOVERY_DEADLINE_S = 24 * 3600.0
_AUTO = "postgresql.auto.conf"
_SIGNAL = "recovery.signal"
_STOP_NOW = (StopStep(signal.SIGQUIT, 10.0),)


def recover(
    places: Places,
    backup: Backup,
    *,
    wal: Path | None,
    until: datetime | None,
    on_unpacked: Callable[[int, int], None],
    on_recovery: Callable[[], None],
) -> Postgres:
    """A running server in an empty `places`, at `until` or at the end of the WAL. Call it from a thread that lives on.

    Raises ServiceFailed, with PostgreSQL's own words when the WAL does not reach so far, and BackupFailed.
    """
    postgres = Postgres(places, trusts_socket=True)
    postgres.adopt(lambda data: unpack_base(backup.base, data, on_unpacked))
    data = places.var / "postgres"
    as_it_was = (data / _AUTO).read_text("utf-8")
    (data / _AUTO).write_text(as_it_was + recovery_settings(wal, until), "utf-8")
    (data / _SIGNAL).touch()
    postgres.own(data)
    on_recovery()
    try:
        postgres.prepare()
        postgres.launch()
        postgres.wait_ready(RECOVERY_DEADLINE_S)
        (data / _AUTO).write_text(as_it_was, "utf-8")
        postgres.make_ready_for_use()
        postgres.set_superuser_password()
    except BaseException:
        if postgres.child is not None:
            postgres.child.stop(_STOP_NOW)
        raise
    return postgres


def recovery_settings(wal: Path | None, until: datetime | None) -> str:
    """For postgresql.auto.conf, beside an empty recovery.signal. `waypost.needs_epoch` is for the doctor."""
    command = as_setting(wal_archive.get_command(sys.executable, wal)) if wal is not None else "false"
    lines = [f"restore_command = '{command}'", "recovery_target_timeline = 'latest'", "hot_standby = off"]
    lines.append("waypost.needs_epoch = 'on'")
    if until is not None:
        lines.append(f"recovery_target_time = '{until.astimezone(UTC).isoformat(' ')}'")
        lines.append("recovery_target_action = 'promote'")
    return "\n" + "\n".join(lines) + "\n"
