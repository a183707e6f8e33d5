"""`manage.py tenant` and `manage.py account`, as an administrator types them."""

import asyncio
import io
import json
import stat
import sys
import time
from pathlib import Path

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import override_settings
from redis.asyncio import Redis

from mailserver.services.failure_counts import (
    LocalFailureCounts,
    SharedFailureCounts,
    account_key,
    network_key,
    pair_key,
    second_factor_key,
)
from tenants.errors import TenantNotFound
from tenants.models import Account, Tenant, Totp
from tenants.passwords import verify_password
from tenants.selectors import find_account, find_tenant
from tests.conftest import RunningServices
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


def test_groups_are_made_shown_and_changed(ann: Account, domain: str) -> None:
    team = f"team@{domain}"
    said = run("group", "add", team, f"ann@{domain}", "Zoe@例子.测试", "--name", "销售部", "--senders", "members")
    assert said == f"Added group {team} with 2 members.\n"
    heading, line = run("group", "list", domain).splitlines()
    assert heading.split("  ")[0] == "Address"
    assert line.split() == [team, "销售部", "members", "2", "-"]
    assert run("group", "show", team).splitlines()[-1].split() == ["Zoe@例子.测试"]
    assert run("group", "set", team, "--owner", f"ann@{domain}") == f"Changed group {team}.\n"
    assert run("group", "member", "remove", team, "zoe@例子.测试") == f"Group {team} has 1 members now.\n"
    [row] = json.loads(run("group", "list", domain, "--json"))
    assert (row["members"], row["who_may_send"], row["owner"]) == ([f"ann@{domain}"], "members", f"ann@{domain}")
    with pytest.raises(CommandError, match="is not a member of"):
        run("group", "member", "remove", team, f"bob@{domain}")
    with pytest.raises(CommandError, match="Say --yes"):
        run("group", "delete", team)
    assert run("group", "delete", team, "--yes") == f"Deleted group {team}.\n"
    assert "No groups yet" in run("group", "list", domain)


def test_domains_catch_all_and_stand_for_others(ann: Account, domain: str) -> None:
    run("tenant", "add-domain", domain, f"邮件.{domain}")
    said = run("domain", "catch-all", domain, f"ann@{domain}")
    assert said == f"Mail for what nobody has in {domain} goes to ann@{domain}.\n"
    assert "every address there is good here too" in run("domain", "stand-for", f"邮件.{domain}", domain)
    _, first, second = run("domain", "list", domain).splitlines()
    assert first.split() == [domain, domain, domain, "active", "-", f"ann@{domain}"]
    assert second.split() == [f"邮件.{domain}", f"xn--5nq051n.{domain}", domain, "active", domain, "-"]
    with pytest.raises(CommandError, match="has no addresses of its own"):
        run("account", "add", f"bob@邮件.{domain}")
    assert run("domain", "catch-all", domain, "none") == f"Mail for what nobody has in {domain} is refused.\n"
    assert run("domain", "stand-for", f"邮件.{domain}", "none") == f"邮件.{domain} stands for itself.\n"


def test_mail_is_passed_on(ann: Account, domain: str) -> None:
    address = f"ann@{domain}"
    assert run("account", "forward", "list", address) == f"Mail for {address} is not passed on.\n"
    said = run("account", "forward", "add", address, "Ann@elsewhere.example", "--no-copy")
    assert said == f"Mail for {address} is passed on to Ann@elsewhere.example; nothing stays here.\n"
    with pytest.raises(CommandError, match=f"See: manage.py account forward list {address}"):
        run("account", "forward", "remove", address, "bob@elsewhere.example")
    assert "is not passed on" in run("account", "forward", "remove", address, "ann@elsewhere.example")


