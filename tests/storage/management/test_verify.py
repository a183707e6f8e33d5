"""`manage.py verify`, as an administrator types it."""

import asyncio
import json
import string
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy.local.objects import ObjectAccess
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import object_name
from storage.management.verify_wording import CHINESE, SENTENCES
from storage.provisioning import provision_account
from storage.store import MailStore
from storage.verification.findings import Kind
from storage.verification.progress import Position, Progress, save_progress
from storage.verification.slices import Slice
from tests.conftest import RunningServices, plain_message
from tests.people import Person, new_person
from tests.someone import Someone
from tests.storage.verification.damage import Damager, go_cold

Say = Callable[..., str]


@pytest.fixture
async def ann(services: RunningServices, store: MailStore) -> Person:
    person = await asyncio.to_thread(new_person, services)
    who = person.principal
    await provision_account(store.database, who.tenant_id, who.account_id)
    return person


@pytest.fixture
def damager(services: RunningServices, store: MailStore, ann: Person) -> Damager:
    return Damager(services.owner_url, store, ann.principal.tenant_id)


@pytest.fixture
def verify(services: RunningServices, ann: Person, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")

    def run(*arguments: str, status: int = 0) -> str:
        done = services.manage("verify", "--tenant", ann.principal.address.domain, *arguments)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout + (done.stderr if status and not done.stdout else "")

    return run


@pytest.fixture
def s3_settings(s3: ObjectAccess, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYPOST_S3_URL", s3.url)
    monkeypatch.setenv("WAYPOST_S3_ACCESS_KEY", s3.access_key)
    monkeypatch.setenv("WAYPOST_S3_SECRET_KEY", s3.secret_key)
    monkeypatch.setenv("WAYPOST_S3_BUCKET", s3.bucket)


async def test_whole_mail_is_said_to_be_whole(store: MailStore, ann: Person, verify: Say) -> None:
    await Someone(store, ann.principal).receive(plain_message())
    said = await asyncio.to_thread(verify, "--rebuild")
    assert said.startswith("Whole: 1 messages, 1 blobs in Postgres, 0 in 0 objects; ")
    assert (await asyncio.to_thread(verify, "--speak", "zh-hans")).startswith("完好：1 个租户，1 封邮件")


async def test_a_wrong_count_is_put_right_and_the_rest_is_told_of(
    store: MailStore, ann: Person, damager: Damager, verify: Say
) -> None:
    await Someone(store, ann.principal).receive(plain_message())
    await damager.sql("UPDATE mailbox SET messages = 7 WHERE tenant_id = {t} AND name = 'INBOX'")
    await damager.sql("UPDATE blob_content SET sealed = '' WHERE tenant_id = {t}")
    looked = await asyncio.to_thread(verify, "--look-only", status=1)
    assert "Repaired" not in looked
    said = (await asyncio.to_thread(verify, status=1)).splitlines()
    slug = ann.principal.address.domain.replace(".", "-")
    assert said[0].startswith(f"Repaired: tenant {slug}, account {ann.address}: mailbox ")
    octets = len(plain_message())
    assert said[0].endswith(f"as (7, 1, 0, {octets}), there are (1, 1, 0, {octets})")
    assert said[1].startswith(f"tenant {slug}: blob ")
    assert "used by 1 messages" in said[1]
    assert said[3:] == ["1 things were repaired.", "1 things are wrong and were left as they are."]
    *findings, last = map(json.loads, (await asyncio.to_thread(verify, "--json", status=1)).splitlines())
    assert [each["kind"] for each in findings] == ["content damaged"]
    assert last["tally"]["left"] == 1
    chinese = await asyncio.to_thread(verify, "--speak", "zh-hans", status=1)
    assert "数据块" in chinese


@pytest.mark.usefixtures("s3_settings")
async def test_what_s3_lost_is_found_and_replaced(
    store: MailStore, objects: ObjectStore, ann: Person, damager: Damager, verify: Say
) -> None:
    await Someone(store, ann.principal).receive(plain_message())
    pack = await go_cold(store, objects, damager.tenant_id, clear=False)
    assert "1 in 1 objects" in await asyncio.to_thread(verify)
    await objects.delete([object_name(damager.tenant_id, pack)])
    assert "is not in the bucket" in await asyncio.to_thread(verify, "--only", "content", status=1)
    assert "Repaired: " in await asyncio.to_thread(verify, "--repair")
    assert "1 blobs in Postgres" in await asyncio.to_thread(verify)


async def test_it_goes_on_where_it_was_stopped(store: MailStore, ann: Person, verify: Say, tmp_path: Path) -> None:
    await Someone(store, ann.principal).receive(plain_message())
    state = tmp_path / "verify.json"
    save_progress(state, Progress(Slice(0.0, 1.0), Position(ann.principal.tenant_id, "content", "")))
    said = await asyncio.to_thread(verify, "--state", str(state))
    assert said.splitlines()[0] == f"Goes on in tenant {ann.principal.tenant_id}, content."
    assert "0 messages, 1 blobs" in said
    assert not state.exists(), "it came to its end"
    state.write_text("something else")
    assert "cannot be used" in await asyncio.to_thread(verify, "--state", str(state), status=1)


def test_what_is_no_choice_is_refused(verify: Say) -> None:
    assert "not a share" in verify("--share", "2", status=1)
    assert "not a share" in verify("--share", "some", status=1)
    assert "not a rate" in verify("--rate", "fast", status=1)
    assert "not a day" in verify("--since", "yesterday", status=1)


def test_everything_can_be_said_in_both_languages() -> None:
    assert set(SENTENCES) == set(Kind)
    assert set(SENTENCES.values()) <= set(CHINESE)
    for english, chinese in CHINESE.items():
        assert fields(english) == fields(chinese), english


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}
