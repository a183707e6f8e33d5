"""EmailSubmission: messages are sent, wait for their time, are canceled (RFC 8621 §7)."""

import asyncio
import contextlib
import re
import signal
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from mailserver.assembly import Parts
from mailserver.services.addresses import Recipients
from mailserver.services.arrivals import Arrivals
from mailserver.services.releasing import Releases
from mailserver.services.returns import Writer
from mailserver.services.submission_fates import write_fates_down
from storage import outgoing_acts, steps
from storage.outbox import settle
from storage.outgoing_types import Ending, LastReply, Notify, ReportKind, ReturnContent, Settlement
from tenants.types import Principal
from tests.conftest import ROOT, RunningServices, owner_connection
from tests.people import new_person
from tests.someone import Someone
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from tests.webmail.jmap.sending import add_colleague, forward, leaving, octets_of

LATER_S = 7_200


class Killed(Exception):
    """Stands for the end of the process."""


@pytest.fixture(autouse=True)
def nobody_listens() -> Iterator[None]:
    yield
    steps.listener = None


async def draft(jmap: Jmap, *, to: str = "bob@elsewhere.test", body: str = "Lunch?", **more: str) -> str:
    """An Email of their own writing; its id."""
    header = {"From": f"Ann <{jmap.person.address}>", "To": to, "Subject": "Lunch", **more}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in header.items() if value)
    placed = await jmap.receive(f"{lines}\r\n{body}\r\n".encode())
    return f"M{placed.message_id}"


async def identity(jmap: Jmap) -> str:
    return str((await jmap.call("Identity/get"))["list"][0]["id"])


async def submit(jmap: Jmap, email: str, **more: Any) -> Any:
    """The response of one creation, `a`."""
    create = {"identityId": await identity(jmap), "emailId": email, **more}
    return await jmap.call("EmailSubmission/set", {"create": {"a": create}})


async def refused(jmap: Jmap, email: str, **more: Any) -> Any:
    done = await submit(jmap, email, **more)
    assert done["created"] is None
    return done["notCreated"]["a"]


async def sent(jmap: Jmap, email: str, **more: Any) -> Any:
    done = await submit(jmap, email, **more)
    assert done["created"] is not None, done["notCreated"]
    return done["created"]["a"]


def envelope(jmap: Jmap, *to: str, sender: str | None = None, **parameters: str | None) -> Any:
    return {
        "mailFrom": {"email": jmap.person.address if sender is None else sender, "parameters": parameters or None},
        "rcptTo": [{"email": each, "parameters": None} for each in to],
    }


def releases(parts: Parts, *, later_s: float = LATER_S, lease_s: float = 0.0) -> Releases:
    """Of a process whose clock is ahead; leases that end at once stand for processes that died long ago."""
    return Releases(
        parts.store,
        parts.recipients,
        parts.arrivals,
        parts.queueing,
        lease_s=lease_s,
        clock=lambda: datetime.now(UTC) + timedelta(seconds=later_s),
    )


def forgetful_releases(parts: Parts) -> Releases:
    """Of a process that remembers nothing of before."""
    recipients = Recipients(parts.store)
    arrivals = Arrivals(
        parts.store.database,
        recipients,
        parts.deliveries,
        parts.queueing,
        Writer("mail.company.test"),
        signing_keys=parts.store.keys.forwarding_keys,
    )
    return Releases(
        parts.store,
        recipients,
        arrivals,
        parts.queueing,
        lease_s=0,
        clock=lambda: datetime.now(UTC) + timedelta(hours=2),
    )


async def shown(jmap: Jmap, submission: str) -> Any:
    (found,) = (await jmap.call("EmailSubmission/get", {"ids": [submission]}))["list"]
    return found


async def inbox(jmap: Jmap) -> Sequence[bytes]:
    return await Someone(jmap.store, jmap.person.principal).octets()


async def test_a_message_goes_to_people_here_and_elsewhere_without_its_blind_copies(new_jmap: NewJmap) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    email = await draft(ann, to=bob.person.address, Cc="Eve <eve@elsewhere.test>", Bcc="carl@elsewhere.test")
    made = await sent(ann, email)
    assert made["undoStatus"] == "final"
    assert made["envelope"] == {
        "mailFrom": {"email": ann.person.address, "parameters": None},
        "rcptTo": [
            {"email": each, "parameters": None}
            for each in (bob.person.address, "eve@elsewhere.test", "carl@elsewhere.test")
        ],
    }
    (arrived,) = await inbox(bob)
    assert arrived.startswith(f"Return-Path: <{ann.person.address}>\r\nReceived: by mail.company.test".encode())
    assert b"carl" not in arrived
    assert b"\r\nDate: " in arrived
    assert re.search(rb"\r\nMessage-ID: <S\d+\.\d+@", arrived)
    first, second = await leaving(ann.store, ann.person.principal.tenant_id)
    assert [first.address, second.address] == ["carl@elsewhere.test", "eve@elsewhere.test"]
    assert first.message.account_id == ann.person.principal.account_id
    assert first.message.reverse_path == ann.person.address
    assert await octets_of(ann.store, first) == arrived.partition(b"\r\n")[2]


