"""`manage.py migrate`: Django's, but it waits for each lock a short while only, tries again, and says who has it.

A statement that waits for a lock on a table has everybody wait behind it who comes later, and so all mail. What is
CONCURRENTLY done waits without holding anybody up, and given up it would leave half an index: it has its time.
"""

import time
from collections.abc import Callable
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.core.management.commands import migrate
from django.db import connections
from django.db.utils import OperationalError
from psycopg.errors import DeadlockDetected, LockNotAvailable

from storage.management.lock_watch import Holder, watching
from tenants.management.wording import language_of_terminal

LOCK_TIMEOUT_S = 5.0  # over PostgreSQL's deadlock_timeout of 1 s: then an autovacuum that is in the way gives way
TRIES = 10
PAUSE_S = 10.0

_TRIED = "Try {number} of {tries}: a lock was not to be had within {timeout:g} s, and mail waits behind it. In the way:"
_AGAIN = "Again in {pause:g} s."
_GIVEN_UP = (
    "Not all migrations are applied; those that are stay. Run it again when these sessions are at their end, or end"
    " one, as PostgreSQL's superuser: SELECT pg_terminate_backend(PROCESS)"
)
_SESSION = "  process {process}, {role} ({application})"
_PREPARED = "  a prepared transaction: SELECT * FROM pg_prepared_xacts"
_SINCE = ", {seconds} s in its transaction"
_HAS = ", with {has} on {on}; wanted is {wanted}"
_HAS_ROW = ", with a row that is wanted"
_NOBODY = "  nobody could be seen"
_CHINESE = {
    _TRIED: "第 {number} 次尝试（共 {tries} 次）：{timeout:g} 秒内未能取得锁，而邮件在其后等待。占用者：",
    _AGAIN: "{pause:g} 秒后重试。",
    _GIVEN_UP: (
        "迁移尚未全部完成，已完成的保持有效。请在这些会话结束后重新运行，"
        "或以 PostgreSQL 超级用户结束会话：SELECT pg_terminate_backend(进程号)"
    ),
    _SESSION: "  进程 {process}，{role}（{application}）",
    _PREPARED: "  一个预备事务：SELECT * FROM pg_prepared_xacts",
    _SINCE: "，其事务已进行 {seconds} 秒",
    _HAS: "，持有 {on} 上的 {has}；需要 {wanted}",
    _HAS_ROW: "，持有所需的行",
    _NOBODY: "  未能看到占用者",
}


class Command(migrate.Command):
    help = f"{migrate.Command.help} Waits for locks a short while only, so that mail goes on; then tries again."

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--lock-timeout",
            type=float,
            default=LOCK_TIMEOUT_S,
            metavar="SECONDS",
            help="how long to wait for a lock, with mail waiting behind (%(default)g)",
        )
        parser.add_argument("--tries", type=int, default=TRIES, help="how often to try (%(default)d)")
        parser.add_argument(
            "--pause", type=float, default=PAUSE_S, metavar="SECONDS", help="between two tries (%(default)g)"
        )

    def handle(self, *arguments: Any, **options: Any) -> None:
        language, tries = language_of_terminal(), max(options["tries"], 1)
        for number in range(1, tries + 1):
            holders = self._try(arguments, options)
            if holders is None:
                return
            tried = _phrase(language, _TRIED, number=number, tries=tries, timeout=options["lock_timeout"])
            told = "\n".join([tried, *(_described(language, each) for each in holders or [None])])
            if options["verbosity"]:
                self.stdout.write("")  # behind the line of the migration that was begun
            if number == tries:
                raise CommandError(f"{told}\n{_phrase(language, _GIVEN_UP)}")
            self.stderr.write(f"{told}\n{_phrase(language, _AGAIN, pause=options['pause'])}")
            time.sleep(options["pause"])

    def _try(self, arguments: tuple[Any, ...], options: dict[str, Any]) -> "tuple[Holder, ...] | None":
        """None: it is done. Else who was in the way."""
        connection, timeout_s = connections[options["database"]], options["lock_timeout"]
        connection.close()  # what a try before left of its session
        connection.ensure_connection()
        _set_lock_timeout(connection.cursor(), timeout_s)
        process = connection.connection.info.backend_pid

        def with_time(execute: Callable[..., Any], sql: str, values: Any, many: bool, context: Any) -> Any:
            if "CONCURRENTLY" not in str(sql).upper():
                return execute(sql, values, many, context)
            _set_lock_timeout(context["cursor"].cursor, 0)
            result = execute(sql, values, many, context)
            _set_lock_timeout(connection.cursor(), timeout_s)
            return result

        with (
            watching(options["database"], process, timeout_s=timeout_s) as watch,
            connection.execute_wrapper(with_time),
        ):
            try:
                super().handle(*arguments, **options)
            except OperationalError as error:
                if not isinstance(error.__cause__, LockNotAvailable | DeadlockDetected):
                    raise
                return watch.holders
        return None


def _set_lock_timeout(cursor: Any, timeout_s: float) -> None:
    """Until the session ends. 0: none."""
    cursor.execute("SELECT set_config('lock_timeout', %s, false)", [f"{round(timeout_s * 1000)}ms"])


def _described(language: str, holder: Holder | None) -> str:
    if holder is None:
        return _phrase(language, _NOBODY)
    if not holder.process:
        return _phrase(language, _PREPARED)
    role, application = holder.role or "PostgreSQL", holder.application or "-"
    text = _phrase(language, _SESSION, process=holder.process, role=role, application=application)
    if holder.in_transaction_s is not None:
        text += _phrase(language, _SINCE, seconds=holder.in_transaction_s)
    if holder.on is None:
        return text + _phrase(language, _HAS_ROW)
    return text + _phrase(language, _HAS, has=holder.has or "?", on=holder.on, wanted=holder.wanted)


def _phrase(language: str, text: str, **values: object) -> str:
    return (_CHINESE[text] if language == "zh-hans" else text).format(**values)
