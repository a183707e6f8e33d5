"""The event source: StateChange objects in a response that does not end (RFC 8620 §7.3, the HTML standard §9.2).

How far a client was told stands in the event's id. Nothing waits for a client but that: who reads slowly, or comes back
with the id it saw last, is told the newest states of what changed since.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import parse_qs

from mailserver.services.errors import TooManyConnections
from mailserver.services.open_streams import Draining
from mailserver.services.state_changes import Following, changed_since, parse_place, place_of
from mailserver.tasks import end_task
from tenants.types import Principal
from webmail.jmap.errors import JsonObject
from webmail.jmap.http.door import Door
from webmail.jmap.http.exchange import Answer, ClientGone, HttpRequest, Refused
from webmail.jmap.http.staying import looked_after
from webmail.jmap.ids import account_id
from webmail.jmap.ijson import write

KIND = "event source"
LEAST_PING_S, MOST_PING_S = 10, 900
SILENCE_S = 300.0
"""Without pings a comment goes out this often, so that a client that is gone without a word is noticed."""
WRITE_S = 60.0
"""Who reads nothing for so long is gone."""

HEADERS = (
    ("content-type", "text/event-stream"),
    ("cache-control", "no-cache, no-store"),
    ("x-accel-buffering", "no"),  # nginx would collect what it passes on
)
_MOST_TYPES = 100


@dataclass(frozen=True, slots=True)
class Wanted:
    """`types` None: all of them; `ping_s` None: no pings."""

    types: frozenset[str] | None
    closes_after_state: bool
    ping_s: int | None


def parse_wanted(query: str) -> Wanted:
    """The variables of the session's eventSourceUrl. Raises Refused."""
    try:
        given = parse_qs(query, keep_blank_values=True, max_num_fields=20)
    except ValueError:
        given = {}
    types, closes, ping = (given.get(name, [""])[0] for name in ("types", "closeafter", "ping"))
    names = frozenset(types.split(","))
    if "" in names or len(names) > _MOST_TYPES:
        raise Refused(400, "types is * or a list of type names")
    if closes not in ("state", "no"):
        raise Refused(400, "closeafter is state or no")
    if not (ping.isascii() and ping.isdigit()) or len(ping) > 15:
        raise Refused(400, "ping is a number of seconds")
    ping_s = min(max(int(ping), LEAST_PING_S), MOST_PING_S) if int(ping) else None
    return Wanted(None if types == "*" else names, closes == "state", ping_s)


async def answer_event_source(
    door: Door, request: HttpRequest, answer: Answer, who: Principal, _variables: Mapping[str, str]
) -> None:
    wanted = parse_wanted(request.query)
    if answer.is_head:
        await answer.begin(200, HEADERS)
        await answer.end()
        return
    async with _opened(door, request, who) as source:
        await source.tell(answer, wanted, request.headers.get("last-event-id", ""))


@dataclass(slots=True)
class _Source:
    following: Following
    account: str
    stirred: asyncio.Event
    is_over: bool = False

    def end(self, _why: object = None) -> None:
        self.is_over = True
        self.stirred.set()

    async def tell(self, answer: Answer, wanted: Wanted, last_id: str) -> None:
        """Until the client goes, or is told to; with `closes_after_state` until the first state event.

        The first id comes without an event, so that a client which is told nothing before it loses its connection can
        ask for what it misses all the same.
        """
        states = await self.following.now()
        place = parse_place(last_id) if last_id else place_of(states)
        await answer.begin(200, HEADERS)
        if not last_id:
            await _write(answer, b"id: %s\n\n" % str(place).encode())
        interval_s = SILENCE_S if wanted.ping_s is None else wanted.ping_s
        clock = asyncio.get_running_loop().time
        ping_at = clock() + interval_s
        while not self.is_over:
            self.stirred.clear()
            states = self.following.latest
            if changed := changed_since(states, place, wanted.types):
                place = place_of(states)
                await _write(answer, _event("state", state_change(self.account, changed), str(place)))
                if wanted.closes_after_state:
                    break
                ping_at = clock() + interval_s
            try:
                async with asyncio.timeout_at(ping_at):
                    await self.stirred.wait()
            except TimeoutError:
                ping = b":\n\n" if wanted.ping_s is None else _event("ping", {"interval": wanted.ping_s}, None)
                await _write(answer, ping)
                ping_at = clock() + interval_s
        await answer.end()


@asynccontextmanager
async def _opened(door: Door, request: HttpRequest, who: Principal) -> AsyncIterator[_Source]:
    """Raises Refused where no more may be open."""
    stirred = asyncio.Event()
    parts = door.parts
    following = parts.state_changes.follow(who.tenant_id, who.account_id, stirred.set)
    source = _Source(following, account_id(who.account_id), stirred)
    listening = asyncio.create_task(_until_gone(request))
    listening.add_done_callback(source.end)
    try:
        with parts.open_streams.one(who, request.peer, KIND, source.end), looked_after(parts, request, source.end):
            request.hold()
            yield source
    except TooManyConnections as many:
        raise Refused(429, f"at most {many.limit} connections", (("retry-after", "60"),)) from None
    except Draining:
        raise Refused(503, "try again", (("retry-after", "1"),)) from None
    finally:
        following.close()
        await end_task(listening)


async def _until_gone(request: HttpRequest) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _write(answer: Answer, octets: bytes) -> None:
    """Raises ClientGone."""
    try:
        async with asyncio.timeout(WRITE_S):
            await answer.write(octets)
    except TimeoutError:
        raise ClientGone from None


def state_change(account: str, changed: Mapping[str, str]) -> JsonObject:
    """RFC 8620 §7.1."""
    return {"@type": "StateChange", "changed": {account: dict(changed)}}


def _event(name: str, data: JsonObject, event_id: str | None) -> bytes:
    told = b"event: %s\ndata: %s\n" % (name.encode(), write(data))
    return told + (b"\n" if event_id is None else b"id: %s\n\n" % event_id.encode())