async def test_what_became_of_it_is_told_for_each(new_jmap: NewJmap) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    made = await sent(ann, await draft(ann, to=f"{bob.person.address}, eve@elsewhere.test"))
    status = (await shown(ann, made["id"]))["deliveryStatus"]
    assert status == made["deliveryStatus"]
    assert status[bob.person.address] == {
        "smtpReply": "250 2.1.5 Delivered",
        "delivered": "yes",
        "displayed": "unknown",
    }
    assert status["eve@elsewhere.test"]["delivered"] == "queued"
    chosen = outgoing_acts.Chosen(tenant_id=ann.person.principal.tenant_id)
    await outgoing_acts.bounce(ann.store.database, chosen, "an administrator\nsays no")
    status = (await shown(ann, made["id"]))["deliveryStatus"]["eve@elsewhere.test"]
    assert status == {"smtpReply": "554 5.7.1 an administrator says no", "delivered": "no", "displayed": "unknown"}


async def test_what_became_of_each_is_written_down_and_told_as_a_change(jmap: Jmap) -> None:
    made = await sent(jmap, await draft(jmap, to="eve@elsewhere.test, carl@elsewhere.test"))
    state = (await jmap.call("EmailSubmission/get", {"ids": []}))["state"]
    of_eve = outgoing_acts.Chosen(tenant_id=jmap.person.principal.tenant_id, recipient="eve@elsewhere.test")
    await outgoing_acts.bounce(jmap.store.database, of_eve, "no")
    await write_fates_down(jmap.store)
    told = await jmap.call("EmailSubmission/changes", {"sinceState": state})
    assert told["updated"] == [made["id"]]
    state = told["newState"]
    await write_fates_down(jmap.store)
    assert (await jmap.call("EmailSubmission/changes", {"sinceState": state}))["updated"] == []
    (carl,) = await leaving(jmap.store, jmap.person.principal.tenant_id)
    taken = Settlement(carl, Ending.DELIVERED, LastReply(250, "2.0.0", "taken\nindeed", "mx.elsewhere.test"))
    assert await settle(jmap.store.database, [taken], report_wait_s=0) == [taken]
    before = (await shown(jmap, made["id"]))["deliveryStatus"]
    await write_fates_down(jmap.store)
    await write_fates_down(jmap.store)
    assert (await jmap.call("EmailSubmission/changes", {"sinceState": state}))["updated"] == [made["id"]]
    assert (await shown(jmap, made["id"]))["deliveryStatus"] == before
    assert {each: (status["delivered"], status["smtpReply"]) for each, status in before.items()} == {
        "eve@elsewhere.test": ("no", "554 5.7.1 no"),
        "carl@elsewhere.test": ("unknown", "250 2.0.0 taken indeed"),
    }


async def test_those_that_are_over_after_the_first_look_are_told_of_too(jmap: Jmap) -> None:
    to = ", ".join(f"{name}@elsewhere.test" for name in ("carl", "dora", "eve"))
    made = await sent(jmap, await draft(jmap, to=to))
    await write_fates_down(jmap.store)
    state = (await jmap.call("EmailSubmission/get", {"ids": []}))["state"]
    recipients = {each.address: each for each in await leaving(jmap.store, jmap.person.principal.tenant_id)}
    busy = LastReply(451, "4.2.0", "busy", "mx.elsewhere.test")
    later = Settlement(recipients["carl@elsewhere.test"], Ending.DEFERRED, busy)
    nobody = LastReply(550, "5.1.1", "nobody", "mx.elsewhere.test")
    never = Settlement(recipients["dora@elsewhere.test"], Ending.FAILED, nobody, report=ReportKind.FAILED)
    assert len(await settle(jmap.store.database, [later, never], report_wait_s=0)) == 2
    await write_fates_down(jmap.store)
    told = await jmap.call("EmailSubmission/changes", {"sinceState": state})
    assert told["updated"] == [made["id"]]
    await write_fates_down(jmap.store)
    assert (await jmap.call("EmailSubmission/get", {"ids": []}))["state"] == told["newState"]
    status = (await shown(jmap, made["id"]))["deliveryStatus"]
    assert {each: one["delivered"] for each, one in status.items()} == {
        "carl@elsewhere.test": "queued",
        "dora@elsewhere.test": "no",
        "eve@elsewhere.test": "queued",
    }
    assert status["carl@elsewhere.test"]["smtpReply"] == "451 4.2.0 busy", "the queue says so"


