"""Structured logs of a process: one event a line on standard error, as JSON or for a person's eyes.

Who logs: `log = get_logger()` at the head of a module, `log.info("delivered", account=…, message=…)`; a connection
binds its id once (`log.bind(connection=new_connection_id())`). An event's name is a fact in plain words; the rest are
ids, counts and durations. What other libraries send to `logging` comes out in the same form, from WARNING up, because
some of them log whole protocol lines below that.
"""

import logging
import os
import secrets
import sys
from typing import Any, Literal, TextIO, cast

import structlog
from structlog.typing import FilteringBoundLogger, Processor

from mailserver.observability.redaction import redact

LogFormat = Literal["json", "console"]
LogLevel = Literal["debug", "info", "warning", "error"]

FOREIGN_LEVEL = logging.WARNING


def get_logger() -> FilteringBoundLogger:
    return cast(FilteringBoundLogger, structlog.get_logger())


def new_connection_id() -> str:
    """Twelve characters, unlikely to repeat within the weeks that logs are kept."""
    return secrets.token_hex(6)


def configure_logs(log_format: LogFormat, level: LogLevel, *, role: str, stream: TextIO | None = None) -> None:
    """Set up structlog and `logging` for this process; every event carries the role and the process id.

    `stream` None is standard error.
    """
    stream = sys.stderr if stream is None else stream
    threshold = logging.getLevelNamesMapping()[level.upper()]
    shared = _shared_processors(role)
    renderer = _renderer(log_format, in_colour=stream.isatty())
    structlog.configure(
        processors=[*shared, redact, *renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, redact, *renderer],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(threshold, FOREIGN_LEVEL))


def _shared_processors(role: str) -> list[Processor]:
    def add_process(_logger: object, _method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        event["role"] = role
        event["pid"] = os.getpid()
        return event

    return [
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_process,
        structlog.processors.format_exc_info,
    ]


def _renderer(log_format: LogFormat, *, in_colour: bool) -> list[Processor]:
    if log_format == "json":
        return [structlog.processors.EventRenamer("event"), structlog.processors.JSONRenderer(ensure_ascii=False)]
    plain: Any = structlog.dev.plain_traceback
    return [structlog.dev.ConsoleRenderer(colors=in_colour, exception_formatter=plain)]