def test_app_passwords_are_made_listed_and_revoked(ann: Account, domain: str) -> None:
    address = f"ann@{domain}"
    said = run(
        "account", "app-password", "add", address, "手机", "--scope", "imap", "--expires", "2099-12-31"
    ).splitlines()
    assert said[0] == "Added app password 手机 for imap."
    assert len(said[1].removeprefix("Password, shown only now: ").replace("-", "")) == 16
    _, line = run("account", "app-password", "list", address).splitlines()
    made = ann.created_at.strftime("%Y-%m-%d")
    assert line.split() == ["手机", "imap", made, "2099-12-31", "never", "-"]
    with pytest.raises(CommandError, match="Choose another name"):
        run("account", "app-password", "add", address, "手机")
    with pytest.raises(CommandError, match="not a day to come"):
        run("account", "app-password", "add", address, "x", "--expires", "2001-01-01")
    assert "Revoked" in run("account", "app-password", "revoke", address, "手机")
    assert run("account", "app-password", "list", address) == f"{address} has no app passwords.\n"
    assert run("account", "set", address, "--app-passwords-only") == f"Changed account {address}.\n"
    assert find_account(address).app_passwords_only


async def _fail(redis_url: str, account: Account, *, of_account: str = "") -> None:
    counted = of_account or account_key(account.pk, "")
    redis = Redis.from_url(redis_url)
    counts = SharedFailureCounts(
        redis,
        LocalFailureCounts(forget_after_s=3600, known_for_s=60, limit=10, clock=time.monotonic),
        forget_after_s=3600,
        known_for_s=60,
        timeout_s=5,
        clock=time.monotonic,
    )
    keys = [counted, pair_key(counted, "192.0.2.7"), network_key("192.0.2.7")]
    for _ in range(12):
        await counts.add(keys)
    await counts.note_place(counted, "192.0.2.7")
    await redis.aclose()