async def test_the_email_is_changed_or_destroyed_when_it_is_sent(jmap: Jmap) -> None:
    who = await identity(jmap)
    kept, gone, unsent = await draft(jmap), await draft(jmap), await draft(jmap, to="")
    create = {name: {"identityId": who, "emailId": email} for name, email in (("a", kept), ("b", gone), ("c", unsent))}
    first, second = await jmap.calls(
        [
            "EmailSubmission/set",
            {
                "create": create,
                "onSuccessUpdateEmail": {"#a": {"keywords/$seen": True}, "#c": {"keywords/$seen": True}},
                "onSuccessDestroyEmail": ["#b", "#c"],
            },
        ]
    )
    assert set(first[1]["created"]) == {"a", "b"}
    assert first[1]["notCreated"]["c"]["type"] == "noRecipients"
    assert (second[0], second[2]) == ("Email/set", first[2])
    assert (second[1]["updated"], second[1]["destroyed"]) == ({kept: None}, [gone])


async def test_a_message_is_written_sent_and_put_away_in_one_request(new_jmap: NewJmap) -> None:
    """The example of RFC 8621 §7.5.1, with the draft made on the way."""
    ann, bob = await new_jmap(), await new_jmap()
    boxes = {each["role"]: each["id"] for each in (await ann.call("Mailbox/get"))["list"]}
    email = {
        "mailboxIds": {boxes["drafts"]: True},
        "keywords": {"$draft": True, "$seen": True},
        "from": [{"name": "Ann", "email": ann.person.address}],
        "to": [{"name": "Bob", "email": bob.person.address}],
        "subject": "Lunch 午饭",
        "bodyValues": {"1": {"value": "At noon?"}},
        "textBody": [{"partId": "1", "type": "text/plain"}],
    }
    patch = {
        f"mailboxIds/{boxes['drafts']}": None,
        f"mailboxIds/{boxes['sent']}": True,
        "keywords/$draft": None,
    }
    made, submitted, updated = await ann.calls(
        ["Email/set", {"create": {"draft": email}}],
        [
            "EmailSubmission/set",
            {
                "create": {"a": {"identityId": await identity(ann), "emailId": "#draft"}},
                "onSuccessUpdateEmail": {"#a": patch},
            },
        ],
    )
    message = made[1]["created"]["draft"]["id"]
    assert submitted[1]["created"]["a"]["threadId"] == made[1]["created"]["draft"]["threadId"]
    assert updated[1]["updated"] == {message: None}
    asked = {"ids": [message], "properties": ["mailboxIds", "keywords"]}
    (now,) = (await ann.call("Email/get", asked))["list"]
    assert (now["mailboxIds"], now["keywords"]) == ({boxes["sent"]: True}, {"$seen": True})
    (arrived,) = await inbox(bob)
    assert b"At noon?" in arrived


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"From": "eve@elsewhere.test"}, "forbiddenFrom"),
        ({"From": ""}, "invalidEmail"),
        ({"From": "OWN, eve@elsewhere.test"}, "forbiddenFrom"),
        ({"From": "OWN, OWN"}, "invalidEmail"),
        ({"Sender": "eve@elsewhere.test"}, "forbiddenFrom"),
        ({"From": "nobody at all"}, "invalidEmail"),
        ({"to": ""}, "noRecipients"),
        ({"to": "nobody@OWNDOMAIN"}, "invalidRecipients"),
        ({"to": "bob@[192.0.2.1]"}, "invalidRecipients"),
        ({"body": "a bare\nline"}, "invalidEmail"),
        ({"body": "nothing\0"}, "invalidEmail"),
    ],
)
async def test_a_message_that_may_not_go_says_why(jmap: Jmap, fields: dict[str, str], kind: str) -> None:
    domain = jmap.person.address.partition("@")[2]
    fields = {
        name: value.replace("OWNDOMAIN", domain).replace("OWN", jmap.person.address) for name, value in fields.items()
    }
    assert (await refused(jmap, await draft(jmap, **fields)))["type"] == kind
    assert await leaving(jmap.store, jmap.person.principal.tenant_id) == []


