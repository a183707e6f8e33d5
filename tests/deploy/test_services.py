"""The embedded services, run by the account that runs the tests."""

import io
import json
import os
import pwd
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import minio
import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.child import Identity, ServiceFailed
from deploy.local.objects import Objects, start_objects, without_strangers
from deploy.local.places import credential, make_places, private_directory, socket_directory
from deploy.local.postgres import Postgres, RunAs, start_postgres
from deploy.local.redis import Redis, start_redis
from deploy.local.services import start_services


@pytest.fixture(scope="module")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    server = start_postgres(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def objects(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Objects]:
    store = start_objects(tmp_path_factory.mktemp("objects"))
    yield store
    store.stop()


def test_postgres_is_durable_and_checks_its_pages(postgres: Postgres) -> None:
    with psycopg.connect(postgres.urls().app) as connection:
        for setting in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
            assert connection.execute("SELECT current_setting(%s)", [setting]).fetchone() == ("on",)


def test_postgres_sorts_by_code_point_and_knows_chinese_letters(postgres: Postgres) -> None:
    with psycopg.connect(postgres.urls().app) as connection:
        found = connection.execute(
            "SELECT upper('é') = 'É', 'Z' < 'a', to_tsvector('simple', '会议 纪要')::text"
        ).fetchone()
    assert found == (True, True, "'会议':1 '纪要':2")


def test_no_role_of_waypost_may_pass_row_level_security(postgres: Postgres) -> None:
    with psycopg.connect(postgres.urls().app) as connection:
        rights = connection.execute(
            "SELECT rolname, rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb, rolreplication FROM pg_roles"
            " WHERE rolname LIKE 'waypost%' ORDER BY 1"
        ).fetchall()
    assert rights == [
        ("waypost_app", False, False),
        ("waypost_backup", False, True),
        ("waypost_owner", False, False),
        ("waypost_system", False, False),
    ]


def test_who_may_copy_the_cluster_may_not_ask_the_database(postgres: Postgres) -> None:
    with pytest.raises(psycopg.OperationalError, match="permission denied for database"):
        psycopg.connect(postgres.url("waypost_backup"))


def test_the_owner_makes_tables_and_trusted_extensions_and_the_others_do_not(postgres: Postgres) -> None:
    urls = postgres.create_database("rights")
    with psycopg.connect(urls.owner) as connection:
        connection.execute("CREATE TABLE thing (id int)")
        connection.execute("CREATE EXTENSION pg_trgm")
    with psycopg.connect(urls.app) as connection, pytest.raises(psycopg.errors.InsufficientPrivilege):
        connection.execute("CREATE TABLE other (id int)")


def test_a_database_copies_its_template(postgres: Postgres) -> None:
    with psycopg.connect(postgres.create_database("model").owner) as connection:
        connection.execute("CREATE TABLE thing AS SELECT 7 AS id")
    with psycopg.connect(postgres.create_database("copy", template="model").owner) as connection:
        assert connection.execute("SELECT id FROM thing").fetchone() == (7,)
    postgres.drop_database("copy")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(postgres.urls("copy").owner)


def test_a_wrong_password_does_not_open_postgres(postgres: Postgres) -> None:
    url = f"postgresql://waypost_owner:guess@/waypost?host={postgres.socket_directory}"
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(url)


def test_postgres_killed_and_started_again_has_what_was_committed(tmp_path: Path) -> None:
    server = start_postgres(tmp_path)
    try:
        with psycopg.connect(server.urls().owner) as connection:
            connection.execute("CREATE TABLE kept AS SELECT n FROM generate_series(1, 5000) n")
        assert server.child is not None
        server.child.signal(signal.SIGKILL)
        assert server.child.wait(10)
        server.start()
        with psycopg.connect(server.urls().owner) as connection:
            assert connection.execute("SELECT count(*), sum(n) FROM kept").fetchone() == (5000, 12502500)
    finally:
        server.stop()
    server = start_postgres(tmp_path)
    server.stop()


def test_data_of_another_major_version_are_left_alone_and_the_way_out_is_named(tmp_path: Path) -> None:
    server = start_postgres(tmp_path)
    server.stop()
    (tmp_path / "postgres" / "PG_VERSION").write_text("14\n")
    with pytest.raises(ServiceFailed, match=r"(?s)was made by PostgreSQL 14.*POSTGRES_PROGRAMS.*operations\.md"):
        start_postgres(tmp_path)
    (tmp_path / "postgres" / "PG_VERSION").write_text(f"{server.major}\n")
    start_postgres(tmp_path).stop()


def test_programs_that_are_not_there_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYPOST_POSTGRES_PROGRAMS", str(tmp_path))
    with pytest.raises(ServiceFailed, match=r"WAYPOST_POSTGRES_PROGRAMS is .*no initdb"):
        start_postgres(tmp_path)


def test_a_lock_file_that_names_a_stranger_does_not_stop_postgres(tmp_path: Path) -> None:
    server = start_postgres(tmp_path)
    assert server.child is not None
    server.child.signal(signal.SIGKILL)
    server.child.wait(10)
    lock = tmp_path / "postgres" / "postmaster.pid"
    lines = lock.read_text().split("\n")
    lock.write_text("\n".join([str(os.getpid()), *lines[1:]]))
    server.start()
    server.stop()


def test_postgres_runs_under_another_account_where_there_are_no_user_namespaces(tmp_path: Path) -> None:
    account = pwd.getpwnam("nobody") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
    for above in (tmp_path, *tmp_path.parents):
        if above.owner() == pwd.getpwuid(os.getuid()).pw_name:
            above.chmod(above.stat().st_mode | 0o011)
    server = Postgres(make_places(tmp_path), run_as=RunAs(identity=Identity(account.pw_uid, account.pw_gid)))
    try:
        server.start()
        assert (tmp_path / "postgres").owner() == account.pw_name
        assert stat.S_IMODE((tmp_path / "postgres").stat().st_mode) == 0o700
    finally:
        server.stop()


def test_redis_keeps_counters_and_carries_hints_but_runs_no_scripts(tmp_path: Path) -> None:
    server = start_redis(tmp_path)
    try:
        with redis.Redis.from_url(server.url()) as connection:
            assert connection.incr("counter") == 1
            with connection.pubsub() as watcher:
                watcher.subscribe("hints")
                assert watcher.get_message(timeout=5)["type"] == "subscribe"
                connection.publish("hints", b"7:42")
                assert watcher.get_message(timeout=5)["data"] == b"7:42"
            with pytest.raises(redis.ResponseError, match="permissions"):
                connection.eval("return 1", 0)
            with pytest.raises(redis.ResponseError, match="permissions"):
                connection.config_get("*")
        with pytest.raises(redis.AuthenticationError):
            redis.Redis(unix_socket_path=str(server.socket), retry=Retry(NoBackoff(), 0)).ping()
    finally:
        server.stop()
    restarted_after_kill(server)


def restarted_after_kill(server: Redis) -> None:
    server.start()
    assert server.child is not None
    server.child.signal(signal.SIGKILL)
    server.child.wait(10)
    server.start()
    server.stop()


def client_of(store: Objects, *, secret: str | None = None) -> minio.Minio:
    access = store.access()
    return minio.Minio(
        access.url.removeprefix("http://"),
        access.access_key,
        secret or access.secret_key,
        secure=False,
        region="us-east-1",
    )


def test_objects_killed_and_started_again_have_what_was_written(objects: Objects) -> None:
    client_of(objects).put_object("waypost", "pack/1", io.BytesIO(b"x" * 70_000), 70_000)
    assert objects.child is not None
    objects.child.signal(signal.SIGKILL)
    objects.child.wait(10)
    objects.start()
    response = client_of(objects).get_object("waypost", "pack/1", offset=69_990, length=10)
    assert response.read() == b"x" * 10
    response.close()
    response.release_conn()


def test_objects_keep_away_from_sockets_that_another_user_left(
    monkeypatch: pytest.MonkeyPatch, objects: Objects
) -> None:
    left = Path(f"/tmp/seaweedfs-master-grpc-{objects.ports.master_grpc}.sock")
    assert left.is_socket()
    assert without_strangers(objects.ports) == objects.ports
    monkeypatch.setattr("os.getuid", lambda: left.lstat().st_uid + 1)
    moved = without_strangers(objects.ports)
    assert moved.s3 == objects.ports.s3
    assert moved.master_grpc == objects.ports.master_grpc + 4


def test_objects_clear_their_sockets_away(tmp_path: Path) -> None:
    store = start_objects(tmp_path)
    store.stop()
    assert not Path(f"/tmp/seaweedfs-master-grpc-{store.ports.master_grpc}.sock").exists()
    assert not Path(f"/tmp/seaweedfs-filer-grpc-{store.ports.filer_grpc}.sock").exists()


def test_objects_are_refused_without_the_secret_and_through_the_filer(objects: Objects) -> None:
    import urllib3

    with pytest.raises(minio.error.S3Error, match="SignatureDoesNotMatch"):
        list(client_of(objects, secret="guess").list_objects("waypost"))
    with urllib3.PoolManager() as pool:
        assert pool.request("GET", f"{objects.access().url}/waypost/.ready", retries=False).status == 403
        filer = f"http://127.0.0.1:{objects.ports.filer}/buckets/waypost/.ready"
        assert pool.request("GET", filer, retries=False).status in (401, 404)


def test_secrets_and_data_are_for_their_owner_alone(postgres: Postgres, objects: Objects) -> None:
    for url in (postgres.socket_directory, postgres.socket_directory.parent):
        assert stat.S_IMODE(url.stat().st_mode) == 0o700
    var = postgres.socket_directory.parent.parent
    secrets = [var / "secrets", *(var / "secrets").iterdir()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secrets if path.is_file()} == {0o600}
    assert {stat.S_IMODE((var / name).stat().st_mode) for name in ("secrets", "log", "postgres")} == {0o700}


def test_a_credential_stays_the_same(tmp_path: Path) -> None:
    first = credential(tmp_path / "secret")
    assert credential(tmp_path / "secret") == first
    assert len(first) == 32


def test_sockets_of_a_long_path_get_the_same_short_directory_every_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    var = tmp_path / ("long" * 25)
    assert socket_directory(var) == socket_directory(var)
    assert len(os.fsencode(socket_directory(var) / "postgres/.s.PGSQL.5432")) <= 107
    assert socket_directory(var) != socket_directory(tmp_path / ("LONG" * 25))
    assert socket_directory(Path("/srv/waypost/var")) == Path("/srv/waypost/var/run")


def test_a_socket_directory_that_somebody_else_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    with pytest.raises(ServiceFailed, match="remove it"):
        private_directory(tmp_path / "link")


def test_two_installations_start_side_by_side(tmp_path: Path) -> None:
    first = start_services(tmp_path / "first", durable=False)
    second = start_services(tmp_path / "second", durable=False)
    try:
        assert first.environment()["WAYPOST_DATABASE_URL"] != second.environment()["WAYPOST_DATABASE_URL"]
        for services in (first, second):
            with psycopg.connect(services.environment()["WAYPOST_OWNER_DATABASE_URL"]) as connection:
                connection.execute("CREATE TABLE mine (id int)")
    finally:
        first.stop()
        second.stop()


def test_services_end_when_the_process_that_started_them_is_killed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.local.services", "--directory", str(tmp_path), "--throwaway"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as starter:
        assert starter.stdout is not None
        text = ""
        while not text.endswith("}\n"):
            text += starter.stdout.readline()
        assert "WAYPOST_REDIS_URL" in json.loads(text)
        postmaster = int((tmp_path / "postgres" / "postmaster.pid").read_text().split("\n")[0])
        starter.kill()
    end = time.monotonic() + 10
    while is_running(postmaster):
        assert time.monotonic() < end
    assert not (tmp_path / "postgres" / "postmaster.pid").exists()


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
