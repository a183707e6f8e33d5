"""The parts of the supervisor: lock, ports, doors, keepers, logs, endpoints, screen."""

import asyncio
import io
import json
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from deploy.local.__main__ import reset
from deploy.local.certificates import make_certificates
from deploy.local.child import Child, ServiceFailed, StopStep, launch
from deploy.local.doors import demand_free, door_answers
from deploy.local.endpoints import Login, Pids, remove_endpoints, write_endpoints
from deploy.local.installation import DOORS, SOURCE
from deploy.local.keeper import Keeper, ended, pause_after, run_to_end
from deploy.local.lock import AlreadyRunning, acquire_lock, holder
from deploy.local.log_rotation import rotate
from deploy.local.screen import Running, Screen, language_of, lines_to_try
from tests.deploy.test_certificates import NOW


def start(tmp_path: Path, program: str, *, name: str = "child") -> Child:
    return launch(
        name,
        [sys.executable, "-c", program],
        log=tmp_path / f"{name}.log",
        environment={"PATH": os.defpath},
        directory=tmp_path,
        death_signal=signal.SIGKILL,
    )


# the lock


def test_a_second_supervisor_of_one_var_is_refused_with_the_first_ones_pid(tmp_path: Path) -> None:
    lock = acquire_lock(tmp_path)
    with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}.*make down"):
        acquire_lock(tmp_path)
    assert holder(tmp_path) == os.getpid()
    lock.release()
    assert holder(tmp_path) is None
    acquire_lock(tmp_path).release()


def test_the_lock_of_a_killed_supervisor_is_free(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, time; from deploy.local.lock import acquire_lock;"
        "acquire_lock(pathlib.Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, cwd=SOURCE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        assert holder(tmp_path) == process.pid
        process.kill()
    assert holder(tmp_path) is None


# children


def test_a_child_that_ignores_sigterm_is_killed_after_its_time(tmp_path: Path) -> None:
    child = start(
        tmp_path,
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(60)",
    )
    while "deaf" not in child.tail():
        assert child.exit_status() is None
    child.stop([StopStep(signal.SIGTERM, 0.2)])
    assert child.exit_status() == -signal.SIGKILL


def test_a_child_can_be_stopped_though_its_parent_blocked_the_signal(tmp_path: Path) -> None:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        child = start(tmp_path, "import time; time.sleep(60)")
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    child.stop([StopStep(signal.SIGTERM, 10)])
    assert child.exit_status() == -signal.SIGTERM


def test_a_program_that_is_not_there_fails_with_its_name(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match="mailer could not be started"):
        launch(
            "mailer",
            [tmp_path / "absent"],
            log=tmp_path / "log",
            environment={},
            directory=tmp_path,
            death_signal=signal.SIGKILL,
        )


async def test_a_command_that_fails_shows_its_last_lines(tmp_path: Path) -> None:
    with pytest.raises(ServiceFailed, match=r"ended with status 3(.|\n)*no such table"):
        await run_to_end(start(tmp_path, "import sys; print('no such table'); sys.exit(3)"), deadline_s=20)


async def test_a_command_over_its_time_is_killed(tmp_path: Path) -> None:
    child = start(tmp_path, "import time; time.sleep(60)")
    with pytest.raises(ServiceFailed, match="took more than"):
        await run_to_end(child, deadline_s=0.05)
    assert child.exit_status() == -signal.SIGKILL


# keepers


async def test_a_program_that_dies_is_started_again(tmp_path: Path) -> None:
    changes: asyncio.Queue[str] = asyncio.Queue()
    keeper = Keeper(
        "sleeper",
        lambda: start(tmp_path, "import time; time.sleep(60)"),
        on_change=lambda _keeper, what: changes.put_nowait(what),
    )
    task = asyncio.create_task(keeper.keep())
    assert await changes.get() == ""
    first = keeper.child
    assert first is not None
    first.signal(signal.SIGKILL)
    assert (await changes.get()).startswith("ended by signal 9; started again in 0.2 s")
    assert await changes.get() == ""
    assert keeper.child is not None
    assert keeper.child.pid != first.pid
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    keeper.child.stop(())


def test_the_pause_grows_to_the_longest_and_stays_there() -> None:
    assert [pause_after(failures, 1.0) for failures in (1, 2, 3, 4, 5000)] == [0.2, 0.4, 0.8, 1.0, 1.0]


async def test_a_program_that_never_worked_fails_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deploy.local.keeper.FIRST_PAUSE_S", 0.001)
    keeper = Keeper(
        "broken", lambda: start(tmp_path, "raise SystemExit('bad setting')"), on_change=lambda _keeper, _what: None
    )
    with pytest.raises(ServiceFailed, match="bad setting"):
        await keeper.keep()


async def test_a_role_that_says_trying_again_is_of_no_use_fails_the_start_at_once(tmp_path: Path) -> None:
    starts = []
    keeper = Keeper(
        "misconfigured",
        lambda: starts.append(1) or start(tmp_path, "raise SystemExit(78)"),
        on_change=lambda _keeper, _what: None,
    )
    with pytest.raises(ServiceFailed, match="status 78"):
        await keeper.keep()
    assert len(starts) == 1


async def test_the_end_of_a_child_is_seen_whenever_it_comes(tmp_path: Path) -> None:
    child = start(tmp_path, "")
    assert await ended(child) == 0
    assert await ended(child) == 0


# ports and doors


def test_taken_ports_are_named_with_the_way_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServiceFailed, match=rf"ports {port} \(imap\): taken(.|\n)*WAYPOST_PORT_BASE="):
            demand_free({"imap": port})
    demand_free({"imap": port})


