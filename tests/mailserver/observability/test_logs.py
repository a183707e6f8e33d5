"""What a log line holds, and what it never holds."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from mailserver.observability.logs import configure_logs, get_logger


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield io.StringIO()
    root.handlers, root.level = handlers, level
    structlog.reset_defaults()


def test_an_event_is_one_json_line_with_role_and_process(lines: io.StringIO) -> None:
    configure_logs("json", "info", role="imap", stream=lines)
    get_logger().bind(connection="c0ffee").info("signed in", account=7, tenant=3)
    [line] = lines.getvalue().splitlines()
    event = json.loads(line)
    assert {
        "event": "signed in",
        "connection": "c0ffee",
        "account": 7,
        "tenant": 3,
        "role": "imap",
    }.items() <= event.items()
    assert event["level"] == "info"
    assert event["timestamp"].endswith("Z")
    assert isinstance(event["pid"], int)


@pytest.mark.parametrize(
    "name",
    ["password", "new_password", "Token", "csrf_token", "subject", "body", "Authorization", "master_key", "line"],
)
def test_what_must_not_be_logged_is_left_out_at_any_depth(lines: io.StringIO, name: str) -> None:
    configure_logs("json", "info", role="imap", stream=lines)
    get_logger().info("oops", **{name: "hunter2"}, nested={"list": [{name: "hunter2"}]})
    assert "hunter2" not in lines.getvalue()
    assert json.loads(lines.getvalue())[name] == "[not logged]"


def test_octets_are_shown_as_a_count(lines: io.StringIO) -> None:
    configure_logs("json", "info", role="imap", stream=lines)
    get_logger().info("bad command", command=b"a1 LOGIN ann hunter2", parts=[b"hunter2"])
    event = json.loads(lines.getvalue())
    assert (event["command"], event["parts"]) == ("<20 octets>", ["<7 octets>"])


def test_long_text_is_cut(lines: io.StringIO) -> None:
    configure_logs("json", "info", role="imap", stream=lines)
    get_logger().info("helo", name="x" * 10_000)
    assert json.loads(lines.getvalue())["name"] == "x" * 500 + "… (10000 characters)"


def test_a_traceback_names_the_place_and_not_the_values(lines: io.StringIO) -> None:
    configure_logs("json", "info", role="imap", stream=lines)

    def fail(password: str) -> None:
        raise RuntimeError(len(password))

    try:
        fail("hunter2")
    except RuntimeError:
        get_logger().exception("a bug")
    event = json.loads(lines.getvalue())
    assert "RuntimeError: 7" in event["exception"]
    assert "in fail" in event["exception"]
    assert "hunter2'" not in event["exception"].replace('fail("hunter2")', "")


def test_below_the_level_nothing_is_written(lines: io.StringIO) -> None:
    configure_logs("json", "warning", role="imap", stream=lines)
    get_logger().info("chatter")
    assert lines.getvalue() == ""


def test_other_libraries_come_out_in_the_same_form_and_only_from_warning_up(lines: io.StringIO) -> None:
    configure_logs("json", "debug", role="smtp", stream=lines)
    logging.getLogger("mail.log").info("AUTH PLAIN aHVudGVyMg==")
    logging.getLogger("mail.log").warning("odd peer", extra={"password": "hunter2"})
    [line] = lines.getvalue().splitlines()
    event = json.loads(line)
    assert (event["event"], event["logger"], event["role"]) == ("odd peer", "mail.log", "smtp")
    assert "hunter2" not in line


def test_a_console_line_is_for_eyes(lines: io.StringIO) -> None:
    configure_logs("console", "info", role="imap", stream=lines)
    get_logger().info("signed in", account=7)
    assert "signed in" in lines.getvalue()
    assert "account=7" in lines.getvalue()
