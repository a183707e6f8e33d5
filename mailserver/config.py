"""The configuration of a process: WAYPOST_* variables and one optional TOML file become one frozen Config.

Each package brings its own config dataclass; this file only says which variable each part reads.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from mailserver.health import HealthConfig
from mailserver.imap.config import ImapConfig
from mailserver.listeners import Endpoint
from mailserver.observability.logs import LogFormat, LogLevel
from mailserver.observability.responder import ResponderConfig
from mailserver.outbound.config import ExchangeConfig, ResolverConfig, RoutingConfig
from mailserver.outbound.queue_config import WorkerConfig
from mailserver.outbound.sites import Security
from mailserver.outward_http import OutwardConfig
from mailserver.pop3.config import Pop3Config
from mailserver.proxy_protocol import Network
from mailserver.services.delivery import DeliveryConfig
from mailserver.services.login import LoginConfig
from mailserver.services.queueing import QueueConfig
from mailserver.services.searching import SearchConfig
from mailserver.services.throttle import ThrottleConfig
from mailserver.services.watching import WatchingConfig
from mailserver.settings import (
    ConfigurationInvalid,
    Problem,
    Setting,
    from_environment,
    settings_of,
    unknown_among,
)
from mailserver.smtp.config import SmtpConfig
from mailserver.upkeep.indexer import IndexingConfig
from mailserver.upkeep.runner import UpkeepConfig
from mailserver.upkeep.verify_jobs import VerifyConfig
from mailserver.variables import FILE_VARIABLE, PREFIX, Variables
from mailserver.web import WebConfig
from storage.blobs.objects_config import ObjectsConfig
from storage.database import DatabaseConfig
from storage.tiers.rounds import TieringConfig

Role = Literal["imap", "smtp", "web", "outbound", "upkeep"]
ROLES: tuple[Role, ...] = ("imap", "smtp", "web", "outbound", "upkeep")


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """Where each door listens, `host:port`; empty: that door stays shut."""

    imap: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20143"})  # IMAP with STARTTLS
    imaps: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20993"})  # IMAP over TLS
    pop3: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20110"})  # POP3 with STLS
    pop3s: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20995"})  # POP3 over TLS
    smtp: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20025"})  # mail from other servers
    submission: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20587"})
    """mail from people, with STARTTLS"""
    submissions: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20465"})
    """mail from people, over TLS"""
    lmtp: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20024"})  # mail from a trusted relay
    http: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20080"})  # pages and API
    websockets: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20081"})
    """WebSockets alone, where they take less memory; a proxy leads /jmap/ws here"""
    metrics: Endpoint | None = field(default=None, metadata={"example": "127.0.0.1:20090"})
    """/metrics, /healthz and /readyz of every role"""


@dataclass(frozen=True, slots=True)
class TlsConfig:
    """The certificate of all doors; the files are read again when they change."""

    certificate: Path | None = None  # PEM: the certificate, then those between it and the root
    key: Path | None = None  # PEM: its private key

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise ValueError("certificate and key are set together or not at all")


@dataclass(frozen=True, slots=True)
class RelayConfig:
    """The host through which all mail for other systems leaves, but for tenants that have one of their own."""

    host: Endpoint | None = field(
        default=None, metadata={"variable": "WAYPOST_SMARTHOST", "example": "relay.example.com:587"}
    )
    """empty: mail goes straight to its recipients' hosts"""
    security: Security = Security.REQUIRED
    """required: STARTTLS with its certificate; implicit: TLS at once; opportunistic: TLS if offered; none"""
    user: str = ""  # empty: we do not sign in
    password: str = ""  # of that user

    def __post_init__(self) -> None:
        if self.user and self.security not in (Security.REQUIRED, Security.IMPLICIT):
            raise ValueError("a password is not sent in clear: with a user, security is required or implicit")


@dataclass(frozen=True, slots=True)
class LogConfig:
    format: LogFormat = "json"  # one JSON object a line, or lines for a person's eyes
    level: LogLevel = "info"  # the least level that is written


@dataclass(frozen=True, slots=True)
class ElsewhereConfig:
    """Settings that other programs of the installation read; here they are only known by name."""

    config: str = ""  # a TOML file with settings
    owner_database_url: str = ""  # libpq URL of the role waypost_owner, for manage.py only
    backup_database_url: str = ""  # libpq URL of the role waypost_backup, for manage.py backup only
    wal_archive: str = ""  # where finished WAL is kept; for make up: off, on, or a directory
    database_role: str = ""  # as which role Django speaks to Postgres: owner or app
    secret_key: str = ""  # signs sessions; else derived from the master key
    allowed_hosts: str = ""  # more host names under which pages are served
    public_doors: str = ""  # what people reach from outside, where listeners differ: imaps=mail.example.com:993, …
    ca_file: str = ""  # the installation's own certificate authority, offered for download
    var: str = ""  # make up: where everything is kept
    port_base: str = ""  # make up: doors are at base + 143, 993, …
    postgres_programs: str = ""  # make up: directory of the PostgreSQL programs to run, 15 or later
    workers: str = ""  # make up: processes each of imap and smtp
    restart_pause_s: str = ""  # make up: the longest pause before a program is started again


