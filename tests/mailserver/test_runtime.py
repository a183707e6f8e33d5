"""Processes of roles: how they start, what they refuse, and how they end."""

import contextlib
import datetime as dt
import json
import os
import secrets
import shutil
import signal
import smtplib
import socket
import ssl
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from deploy.local.certificates import Certificates, make_certificates
from deploy.local.services import Services, start_services
from storage.key_files import make_master_key
from tests.conftest import RunningServices, running_services
from tests.mailserver.test_listeners import free_port

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60


@dataclass(slots=True)
class Process:
    """A running `python -m mailserver`, and what it notifies as it would systemd."""

    running: "subprocess.Popen[str]"
    channel: socket.socket

    def says(self, state: str) -> None:
        """Wait until it has said this."""
        self.channel.settimeout(PATIENCE_S)
        while state not in self.channel.recv(4096).decode().splitlines():
            pass

    def end(self, *signals: signal.Signals) -> int:
        for number in signals:
            self.running.send_signal(number)
        return self.running.wait(PATIENCE_S)

    def log(self) -> str:
        assert self.running.stderr is not None
        return self.running.stderr.read()


class Ports:
    def __init__(self) -> None:
        self.imap, self.imaps, self.smtp, self.http, self.metrics = (free_port() for _ in range(5))

    def environment(self) -> dict[str, str]:
        doors = {"IMAP": self.imap, "IMAPS": self.imaps, "SMTP": self.smtp, "HTTP": self.http, "METRICS": self.metrics}
        return {f"WAYPOST_{door}": f"127.0.0.1:{port}" for door, port in doors.items()}


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServices]:
    """Of these tests alone: elsewhere tenants are made that have no keys, and with such no process would start."""
    with running_services(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture
def ports() -> Ports:
    return Ports()


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("tls")
    return make_certificates(directory / "certificates", directory / "keys", now=dt.datetime.now(dt.UTC))


@pytest.fixture
def environment(services: RunningServices, certificates: Certificates, ports: Ports, tmp_path: Path) -> dict[str, str]:
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")},
        **ports.environment(),
        "WAYPOST_HOSTNAME": "mail.company.test",
        "WAYPOST_DATABASE_URL": services.app_url,
        "WAYPOST_SYSTEM_DATABASE_URL": services.system_url,
        "WAYPOST_REDIS_URL": services.redis_url,
        "WAYPOST_SECRETS": str(services.secrets),
        "WAYPOST_TLS_CERTIFICATE": str(certificates.certificate),
        "WAYPOST_TLS_KEY": str(certificates.key),
        "WAYPOST_METRICS_DIRECTORY": str(tmp_path / "metrics"),
    }


@contextlib.contextmanager
def process(environment: dict[str, str], *roles: str) -> Iterator[Process]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        name = f"\0waypost-test-{os.getpid()}-{free_port()}"
        channel.bind(name)
        running = subprocess.Popen(
            [sys.executable, "-m", "mailserver", *roles],
            cwd=ROOT,
            env={**environment, "NOTIFY_SOCKET": "@" + name[1:]},
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield Process(running, channel)
        finally:
            running.kill()
            running.wait()
            if running.stderr is not None:
                running.stderr.close()


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "mailserver", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )


def page(port: int, path: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=PATIENCE_S) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def greeting(port: int) -> bytes:
    with socket.create_connection(("127.0.0.1", port), PATIENCE_S) as connection:
        return connection.recv(1000)


def test_every_role_in_one_process_serves_and_ends_well(
    environment: dict[str, str], certificates: Certificates, ports: Ports
) -> None:
    with process(environment, "imap", "smtp", "web", "upkeep") as started:
        started.says("READY=1")
        assert greeting(ports.imap).startswith(b"* OK")
        assert greeting(ports.smtp).startswith(b"220 mail.company.test")
        context = ssl.create_default_context(cafile=certificates.ca)
        with (
            socket.create_connection(("127.0.0.1", ports.imaps), PATIENCE_S) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as encrypted,
        ):
            assert encrypted.recv(1000).startswith(b"* OK")
        assert page(ports.http, "/")[0] == 200
        status, body = page(ports.metrics, "/readyz")
        assert (status, json.loads(body)["ready"]) == (200, True)
        assert (
            'waypost_part_is_up{part="postgres",role="imap+smtp+web+upkeep"} 1.0' in page(ports.metrics, "/metrics")[1]
        )
        assert started.end(signal.SIGTERM) == 0
        assert '"event": "drained"' in started.log()


def test_two_workers_share_every_port(environment: dict[str, str], ports: Ports) -> None:
    with process(environment, "imap", "smtp", "web") as one, process(environment, "imap", "smtp", "web") as other:
        one.says("READY=1")
        other.says("READY=1")
        assert one.end(signal.SIGTERM) == 0
        for _ in range(10):
            assert greeting(ports.imap).startswith(b"* OK")
            assert greeting(ports.smtp).startswith(b"220")
            assert page(ports.http, "/healthz")[0] == 200


