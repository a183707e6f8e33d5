"""The event source tells what changed, to whoever reads and to whoever comes back (RFC 8620 §7.3)."""

import contextlib
from collections.abc import Iterator

import pytest

from mailserver.assembly import Parts
from mailserver.services.open_streams import OpenStreams
from storage.sign_in_ends import end_sign_ins
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.conftest import NewJmap
from tests.webmail.jmap.streams import Event, event_source
from webmail.jmap.http import event_source as door

ALL = "types=*&closeafter=no&ping=0"


def states(event: Event | None, jmap: Jmap) -> dict[str, str]:
    """Of the one account."""
    assert event is not None
    assert (event.name, event.data["@type"], list(event.data["changed"])) == ("state", "StateChange", [jmap.account_id])
    changed: dict[str, str] = event.data["changed"][jmap.account_id]
    return changed


async def test_a_delivery_is_told_with_the_states_that_get_would_answer(jmap: Jmap) -> None:
    async with event_source(jmap, ALL) as events:
        assert (events.status, events.headers["content-type"]) == (200, "text/event-stream")
        await jmap.receive()
        told = states(await events.next(), jmap)
    assert set(told) == {"Email", "EmailDelivery", "Mailbox", "Thread"}
    for type_name in ("Email", "Mailbox", "Thread"):
        assert told[type_name] == (await jmap.call(f"{type_name}/get", {"ids": []}))["state"]


async def test_only_types_that_were_asked_for_and_changed_are_told(jmap: Jmap) -> None:
    async with event_source(jmap, "types=Mailbox,EmailSubmission&closeafter=no&ping=0") as events:
        await jmap.receive()
        assert set(states(await events.next(), jmap)) == {"Mailbox"}


async def test_with_closeafter_state_the_response_ends_after_one_event(jmap: Jmap) -> None:
    async with event_source(jmap, "types=*&closeafter=state&ping=0") as events:
        await jmap.receive()
        assert "Email" in states(await events.next(), jmap)
        assert await events.next() is None


async def test_who_comes_back_is_told_at_once_what_was_missed(jmap: Jmap) -> None:
    async with event_source(jmap, ALL) as events:
        await jmap.receive()
        first = await events.next()
        last_id = events.last_id
    assert first is not None
    assert first.id == last_id
    await jmap.receive()
    async with event_source(jmap, ALL, last_event_id=last_id) as events:
        assert states(await events.next(), jmap)["Email"] > states(first, jmap)["Email"]


async def test_who_was_told_nothing_yet_can_come_back_all_the_same(jmap: Jmap) -> None:
    async with event_source(jmap, ALL) as events:
        first_id = (await events.conversation.next())["body"].decode().strip().removeprefix("id: ")
    await jmap.receive()
    async with event_source(jmap, ALL, last_event_id=first_id) as events:
        assert "EmailDelivery" in states(await events.next(), jmap)


@pytest.mark.parametrize("last_id", ["nonsense", "0-99999999999999", "7-1", "１-１"])
async def test_who_comes_with_an_id_that_nobody_was_given_is_told_everything(jmap: Jmap, last_id: str) -> None:
    async with event_source(jmap, ALL, last_event_id=last_id.encode().decode("latin-1")) as events:
        assert {"Email", "Mailbox", "Thread"} <= set(states(await events.next(), jmap))


async def test_what_happens_while_a_client_does_not_read_is_told_once(jmap: Jmap) -> None:
    async with event_source(jmap, ALL) as events:
        await events.conversation.next()
        events.conversation.may_send.clear()
        for _ in range(5):
            await jmap.receive()
        newest = (await jmap.call("Email/get", {"ids": []}))["state"]
        events.conversation.may_send.set()
        told: list[str] = []
        while not told or told[-1] != newest:
            told.append(states(await events.next(), jmap)["Email"])
    assert len(told) <= 2


async def test_what_others_do_is_nobody_elses_business(new_jmap: NewJmap) -> None:
    mine, other = await new_jmap(), await new_jmap()
    async with event_source(mine, ALL) as events:
        await other.receive()
        await mine.receive()
        assert list(states(await events.next(), mine)) != []


async def test_pings_come_when_nothing_else_does(jmap: Jmap, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door, "LEAST_PING_S", 1)
    async with event_source(jmap, "types=*&closeafter=no&ping=1") as events:
        assert await events.next() == Event("ping", {"interval": 1}, None)


@pytest.mark.parametrize(("asked", "given"), [(1, 10), (30, 30), (300, 300), (86_400, 900)])
def test_the_interval_of_pings_is_kept_within_bounds(asked: int, given: int) -> None:
    assert door.parse_wanted(f"types=*&closeafter=no&ping={asked}").ping_s == given


@pytest.mark.parametrize(
    "query",
    [
        "",
        "closeafter=no&ping=0",
        "types=&closeafter=no&ping=0",
        "types=Email,&closeafter=no&ping=0",
        "types=*&closeafter=maybe&ping=0",
        "types=*&closeafter=no",
        "types=*&closeafter=no&ping=-1",
        "types=*&closeafter=no&ping=½",
        "types=*&closeafter=no&ping=99999999999999999",
        "types=" + ",".join(f"T{number}" for number in range(101)) + "&closeafter=no&ping=0",
    ],
)
async def test_variables_that_make_no_sense_are_refused(jmap: Jmap, query: str) -> None:
    answer = await jmap.http("GET", f"/jmap/eventsource/?{query}")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")


async def test_nobody_is_told_anything_without_signing_in(jmap: Jmap) -> None:
    async with event_source(jmap, ALL, authorization="") as events:
        assert events.status == 401


async def test_it_ends_when_the_person_is_signed_out(jmap: Jmap, parts: Parts) -> None:
    who = jmap.person.principal
    async with event_source(jmap, ALL) as events:
        async with parts.store.database.directory() as connection:
            epoch = await end_sign_ins(connection, who.tenant_id, who.account_id)
        parts.endings.ended(who.account_id, epoch)
        assert await events.next() is None


async def test_it_ends_when_the_process_drains(jmap: Jmap, parts: Parts) -> None:
    with streams_of_their_own(parts):
        async with event_source(jmap, ALL) as events:
            parts.open_streams.drain()
            assert await events.next() is None
        async with event_source(jmap, ALL) as events:
            assert (events.status, events.headers["retry-after"]) == (503, "1")


async def test_nothing_is_left_of_a_client_that_went(jmap: Jmap, parts: Parts) -> None:
    who = jmap.person.principal
    async with event_source(jmap, ALL) as events:
        await jmap.receive()
        await events.next()
        assert parts.watchers.known_modseq((who.tenant_id, who.account_id)) > 0
    assert parts.logins.connections.is_empty
    assert parts.watchers.known_modseq((who.tenant_id, who.account_id)) == 0


@contextlib.contextmanager
def streams_of_their_own(parts: Parts) -> Iterator[None]:
    """A process that drains does so for good."""
    ours = parts.open_streams
    object.__setattr__(parts, "open_streams", OpenStreams(parts.logins.connections))
    yield
    object.__setattr__(parts, "open_streams", ours)
