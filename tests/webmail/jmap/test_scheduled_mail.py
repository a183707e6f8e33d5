r"""An Email that waits to be sent stands in the mailbox with the role scheduled until it goes, or is canceled."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from mailserver.assembly import Parts
from mailserver.services import mailboxes
from storage import held_acts, steps
from storage.outgoing_acts import Chosen
from storage.outgoing_types import OutgoingId
from storage.types import Flags
from tests.conftest import RunningServices
from tests.someone import DRAFT, SEEN, Someone, flags
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from tests.webmail.jmap.sending import leaving, let_go
from tests.webmail.jmap.test_submissions import (
    Killed,
    draft,
    envelope,
    forgetful_releases,
    identity,
    releases,
    set_status,
    shown,
)
from webmail.jmap.ids import parse_submission_id


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    yield
    steps.listener = None


@pytest.fixture
async def ann(new_jmap: NewJmap) -> Jmap:
    """With a mailbox for what waits."""
    ann = await new_jmap()
    made = await ann.call("Mailbox/set", {"create": {"a": {"name": "Later", "role": "scheduled"}}})
    assert made["notCreated"] is None
    return ann


async def boxes_of(ann: Jmap) -> dict[str, str]:
    """By role."""
    return {each["role"]: each["id"] for each in (await ann.call("Mailbox/get"))["list"]}


async def schedule(ann: Jmap, email: str | None = None) -> tuple[str, str]:
    """A draft that is sent later, put into Scheduled as clients do it. Returns the submission and the Email."""
    email = email or await draft(ann)
    create = {
        "identityId": await identity(ann),
        "emailId": email,
        "envelope": envelope(ann, "eve@elsewhere.test", HOLDFOR="3600"),
    }
    patch = {"mailboxIds": {(await boxes_of(ann))["scheduled"]: True}, "keywords": {"$draft": True}}
    submitted, _updated = await ann.calls(
        ["EmailSubmission/set", {"create": {"a": create}, "onSuccessUpdateEmail": {"#a": patch}}]
    )
    return submitted[1]["created"]["a"]["id"], email


async def place(ann: Jmap, email: str) -> tuple[set[str | None], set[str]]:
    """The roles of its mailboxes, and its keywords."""
    (found,) = (await ann.call("Email/get", {"ids": [email], "properties": ["mailboxIds", "keywords"]}))["list"]
    roles = {box: role for role, box in (await boxes_of(ann)).items()}
    return {roles[each] for each in found["mailboxIds"]}, set(found["keywords"])


async def cancel(ann: Jmap, submission: str) -> Any:
    done = await ann.call("EmailSubmission/set", {"update": {submission: {"undoStatus": "canceled"}}})
    assert done["notUpdated"] is None
    return done


async def test_the_role_can_be_given_once_and_both_doors_show_it(ann: Jmap) -> None:
    (later,) = [each for each in (await ann.call("Mailbox/get"))["list"] if each["role"] == "scheduled"]
    assert later["name"] == "Later"
    assert 10 < later["sortOrder"] < 100
    again = await ann.call("Mailbox/set", {"create": {"b": {"name": "Too", "role": "scheduled"}}})
    assert again["notCreated"]["b"]["properties"] == ["role"]
    found = await mailboxes.find(ann.store, ann.person.principal, "Later")
    assert found.special_use == "\\Scheduled"
    given_up = await ann.call("Mailbox/set", {"update": {later["id"]: {"role": None}}})
    assert given_up["updated"] == {later["id"]: None} or later["id"] in given_up["updated"]


async def test_when_it_is_sent_it_goes_from_scheduled_to_sent_read_and_no_draft(ann: Jmap, parts: Parts) -> None:
    submission, email = await schedule(ann)
    assert await place(ann, email) == ({"scheduled"}, {"$draft"})
    before = (await ann.call("Email/get", {"ids": []}))["state"]
    states = (await ann.call("Mailbox/get", {"ids": []}))["state"]
    await releases(parts).release_due()
    assert await place(ann, email) == ({"sent"}, {"$seen"})
    assert (await ann.call("Email/changes", {"sinceState": before}))["updated"] == [email]
    boxes = await boxes_of(ann)
    changed = (await ann.call("Mailbox/changes", {"sinceState": states}))["updated"]
    assert set(changed) == {boxes["scheduled"], boxes["sent"]}
    assert (await shown(ann, submission))["undoStatus"] == "final"
    imap = Someone(ann.store, ann.person.principal)
    assert await imap.uids("Later") == []
    assert await imap.flags_of("Sent") == {1: flags(SEEN)}


async def test_one_that_waits_a_second_is_put_into_scheduled_before_it_goes(ann: Jmap, parts: Parts) -> None:
    email = await draft(ann)
    create = {"identityId": await identity(ann), "emailId": email}
    create["envelope"] = envelope(ann, "eve@elsewhere.test", HOLDFOR="1")
    await ann.call("EmailSubmission/set", {"create": {"a": create}})
    await releases(parts, later_s=2).release_due()
    await ann.call("Email/set", {"update": {email: {"mailboxIds": {(await boxes_of(ann))["scheduled"]: True}}}})
    await releases(parts, later_s=10).release_due()
    assert await place(ann, email) == ({"sent"}, {"$seen"})


async def test_when_it_is_canceled_it_is_a_draft_again(ann: Jmap, parts: Parts) -> None:
    submission, email = await schedule(ann)
    await ann.call("Email/set", {"update": {email: {"keywords/$draft": None}}})
    before = (await ann.call("Email/get", {"ids": []}))["state"]
    await cancel(ann, submission)
    assert await place(ann, email) == ({"drafts"}, {"$draft"})
    assert (await ann.call("Email/changes", {"sinceState": before}))["updated"] == [email]
    await releases(parts).release_due()
    assert await place(ann, email) == ({"drafts"}, {"$draft"})
    assert await leaving(ann.store, ann.person.principal.tenant_id) == []


async def test_a_client_that_moves_it_itself_when_it_cancels_finds_nothing_wrong(ann: Jmap) -> None:
    submission, email = await schedule(ann)
    boxes = await boxes_of(ann)
    patch = {f"mailboxIds/{boxes['scheduled']}": None, f"mailboxIds/{boxes['drafts']}": True}
    update = {submission: {"undoStatus": "canceled"}}
    _submitted, updated = await ann.calls(
        ["EmailSubmission/set", {"update": update, "onSuccessUpdateEmail": {submission: patch}}]
    )
    assert updated[1]["updated"] == {email: None}
    assert await place(ann, email) == ({"drafts"}, {"$draft"})


@pytest.mark.parametrize(
    "step", ["release: leased", "release: placed", "release: written, not committed", "release: settled"]
)
async def test_killed_at_any_step_it_stands_in_sent_once(
    ann: Jmap, parts: Parts, services: RunningServices, step: str
) -> None:
    _submission, email = await schedule(ann)

    def kill(reached: str) -> None:
        if reached == step:
            raise Killed

    steps.listener = kill
    with pytest.raises(Killed):
        await releases(parts).release_due()
    steps.listener = None
    await let_go(services, ann.person.principal)
    if step != "release: settled":
        assert await place(ann, email) == ({"scheduled"}, {"$draft"}), "nothing of it is done"
    await releases(parts).release_due()
    assert await place(ann, email) == ({"sent"}, {"$seen"})
    assert await Someone(ann.store, ann.person.principal).uids("Sent") == [1]
    assert len(await leaving(ann.store, ann.person.principal.tenant_id)) == 1


@pytest.mark.parametrize("where", ["archive", "gone"])
async def test_an_email_that_is_elsewhere_or_gone_is_left_alone(ann: Jmap, parts: Parts, where: str) -> None:
    (first, _), (second, moved) = await schedule(ann), await schedule(ann)
    boxes = await boxes_of(ann)
    if where == "gone":
        await ann.call("Email/set", {"destroy": [moved]})
    else:
        await ann.call("Email/set", {"update": {moved: {"mailboxIds": {boxes[where]: True}}}})
    await cancel(ann, second)
    await releases(parts).release_due()
    assert (await shown(ann, first))["undoStatus"] == "final"
    found = (await ann.call("Email/get", {"ids": [moved]}))["list"]
    assert len(found) == (where == "archive")
    if found:
        assert await place(ann, moved) == ({where}, {"$draft"})


@pytest.mark.parametrize("role", ["sent", "drafts"])
async def test_without_a_mailbox_to_go_to_it_stays_and_only_its_flags_tell(ann: Jmap, parts: Parts, role: str) -> None:
    boxes = await boxes_of(ann)
    assert (await ann.call("Mailbox/set", {"update": {boxes[role]: {"role": None}}}))["notUpdated"] is None
    submission, email = await schedule(ann)
    if role == "sent":
        await releases(parts).release_due()
    else:
        await ann.call("Email/set", {"update": {email: {"keywords": {}}}})
        await cancel(ann, submission)
    assert await place(ann, email) == ({"scheduled"}, {"$seen"} if role == "sent" else {"$draft"})


async def test_where_nothing_is_for_what_waits_nothing_is_moved(new_jmap: NewJmap, parts: Parts) -> None:
    ann = await new_jmap()
    email = await draft(ann)
    create = {"identityId": await identity(ann), "emailId": email}
    create["envelope"] = envelope(ann, "eve@elsewhere.test", HOLDFOR="3600")
    await ann.call("EmailSubmission/set", {"create": {"a": create}})
    await releases(parts).release_due()
    assert await place(ann, email) == ({"inbox"}, set())


async def test_one_that_is_to_be_sent_twice_stays_until_the_last_has_gone(ann: Jmap, parts: Parts) -> None:
    first, email = await schedule(ann)
    second, _ = await schedule(ann, email)
    await cancel(ann, first)
    assert await place(ann, email) == ({"scheduled"}, {"$draft"})
    await releases(parts).release_due()
    assert await place(ann, email) == ({"sent"}, {"$seen"})
    assert (await shown(ann, second))["undoStatus"] == "final"


async def test_an_administrator_sends_it_now_or_cancels_it_in_the_queue(ann: Jmap, parts: Parts) -> None:
    (first, goes), (second, stays) = await schedule(ann), await schedule(ann)
    chosen = {each: Chosen(outgoing_id=OutgoingId(parse_submission_id(each) or 0)) for each in (first, second)}
    assert await held_acts.send_now(ann.store.database, chosen[first]) == 1
    assert await held_acts.cancel(ann.store.database, chosen[second]) == 1
    await releases(parts, later_s=1).release_due()
    assert (await place(ann, goes), await place(ann, stays)) == (({"sent"}, {"$seen"}), ({"drafts"}, {"$draft"}))
    assert [(await shown(ann, each))["undoStatus"] for each in (first, second)] == ["final", "canceled"]


async def test_one_whose_sender_may_not_send_any_more_is_a_draft_again(
    ann: Jmap, parts: Parts, services: RunningServices
) -> None:
    submission, email = await schedule(ann)
    who = ann.person.principal
    await asyncio.to_thread(set_status, services, who, "deleted")
    await forgetful_releases(parts).release_due()
    await asyncio.to_thread(set_status, services, who, "active")
    assert (await shown(ann, submission))["undoStatus"] == "canceled"
    assert await place(ann, email) == ({"drafts"}, {"$draft"})
    assert await Someone(ann.store, who).flags_of("Drafts") == {1: Flags(DRAFT)}
