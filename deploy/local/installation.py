"""What one installation of this machine is: its directory, its ports, and the variables that its processes get.

| variable | default | what it says |
|---|---|---|
| WAYPOST_VAR | var | where everything is kept; two installations need two |
| WAYPOST_PORT_BASE | 20000 | doors at base + 143, 993, 110, 995, 25, 587, 465, 24, 80, 90; S3 at base + 9000 to 9007 |
| WAYPOST_WORKERS | min(2, cores) | processes each of imap and smtp |
| WAYPOST_DRAIN_S | 10 | how long a role may finish what it is doing when it is stopped |
| WAYPOST_WAL_ARCHIVE | off | on: finished WAL is kept in var/wal-archive, for restoring to a moment; or a directory |
| WAYPOST_RESTART_PAUSE_S | 10 | the longest pause before a program that died again and again is started again |

A base up to 23000 keeps all ports below 32768, where Linux begins to take the ports of outgoing connections; above, one
of them may be taken at times. Every other WAYPOST_ variable of the caller reaches the roles, so limits and log levels
can be set for `make up`.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.certificates import Certificates
from deploy.local.objects import ObjectAccess, ObjectPorts, ports_from
from deploy.local.places import Places
from deploy.local.postgres import DatabaseUrls

SOURCE = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
HOSTNAME = "mail.demo.test"
PEOPLES_DOORS = ("imap", "imaps", "pop3", "pop3s", "submission", "submissions")
DOORS = {
    "imap": 143,
    "imaps": 993,
    "pop3": 110,
    "pop3s": 995,
    "smtp": 25,
    "submission": 587,
    "submissions": 465,
    "lmtp": 24,
    "http": 80,
    "metrics": 90,
}
_OBJECTS_OFFSET = 9000
_HIGHEST_BASE = 55535 - _OBJECTS_OFFSET - 7
_OUR_OWN = (
    "WAYPOST_VAR",
    "WAYPOST_PORT_BASE",
    "WAYPOST_WORKERS",
    "WAYPOST_RESTART_PAUSE_S",
    "WAYPOST_OWNER_DATABASE_URL",
    "WAYPOST_BACKUP_DATABASE_URL",
    "WAYPOST_WAL_ARCHIVE",
)


class SettingInvalid(Exception):
    """A variable of the caller cannot be used; the text names it."""


@dataclass(frozen=True, slots=True)
class Installation:
    var: Path
    port_base: int
    workers: int
    drain_s: float
    restart_pause_s: float
    wal_archive: Path | None = None

    @property
    def doors(self) -> dict[str, int]:
        """The port of each door, on HOST."""
        return {door: self.port_base + offset for door, offset in DOORS.items()}

    @property
    def object_ports(self) -> ObjectPorts:
        return ports_from(self.port_base + _OBJECTS_OFFSET)


def read_installation(environment: Mapping[str, str]) -> Installation:
    """Raises SettingInvalid."""
    return Installation(
        var=var_directory(environment),
        port_base=_whole_number(environment, "WAYPOST_PORT_BASE", 20000, 0, _HIGHEST_BASE),
        workers=_whole_number(environment, "WAYPOST_WORKERS", min(2, os.cpu_count() or 1), 1, 64),
        drain_s=float(_whole_number(environment, "WAYPOST_DRAIN_S", 10, 0, 3600)),
        restart_pause_s=float(_whole_number(environment, "WAYPOST_RESTART_PAUSE_S", 10, 1, 3600)),
        wal_archive=_wal_archive(environment),
    )


def var_directory(environment: Mapping[str, str]) -> Path:
    """Where the installation keeps everything."""
    return Path(environment.get("WAYPOST_VAR") or SOURCE / "var").absolute()


def _wal_archive(environment: Mapping[str, str]) -> Path | None:
    text = environment.get("WAYPOST_WAL_ARCHIVE", "").strip()
    if text in ("", "off"):
        return None
    if text == "on":
        return var_directory(environment) / "wal-archive"
    if not Path(text).is_absolute():
        raise SettingInvalid(f"WAYPOST_WAL_ARCHIVE is {text!r}; it must be off, on, or an absolute path")
    return Path(text)


def _whole_number(environment: Mapping[str, str], name: str, default: int, least: int, most: int) -> int:
    text = environment.get(name, "").strip()
    if not text:
        return default
    if not text.isascii() or not text.isdigit() or not least <= int(text) <= most:
        raise SettingInvalid(f"{name} is {text!r}; it must be a whole number from {least} to {most}, such as {default}")
    return int(text)


def role_environment(
    installation: Installation,
    places: Places,
    *,
    urls: DatabaseUrls,
    redis_url: str,
    objects: ObjectAccess,
    certificates: Certificates,
    caller: Mapping[str, str],
) -> dict[str, str]:
    """What a role is told. The owner's database is not among it, and libpq hears nothing from the caller."""
    passed = {name: value for name, value in caller.items() if name not in _OUR_OWN and not name.startswith("PG")}
    doors = {f"WAYPOST_{door.upper()}": f"{HOST}:{port}" for door, port in installation.doors.items()}
    return {
        "WAYPOST_HOSTNAME": HOSTNAME,
        "WAYPOST_SMTP_POSTMASTER_DOMAIN": HOSTNAME.partition(".")[2],
        **passed,
        **doors,
        "WAYPOST_DRAIN_S": f"{installation.drain_s:.0f}",
        "WAYPOST_DATABASE_URL": urls.app,
        "WAYPOST_SYSTEM_DATABASE_URL": urls.system,
        "WAYPOST_REDIS_URL": redis_url,
        "WAYPOST_S3_URL": objects.url,
        "WAYPOST_S3_ACCESS_KEY": objects.access_key,
        "WAYPOST_S3_SECRET_KEY": objects.secret_key,
        "WAYPOST_S3_BUCKET": objects.bucket,
        "WAYPOST_SECRETS": str(places.secrets),
        "WAYPOST_CA_FILE": str(certificates.ca),
        "WAYPOST_TLS_CERTIFICATE": str(certificates.certificate),
        "WAYPOST_TLS_KEY": str(certificates.key),
        "WAYPOST_METRICS_DIRECTORY": str(places.run / "metrics"),
        "PYTHONUNBUFFERED": "1",
    }


def command_environment(
    roles: Mapping[str, str], urls: DatabaseUrls, *, backup_url: str, wal_archive: Path | None
) -> dict[str, str]:
    """What a management command is told: as a role, and the owner's database. It opens no door and counts nothing, but
    knows where people find the doors."""
    told = {**roles, "WAYPOST_OWNER_DATABASE_URL": urls.owner, "WAYPOST_DATABASE_ROLE": "owner"}
    told["WAYPOST_BACKUP_DATABASE_URL"] = backup_url
    if wal_archive is not None:
        told["WAYPOST_WAL_ARCHIVE"] = str(wal_archive)
    mail_doors = {door: roles.get(f"WAYPOST_{door.upper()}") for door in PEOPLES_DOORS}
    told["WAYPOST_PUBLIC_DOORS"] = ",".join(f"{door}={listener}" for door, listener in mail_doors.items() if listener)
    for name in ("WAYPOST_METRICS_DIRECTORY", *(f"WAYPOST_{door.upper()}" for door in DOORS)):
        told.pop(name, None)
    return told