@pytest.mark.parametrize(
    ("given", "kind", "more"),
    [
        ({"mailFrom": {"email": "eve@elsewhere.test"}, "rcptTo": [{"email": "b@x.test"}]}, "forbiddenMailFrom", {}),
        ({"mailFrom": {"email": "no address"}, "rcptTo": [{"email": "b@x.test"}]}, "forbiddenMailFrom", {}),
        ({"mailFrom": {"email": ""}, "rcptTo": []}, "noRecipients", {}),
        (
            {"mailFrom": {"email": ""}, "rcptTo": [{"email": "b@x.test"}, {"email": "c"}]},
            "invalidRecipients",
            {"invalidRecipients": ["c"]},
        ),
        (
            {"mailFrom": {"email": ""}, "rcptTo": [{"email": f"b{each}@x.test"} for each in range(1001)]},
            "tooManyRecipients",
            {"maxRecipients": 1000},
        ),
        (
            {"mailFrom": {"email": "", "parameters": {"SIZE": "99999999999"}}, "rcptTo": [{"email": "b@x.test"}]},
            "tooLarge",
            {"maxSize": 52_428_800},
        ),
        ("x", "invalidProperties", {"properties": ["envelope"]}),
        ({"rcptTo": [{"email": "b@x.test"}]}, "invalidProperties", {"properties": ["envelope"]}),
        ({"mailFrom": {"email": ""}}, "invalidProperties", {"properties": ["envelope"]}),
        ({"mailFrom": {"email": ""}, "rcptTo": ["b@x.test"]}, "invalidProperties", {"properties": ["envelope"]}),
        *(
            (
                {"mailFrom": {"email": "", "parameters": parameters}, "rcptTo": [{"email": "b@x.test"}]},
                "invalidProperties",
                {"properties": ["envelope"]},
            )
            for parameters in (
                {"COLOUR": "red"},
                {"HOLDFOR": "soon"},
                {"HOLDFOR": "999999999"},
                {"HOLDFOR": "60", "HOLDUNTIL": "2026-12-24T18:00:00Z"},
                {"HOLDUNTIL": "2026-13-24T18:00:00Z"},
                {"HOLDUNTIL": None},
                {"RET": "SOME"},
                {"ENVID": "two words"},
                {"SMTPUTF8": "yes"},
                {"BODY": "BINARYMIME"},
                {"ret": "FULL", "RET": "FULL"},
                {"RET": 7},
            )
        ),
        *(
            (
                {"mailFrom": {"email": ""}, "rcptTo": [{"email": "b@x.test", "parameters": parameters}]},
                "invalidProperties",
                {"properties": ["envelope"]},
            )
            for parameters in ({"NOTIFY": "NEVER,DELAY"}, {"NOTIFY": ""}, {"ORCPT": "b@x.test"}, {"SIZE": "1"})
        ),
    ],
)
async def test_an_envelope_that_is_wrong_says_how(jmap: Jmap, given: Any, kind: str, more: dict[str, Any]) -> None:
    refusal = await refused(jmap, await draft(jmap), envelope=given)
    assert refusal["type"] == kind, refusal
    assert {name: refusal.get(name) for name in more} == more


async def test_what_is_named_must_be_there_and_mine(new_jmap: NewJmap) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    mine, theirs = await draft(ann), await draft(bob)
    assert (await refused(ann, theirs))["properties"] == ["emailId"]
    assert (await refused(ann, "nonsense"))["properties"] == ["emailId"]
    assert (await refused(ann, mine, identityId=await identity(bob)))["properties"] == ["identityId"]
    assert (await refused(ann, mine, identityId=None))["properties"] == ["identityId"]
    assert (await refused(ann, mine, undoStatus="pending"))["properties"] == ["undoStatus"]
    made = await sent(bob, theirs)
    assert (await ann.call("EmailSubmission/get", {"ids": [made["id"], "x"]}))["notFound"] == [made["id"], "x"]
    done = await ann.call("EmailSubmission/set", {"destroy": [made["id"]], "update": {made["id"]: {}}})
    assert done["notDestroyed"] == done["notUpdated"] == {made["id"]: {"type": "notFound"}}


async def test_wishes_of_the_envelope_go_along(jmap: Jmap) -> None:
    given = {
        "mailFrom": {
            "email": jmap.person.address,
            "parameters": {"ret": "HDRS", "ENVID": "QQ31", "BODY": "8BITMIME", "SMTPUTF8": None, "SIZE": "100"},
        },
        "rcptTo": [
            {"email": "bob@elsewhere.test", "parameters": {"NOTIFY": "success,DELAY", "ORCPT": "rfc822;b+x@y.test"}},
            {"email": "bob@elsewhere.test", "parameters": {"NOTIFY": "NEVER"}},
        ],
    }
    made = await sent(jmap, await draft(jmap, to="someone@else.test"), envelope=given)
    assert (await shown(jmap, made["id"]))["envelope"] == given
    (recipient,) = await leaving(jmap.store, jmap.person.principal.tenant_id)
    assert (recipient.notify, recipient.original_recipient) == (Notify.SUCCESS | Notify.DELAY, "rfc822;b+x@y.test")
    assert (recipient.message.envelope_id, recipient.message.return_content) == ("QQ31", ReturnContent.HEADERS)


