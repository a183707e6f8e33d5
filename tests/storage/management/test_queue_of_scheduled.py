"""`manage.py queue` and mail that waits for its time."""

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from storage import held_mail, outgoing_acts, submissions
from storage.held_mail import HeldMessage
from storage.outgoing_types import BodyKind, OutgoingId, QueueState
from storage.provisioning import provision_account
from storage.store import MailStore
from storage.submissions import NewSubmission, UndoStatus
from storage.type_states import begin_change
from storage.types import IdentityId, MessageId, SubmissionId, ThreadId
from tests.conftest import RunningServices
from tests.people import Person, new_person
from tests.storage.management.test_queue import domain_of, put

Say = Callable[..., str]
AT = datetime(2099, 1, 2, 3, 4, 5, tzinfo=UTC)
FATES = '{"bob@far.example":{"path":"bob@far.example"},"ann <x>":{"path":"李@xn--fsqu00a.example"}}'


@pytest.fixture
async def ann(services: RunningServices, store: MailStore) -> Person:
    person = await asyncio.to_thread(new_person, services)
    await provision_account(store.database, person.principal.tenant_id, person.principal.account_id)
    return person


@pytest.fixture
def queue(services: RunningServices, monkeypatch: pytest.MonkeyPatch) -> Say:
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    monkeypatch.setenv("TZ", "UTC")

    def run(*arguments: str, status: int = 0) -> str:
        done = services.manage("queue", *arguments)
        assert done.returncode == status, done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


async def schedule(store: MailStore, ann: Person, *, is_recorded: bool = True) -> SubmissionId:
    tenant_id, account_id = ann.principal.tenant_id, ann.principal.account_id
    keys = await store.keys.of(tenant_id)
    message = HeldMessage(
        memoryview(b"Subject: x\r\n\r\nhi\r\n"),
        ann.address,
        None,
        None,
        False,
        BodyKind.SEVENBIT,
        AT - timedelta(days=9),
    )
    async with store.database.transaction(tenant_id) as connection:
        submission_id = await submissions.next_id(connection)
        if is_recorded:
            new = NewSubmission(IdentityId(1), MessageId(1), ThreadId(1), "{}", AT, UndoStatus.PENDING, FATES)
            modseq = await begin_change(connection, tenant_id, account_id, submissions.TYPE_NAME)
            await submissions.insert(connection, tenant_id, account_id, submission_id, new, modseq)
        await held_mail.hold(
            connection, keys, account_id, submission_id, message, AT, fates=None if is_recorded else FATES
        )
    return submission_id


async def status_of(store: MailStore, ann: Person, submission_id: SubmissionId) -> int:
    async with store.database.read(ann.principal.tenant_id) as connection:
        found = await submissions.find(connection, ann.principal.tenant_id, ann.principal.account_id, [submission_id])
    return found[submission_id].undo_status


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_it_is_listed_with_its_time_and_whom_it_is_for(
    store: MailStore, ann: Person, queue: Say, is_recorded: bool
) -> None:
    number = await schedule(store, ann, is_recorded=is_recorded)
    slug = domain_of(ann).replace(".", "-")
    _heading, bob, chen = (await asyncio.to_thread(queue, "list", "--account", ann.address)).splitlines()
    assert bob.split() == [
        *(str(number), slug, ann.address, "bob@far.example", "scheduled", "2099-01-02", "03:04:05", "0"),
    ]  # fmt: skip
    assert "李@例子.example" in chen
    assert "定时" in await asyncio.to_thread(queue, "list", "--tenant", slug, "--speak", "zh-hans")
    for choice in (("--domain", "far.example"), ("--recipient", "Bob@far.example"), ("--state", "scheduled")):
        rows = json.loads(await asyncio.to_thread(queue, "list", "--tenant", slug, *choice, "--json"))
        assert {row["outgoing_id"] for row in rows} == {number}
        assert {row["state"] for row in rows} == {QueueState.QUEUED}
    assert "Nothing in the queue is like that" in await asyncio.to_thread(
        queue, "list", "--tenant", slug, "--state", "held"
    )
    shown = await asyncio.to_thread(queue, "show", str(number))
    assert shown.startswith(f"Message {number} of {slug}: 18 octets, from {ann.address}, queued ")
    assert "scheduled  2099-01-02 03:04:05" in shown
    assert "Nothing is known" not in shown


async def test_all_that_waits_is_summed_up(store: MailStore, ann: Person, queue: Say) -> None:
    await schedule(store, ann)
    assert "messages are scheduled, the first for 2" in await asyncio.to_thread(queue, "list")
    assert "封邮件定时发送，最早的在 2" in await asyncio.to_thread(queue, "list", "--speak", "zh-hans")


@pytest.mark.parametrize("is_recorded", [True, False])
async def test_release_sends_it_now_and_remove_cancels_it(
    store: MailStore, ann: Person, queue: Say, is_recorded: bool
) -> None:
    kept, sent, gone = [await schedule(store, ann, is_recorded=is_recorded) for _ in range(3)]
    said = await asyncio.to_thread(queue, "release", "--message", str(sent))
    assert said == "1 scheduled messages leave now.\n"
    due = await held_mail.lease_due(store.database, datetime.now(UTC) + timedelta(seconds=5), 1_000, lease_s=60)
    assert sent in {each.submission_id for each in due}
    assert not {kept, gone} & {each.submission_id for each in due}
    said = await asyncio.to_thread(queue, "remove", "--message", str(gone), "--yes")
    assert said.startswith("1 scheduled messages are canceled, as if their writers had done it.\n")
    assert "recipients" not in said
    said = await asyncio.to_thread(queue, "remove", "--message", str(sent), "--yes")
    assert said.splitlines()[0] == "0 recipients are removed; nobody is told.", "it is on its way"
    rows = json.loads(await asyncio.to_thread(queue, "list", "--account", ann.address, "--json"))
    assert {row["outgoing_id"] for row in rows} == {kept, sent}
    if is_recorded:
        assert await status_of(store, ann, gone) == UndoStatus.CANCELED
        assert await status_of(store, ann, kept) == UndoStatus.PENDING


async def test_acts_on_much_leave_it_alone_unless_it_is_named(store: MailStore, ann: Person, queue: Say) -> None:
    number = await schedule(store, ann)
    word = (
        "1 scheduled messages stay as they are. Choose them by --message or --state scheduled: release sends them now,"
        " remove cancels them.\n"
    )
    for act in (["retry"], ["release"], ["bounce"], ["remove", "--yes"]):
        assert await asyncio.to_thread(queue, *act, "--account", ann.address, "--domain", "far.example") == word
    for name in ("retry", "hold", "bounce"):
        assert await asyncio.to_thread(queue, name, "--message", str(number)) == word
    await put(store, ann, "cat@far.example")
    said = await asyncio.to_thread(queue, "retry", "--account", ann.address)
    assert said == word + "1 recipients are tried at once.\n"
    said = await asyncio.to_thread(queue, "release", "--account", ann.address, "--state", "scheduled")
    assert said == "1 scheduled messages leave now.\n"


async def test_however_many_wait_messages_of_nobody_are_collected(store: MailStore, ann: Person) -> None:
    await schedule(store, ann)
    outgoing_id = await put(store, ann, "cat@far.example")
    chosen = outgoing_acts.Chosen(outgoing_id=OutgoingId(outgoing_id))
    while await outgoing_acts.forget_orphans(store.database):
        pass
    assert await outgoing_acts.remove(store.database, chosen) == 1
    assert await outgoing_acts.forget_orphans(store.database, limit=1) == 1
