"""`manage.py tenant` and `manage.py account`, as an administrator types them."""

import io
import json
import stat
import sys
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings

from tenants.errors import TenantNotFound
from tenants.models import Account, Tenant
from tenants.passwords import verify_password
from tenants.selectors import find_account, find_tenant
from tests.tenants import hooks


@pytest.fixture(autouse=True)
def english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")


def run(*arguments: str) -> str:
    output = io.StringIO()
    call_command(*arguments, stdout=output)
    return output.getvalue()


@override_settings(WAYPOST_TENANT_CREATED=["tests.tenants.hooks.remember"])
def test_adding_a_tenant_says_so_and_calls_what_else_it_needs(orm: None, tmp_path: Path) -> None:
    slug = f"{tmp_path.name.replace('_', '-')}.example".lower()
    said = run("tenant", "add", slug, "--name", "示例公司", "--language", "zh", "--time-zone", "Asia/Shanghai")
    tenant = find_tenant(slug)
    assert said == f"Added tenant {slug} (id {tenant.pk}) with the domain {slug}.\n"
    assert hooks.CREATED[-1] == tenant.pk


@override_settings(WAYPOST_TENANT_CREATED=["tests.tenants.hooks.fail"])
def test_a_tenant_that_cannot_get_all_it_needs_is_not_added(orm: None) -> None:
    with pytest.raises(CommandError, match=r"not added, because .*hooks\.fail failed: the disk is full"):
        run("tenant", "add", "half-made.example")
    with pytest.raises(TenantNotFound):
        find_tenant("half-made.example")


@override_settings(WAYPOST_TENANT_CREATED=["tests.tenants.hooks.nowhere"])
def test_a_hook_that_is_not_there_is_named(orm: None) -> None:
    with pytest.raises(CommandError, match=r"tests\.tenants\.hooks\.nowhere, named in WAYPOST_TENANT_CREATED"):
        run("tenant", "add", "half-made.example")


def test_tenants_are_listed_for_people_and_for_programs(ann: Account, tenant: Tenant, domain: str) -> None:
    [line] = [line for line in run("tenant", "list").splitlines() if line.startswith(domain)]
    assert line.split() == [domain, "示例公司", "active", "1", domain, "zh-hans", "Asia/Shanghai"]
    [row] = [row for row in json.loads(run("tenant", "list", "--json")) if row["id"] == tenant.pk]
    assert (row["slug"], row["domains"], row["people"], row["status"]) == (domain, [domain], 1, "active")


def test_a_tenant_goes_through_its_life(domain: str) -> None:
    assert "Suspended tenant" in run("tenant", "suspend", domain)
    assert "active again" in run("tenant", "resume", domain)
    assert run("tenant", "set", domain, "--name", "New Name") == f"Changed tenant {domain}.\n"
    assert "second" in run("tenant", "add-domain", domain, f"second.{domain}")
    with pytest.raises(CommandError, match="Say --yes"):
        run("tenant", "delete", domain)
    assert "Deleted tenant" in run("tenant", "delete", domain, "--yes")
    with pytest.raises(CommandError, match=f"Free it with: manage.py tenant release {domain}"):
        run("tenant", "add", domain)
    assert run("tenant", "release", domain) == f"Released {domain}.\n"


def test_a_generated_password_is_shown_once_and_works(domain: str) -> None:
    said = run("account", "add", f"bob@{domain}", "--name", "Bob", "--quota", "5GiB", "--administrator")
    password = said.splitlines()[1].removeprefix("Password, shown only now: ")
    bob = find_account(f"bob@{domain}")
    assert verify_password(bob.password_hash, password)
    assert (bob.display_name, bob.quota_octets, bob.is_administrator) == ("Bob", 5 * 2**30, True)


def test_a_password_comes_by_standard_input_and_is_not_shown(domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("从标准输入来的密码\nsecond line\n"))
    said = run("account", "add", f"bob@{domain}", "--password-stdin")
    assert "密码" not in said
    assert verify_password(find_account(f"bob@{domain}").password_hash, "从标准输入来的密码")


def test_an_empty_standard_input_is_no_password(domain: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(""))
    with pytest.raises(CommandError, match="no password on standard input"):
        run("account", "add", f"bob@{domain}", "--password-stdin")