async def shop_of(jmap: Jmap) -> tuple[str, str]:
    """An identity beside that of the address, and its address."""
    local_part, _, domain = jmap.person.address.partition("@")
    shop = f"{local_part}+shop@{domain}"
    return (await jmap.call("Identity/set", {"create": {"a": {"email": shop}}}))["created"]["a"]["id"], shop


async def test_a_sender_that_the_identity_does_not_allow_gives_way_to_its_address(jmap: Jmap) -> None:
    identity, shop = await shop_of(jmap)
    made = await sent(jmap, await draft(jmap, From=shop, Sender=jmap.person.address), identityId=identity)
    assert made["envelope"]["mailFrom"]["email"] == shop


async def test_one_of_the_authors_is_who_it_is_sent_as(jmap: Jmap) -> None:
    identity, shop = await shop_of(jmap)
    given = {"identityId": identity, "emailId": await draft(jmap)}
    answer = await jmap.call("EmailSubmission/set", {"create": {"s": given}})
    assert answer["notCreated"]["s"] == {"type": "forbiddenFrom", "description": f"From is none of the identity {shop}"}
    assert await sent(jmap, await draft(jmap, From=f"Shop <{shop.upper()}>"), identityId=identity)
    both = await draft(jmap, From=f"{jmap.person.address}, {shop}", Sender=shop)
    assert await sent(jmap, both, identityId=identity)
    assert await sent(jmap, both), "what has a detail is mail of the address too"


async def test_a_full_mailbox_refuses_and_nothing_is_queued(new_jmap: NewJmap, services: RunningServices) -> None:
    ann, bob = await new_jmap(), await new_jmap()

    def fill() -> None:
        with owner_connection(services) as owner:
            owner.execute("UPDATE account SET quota_octets = 10 WHERE id = %s", [bob.person.principal.account_id])

    await asyncio.to_thread(fill)
    refusal = await refused(ann, await draft(ann, to=f"{bob.person.address}, eve@elsewhere.test"))
    assert refusal["type"] == "invalidRecipients"
    assert refusal["invalidRecipients"] == [bob.person.address]
    assert await leaving(ann.store, ann.person.principal.tenant_id) == []


# -- mail that waits


async def hold(ann: Jmap, *to: str, seconds: int = 3_600) -> Any:
    email = await draft(ann, to=", ".join(to), Bcc="carl@elsewhere.test")
    made = await sent(ann, email, envelope=envelope(ann, *to, HOLDFOR=str(seconds)))
    await ann.call("Email/set", {"destroy": [email]})
    return made


async def test_mail_waits_for_its_time_and_goes_once_though_the_draft_is_gone(new_jmap: NewJmap, parts: Parts) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    made = await hold(ann, bob.person.address, "eve@elsewhere.test")
    assert made["undoStatus"] == "pending"
    wait = datetime.fromisoformat(made["sendAt"]) - datetime.now(UTC)
    assert timedelta(seconds=3_500) < wait <= timedelta(seconds=3_600)
    assert {each["delivered"] for each in made["deliveryStatus"].values()} == {"queued"}
    await releases(parts, later_s=0).release_due()
    assert await outgoing_acts.forget_orphans(parts.store.database) == 0
    assert await inbox(bob) == []
    assert (await shown(ann, made["id"]))["undoStatus"] == "pending"
    await releases(parts).release_due()
    await releases(parts).release_due()
    (arrived,) = await inbox(bob)
    assert b"carl" not in arrived
    (recipient,) = await leaving(ann.store, ann.person.principal.tenant_id)
    assert recipient.address == "eve@elsewhere.test"
    assert await octets_of(ann.store, recipient) == arrived.partition(b"\r\n")[2]
    now = await shown(ann, made["id"])
    assert now["undoStatus"] == "final"
    assert {each: status["delivered"] for each, status in now["deliveryStatus"].items()} == {
        bob.person.address: "yes",
        "eve@elsewhere.test": "queued",
    }


@pytest.mark.parametrize("step", ["release: leased", "release: placed", "release: settled"])
async def test_killed_at_any_step_it_goes_once(new_jmap: NewJmap, parts: Parts, step: str) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    made = await hold(ann, bob.person.address, "eve@elsewhere.test")

    def kill(reached: str) -> None:
        if reached == step:
            raise Killed

    steps.listener = kill
    with pytest.raises(Killed):
        await releases(parts).release_due()
    steps.listener = None
    await releases(parts).release_due()
    assert len(await inbox(bob)) == 1
    assert len(await leaving(ann.store, ann.person.principal.tenant_id)) == 1
    assert (await shown(ann, made["id"]))["undoStatus"] == "final"