@dataclass(frozen=True, slots=True)
class Config:
    """All that a process is told. `secrets` is a directory with master.key and tenants/."""

    hostname: str = field(metadata={"example": "mail.example.com"})  # the name of this server, in greetings and headers
    secrets: Path = field(metadata={"example": "/var/lib/waypost/secrets", "is_secret": False})
    """directory with the master key and the tenants' keys, mode 0700"""
    database: DatabaseConfig = field(
        metadata={"variables": {"app_url": "WAYPOST_DATABASE_URL", "system_url": "WAYPOST_SYSTEM_DATABASE_URL"}}
    )
    objects: ObjectsConfig = field(metadata={"prefix": "WAYPOST_S3_"})
    tiering: TieringConfig
    smtp: SmtpConfig = field(
        metadata={"variables": {"hostname": "WAYPOST_HOSTNAME", "message_limit_octets": "WAYPOST_MESSAGE_LIMIT_OCTETS"}}
    )
    imap: ImapConfig
    pop3: Pop3Config
    delivery: DeliveryConfig
    queue: QueueConfig
    dns: ResolverConfig
    routing: RoutingConfig
    exchange: ExchangeConfig
    worker: WorkerConfig = field(metadata={"prefix": "WAYPOST_OUTBOUND_"})
    smarthost: RelayConfig
    search: SearchConfig
    login: LoginConfig
    throttle: ThrottleConfig
    watching: WatchingConfig
    health: HealthConfig
    probes: ResponderConfig
    upkeep: UpkeepConfig
    indexing: IndexingConfig
    verify: VerifyConfig
    web: WebConfig
    outward: OutwardConfig
    log: LogConfig
    tls: TlsConfig
    listeners: ListenerConfig = field(metadata={"prefix": PREFIX})
    elsewhere: ElsewhereConfig = field(metadata={"prefix": PREFIX})
    is_outbound_on: bool = field(default=False, metadata={"variable": "WAYPOST_OUTBOUND", "example": "on"})
    """on: mail for other systems leaves; off: it is held until somebody releases it"""
    redis_url: str = field(default="", metadata={"example": "unix:///run/waypost/redis.sock"})
    """where Redis is; empty: none, then push polls and each process counts login failures alone"""
    proxies: tuple[Network, ...] = field(default=(), metadata={"example": "10.0.0.0/8,192.0.2.7"})
    """networks of load balancers; every connection from there must begin with a header of the PROXY protocol"""
    message_limit_octets: int = 52_428_800  # the largest message that is taken in
    drain_s: float = 10.0  # how long a stopping process may finish what it is doing
    metrics_directory: Path | None = field(default=None, metadata={"example": "/run/waypost/metrics"})
    """where the processes of this host keep their numbers; empty: each counts alone"""


def read_config(variables: Variables) -> Config:
    """Raises ConfigurationInvalid with every problem; an unknown setting in the file is one."""
    problems: list[Problem] = []
    for name, meant in unknown_settings(variables).items():
        if name in variables.from_file:
            wrong = f"the file has an unknown setting {_in_file(name)}"
            problems.append(Problem(FILE_VARIABLE, wrong, _in_file(meant) if meant else "…"))
    try:
        config = from_environment(Config, PREFIX, variables.values)
    except ConfigurationInvalid as invalid:
        raise ConfigurationInvalid((*problems, *invalid.problems)) from None
    if problems:
        raise ConfigurationInvalid(tuple(problems))
    return config


def settings() -> list[Setting]:
    return settings_of(Config, PREFIX)


def unknown_settings(variables: Variables) -> dict[str, str | None]:
    """Names that look like ours and are none, each with the one that was probably meant."""
    return unknown_among(variables.values, settings(), PREFIX)


def check_roles(config: Config, roles: Sequence[Role]) -> None:
    """Raises ConfigurationInvalid for what these roles need and the configuration lacks."""
    listeners = config.listeners
    problems: list[Problem] = []
    if "imap" in roles and not (listeners.imap or listeners.imaps or listeners.pop3 or listeners.pop3s):
        problems.append(Problem("WAYPOST_IMAPS", "the role imap needs it (or WAYPOST_IMAP)", "127.0.0.1:20993"))
    smtp_doors = (listeners.smtp, listeners.submission, listeners.submissions, listeners.lmtp)
    if "smtp" in roles and not any(smtp_doors):
        problems.append(Problem("WAYPOST_SMTP", "the role smtp needs a door to listen at", "127.0.0.1:20025"))
    if "web" in roles and not listeners.http:
        problems.append(Problem("WAYPOST_HTTP", "the role web needs it", "127.0.0.1:20080"))
    needs_tls = ("imap" in roles and (listeners.imaps or listeners.pop3s)) or (
        "smtp" in roles and (listeners.submissions or listeners.submission)
    )
    if needs_tls and config.tls.certificate is None:
        problems.append(Problem("WAYPOST_TLS_CERTIFICATE", "doors with TLS need it", "/etc/waypost/tls.pem"))
    if problems:
        raise ConfigurationInvalid(tuple(problems))


def _in_file(variable: str) -> str:
    return variable.removeprefix(PREFIX).lower()
