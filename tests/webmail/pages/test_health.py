"""/healthz says the process lives, /readyz that its database answers."""

import json
from pathlib import Path

from django.test import AsyncClient, override_settings

from tests.conftest import RunningServices


async def test_a_living_process_says_so() -> None:
    response = await AsyncClient().get("/healthz")
    assert (response.status_code, json.loads(response.content)) == (200, {"status": "ok"})


async def test_the_web_role_is_ready_when_the_database_answers(services: RunningServices) -> None:
    with override_settings(WAYPOST_WEB_DATABASE_URL=services.app_url):
        response = await AsyncClient().get("/readyz")
    assert (response.status_code, json.loads(response.content)["database"]) == (200, "ok")
    assert response.headers["Cache-Control"] == "no-store"


async def test_without_the_database_it_is_not_ready_and_tells_no_secrets(tmp_path: Path) -> None:
    with override_settings(WAYPOST_WEB_DATABASE_URL=f"postgresql://waypost_app@/waypost?host={tmp_path}"):
        response = await AsyncClient().get("/readyz")
    assert response.status_code == 503
    assert str(tmp_path) not in response.content.decode()
