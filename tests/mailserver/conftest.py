"""Real Postgres and Redis for the tests of this folder, started once and migrated."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy.local.services import start_services

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class ServiceUrls:
    owner_url: str
    app_url: str
    system_url: str
    redis_url: str


@pytest.fixture(scope="session")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceUrls]:
    running = start_services(tmp_path_factory.mktemp("services"), durable=False)
    try:
        environment = running.environment()
        command = [sys.executable, ROOT / "manage.py", "migrate", "--verbosity", "0"]
        subprocess.run(command, env={**os.environ, **environment}, cwd=ROOT, check=True)
        yield ServiceUrls(
            owner_url=environment["WAYPOST_OWNER_DATABASE_URL"],
            app_url=environment["WAYPOST_DATABASE_URL"],
            system_url=environment["WAYPOST_SYSTEM_DATABASE_URL"],
            redis_url=environment["WAYPOST_REDIS_URL"],
        )
    finally:
        running.stop()
