"""Django's settings come from the environment, and a wrong variable is named."""

from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from webmail.environment import allowed_hosts, database_settings, secret_key

OWNER = {"WAYPOST_OWNER_DATABASE_URL": "postgresql://waypost_owner@/waypost?host=/run/x&application_name=manage"}


def test_a_libpq_url_becomes_djangos_settings() -> None:
    settings = database_settings(OWNER, "owner")["default"]
    assert (settings["NAME"], settings["USER"], settings["HOST"], settings["PASSWORD"]) == (
        "waypost",
        "waypost_owner",
        "/run/x",
        "",
    )
    assert settings["OPTIONS"]["application_name"] == "manage"


def test_each_role_has_its_own_variable() -> None:
    assert database_settings(OWNER, "app") == {}
    assert database_settings(OWNER, "") == {}
    with pytest.raises(ImproperlyConfigured, match="WAYPOST_DATABASE_ROLE"):
        database_settings(OWNER, "root")


def test_a_wrong_url_is_refused_by_the_name_of_its_variable() -> None:
    with pytest.raises(ImproperlyConfigured, match="WAYPOST_DATABASE_URL is not a libpq URL"):
        database_settings({"WAYPOST_DATABASE_URL": "postgresql://x?nonsense=1"}, "app")


def test_the_signing_key_follows_from_the_master_key(tmp_path: Path) -> None:
    environment = {"WAYPOST_SECRETS": str(tmp_path)}
    with pytest.raises(ImproperlyConfigured, match="WAYPOST_SECRETS"):
        secret_key(environment, is_required=True)
    (tmp_path / "master.key").write_bytes(b"m" * 32)
    key = secret_key(environment, is_required=True)
    assert secret_key(environment, is_required=True) == key
    (tmp_path / "master.key").write_bytes(b"n" * 32)
    assert secret_key(environment, is_required=True) != key


def test_without_a_master_key_nothing_outlives_the_process() -> None:
    assert secret_key({}, is_required=False) != secret_key({}, is_required=False)


def test_the_server_answers_to_its_own_name_and_those_it_is_given() -> None:
    hosts = allowed_hosts({"WAYPOST_HOSTNAME": "mail.demo.test", "WAYPOST_ALLOWED_HOSTS": "mail.example.com, "})
    assert hosts == ["localhost", "127.0.0.1", "[::1]", "mail.demo.test", "mail.example.com"]
