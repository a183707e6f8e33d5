"""`manage.py queue`, as an administrator types it."""

import asyncio
import json
import string
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from storage import outbox, outgoing_enqueue, smarthosts
from storage.management.queue_wording import CHINESE
from storage.outgoing_enqueue import SendingLimits
from storage.outgoing_types import (
    Ending,
    Envelope,
    HeldReason,
    Lane,
    LastReply,
    OutgoingId,
    QueuedRecipient,
    Settlement,
    Submitter,
)
from storage.store import MailStore
from tests.conftest import RunningServices, plain_message
from tests.people import Person, new_person

Say = Callable[..., str]
LIMITS = SendingLimits(1_000, 1_000, 1_000, 1_000)


@pytest.fixture
async def ann(services: RunningServices) -> Person:
    return await asyncio.to_thread(new_person, services)


@pytest.fixture
def queue(services: RunningServices, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")

    def run(*arguments: str, stdin: str = "", status: int = 0) -> str:
        done = services.manage("queue", *arguments, stdin=stdin)
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


async def put(store: MailStore, ann: Person, *addresses: str, held: HeldReason | None = None) -> OutgoingId:
    who = ann.principal
    return await outgoing_enqueue.enqueue(
        store.database,
        await store.keys.of(who.tenant_id),
        Submitter(who.tenant_id, who.account_id),
        Envelope(ann.address, tuple(QueuedRecipient(address) for address in addresses)),
        memoryview(plain_message()),
        queued_at=datetime(2026, 11, 2, 12, 0, tzinfo=UTC),
        limits=LIMITS,
        held=held,
    )


async def defer(store: MailStore, ann: Person, domain: str) -> None:
    (leased,) = await outbox.lease(store.database, {Lane(ann.principal.tenant_id, domain): 1}, lease_s=60)
    reply = LastReply(450, "4.2.0", "The mailbox is busy,\nsay we", "mx.far.example")
    at = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)
    await outbox.settle(
        store.database, [Settlement(leased, Ending.DEFERRED, reply, next_attempt_at=at)], report_wait_s=0
    )


def domain_of(person: Person) -> str:
    return person.principal.address.domain


async def test_what_waits_is_listed_for_people_in_both_languages_and_for_programs(
    store: MailStore, ann: Person, queue: Say
) -> None:
    outgoing_id = await put(store, ann, "bob@far.example", "陈@xn--fsqu00a.example")
    await defer(store, ann, "far.example")
    slug = domain_of(ann).replace(".", "-")
    heading, bob, chen = (await asyncio.to_thread(queue, "list", "--tenant", domain_of(ann))).splitlines()
    assert heading.split("  ")[0] == "Message"
    assert bob.split() == [
        *(str(outgoing_id), slug, ann.address, "bob@far.example", "queued", "2099-01-02", "03:04:05", "1"),
        *("450", "4.2.0", "The", "mailbox", "is", "busy,", "say", "we"),
    ]  # fmt: skip
    assert "陈@例子.example" in chen
    chinese = await asyncio.to_thread(queue, "list", "--tenant", domain_of(ann), "--speak", "zh-hans")
    assert "排队中" in chinese
    assert "收件人" in chinese
    rows = json.loads(await asyncio.to_thread(queue, "list", "--account", ann.address, "--json"))
    assert [row["address"] for row in rows] == ["bob@far.example", "陈@xn--fsqu00a.example"]
    rows = json.loads(await asyncio.to_thread(queue, "list", "--recipient", "陈@例子.example", "--json"))
    assert [row["outgoing_id"] for row in rows] == [outgoing_id]