@pytest.mark.parametrize("step", ["release: leased", "release: placed", "release: settled"])
async def test_a_process_that_is_killed_for_good_neither_loses_nor_doubles_it(
    new_jmap: NewJmap, parts: Parts, services: RunningServices, step: str
) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    made = await hold(ann, bob.person.address, "eve@elsewhere.test")
    environment = {**services.environment(), "WAYPOST_HOSTNAME": "mail.company.test"}
    arguments = [sys.executable, "-m", "tests.webmail.jmap.releasing_process", step]
    process = await asyncio.create_subprocess_exec(*arguments, cwd=ROOT, env=environment)
    assert await process.wait() == -signal.SIGKILL
    await releases(parts).release_due()
    await releases(parts).release_due()
    assert len(await inbox(bob)) == 1
    assert len(await leaving(ann.store, ann.person.principal.tenant_id)) == 1
    assert (await shown(ann, made["id"]))["undoStatus"] == "final"


async def test_two_processes_release_it_once(new_jmap: NewJmap, parts: Parts) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    await hold(ann, bob.person.address, "eve@elsewhere.test")
    await asyncio.gather(*(releases(parts).release_due() for _ in range(4)))
    assert len(await inbox(bob)) == 1
    assert len(await leaving(ann.store, ann.person.principal.tenant_id)) == 1


@pytest.mark.parametrize("step", ["", "release: leased", "release: settled"])
async def test_who_passes_mail_on_does_so_with_what_waited_once(
    new_jmap: NewJmap, parts: Parts, services: RunningServices, step: str
) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    colleague = await add_colleague(services, ann.person.principal, "carl")
    await forward(services, bob.person.principal, "bob", "far.test")
    await forward(services, colleague, "carl", "far.test")
    made = await hold(ann, bob.person.address, str(colleague.address))

    def kill(reached: str) -> None:
        if reached == step:
            raise Killed

    steps.listener = kill
    with contextlib.suppress(Killed):
        await releases(parts).release_due()
    steps.listener = None
    await releases(parts).release_due()
    assert len(await inbox(bob)) == 1
    assert len(await Someone(ann.store, colleague).octets()) == 1
    for who, address in ((bob.person.principal, "bob@far.test"), (colleague, "carl@far.test")):
        (recipient,) = [each for each in await leaving(ann.store, who.tenant_id) if "@far.test" in each.address]
        assert recipient.address == address
        octets = await octets_of(ann.store, recipient)
        assert octets.startswith(f"Delivered-To: {who.address}\r\nReceived: ".encode())
    status = (await shown(ann, made["id"]))["deliveryStatus"]
    assert {each["delivered"] for each in status.values()} == {"unknown"}


@pytest.mark.parametrize("seconds", [0, 3_600])
async def test_a_long_message_comes_as_it_was_written(new_jmap: NewJmap, parts: Parts, seconds: int) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    body = "".join(f"{number:060d}\r\n" for number in range(60_000))
    email = await draft(ann, to=bob.person.address, body=body)
    given = envelope(ann, bob.person.address, "eve@elsewhere.test", HOLDFOR=str(seconds))
    await sent(ann, email, envelope=given)
    await releases(parts).release_due()
    (arrived,) = await inbox(bob)
    assert arrived.endswith(f"\r\n\r\n{body}\r\n".encode())
    (recipient,) = await leaving(ann.store, ann.person.principal.tenant_id)
    assert await octets_of(ann.store, recipient) == arrived.partition(b"\r\n")[2]


async def test_it_can_be_canceled_until_it_goes(new_jmap: NewJmap, parts: Parts) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    made = await hold(ann, bob.person.address, "eve@elsewhere.test")
    state = (await ann.call("EmailSubmission/get", {"ids": []}))["state"]
    cancel = {"update": {made["id"]: {"undoStatus": "canceled"}}}
    assert (await ann.call("EmailSubmission/set", cancel))["updated"] == {made["id"]: None}
    await releases(parts).release_due()
    assert await inbox(bob) == []
    assert await leaving(ann.store, ann.person.principal.tenant_id) == []
    now = await shown(ann, made["id"])
    assert (now["undoStatus"], now["deliveryStatus"]) == ("canceled", None)
    assert (await ann.call("EmailSubmission/changes", {"sinceState": state}))["updated"] == [made["id"]]
    back = {"update": {made["id"]: {"undoStatus": "pending"}}}
    assert (await ann.call("EmailSubmission/set", back))["notUpdated"][made["id"]]["type"] == "invalidProperties"


