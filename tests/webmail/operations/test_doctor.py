"""The doctor, run as an administrator runs it."""

import ast
import datetime as dt
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from deploy.local.certificates import Certificates, make_certificates
from deploy.local.objects import ObjectAccess
from storage.key_files import make_master_key
from tenants.types import TenantId
from tests.conftest import RunningServices, running_services
from tests.directory_rows import Directory
from webmail.operations import checks
from webmail.operations.management.commands import doctor
from webmail.operations.wording import CHINESE

ROOT = Path(__file__).parents[3]
DURABLE = {"Postgres has fsync, full_page_writes switched off: a crash loses mail that was accepted"}
"""The one problem that the throwaway Postgres of these tests has."""


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServices]:
    """Of these tests alone: elsewhere tenants are made that have no keys, and with such no process would start."""
    with running_services(tmp_path_factory.mktemp("services")) as running:
        yield running


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    directory = tmp_path_factory.mktemp("tls")
    names = ["mail.company.test", "localhost"]
    return make_certificates(directory / "certificates", directory / "keys", now=dt.datetime.now(dt.UTC), names=names)


@pytest.fixture
def environment(services: RunningServices, certificates: Certificates, tmp_path: Path) -> dict[str, str]:
    make_master_key(tmp_path / "secrets")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")},
        "LANG": "C.UTF-8",
        "WAYPOST_VAR": str(tmp_path / "var"),  # so that no installation of `make up` is taken for this one
        "WAYPOST_HOSTNAME": "mail.company.test",
        "WAYPOST_DATABASE_URL": services.app_url,
        "WAYPOST_SYSTEM_DATABASE_URL": services.system_url,
        "WAYPOST_REDIS_URL": services.redis_url,
        "WAYPOST_SECRETS": str(tmp_path / "secrets"),
        "WAYPOST_TLS_CERTIFICATE": str(certificates.certificate),
        "WAYPOST_TLS_KEY": str(certificates.key),
    }


def run(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "manage.py", "doctor", *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)


def _findings(environment: dict[str, str], *arguments: str) -> list[dict[str, str]]:
    examined = run(environment, "--json", *arguments)
    assert examined.stdout, examined.stderr
    found: list[dict[str, str]] = json.loads(examined.stdout)
    return found


def problems(environment: dict[str, str], *arguments: str) -> set[str]:
    findings = _findings(environment, *arguments)
    return {each["finding"] for each in findings if each["level"] == "problem"} - DURABLE


def warnings(environment: dict[str, str], *arguments: str) -> set[str]:
    findings = _findings(environment, *arguments)
    return {each["finding"] for each in findings if each["level"] == "warning"}


def test_a_sound_installation_has_no_problems(environment: dict[str, str]) -> None:
    assert problems(environment) == set()


def test_a_problem_makes_the_exit_status_one(environment: dict[str, str]) -> None:
    examined = run({**environment, "WAYPOST_TLS_KEY": "/nowhere.key"})
    assert examined.returncode == 1
    assert "✗ the certificate" in examined.stdout
    assert "/nowhere.key cannot be used: No such file or directory" in examined.stdout


def test_every_problem_of_the_configuration_is_told(environment: dict[str, str]) -> None:
    found = problems({**environment, "WAYPOST_LOG_LEVEL": "loud", "WAYPOST_HOSTNAME": ""})
    assert found == {
        "WAYPOST_HOSTNAME: must be set; for example WAYPOST_HOSTNAME=mail.example.com",
        "WAYPOST_LOG_LEVEL: 'loud' is none of debug, info, warning, error; for example WAYPOST_LOG_LEVEL=info",
    }


def test_a_misspelt_setting_is_a_warning(environment: dict[str, str]) -> None:
    found = warnings({**environment, "WAYPOST_DRAIN": "1"})
    assert "WAYPOST_DRAIN is no setting; was WAYPOST_DRAIN_S meant?" in found


def test_postgres_that_is_away_is_told_once_for_each_role(environment: dict[str, str]) -> None:
    away = "postgresql://waypost_app@/waypost?host=/nowhere"
    found = problems({**environment, "WAYPOST_DATABASE_URL": away, "WAYPOST_SYSTEM_DATABASE_URL": away})
    assert sum("Postgres cannot be reached" in each for each in found) == 2


def test_serving_as_the_owner_is_noticed(environment: dict[str, str], services: RunningServices) -> None:
    found = warnings({**environment, "WAYPOST_DATABASE_URL": services.owner_url})
    assert "WAYPOST_DATABASE_URL is the role waypost_owner, not waypost_app" in found


def test_a_table_of_tenants_without_row_level_security_is_a_problem(
    environment: dict[str, str], services: RunningServices
) -> None:
    with psycopg.connect(services.owner_url, autocommit=True) as owner:
        owner.execute("CREATE TABLE forgotten (tenant_id bigint)")
        try:
            assert "Tables of tenants without forced row-level security: forgotten" in problems(environment)
        finally:
            owner.execute("DROP TABLE forgotten")


