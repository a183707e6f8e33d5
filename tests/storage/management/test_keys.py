"""`manage.py keys`, as an administrator types it."""

import ast
import asyncio
import json
import string
from collections.abc import Callable
from pathlib import Path

import pytest

from storage.key_files import make_master_key, read_master_key
from storage.management.keys_wording import CHINESE
from storage.provisioning import provision_account
from storage.store import MailStore
from tests.conftest import RunningServices, owner_connection, plain_message
from tests.people import Person, new_person
from tests.someone import Someone

Say = Callable[..., str]


@pytest.fixture
async def ann(services: RunningServices, store: MailStore) -> Person:
    """With a message."""
    person = await asyncio.to_thread(new_person, services)
    await provision_account(store.database, person.principal.tenant_id, person.principal.account_id)
    await Someone(store, person.principal).receive(plain_message())
    return person


@pytest.fixture
def keys(services: RunningServices, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.delenv("WAYPOST_S3_URL", raising=False)

    def run(*arguments: str, status: int = 0) -> str:
        done = services.manage("keys", *arguments)
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


def domain_of(person: Person) -> str:
    return person.principal.address.domain


async def announce(services: RunningServices, person: Person, days: int = 1) -> None:
    with owner_connection(services) as owner:
        owner.execute(
            "UPDATE data_key SET created_at = created_at - make_interval(days => %(days)s),"
            " retired_at = retired_at - make_interval(days => %(days)s) WHERE tenant_id = %(tenant)s",
            {"days": days, "tenant": person.principal.tenant_id},
        )


async def hold(services: RunningServices, person: Person, *, is_held: bool) -> None:
    with owner_connection(services) as owner:
        owner.execute("UPDATE tenant SET is_held = %s WHERE id = %s", (is_held, person.principal.tenant_id))


async def test_a_data_key_lives_and_goes(services: RunningServices, store: MailStore, ann: Person, keys: Say) -> None:
    tenant = domain_of(ann)

    async def say(*arguments: str) -> str:
        return await asyncio.to_thread(keys, *arguments)

    assert "seals  " in await say("list", "--tenant", tenant)
    assert await say("rotate", "--tenant", tenant) == "1 new data keys; they seal in 3 minutes.\n"
    assert await say("rotate", "--tenant", tenant, "--older-than", "30") == (
        "0 new data keys; they seal in 3 minutes.\n"
    )
    assert "seals soon" in await say("list", "--tenant", tenant)
    await announce(services, ann)
    facts = json.loads(await say("list", "--tenant", tenant, "--json"))
    assert [(each["key"], each["is_current"], set(each["rests"])) for each in facts] == [
        (2, False, {"hot"}),
        (3, True, set()),
    ]
    assert "key 2 is still needed" in await say("retire", "--tenant", tenant)
    assert "1 pieces of " in await say("reseal", "--tenant", tenant)
    assert "key 2 is retired" in await say("retire", "--tenant", tenant)
    assert "retired" in await say("list", "--tenant", tenant)
    await announce(services, ann, 15)
    assert await say("retire", "--tenant", tenant) == "", "archives may want it"
    refused = await asyncio.to_thread(keys, "retire", "--tenant", tenant, "--delete-after", "13", status=1)
    assert "keys have to stay as long" in refused
    await hold(services, ann, is_held=True)
    assert "key 2 stays while the legal hold lasts" in await say("retire", "--tenant", tenant, "--delete-after", "14")
    await hold(services, ann, is_held=False)
    assert "key 2 is deleted" in await say("retire", "--tenant", tenant, "--delete-after", "14")
    store.keys.forget(ann.principal.tenant_id)
    assert len(await Someone(store, ann.principal).octets()) == 1


async def test_upkeep_can_be_asked_to_seal_anew(services: RunningServices, ann: Person, keys: Say) -> None:
    said = await asyncio.to_thread(keys, "reseal", "--tenant", domain_of(ann), "--later")
    assert said == "Upkeep seals it anew: 1 tenants.\n"
    with owner_connection(services) as owner:
        asked = owner.execute("SELECT FROM reseal_order WHERE tenant_id = %s", (ann.principal.tenant_id,))
        assert asked.rowcount == 1


async def test_the_master_key_is_rotated_in_two_halves(
    services: RunningServices, keys: Say, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of an installation of its own, which has no tenants yet."""
    make_master_key(tmp_path)
    before = read_master_key(tmp_path)
    here = RunningServices(**{**{name: getattr(services, name) for name in services.__slots__}, "secrets": tmp_path})

    async def say(*arguments: str) -> str:
        done = await asyncio.to_thread(here.manage, "keys", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert (await say("rotate-master", "--prepare-only")).startswith("The next master key is made.")
    assert read_master_key(tmp_path) == before
    assert (await say("rotate-master")).startswith("The master key is new (")
    assert read_master_key(tmp_path) != before
    assert "is still needed for rewritten sender addresses until" in await say("forget-master")
    assert (await say("forget-master", "--drop-signatures")).startswith("Destroyed the replaced master key")
    assert await say("forget-master") == "There are no replaced master keys.\n"


async def test_a_company_is_shredded_and_its_certificate_shown_again(
    services: RunningServices, ann: Person, keys: Say
) -> None:
    tenant = domain_of(ann)
    shred = ("shred", tenant, "--backups-kept-days", "30", "--wait", "0", "--by", "Grace")

    async def refused(*arguments: str) -> str:
        return await asyncio.to_thread(keys, *arguments, status=1)

    assert "Say --yes" in await refused(*shred)
    assert "is active" in await refused(*shred, "--yes")
    await asyncio.to_thread(services.manage, "tenant", "delete", tenant, "--yes")
    await hold(services, ann, is_held=True)
    assert "is under legal hold" in await refused(*shred, "--yes")
    assert "is not shredded" in await refused("certificate", tenant)
    await hold(services, ann, is_held=False)
    said = await asyncio.to_thread(keys, *shred, "--yes")
    assert "CERTIFICATE OF DESTRUCTION" in said
    assert "By:               Grace" in said
    shown = await asyncio.to_thread(keys, "certificate", str(ann.principal.tenant_id), "--speak", "zh-hans")
    assert "数据销毁证书" in shown
    facts = json.loads(await asyncio.to_thread(keys, "certificate", tenant, "--json"))
    assert facts["tables"]["message"]["rows"] == 1
    assert facts["sha256"] in said
    with owner_connection(services) as owner:
        owner.execute(
            "UPDATE shredding SET certificate = replace(certificate, 'Grace', 'Nobody') WHERE tenant = %s",
            (ann.principal.tenant_id,),
        )
    assert "was altered" in await refused("certificate", tenant)


def test_a_master_key_that_is_there_is_left_alone(keys: Say) -> None:
    assert "is there already" in keys("init")


def test_whose_keys_are_meant_has_to_be_said(keys: Say) -> None:
    for action in ("rotate", "reseal", "retire"):
        assert "one of the arguments --tenant --all is required" in keys(action, status=2)


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items())
def test_both_languages_tell_the_same_facts(english: str, chinese: str) -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert fields(english) == fields(chinese)


def test_every_sentence_has_its_chinese() -> None:
    """What the commands say is in the list, word for word."""
    said: set[str] = set()
    here = Path(__file__).parents[3] / "storage" / "management"
    for path in (here / "commands" / "keys.py", here / "shredding_actions.py", here / "keys_reach.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("tell", "failure", "phrase")
                and node.args
                and isinstance(node.args[0], ast.Constant)
            ):
                said.add(str(node.args[0].value))
    assert len(said) > 25
    assert said - set(CHINESE) == set()