async def test_one_message_is_shown_with_what_happened_to_it(store: MailStore, ann: Person, queue: Say) -> None:
    outgoing_id = await put(store, ann, "bob@far.example")
    await defer(store, ann, "far.example")
    shown = await asyncio.to_thread(queue, "show", str(outgoing_id))
    assert f"from {ann.address}, queued 2026-11-02 12:00:00" in shown
    assert "queued, 1 recipients" in shown
    assert "deferred" in shown
    await asyncio.to_thread(queue, "remove", "--message", str(outgoing_id), "--yes")
    gone = await asyncio.to_thread(queue, "show", str(outgoing_id), "--tenant", domain_of(ann))
    assert "is not in the queue any more" in gone
    assert "removed" in gone
    assert "name its --tenant" in await asyncio.to_thread(queue, "show", str(outgoing_id), status=1)


async def test_a_person_is_held_and_released(store: MailStore, ann: Person, queue: Say) -> None:
    await put(store, ann, "bob@far.example")
    held = await asyncio.to_thread(queue, "hold", "--account", ann.address)
    assert held == "Mail like this is held from now on, until it is released.\n1 recipients are held.\n"
    await put(store, ann, "cat@far.example")
    listed = await asyncio.to_thread(queue, "list", "--tenant", domain_of(ann))
    assert listed.count("held by administrator") == 2
    released = await asyncio.to_thread(queue, "release", "--account", ann.address)
    assert released.splitlines()[:2] == ["Mail like this is no longer held.", "2 recipients are released."]
    assert "WAYPOST_OUTBOUND" in released
    retried = await asyncio.to_thread(queue, "retry", "--tenant", domain_of(ann), "--domain", "far.example")
    assert retried == "2 recipients are tried at once.\n"


async def test_mail_held_while_outbound_was_off_goes_back_to_its_sender(
    store: MailStore, ann: Person, queue: Say
) -> None:
    await put(store, ann, "bob@far.example", held=HeldReason.OUTBOUND_OFF)
    assert "held, outbound is off" in await asyncio.to_thread(queue, "list", "--tenant", domain_of(ann))
    bounced = await asyncio.to_thread(queue, "bounce", "--tenant", domain_of(ann), "--state", "off")
    assert bounced.startswith("1 recipients go back to their senders.")
    assert "ended, report due" in await asyncio.to_thread(queue, "list", "--tenant", domain_of(ann))


def test_an_act_on_everything_has_to_be_asked_for(queue: Say) -> None:
    assert "Say which mail is meant" in queue("bounce", status=1)
    assert "Say --yes" in queue("remove", "--all", status=1)
    assert "nobody.example" in queue("list", "--tenant", "nobody.example", status=1)


async def test_a_companys_smarthost_is_set_shown_and_removed(store: MailStore, ann: Person, queue: Say) -> None:
    tenant = domain_of(ann)
    options = ("--host", "relay.example:587", "--user", "us")
    said = await asyncio.to_thread(queue, "smarthost", tenant, *options, stdin="secret\n")
    assert said.endswith("leaves through relay.example:587 (required), signed in as us.\n")
    assert "secret" not in said
    found = await smarthosts.find(store.database, store.keys, ann.principal.tenant_id)
    assert found is not None
    assert (found.host, found.port, found.username, found.password) == ("relay.example", 587, "us", "secret")
    refused = await asyncio.to_thread(
        queue, "smarthost", tenant, *options, "--security", "none", stdin="secret\n", status=1
    )
    assert "not sent in clear" in refused
    removed = await asyncio.to_thread(queue, "smarthost", tenant, "--remove")
    assert removed.endswith("leaves as the installation's does.\n")


@pytest.mark.parametrize(("english", "chinese"), CHINESE.items())
def test_both_languages_tell_the_same_facts(english: str, chinese: str) -> None:
    def fields(text: str) -> set[str]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name}

    assert fields(english) == fields(chinese)


def test_the_terminals_language_is_used(services: RunningServices, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    assert "请指定邮件" in services.manage("queue", "retry").stderr


async def test_what_all_commands_say_is_said_in_the_terminals_language_too(
    services: RunningServices, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "zh_CN.UTF-8")
    options = ("--host", "relay.example:587", "--user", "us")
    done = await asyncio.to_thread(services.manage, "queue", "smarthost", domain_of(ann), *options, stdin="")
    assert "标准输入中没有密码。" in done.stderr