async def test_what_is_on_its_way_or_gone_cannot_be_canceled(new_jmap: NewJmap, parts: Parts) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    at_once = await sent(ann, await draft(ann))
    made = await hold(ann, bob.person.address)

    def kill(reached: str) -> None:
        if reached == "release: placed":
            raise Killed

    steps.listener = kill
    with pytest.raises(Killed):
        await releases(parts).release_due()
    update = {each["id"]: {"undoStatus": "canceled"} for each in (at_once, made)}
    done = await ann.call("EmailSubmission/set", {"update": update})
    assert {each: error["type"] for each, error in done["notUpdated"].items()} == dict.fromkeys(update, "cannotUnsend")


async def test_destroying_the_record_does_not_keep_it_from_going(new_jmap: NewJmap, parts: Parts) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    made = await hold(ann, bob.person.address)
    assert (await ann.call("EmailSubmission/set", {"destroy": [made["id"]]}))["destroyed"] == [made["id"]]
    assert (await ann.call("EmailSubmission/get", {"ids": [made["id"]]}))["notFound"] == [made["id"]]
    await releases(parts).release_due()
    assert len(await inbox(bob)) == 1


async def test_a_time_that_is_over_means_now(jmap: Jmap) -> None:
    given = envelope(jmap, "bob@elsewhere.test", HOLDUNTIL="2026-01-01T00:00:00+08:00")
    assert (await sent(jmap, await draft(jmap), envelope=given))["undoStatus"] == "final"


async def test_whom_it_cannot_reach_any_more_the_sender_is_told_of(
    new_jmap: NewJmap, parts: Parts, services: RunningServices
) -> None:
    ann = await new_jmap()
    gone = (await asyncio.to_thread(new_person, services)).principal
    made = await hold(ann, str(gone.address), "eve@elsewhere.test")

    await asyncio.to_thread(set_status, services, gone, "deleted")
    await forgetful_releases(parts).release_due()
    (report,) = [each for each in await inbox(ann) if b"multipart/report" in each]
    assert str(gone.address).encode() in report
    assert b"\r\nFuture-Release-Request: for;3600\r\n" in report
    status = (await shown(ann, made["id"]))["deliveryStatus"]
    assert status[str(gone.address)]["delivered"] == "no"
    assert status["eve@elsewhere.test"]["delivered"] == "queued"


def set_status(services: RunningServices, who: Principal, status: str) -> None:
    with owner_connection(services) as owner:
        owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(who.tenant_id)])
        owner.execute("UPDATE account SET status = %s WHERE id = %s", [status, who.account_id])


async def test_what_waits_does_not_go_while_its_sender_is_suspended_and_never_when_they_are_gone(
    new_jmap: NewJmap, parts: Parts, services: RunningServices
) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    who = ann.person.principal
    await hold(ann, bob.person.address)
    await asyncio.to_thread(set_status, services, who, "suspended")
    await forgetful_releases(parts).release_due()
    assert await inbox(bob) == []
    await asyncio.to_thread(set_status, services, who, "active")
    await forgetful_releases(parts).release_due()
    assert len(await inbox(bob)) == 1
    made = await hold(ann, bob.person.address)
    await asyncio.to_thread(set_status, services, who, "deleted")
    await forgetful_releases(parts).release_due()
    await asyncio.to_thread(set_status, services, who, "active")
    await forgetful_releases(parts).release_due()
    assert len(await inbox(bob)) == 1
    assert (await shown(ann, made["id"]))["undoStatus"] == "canceled"


def reach_limit(services: RunningServices, who: Principal, recipients: int) -> None:
    with owner_connection(services) as owner:
        owner.execute(
            "INSERT INTO sending_count (tenant_id, account_id, hour, shard, recipients)"
            " VALUES (%s, %s, date_trunc('hour', now()), 99, %s)"
            " ON CONFLICT (tenant_id, account_id, hour, shard) DO UPDATE SET recipients = excluded.recipients",
            [who.tenant_id, who.account_id, recipients],
        )


async def test_who_has_written_to_as_many_as_they_may_is_told_so(jmap: Jmap, services: RunningServices) -> None:
    await asyncio.to_thread(reach_limit, services, jmap.person.principal, 1_000)
    refusal = await refused(jmap, await draft(jmap))
    assert refusal == {
        "type": "forbiddenToSend",
        "description": "You have written to as many people as you may for now. Try again later.",
    }


async def test_what_waits_goes_on_waiting_while_its_sender_has_reached_a_limit(
    new_jmap: NewJmap, parts: Parts, services: RunningServices
) -> None:
    ann, bob = await new_jmap(), await new_jmap()
    made = await hold(ann, bob.person.address, "eve@elsewhere.test")
    await asyncio.to_thread(reach_limit, services, ann.person.principal, 1_000)
    await releases(parts).release_due()
    assert (await shown(ann, made["id"]))["undoStatus"] == "pending"
    assert await leaving(ann.store, ann.person.principal.tenant_id) == []
    await asyncio.to_thread(reach_limit, services, ann.person.principal, 0)
    await releases(parts).release_due()
    assert (await shown(ann, made["id"]))["undoStatus"] == "final"
    assert len(await leaving(ann.store, ann.person.principal.tenant_id)) == 1
    assert len(await inbox(bob)) == 1


