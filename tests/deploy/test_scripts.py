"""The shell scripts, where a program is missing."""

import os
import subprocess
from pathlib import Path

import pytest

from deploy.local.installation import SOURCE

NOTHING_INSTALLED = "#!/bin/sh\nexit 1\n"
ROOT = "#!/bin/sh\necho 0\n"


@pytest.fixture
def bare_machine(tmp_path: Path) -> Path:
    """A directory of programs in which no package is installed, and we seem to be root."""
    for name, text in {"dpkg-query": NOTHING_INSTALLED, "id": ROOT}.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    return tmp_path


def run(
    script: str, *arguments: str, path: Path, answer: str = "", only: bool = False
) -> "subprocess.CompletedProcess[str]":
    environment = {"PATH": str(path) if only else f"{path}:{os.environ['PATH']}"}
    return subprocess.run(
        ["/bin/sh", str(SOURCE / script), *arguments],
        env=environment,
        input=answer,
        capture_output=True,
        text=True,
        check=False,
        cwd=path,
    )


def test_missing_tools_are_named_with_make_tools(bare_machine: Path) -> None:
    checked = run("deploy/tools.sh", "--check", path=bare_machine)
    assert checked.returncode == 1
    for needed in ("swaks", "isync", "mutt", "postfix", "make tools"):
        assert needed in checked.stderr


@pytest.mark.parametrize("answer", ["", "n\n", "no\n"])
def test_tools_are_not_installed_without_a_yes(bare_machine: Path, answer: str) -> None:
    asked = run("deploy/tools.sh", path=bare_machine, answer=answer)
    assert asked.returncode == 1
    assert "Go on? [y/N]" in asked.stdout
    assert "Nothing was installed." in asked.stderr


def test_nothing_is_done_when_every_tool_is_there(bare_machine: Path) -> None:
    (bare_machine / "dpkg-query").write_text("#!/bin/sh\nprintf installed\n")
    assert run("deploy/tools.sh", path=bare_machine).returncode == 0
    assert run("deploy/tools.sh", "--check", path=bare_machine).stdout == ""


def test_without_python_the_virtual_environment_says_what_to_install(tmp_path: Path) -> None:
    made = run("deploy/local/venv.sh", str(tmp_path / "venv"), path=tmp_path, only=True)
    assert made.returncode == 1
    assert "apt-get install python3 python3-venv" in made.stderr


def test_a_python_without_venv_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "python3").write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\n')
    (tmp_path / "python3").chmod(0o755)
    made = run("deploy/local/venv.sh", str(tmp_path / "venv"), path=tmp_path, only=True)
    assert made.returncode == 1
    assert "apt-get install python3-venv" in made.stderr


def test_make_alone_lists_what_it_can_do() -> None:
    listed = subprocess.run(["make"], cwd=SOURCE, capture_output=True, text=True, check=True).stdout
    for target in ("up", "down", "reset", "check", "test", "tools", "bench", "soak"):
        assert f"make {target} " in listed
