"""The systemd units: what systemd itself says of them, and that they fit the program they start."""

import configparser
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from mailserver.__main__ import EXIT_CONFIGURATION, EXIT_USAGE
from mailserver.config import ROLES, Config, read_config
from mailserver.variables import read_variables

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "deploy" / "systemd"
MOST_EXPOSED = 20  # of 100, by `systemd-analyze security`


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a host on which install.sh has run."""
    root = tmp_path_factory.mktemp("host")
    (root / "etc").mkdir()
    for name in ("passwd", "group"):
        shutil.copy(Path("/etc") / name, root / "etc" / name)
    subprocess.run([UNITS / "install.sh", "--root", root], check=True, capture_output=True)
    return root


def test_there_is_a_unit_for_every_role(installed: Path) -> None:
    units = (installed / "etc/systemd/system").glob("waypost-*@.service")
    assert sorted(unit.name for unit in units) == sorted(f"waypost-{role}@.service" for role in ROLES)


def test_systemd_finds_nothing_wrong_with_them(installed: Path, tmp_path: Path) -> None:
    for unit in (installed / "etc/systemd/system").iterdir():
        text = unit.read_text().replace("/opt/waypost", str(ROOT)).replace("User=waypost", "User=daemon")
        (tmp_path / unit.name.replace("@.", "@1.")).write_text(text.replace("Group=waypost", "Group=daemon"))
    command = ["systemd-analyze", "verify", "--man=no", *sorted(map(str, tmp_path.iterdir()))]
    said = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    assert [line for line in said.splitlines() if "waypost" in line] == []


def test_a_process_is_shut_in(installed: Path) -> None:
    command = ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", f"--root={installed}"]
    judged = subprocess.run([*command, "waypost-imap@1.service"], capture_output=True, text=True, check=False)
    assert judged.returncode == 0, judged.stdout[-2000:]


def test_a_start_that_cannot_succeed_is_not_tried_again() -> None:
    unit = configparser.RawConfigParser(strict=False, interpolation=None)
    unit.read(UNITS / "waypost-role@.service")
    ends = {int(number) for number in unit["Service"]["RestartPreventExitStatus"].split()}
    assert ends == {EXIT_CONFIGURATION, EXIT_USAGE}


def test_secrets_are_made_for_the_service_alone(installed: Path) -> None:
    secrets = installed / "var/lib/waypost/secrets"
    assert secrets.stat().st_mode & 0o777 == 0o700
    assert re.search(r"(?m)^waypost:", (installed / "etc/passwd").read_text())


def test_a_second_run_leaves_the_settings_alone(installed: Path) -> None:
    settings = installed / "etc/waypost/waypost.toml"
    settings.write_text('hostname = "mx.company.test"\n')
    subprocess.run([UNITS / "install.sh", "--root", installed], check=True, capture_output=True)
    assert settings.read_text() == 'hostname = "mx.company.test"\n'


def test_the_sample_settings_are_read_without_a_complaint() -> None:
    variables = read_variables(
        {"WAYPOST_CONFIG": str(UNITS / "waypost.toml"), "WAYPOST_SECRETS": "/var/lib/waypost/secrets"}
    )
    assert isinstance(read_config(variables), Config)
