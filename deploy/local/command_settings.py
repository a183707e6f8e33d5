"""Lets `manage.py` find the installation of `make up` by itself.

The supervisor leaves what a management command must know in `var/secrets/commands.json` (0600). manage.py reads it
when the environment names no database, so that `manage.py account list` works as it stands; WAYPOST_VAR chooses
among several installations.
"""

import json
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from deploy.local.installation import var_directory
from deploy.local.places import write_private


def settings_file(var: Path) -> Path:
    return var / "secrets" / "commands.json"


def write_command_settings(var: Path, environment: Mapping[str, str]) -> None:
    """Only our own variables: what else the supervisor was given is nobody's business."""
    ours = {name: value for name, value in environment.items() if name.startswith("WAYPOST_")}
    write_private(settings_file(var), json.dumps(ours, indent=2) + "\n")


def adopt_local_installation(environment: MutableMapping[str, str]) -> None:
    """Fill in what is missing from the installation that `make up` made here, if there is one."""
    if "WAYPOST_OWNER_DATABASE_URL" in environment:
        return
    try:
        told = json.loads(settings_file(var_directory(environment)).read_text("utf-8"))
    except (OSError, ValueError):
        return
    for name, value in told.items():
        environment.setdefault(name, value)
