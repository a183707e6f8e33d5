"""Makes the tenant demo.test once: its people with random passwords, and their mail, through the services.

    python -m deploy.local.seed        with the variables of a management command

The passwords are in `demo.json` of the secrets directory (0600) before the accounts exist, and how far the mail has
come is written there after every batch, so a start that was interrupted goes on where it stopped.
"""

import json
from pathlib import Path
from typing import Any

from deploy.local.endpoints import Login


def is_seeded(secrets: Path) -> bool:
    return bool(_read(secrets).get("is_complete"))


def read_logins(secrets: Path) -> list[Login]:
    """The people and their passwords; none before the first seeding."""
    return [Login(login["address"], login["password"]) for login in _read(secrets).get("logins", ())]


def _read(secrets: Path) -> dict[str, Any]:
    try:
        told: dict[str, Any] = json.loads((secrets / "demo.json").read_text("utf-8"))
    except FileNotFoundError:
        return {}
    return told