def test_clients_are_told_when_the_process_ends(environment: dict[str, str], ports: Ports) -> None:
    with process(environment, "imap", "smtp") as started:
        started.says("READY=1")
        with (
            socket.create_connection(("127.0.0.1", ports.imap), PATIENCE_S) as imap,
            socket.create_connection(("127.0.0.1", ports.smtp), PATIENCE_S) as smtp,
        ):
            imap.recv(1000)
            smtp.recv(1000)
            started.running.send_signal(signal.SIGTERM)
            assert imap.recv(1000).startswith(b"* BYE")
            assert smtp.recv(1000).startswith(b"421 ")
        assert started.end() == 0


def test_a_message_on_its_way_in_is_finished_before_the_end(
    services: RunningServices, environment: dict[str, str], ports: Ports
) -> None:
    domain = f"c{secrets.token_hex(4)}.test"
    services.manage("tenant", "add", domain)
    services.manage("account", "add", f"ada@{domain}")
    with process(environment, "smtp") as started:
        started.says("READY=1")
        with smtplib.SMTP("127.0.0.1", ports.smtp, timeout=PATIENCE_S) as client:
            client.ehlo("elsewhere.test")
            client.mail("grace@elsewhere.test")
            assert client.rcpt(f"ada@{domain}")[0] == 250
            assert client.docmd("DATA")[0] == 354
            client.send(b"Subject: Lunch\r\n\r\nAt")
            started.running.send_signal(signal.SIGTERM)
            started.says("STOPPING=1")
            client.send(b" noon?\r\n.\r\n")
            assert client.getreply()[0] == 250
            assert client.getreply()[0] == 421
            client.close()
        assert started.end() == 0


def test_a_process_whose_keys_went_away_is_not_ready(
    services: RunningServices, environment: dict[str, str], ports: Ports, tmp_path: Path
) -> None:
    mounted = tmp_path / "mounted"
    shutil.copytree(services.secrets, mounted)
    settings = {"WAYPOST_SECRETS": str(mounted), "WAYPOST_HEALTH_CHECK_FRESH_S": "0"}
    with process({**environment, **settings}, "smtp") as started:
        started.says("READY=1")
        assert page(ports.metrics, "/readyz")[0] == 200
        mounted.rename(tmp_path / "elsewhere")
        status, body = page(ports.metrics, "/readyz")
        assert (status, json.loads(body)["missing"]) == (503, ["secrets"])


def test_a_second_ctrl_c_does_not_wait_for_the_drain(environment: dict[str, str], ports: Ports) -> None:
    with process({**environment, "WAYPOST_DRAIN_S": "3600"}, "smtp") as started:
        started.says("READY=1")
        with socket.create_connection(("127.0.0.1", ports.smtp), PATIENCE_S) as stubborn:
            stubborn.recv(1000)
            started.running.send_signal(signal.SIGINT)
            started.says("STOPPING=1")
            started.running.send_signal(signal.SIGINT)
            assert started.end() == 0


def test_a_wrong_command_shows_how_it_is_used(environment: dict[str, str]) -> None:
    for arguments in ([], ["pop3"], ["imap", "--loud"]):
        wrong = run(environment, *arguments)
        assert wrong.returncode == 2
        assert "python -m mailserver imap smtp" in wrong.stderr


def test_the_settings_are_listed_without_any_being_set() -> None:
    listed = run({"PATH": os.environ["PATH"]}, "--settings")
    assert listed.returncode == 0
    assert "WAYPOST_HOSTNAME (text; default: required)\n    the name of this server" in listed.stdout
    assert "WAYPOST_MESSAGE_LIMIT_OCTETS (whole number; default: 52428800)" in listed.stdout


def test_every_problem_of_the_configuration_is_named(environment: dict[str, str]) -> None:
    broken = {**environment, "WAYPOST_DRAIN_S": "soon", "WAYPOST_IMAP": "143", "WAYPOST_HOSTNAME": ""}
    refused = run(broken, "imap")
    assert refused.returncode == 78
    for variable in ("WAYPOST_DRAIN_S", "WAYPOST_IMAP", "WAYPOST_HOSTNAME"):
        assert f"  {variable}: " in refused.stderr


def test_an_unknown_setting_is_pointed_out(environment: dict[str, str]) -> None:
    with process({**environment, "WAYPOST_DRAIN": "3"}, "smtp") as started:
        started.says("READY=1")
        started.end(signal.SIGTERM)
        assert '"variable": "WAYPOST_DRAIN", "meant": "WAYPOST_DRAIN_S"' in started.log()