def test_blocks_are_shown_and_lifted(
    services: RunningServices, ann: Account, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"ann@{domain}"
    monkeypatch.setenv("WAYPOST_REDIS_URL", services.redis_url)
    assert run("account", "blocks", address) == f"Nobody failed to sign in lately: {address}.\n"
    asyncio.run(_fail(services.redis_url, ann))
    _, everywhere, here = run("account", "blocks", address).splitlines()
    assert everywhere.startswith("all networks never used before")
    assert here.split()[:3] == ["192.0.2.7", "12", "for"]
    assert run("account", "unblock", address) == f"Failed sign-ins are forgotten: {address}.\n"
    assert "Nobody failed" in run("account", "blocks", address)
    assert "192.0.2.7" in run("account", "blocks", "--network", "192.0.2.7")
    run("account", "unblock", "--network", "192.0.2.7")
    assert "Nobody failed" in run("account", "blocks", "--network", "192.0.2.7")
    with pytest.raises(CommandError, match="is not an IP address"):
        run("account", "unblock", "--network", "office")


def test_wrong_codes_are_shown_and_forgotten_with_wrong_passwords(
    services: RunningServices, ann: Account, domain: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"ann@{domain}"
    monkeypatch.setenv("WAYPOST_REDIS_URL", services.redis_url)
    asyncio.run(_fail(services.redis_url, ann, of_account=second_factor_key(ann.pk)))
    assert "12" in run("account", "blocks", address)
    run("account", "unblock", address)
    assert "Nobody failed" in run("account", "blocks", address)


def test_somebody_is_signed_out_of_everything(ann: Account, domain: str) -> None:
    said = run("account", "sign-out", f"ann@{domain}")
    assert said == f"ann@{domain} is signed out of everything.\n"
    ann.refresh_from_db()
    assert ann.sign_in_epoch == 1


def test_an_account_in_wrong_hands_is_taken_back(ann: Account, domain: str) -> None:
    run("account", "app-password", "add", f"ann@{domain}", "Phone")
    said = run("account", "sign-out", f"ann@{domain}", "--revoke-programs").splitlines()
    assert said[0] == f"App passwords, tokens and connected programs of ann@{domain} are revoked."
    assert not ann.app_passwords.exists()


def test_who_has_lost_their_second_factors_is_let_in_again(ann: Account, domain: str) -> None:
    Totp.objects.create(tenant=ann.tenant, account=ann, sealed=b"sealed")
    said = run("account", "set", f"ann@{domain}", "--remove-second-factors")
    assert said == f"Changed account ann@{domain}.\nann@{domain} is signed out of everything.\n"
    assert not Totp.objects.filter(account=ann).exists()


def test_a_new_password_says_that_everything_ends(ann: Account, domain: str) -> None:
    said = run("account", "set", f"ann@{domain}", "--generate-password").splitlines()
    assert said[1] == f"ann@{domain} is signed out of everything."
    assert said[2].startswith("Password, shown only now: ")


def test_without_redis_blocks_cannot_be_seen(
    ann: Account, domain: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("WAYPOST_REDIS_URL", f"unix://{tmp_path}/gone.sock")
    with pytest.raises(CommandError, match="Redis, which does not answer"):
        run("account", "blocks", f"ann@{domain}")


def test_policies_are_shown_and_changed(domain: str) -> None:
    shown = run("tenant", "policy", domain)
    assert "Cold after                             90 days" in shown
    assert "Pool of all accounts                   unlimited" in shown
    run("tenant", "policy", domain, "--cold-after", "never", "--hot-budget", "50GiB", "--pool", "1TiB")
    run("tenant", "policy", domain, "--promote-within", "3", "--recoverable-days", "0", "--account-recovery-days", "7")
    said = json.loads(run("tenant", "policy", domain, "--json"))
    assert said == {
        "tenant": domain,
        "cold_after_days": None,
        "hot_budget_octets": 50 * 2**30,
        "promote_within_days": 3,
        "quota_octets": 2**40,
        "recoverable_days": 0,
        "account_recovery_days": 7,
        "is_held": False,
        "hold_reason": "",
    }
    with pytest.raises(CommandError, match="not a number of days"):
        run("tenant", "policy", domain, "--recoverable-days", "never")


def test_holds_say_why_and_end(ann: Account, domain: str) -> None:
    with pytest.raises(CommandError, match="Say why with --reason"):
        run("tenant", "hold", domain, "on")
    assert "is under legal hold" in run("tenant", "hold", domain, "on", "--reason", "case 7")
    assert "yes: case 7" in run("tenant", "policy", domain)
    assert "free of legal hold" in run("tenant", "hold", domain, "off")
    assert "is under legal hold" in run("account", "hold", f"ann@{domain}", "on", "--reason", "case 7")
    assert find_account(f"ann@{domain}").hold_reason == "case 7"
    assert "free of legal hold" in run("account", "hold", f"ann@{domain}", "off")


def test_retention_rules_are_made_shown_and_removed(ann: Account, domain: str) -> None:
    assert "no retention rules" in run("tenant", "retention", "list", domain)
    assert "\\Trash for 30 days are removed" in run("tenant", "retention", "set", domain, "\\Trash", "--days", "30")
    run("tenant", "retention", "set", domain, "INBOX", "--days", "400", "--then", "trash", "--account", f"ann@{domain}")
    lines = run("tenant", "retention", "list", domain).splitlines()
    assert [line.split() for line in lines] == [
        ["Folder", "Days", "Then", "Account"],
        ["\\Trash", "30", "remove", "everybody"],
        ["INBOX", "400", "trash", f"ann@{domain}"],
    ]
    assert "Removed the rule" in run("tenant", "retention", "remove", domain, "\\Trash")
    with pytest.raises(CommandError, match="There is no rule for"):
        run("tenant", "retention", "remove", domain, "\\Trash")


def test_a_deleted_account_is_brought_back(ann: Account, domain: str) -> None:
    assert f"manage.py account restore ann@{domain}" in run("account", "delete", f"ann@{domain}", "--yes")
    assert "as it was" in run("account", "restore", f"ann@{domain}")
    assert find_account(f"ann@{domain}").status == "active"
    with pytest.raises(CommandError, match="is not deleted"):
        run("account", "restore", f"ann@{domain}")