# -- queries


async def test_submissions_are_found_filtered_and_sorted(jmap: Jmap) -> None:
    emails = [await draft(jmap) for _ in range(3)]
    made = [(await sent(jmap, each))["id"] for each in emails]
    waiting = await sent(jmap, emails[0], envelope=envelope(jmap, "bob@elsewhere.test", HOLDFOR="600"))
    query = await jmap.call("EmailSubmission/query", {"calculateTotal": True})
    assert (query["ids"], query["total"], query["canCalculateChanges"]) == ([*made, waiting["id"]], 4, True)

    async def found(filter_: Any = None, **more: Any) -> Any:
        return (await jmap.call("EmailSubmission/query", {"filter": filter_, **more}))["ids"]

    assert await found({"emailIds": [emails[0]]}) == [made[0], waiting["id"]]
    assert await found({"emailIds": [emails[0]], "undoStatus": "pending"}) == [waiting["id"]]
    assert await found({"identityIds": [await identity(jmap)]}) == [*made, waiting["id"]]
    assert await found({"identityIds": ["I1"]}) == []
    assert await found({"threadIds": [waiting["threadId"]]}) == [made[0], waiting["id"]]
    assert await found({"after": waiting["sendAt"]}) == [waiting["id"]]
    assert await found({"before": waiting["sendAt"]}) == made
    both = {"operator": "OR", "conditions": [{"emailIds": [emails[1]]}, {"undoStatus": "pending"}]}
    assert await found(both) == [made[1], waiting["id"]]
    assert await found({"operator": "NOT", "conditions": [both]}) == [made[0], made[2]]
    assert (await found(sort=[{"property": "sentAt", "isAscending": False}]))[0] == waiting["id"]
    by_email = await found(sort=[{"property": "emailId"}, {"property": "sentAt", "isAscending": False}])
    assert by_email[:2] == [waiting["id"], made[0]]
    assert await found(position=1, limit=2) == made[1:]
    assert await found(anchor=made[2], anchorOffset=-1, limit=1) == [made[1]]
    for wrong, kind in (
        ({"filter": {"colour": "red"}}, "unsupportedFilter"),
        ({"filter": {"before": "yesterday"}}, "invalidArguments"),
        ({"sort": [{"property": "colour"}]}, "unsupportedSort"),
        ({"anchor": "S1"}, "anchorNotFound"),
    ):
        assert (await jmap.refusal("EmailSubmission/query", wrong))["type"] == kind


async def test_changes_of_a_query_lead_from_one_list_to_the_next(jmap: Jmap) -> None:
    email = await draft(jmap)
    first, second = [(await sent(jmap, email))["id"] for _ in range(2)]
    waiting = (await sent(jmap, email, envelope=envelope(jmap, "bob@elsewhere.test", HOLDFOR="600")))["id"]
    asked = {"filter": {"operator": "NOT", "conditions": [{"undoStatus": "canceled"}]}, "sort": None}
    before = await jmap.call("EmailSubmission/query", asked)
    done = {"destroy": [first], "update": {waiting: {"undoStatus": "canceled"}}}
    await jmap.call("EmailSubmission/set", done)
    last = (await sent(jmap, email))["id"]
    changes = await jmap.call(
        "EmailSubmission/queryChanges", {**asked, "sinceQueryState": before["queryState"], "calculateTotal": True}
    )
    ids = [each for each in before["ids"] if each not in changes["removed"]]
    for each in changes["added"]:
        ids.insert(each["index"], each["id"])
    assert ids == [second, last]
    assert changes["total"] == 2
    few = {**asked, "sinceQueryState": before["queryState"], "maxChanges": 1}
    assert (await jmap.refusal("EmailSubmission/queryChanges", few))["type"] == "tooManyChanges"
    assert (await jmap.refusal("EmailSubmission/queryChanges", {"sinceQueryState": "x"}))["type"] == (
        "cannotCalculateChanges"
    )


async def test_the_session_tells_what_may_be_asked_of_sending(jmap: Jmap) -> None:
    session = (await jmap.http("GET", "/jmap/session")).json()
    told = session["accounts"][jmap.account_id]["accountCapabilities"]["urn:ietf:params:jmap:submission"]
    assert told["maxDelayedSend"] == 366 * 86_400
    assert {"FUTURERELEASE", "DSN", "SIZE"} <= set(told["submissionExtensions"])