def test_a_taken_port_is_named(environment: dict[str, str], ports: Ports) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", ports.smtp))
        other.listen()
        refused = run(environment, "smtp")
    assert refused.returncode == 71
    assert f"cannot listen at 127.0.0.1:{ports.smtp}: Address already in use" in refused.stderr


def test_without_a_master_key_nothing_starts(environment: dict[str, str], tmp_path: Path) -> None:
    refused = run({**environment, "WAYPOST_SECRETS": str(tmp_path)}, "smtp")
    assert refused.returncode == 78
    assert "manage.py keys init" in refused.stderr


def test_a_certificate_that_is_not_there_is_named(environment: dict[str, str]) -> None:
    refused = run({**environment, "WAYPOST_TLS_KEY": "/nowhere.key"}, "imap")
    assert refused.returncode == 78
    assert "/nowhere.key cannot be used: No such file or directory" in refused.stderr


@dataclass(frozen=True, slots=True)
class OwnServices:
    """Postgres of one test's own, which it may stop, with tables and a tenant."""

    running: Services
    environment: dict[str, str]

    def manage(self, *arguments: str) -> None:
        command = [sys.executable, "manage.py", *arguments]
        subprocess.run(command, cwd=ROOT, env=self.environment, check=True, capture_output=True)


@pytest.fixture
def own(environment: dict[str, str], tmp_path: Path) -> Iterator[OwnServices]:
    running = start_services(tmp_path / "own", durable=False)
    secrets = tmp_path / "secrets"
    make_master_key(secrets)
    own_environment = {
        **environment,
        **running.environment(),
        "WAYPOST_SECRETS": str(secrets),
        "WAYPOST_DATABASE_ROLE": "owner",
    }
    yield OwnServices(running, own_environment)
    running.stop()


def test_tables_that_are_missing_or_old_are_refused(own: OwnServices) -> None:
    refused = run(own.environment, "smtp")
    assert refused.returncode == 78
    assert "the database has no tables yet: run `manage.py migrate`" in refused.stderr
    own.manage("migrate", "--verbosity", "0")
    with psycopg.connect(own.environment["WAYPOST_OWNER_DATABASE_URL"]) as owner:
        owner.execute("DELETE FROM django_migrations WHERE name = '0002_row_level_security'")
    refused = run(own.environment, "smtp")
    assert refused.returncode == 78
    assert "older than this program (tenants.0002_row_level_security is missing)" in refused.stderr


def test_a_master_key_that_opens_no_tenant_is_refused(own: OwnServices, tmp_path: Path) -> None:
    own.manage("migrate", "--verbosity", "0")
    own.manage("tenant", "add", "company.test")
    other = tmp_path / "other"
    make_master_key(other)
    shutil.copytree(Path(own.environment["WAYPOST_SECRETS"]) / "tenants", other / "tenants")
    refused = run({**own.environment, "WAYPOST_SECRETS": str(other)}, "smtp")
    assert refused.returncode == 78
    assert "the master key opens no tenant's keys" in refused.stderr


def test_a_process_waits_for_postgres_and_says_that_it_is_not_ready(own: OwnServices, ports: Ports) -> None:
    own.manage("migrate", "--verbosity", "0")
    own.running.postgres.stop()
    with process(own.environment, "imap", "smtp") as started:
        started.says("STATUS=waiting for Postgres")
        status, body = page(ports.metrics, "/readyz")
        assert (status, json.loads(body)["missing"]) == (503, ["postgres"])
        assert page(ports.metrics, "/healthz")[0] == 200
        own.running.postgres.start()
        started.says("READY=1")
        assert page(ports.metrics, "/readyz")[0] == 200
        assert started.end(signal.SIGTERM) == 0


def test_a_process_that_waits_for_postgres_can_be_stopped(own: OwnServices) -> None:
    own.running.postgres.stop()
    with process(own.environment, "smtp") as started:
        started.says("STATUS=waiting for Postgres")
        assert started.end(signal.SIGTERM) == 0


def test_a_restart_of_postgres_is_survived(own: OwnServices, ports: Ports) -> None:
    own.manage("migrate", "--verbosity", "0")
    own.manage("tenant", "add", "company.test")
    with process(own.environment, "smtp") as started:
        started.says("READY=1")
        own.running.postgres.stop()
        assert page(ports.metrics, "/readyz")[0] == 503
        with smtplib.SMTP("127.0.0.1", ports.smtp, timeout=PATIENCE_S) as client:
            client.ehlo("elsewhere.test")
            client.mail("grace@elsewhere.test")
            assert client.rcpt("ada@company.test")[0] in (450, 451)
            own.running.postgres.start()
            assert client.rcpt("ada@company.test")[0] == 550
        assert started.end(signal.SIGTERM) == 0
