"""`manage.py` finds its settings where the roles find theirs."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import RunningServices

ROOT = Path(__file__).parents[1]


def manage(environment: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WAYPOST_")}
    command = [sys.executable, str(ROOT / "manage.py"), *arguments]
    return subprocess.run(command, cwd=ROOT, env=kept | environment, text=True, capture_output=True, check=False)


def test_settings_of_the_file_reach_the_commands(services: RunningServices, tmp_path: Path) -> None:
    file = tmp_path / "waypost.toml"
    file.write_text(f'owner_database_url = "{services.owner_url}"\nsecrets = "{services.secrets}"\n')
    done = manage({"WAYPOST_CONFIG": str(file)}, "tenant", "list", "--json")
    assert done.returncode == 0, done.stderr


def test_a_file_that_is_no_toml_is_named(tmp_path: Path) -> None:
    file = tmp_path / "waypost.toml"
    file.write_text("hostname =\n")
    done = manage({"WAYPOST_CONFIG": str(file)}, "tenant", "list")
    assert done.returncode == 1
    assert f"'{file}' is not TOML" in done.stderr
