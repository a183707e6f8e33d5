"""What the caller's variables make of an installation, and what its processes are told."""

from pathlib import Path

import pytest

from deploy.local.certificates import Certificates
from deploy.local.installation import (
    DOORS,
    Installation,
    SettingInvalid,
    command_environment,
    read_installation,
    role_environment,
)
from deploy.local.objects import ObjectAccess, all_ports
from deploy.local.places import Places
from deploy.local.postgres import DatabaseUrls

URLS = DatabaseUrls("postgresql://owner", "postgresql://app", "postgresql://system")


def told(installation: Installation, caller: dict[str, str]) -> dict[str, str]:
    var = Path("/srv/var")
    return role_environment(
        installation,
        Places(var, var / "secrets", var / "log", var / "run"),
        urls=URLS,
        redis_url="unix:///srv/var/run/redis.sock",
        objects=ObjectAccess("http://127.0.0.1:29000", "key", "secret", "waypost"),
        certificates=Certificates(var / "ca.pem", var / "server.pem", var / "server.key"),
        caller=caller,
    )


def test_without_variables_it_is_var_beside_the_source_from_port_20000() -> None:
    installation = read_installation({})
    assert installation.var.name == "var"
    assert installation.doors == {
        "imap": 20143,
        "imaps": 20993,
        "pop3": 20110,
        "pop3s": 20995,
        "smtp": 20025,
        "submission": 20587,
        "submissions": 20465,
        "lmtp": 20024,
        "http": 20080,
        "metrics": 20090,
    }
    assert all_ports(installation.object_ports) == tuple(range(29000, 29008))
    assert installation.drain_s == 10.0
    assert installation.workers in (1, 2)


def test_two_bases_share_no_port() -> None:
    first, second = read_installation({}), read_installation({"WAYPOST_PORT_BASE": "21000"})
    ports = [set(each.doors.values()) | set(all_ports(each.object_ports)) for each in (first, second)]
    assert ports[0].isdisjoint(ports[1])
    assert len(ports[0]) == len(DOORS) + 8


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("WAYPOST_PORT_BASE", "60000"),
        ("WAYPOST_PORT_BASE", "-1"),
        ("WAYPOST_WORKERS", "0"),
        ("WAYPOST_DRAIN_S", "soon"),
    ],
)
def test_a_wrong_variable_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingInvalid, match=f"^{name} is '{text}'"):
        read_installation({name: text})


def test_a_role_hears_every_door_and_the_callers_limits_but_not_of_the_owner() -> None:
    environment = told(
        read_installation({"WAYPOST_PORT_BASE": "30000"}),
        {"WAYPOST_IMAP_IDLE_S": "5", "WAYPOST_IMAP": "0.0.0.0:143", "PGHOST": "elsewhere", "PATH": "/bin"},
    )
    assert environment["WAYPOST_IMAP"] == "127.0.0.1:30143"
    assert environment["WAYPOST_IMAP_IDLE_S"] == "5"
    assert environment["WAYPOST_DATABASE_URL"] == URLS.app
    assert environment["PATH"] == "/bin"
    assert "PGHOST" not in environment
    assert URLS.owner not in environment.values()


def test_a_command_is_the_owner_and_opens_no_door() -> None:
    environment = command_environment(
        told(read_installation({}), {}), URLS, backup_url="postgresql://waypost_backup@/", wal_archive=None
    )
    assert environment["WAYPOST_BACKUP_DATABASE_URL"] == "postgresql://waypost_backup@/"
    assert "WAYPOST_WAL_ARCHIVE" not in environment
    assert environment["WAYPOST_OWNER_DATABASE_URL"] == URLS.owner
    assert environment["WAYPOST_DATABASE_ROLE"] == "owner"
    assert not any(f"WAYPOST_{door.upper()}" in environment for door in DOORS)


def test_finished_wal_is_kept_only_when_somebody_says_so() -> None:
    assert read_installation({}).wal_archive is None
    assert read_installation({"WAYPOST_WAL_ARCHIVE": "off"}).wal_archive is None
    assert read_installation({"WAYPOST_WAL_ARCHIVE": "on", "WAYPOST_VAR": "/v"}).wal_archive == Path("/v/wal-archive")
    assert read_installation({"WAYPOST_WAL_ARCHIVE": "/backups/wal"}).wal_archive == Path("/backups/wal")
    with pytest.raises(SettingInvalid):
        read_installation({"WAYPOST_WAL_ARCHIVE": "backups"})
