"""`manage.py oauth`, as an administrator types it."""

import json
import secrets

import pytest

from tests.conftest import RunningServices

ANSWERS = "https://mailer.example/answer"


def test_a_program_is_made_known_listed_and_forgotten(services: RunningServices) -> None:
    name = f"Mailer {secrets.token_hex(4)}"
    added = services.manage("oauth", "add", name, ANSWERS, "com.example.mailer:/answer", "--speak", "en")
    assert added.returncode == 0, added.stderr
    listed = json.loads(services.manage("oauth", "list", "--json").stdout)
    (found,) = [each for each in listed if each["name"] == name]
    assert added.stdout.strip().endswith(found["client_id"])
    assert found["redirect_uris"] == [ANSWERS, "com.example.mailer:/answer"]
    assert "already" in services.manage("oauth", "add", name, ANSWERS, "--speak", "en").stderr
    assert services.manage("oauth", "remove", name).returncode == 1
    assert services.manage("oauth", "remove", name, "--yes", "--speak", "en").returncode == 0
    assert "没有名为" in services.manage("oauth", "remove", name, "--yes", "--speak", "zh-hans").stderr


@pytest.mark.parametrize(
    "uri",
    [
        "http://mailer.example/",
        "javascript:alert(1)",
        "https://",
        "https://a@b.example/",
        "mailer:/x",
        "https://a.b/#x",
    ],
)
def test_answers_go_nowhere_that_others_read(services: RunningServices, uri: str) -> None:
    refused = services.manage("oauth", "add", "Wrong", uri, "--speak", "en")
    assert refused.returncode == 1
    assert f"Answers cannot go to {uri}" in refused.stderr
