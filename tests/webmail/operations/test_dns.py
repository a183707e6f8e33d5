"""`manage.py dns`, as an administrator types it."""

import json

import pytest

from tests.conftest import RunningServices
from tests.people import new_person


def domain_of(services: RunningServices) -> str:
    return new_person(services).address.rpartition("@")[2]


def test_records_of_a_domain_are_printed_as_a_zone_file(
    services: RunningServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAYPOST_HOSTNAME", "mail.demo.test")
    assert "No door" in services.manage("dns", "show", domain_of(services), "--speak", "en").stderr
    monkeypatch.setenv("WAYPOST_PUBLIC_DOORS", "imaps=mail.demo.test:993")
    domain = domain_of(services)
    done = services.manage("dns", "show", domain, "--speak", "en")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == f"The DNS of {domain} should say:"
    assert any(line.startswith(f"{domain}. 3600 IN MX 10 mail.demo.test.") for line in lines)
    in_chinese = services.manage("dns", "show", domain, "--speak", "zh-hans").stdout
    assert "发往本域名的邮件由此服务器接收" in in_chinese
    told = json.loads(services.manage("dns", "show", domain, "--json").stdout)
    assert {each["type"] for each in told} == {"MX", "TXT", "SRV", "CNAME"}


def test_a_domain_that_is_not_ours_is_refused_in_a_line(services: RunningServices) -> None:
    done = services.manage("dns", "show", "elsewhere.example", "--speak", "en")
    assert done.returncode == 1
    assert "elsewhere.example is not served here" in done.stderr
