"""manage.py finds the installation of make up, and nothing else."""

from pathlib import Path

from deploy.local.command_settings import adopt_local_installation, settings_file, write_command_settings


def test_what_the_supervisor_left_fills_in_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    write_command_settings(tmp_path, {"WAYPOST_OWNER_DATABASE_URL": "postgresql://here", "HOME": "/nowhere"})
    assert settings_file(tmp_path).stat().st_mode & 0o777 == 0o600
    environment = {"WAYPOST_VAR": str(tmp_path), "WAYPOST_DRAIN_S": "2.5"}
    adopt_local_installation(environment)
    assert environment["WAYPOST_OWNER_DATABASE_URL"] == "postgresql://here"
    assert "HOME" not in environment


def test_a_named_database_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "secrets").mkdir()
    write_command_settings(tmp_path, {"WAYPOST_OWNER_DATABASE_URL": "postgresql://here", "WAYPOST_SECRETS": "/x"})
    environment = {"WAYPOST_VAR": str(tmp_path), "WAYPOST_OWNER_DATABASE_URL": "postgresql://elsewhere"}
    adopt_local_installation(environment)
    assert environment["WAYPOST_OWNER_DATABASE_URL"] == "postgresql://elsewhere"
    assert "WAYPOST_SECRETS" not in environment


def test_without_an_installation_nothing_is_filled_in(tmp_path: Path) -> None:
    environment = {"WAYPOST_VAR": str(tmp_path)}
    adopt_local_installation(environment)
    assert environment == {"WAYPOST_VAR": str(tmp_path)}