def test_accounts_are_listed_for_people_and_for_programs(ann: Account, domain: str) -> None:
    run("account", "alias", "add", f"ann@{domain}", f"office@{domain}")
    heading, line = run("account", "list", domain).splitlines()
    assert heading.split() == ["Address", "Name", "Status", "Quota", "Administrator", "Aliases"]
    assert line.split() == [f"ann@{domain}", "Ann", "Lee", "active", "unlimited", "no", f"office@{domain}"]
    [row] = json.loads(run("account", "list", domain, "--json"))
    assert row["addresses"] == [f"ann@{domain}", f"office@{domain}"]
    assert "password_hash" not in row


def test_an_account_goes_through_its_life(ann: Account, domain: str) -> None:
    address = f"ann@{domain}"
    assert run("account", "set", address, "--quota", "none", "--administrator") == f"Changed account {address}.\n"
    assert "shown only now" in run("account", "set", address, "--generate-password")
    assert "Suspended account" in run("account", "suspend", address)
    assert "active again" in run("account", "resume", address)
    assert "now reaches" in run("account", "alias", "add", address, f"office@{domain}")
    assert "no longer reaches" in run("account", "alias", "remove", address, f"office@{domain}")
    with pytest.raises(CommandError, match="Say --yes"):
        run("account", "delete", address)
    assert "Deleted account" in run("account", "delete", address, "--yes")
    assert run("account", "release", address) == f"Released {address}.\n"
    assert "(released)" in run("account", "list", domain, "--all")


@pytest.mark.parametrize(
    ("arguments", "fact"),
    [
        (("account", "add", "ann"), "is not a mail address: it has no @"),
        (("account", "add", "ann@elsewhere.invalid"), "manage.py tenant add-domain TENANT elsewhere.invalid"),
        (("account", "set", "nobody@elsewhere.invalid", "--name", "N"), "manage.py account list"),
        (("account", "set", "nobody@elsewhere.invalid"), "Say what to change"),
        (("account", "set", "nobody@elsewhere.invalid", "--quota", "lots"), "is not a quota"),
        (("tenant", "set", "nowhere", "--name", "N"), "There is no tenant nowhere. See: manage.py tenant list"),
        (("tenant", "set", "nowhere"), "Say what to change"),
        (("tenant", "add", "x y"), "is not a domain name"),
        (("tenant", "add", "y.example", "--time-zone", "Mars"), "Write it like Asia/Shanghai"),
        (("tenant", "add", "y.example", "--language", "fr"), "There are en and zh-hans"),
        (("tenant", "list", "--speak", "fr"), "There are en and zh-hans"),
    ],
)
def test_a_refusal_names_the_fact_and_the_way_out(orm: None, arguments: tuple[str, ...], fact: str) -> None:
    with pytest.raises(CommandError) as refused:
        run(*arguments)
    assert fact in str(refused.value)


def test_the_commands_speak_chinese_where_the_terminal_does(
    ann: Account, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert run("account", "list", domain).split()[:6] == ["地址", "名称", "状态", "配额", "管理员", "别名"]
    with pytest.raises(CommandError, match="已属于某个帐号"):
        run("account", "add", f"ann@{domain}")
    assert run("account", "list", domain, "--speak", "en").startswith("Address")


def test_a_csv_file_brings_everybody(tenant: Tenant, domain: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"address,password,name,quota\nbob@{domain},bobs password,Bob,5GiB\nli@{domain},,李雷,\n")
    passwords = tmp_path / "passwords.csv"
    with pytest.raises(CommandError, match="--passwords-to FILE"):
        run("account", "import", str(file))
    assert "Imported 2 accounts" in run("account", "import", str(file), "--passwords-to", str(passwords))
    heading, row = passwords.read_text().splitlines()
    assert (heading, row.split(",")[0]) == ("address,password", f"li@{domain}")
    assert verify_password(find_account(f"li@{domain}").password_hash, row.split(",")[1])
    assert stat.S_IMODE(passwords.stat().st_mode) == 0o600


def test_if_the_passwords_cannot_be_written_nobody_is_imported(domain: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f"address\nbob@{domain}\n")
    with pytest.raises(CommandError, match="cannot be written: File exists"):
        run("account", "import", str(file), "--passwords-to", str(file))
    assert json.loads(run("account", "list", domain, "--json")) == []


def test_an_import_that_is_refused_names_line_and_column(ann: Account, domain: str, tmp_path: Path) -> None:
    file = tmp_path / "people.csv"
    file.write_text(f'address,password,name\nbob@{domain},bobs password,"two\nlines"\nann@{domain},anns password,\n')
    with pytest.raises(CommandError) as refused:
        run("account", "import", str(file))
    assert str(refused.value).splitlines()[1:] == [
        "  line 2, name: it has a control character or line break",
        f"  line 4, address: ann@{domain} is taken",
    ]