@pytest.mark.parametrize(
    ("door", "said", "answers"),
    [
        ("imap", b"* OK ready\r\n", True),
        ("imap", b"* BYE not now\r\n", False),
        ("smtp", b"220 mail.demo.test\r\n", True),
        ("lmtp", b"421 no\r\n", False),
        ("http", b"HTTP/1.1 200 OK\r\n\r\n", True),
        ("metrics", b"HTTP/1.1 503 no\r\n\r\n", False),
        ("submission", b"", False),
    ],
)
async def test_a_door_answers_when_it_greets_in_its_protocol(
    tmp_path: Path, door: str, said: bytes, answers: bool
) -> None:
    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        assert await door_answers(door, server.sockets[0].getsockname()[1], tmp_path) is answers


async def test_a_tls_door_answers_only_under_our_authority(tmp_path: Path) -> None:
    import ssl

    ours = make_certificates(tmp_path / "tls", tmp_path / "secrets", now=NOW)
    stranger = make_certificates(tmp_path / "tls2", tmp_path / "secrets2", now=NOW)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ours.certificate, ours.key)

    async def greet(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"* OK ready\r\n")
        writer.close()

    server = await asyncio.start_server(greet, "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert await door_answers("imaps", port, ours.ca)
        assert not await door_answers("imaps", port, stranger.ca)


async def test_a_closed_door_does_not_answer(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    assert not await door_answers("imap", port, tmp_path)


# logs


def test_a_log_over_the_limit_is_copied_and_cut_while_it_is_written_to(tmp_path: Path) -> None:
    with (tmp_path / "imap.log").open("ab", buffering=0) as log:
        for generation in range(5):
            log.write(b"%d" % generation * 2000)
            rotate(tmp_path, limit_octets=1000, kept=3)
            log.write(b"after")
        assert (tmp_path / "imap.log").read_bytes() == b"after"
    kept = {path.name: path.read_bytes()[-1:] for path in tmp_path.iterdir() if path.suffix != ".log"}
    assert kept == {"imap.log.1": b"4", "imap.log.2": b"3", "imap.log.3": b"2"}


def test_a_small_log_stays(tmp_path: Path) -> None:
    (tmp_path / "imap.log").write_bytes(b"few")
    rotate(tmp_path, limit_octets=1000)
    assert [path.name for path in tmp_path.iterdir()] == ["imap.log"]


# endpoints and the last screen


def test_endpoints_have_every_door_login_and_pid_for_their_owner_alone(tmp_path: Path) -> None:
    doors = {door: 20000 + offset for door, offset in DOORS.items()}
    write_endpoints(tmp_path, doors, tmp_path / "ca.pem", [Login("a@demo.test", "secret")], Pids(1, 2, 3, 4))
    found = json.loads((tmp_path / "endpoints.json").read_text())
    assert found == {
        "imap": {"host": "127.0.0.1", "port": 20143},
        "imaps": {"host": "127.0.0.1", "port": 20993},
        "pop3": {"host": "127.0.0.1", "port": 20110},
        "pop3s": {"host": "127.0.0.1", "port": 20995},
        "smtp": {"host": "127.0.0.1", "port": 20025},
        "submission": {"host": "127.0.0.1", "port": 20587},
        "submissions": {"host": "127.0.0.1", "port": 20465},
        "lmtp": {"host": "127.0.0.1", "port": 20024},
        "http": {"host": "127.0.0.1", "port": 20080},
        "metrics": {"host": "127.0.0.1", "port": 20090},
        "ca": str(tmp_path / "ca.pem"),
        "logins": [{"address": "a@demo.test", "password": "secret"}],
        "pids": {"supervisor": 1, "postgres": 2, "s3": 3, "redis": 4},
    }
    assert stat.S_IMODE((tmp_path / "endpoints.json").stat().st_mode) == 0o600
    remove_endpoints(tmp_path)
    remove_endpoints(tmp_path)
    assert list(tmp_path.iterdir()) == []


def shown(language: str) -> str:
    out = io.StringIO()
    screen = Screen(language, Console(file=out, width=300, highlight=False))
    with screen.step("doors"):
        pass
    screen.running(running())
    screen.stopped()
    return out.getvalue()


def running() -> Running:
    return Running(
        doors={door: 20000 + offset for door, offset in DOORS.items()},
        ca=Path("/srv/var/tls/ca.pem"),
        var=Path("/srv/var"),
        logins=[Login("admin@demo.test", "p-0"), Login("lin.wei@demo.test", "p-1"), Login("anna@demo.test", "p-2")],
        seconds=4.2,
    )


@pytest.mark.parametrize(("language", "greeting"), [("en", "Waypost is running"), ("zh", "Waypost 已启动")])
def test_the_last_screen_says_how_to_get_in(language: str, greeting: str) -> None:
    screen = shown(language)
    ports = (20143, 20993, 20110, 20995, 20587, 20465, 20025, 20024, 20080, 20090)
    for needed in (greeting, *(f":{port}" for port in ports), "ca.pem"):
        assert needed in screen
    for login in running().logins:
        assert f"{login.address}  {login.password}" in screen
    for line in lines_to_try(running()):
        assert line in screen
    assert len(screen.splitlines()) <= 30


def test_three_lines_to_try_are_whole_commands() -> None:
    swaks, curl, openssl = lines_to_try(running())
    assert swaks.startswith("swaks ")
    assert "--to lin.wei@demo.test" in swaks
    assert "--user 'lin.wei@demo.test:p-1'" in curl
    assert openssl.endswith("-connect localhost:20993")


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "C"}, "en"),
        ({}, "en"),
        ({"LANG": "de"}, "en"),
    ],
)
def test_the_language_is_the_locales(environment: dict[str, str], language: str) -> None:
    assert language_of(environment) == language


# reset


def test_reset_deletes_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "endpoints.json").touch()
    (tmp_path / "notes.txt").touch()
    assert reset(tmp_path, asks=False) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]
    assert reset(tmp_path, asks=False) == 0


def test_reset_asks_and_takes_silence_for_no(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "postgres").mkdir()
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert reset(tmp_path, asks=True) == 1
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    assert reset(tmp_path, asks=True) == 1
    assert (tmp_path / "postgres").exists()
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    assert reset(tmp_path, asks=True) == 0
    assert not tmp_path.exists()


def test_reset_refuses_while_it_runs(tmp_path: Path) -> None:
    lock = acquire_lock(tmp_path)
    with pytest.raises(AlreadyRunning):
        reset(tmp_path, asks=False)
    lock.release()