def test_mail_that_does_not_leave_is_told_of(environment: dict[str, str], services: RunningServices) -> None:
    with psycopg.connect(services.owner_url, autocommit=True) as owner:
        owner.execute(
            "INSERT INTO outgoing_recipient (tenant_id, outgoing_id, ordinal, address, domain, state, held_reason,"
            " next_attempt_at, waits_since) SELECT 1, 1, n, 'bob@far.example', 'far.example', s, r, now(),"
            " now() - interval '27 hours' FROM (VALUES (1, 1, 1), (2, 1, 1), (3, 1, 2), (4, 0, NULL)) AS v (n, s, r)"
        )
        try:
            found = warnings(environment)
            assert "Outbound is off (WAYPOST_OUTBOUND): mail for other systems is held" in found
            assert "3 recipients are held, the oldest for 1 d 3 h; manage.py queue list shows them" in found
            assert "1 recipients wait in the queue, the oldest for 1 d 3 h" in found
            on = {
                **environment,
                "WAYPOST_OUTBOUND": "on",
                "WAYPOST_DNS": "127.0.0.1:9",
                "WAYPOST_DNS_TRY_TIMEOUT_S": "0.2",
            }
            released = "2 of them since outbound was off. Let them go: manage.py queue release --state off"
            assert released in warnings(on)
            assert any(each.startswith("DNS does not answer (WAYPOST_DNS)") for each in problems(on))
        finally:
            owner.execute("DELETE FROM outgoing_recipient")


def test_a_restored_database_without_new_epochs_is_a_problem(environment: dict[str, str]) -> None:
    environment["WAYPOST_DATABASE_URL"] += "&options=-cwaypost.needs_epoch%3Don"
    (told,) = problems(environment)
    assert "manage.py restore epoch" in told


def test_wal_that_is_not_archived_is_a_warning_in_production(environment: dict[str, str]) -> None:
    told = "Postgres does not archive its WAL: only the moments of backups can be restored"
    assert told in warnings(environment, "--production")
    assert told not in warnings(environment)


def test_keys_that_others_may_read_are_a_problem(environment: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "secrets" / "master.key").chmod(0o644)
    assert any(each.startswith("Others may read") for each in problems(environment))


def test_a_certificate_for_another_name_is_a_warning(environment: dict[str, str]) -> None:
    found = warnings({**environment, "WAYPOST_HOSTNAME": "mx.company.test"})
    assert "The certificate is not for mx.company.test (WAYPOST_HOSTNAME)" in found


def test_redis_that_is_away_is_only_a_warning(environment: dict[str, str]) -> None:
    without = {**environment, "WAYPOST_REDIS_URL": "unix:///nowhere.sock"}
    assert problems(without) == set()
    assert any(each.startswith("Redis cannot be reached") for each in warnings(without))


def test_a_bucket_is_tried_and_a_hold_that_it_cannot_keep_is_a_problem(
    environment: dict[str, str], services: RunningServices, s3: ObjectAccess
) -> None:
    assert "There is no S3 (WAYPOST_S3_URL): all content rests in Postgres" in warnings(environment)
    with_s3 = {
        **environment,
        "WAYPOST_S3_URL": s3.url,
        "WAYPOST_S3_ACCESS_KEY": s3.access_key,
        "WAYPOST_S3_SECRET_KEY": s3.secret_key,
        "WAYPOST_S3_BUCKET": s3.bucket,
    }
    assert problems(with_s3) == set()
    assert any(each.startswith("The bucket has no Object Lock") for each in warnings(with_s3))
    Directory(services).tenant(TenantId(77), is_held=True)
    try:
        hold = "1 tenants are under legal hold, and a bucket without Object Lock does not keep what is held"
        assert hold in problems(with_s3)
    finally:
        Directory(services).run("DELETE FROM tenant WHERE id = 77")
    wrong = problems({**with_s3, "WAYPOST_S3_SECRET_KEY": "wrong"})
    assert wrong == {f"S3 cannot be used: bucket {s3.bucket} at {s3.url}: the secret key is wrong"}
    away = problems({**with_s3, "WAYPOST_S3_URL": "http://127.0.0.1:9"})
    assert away == {"S3 is away: S3 cannot be reached; what rests there cannot be read"}


@pytest.mark.parametrize("address", ["0.0.0.0:24", "[::]:24", "8.8.8.8:24"])
def test_lmtp_open_to_everybody_is_a_problem(environment: dict[str, str], address: str) -> None:
    assert f"WAYPOST_LMTP is {address}: everybody can reach it" in problems({**environment, "WAYPOST_LMTP": address})


def test_requests_that_clients_may_aim_at_this_machine_are_a_problem(environment: dict[str, str]) -> None:
    said = "WAYPOST_OUTWARD_REACH is loopback: who names a push service or a picture reaches this machine"
    assert said in problems({**environment, "WAYPOST_OUTWARD_REACH": "loopback"})


def test_production_refuses_what_is_meant_for_trying_out(environment: dict[str, str], tmp_path: Path) -> None:
    logins = tmp_path / "secrets" / "demo.json"
    logins.touch(mode=0o600)
    found = problems({**environment, "WAYPOST_CA_FILE": "/ca.pem"}, "--production")
    assert found == {
        "Postgres has no synchronous standby: if its machine is lost, mail that was accepted is lost",
        "The certificate was made by Waypost for trying it out; no client of yours trusts it",
        "WAYPOST_HOSTNAME is mail.company.test, a name nobody finds",
        f"The passwords of the demo people are in {logins}",
        "WAYPOST_CA_FILE is set: an authority made by Waypost for trying it out is offered to people",
    }


def test_the_doctor_speaks_the_language_of_the_terminal(environment: dict[str, str]) -> None:
    assert "✓ 配置可用" in run({**environment, "LANG": "zh_CN.UTF-8"}).stdout
    assert "✓ 配置可用" in run(environment, "--speak", "zh-hans").stdout


def test_every_sentence_is_there_in_chinese() -> None:
    files = [Path(doctor.__file__), *Path(checks.__path__[0]).glob("*.py")]
    sentences = {
        node.value
        for file in files
        for call in ast.walk(ast.parse(file.read_text("utf-8")))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id in {"fine", "warning", "problem"}
        for node in call.args[:1]
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    }
    assert len(sentences) > 25
    assert sentences - CHINESE.keys() == set()
