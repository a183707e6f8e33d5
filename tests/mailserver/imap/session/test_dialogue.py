"""A session in octets, without services behind it: what is answered before anybody has signed in."""

import asyncio
import itertools
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.config import ImapConfig, framing_limits, framing_limits_before_sign_in
from mailserver.imap.session.conversation import Conversation, Services
from mailserver.imap.session.dialogue import BAD_COMMANDS, Dialogue
from mailserver.imap.session.session import Session
from mailserver.imap.session.state import State
from mailserver.observability.logs import get_logger
from mailserver.services.watching import Watchers, WatchingConfig
from storage.blobs.hot import HotBlobs
from storage.blobs.tiered import TieredBlobs
from storage.database import Database, DatabaseConfig
from storage.key_files import make_master_key
from storage.keys import KeyRing
from storage.store import MailStore
from tenants.types import AccountId, Address, Principal, TenantId
from tests.conftest import NOON

ANN = Principal(TenantId(1), AccountId(1), Address("ann", "mill.test"), "Ann", "en", "UTC", None, False)
NO_SERVICES = cast(Services, Services(*[cast(Any, None)] * 4))


def dialogue_with(services: Services, *, who: Principal | None = None) -> Dialogue:
    talk = Conversation(
        services=services,
        peer="192.0.2.7",
        log=get_logger(),
        wake=lambda: None,
        now=lambda: NOON,
        sign_in_failures_left=3,
        is_encrypted=True,
        can_encrypt=True,
        state=State.AUTHENTICATED if who else State.NOT_AUTHENTICATED,
        who=who,
    )
    config = ImapConfig()
    return Dialogue(
        Session(talk, clock=lambda: 0.0),
        limits=framing_limits_before_sign_in(config),
        limits_signed_in=framing_limits(config, message_limit_octets=1000),
    )


async def said(dialogue: Dialogue, *pieces: bytes) -> bytes:
    answers = b""
    for piece in pieces:
        dialogue.receive(piece)
        async for octets in dialogue.turn():
            answers += octets
    return answers


COMMANDS = (
    b'a1 CAPABILITY\r\na2 ID ("name" {4}\r\ntest)\r\na3 NOOP\r\na4 LOGIN {3+}\r\nann {2+}\r\nx\n\r\n'
    b"a5 AUTHENTICATE PLAIN\r\n*\r\na6 FROB\r\na7 SELECT {5+}\r\nINBOX\r\na8 LOGOUT\r\n"
)


@given(st.lists(st.integers(0, len(COMMANDS)), max_size=12))
def test_how_the_network_splits_the_octets_never_matters(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(COMMANDS)]
    pieces = [COMMANDS[begin:end] for begin, end in itertools.pairwise(edges)]
    whole = asyncio.run(said(dialogue_with(NO_SERVICES), COMMANDS))
    assert asyncio.run(said(dialogue_with(NO_SERVICES), *pieces)) == whole
    assert whole.endswith(b"a8 OK Signed out\r\n")


async def test_a_bug_is_answered_and_the_connection_lives_on() -> None:
    dialogue = dialogue_with(NO_SERVICES, who=ANN)
    assert (await said(dialogue, b'a LIST "" *\r\n')).startswith(b"a NO [SERVERBUG] ")
    assert await said(dialogue, b"b NOOP\r\n") == b"b OK Done\r\n"


async def test_postgres_away_is_a_temporary_refusal(tmp_path: Any) -> None:
    nowhere = f"postgresql://nobody@/none?host={tmp_path}"
    database = Database(DatabaseConfig(app_url=nowhere, system_url=nowhere))
    make_master_key(tmp_path)
    store = MailStore(database, KeyRing(tmp_path, database), TieredBlobs(HotBlobs()), lambda *_: None)
    dialogue = dialogue_with(
        Services(store, cast(Any, None), Watchers(database, None, WatchingConfig()), cast(Any, None)), who=ANN
    )
    for command in (b"a SELECT INBOX", b'b LIST "" *', b"c APPEND INBOX {10}", b"d STATUS INBOX (MESSAGES)"):
        answer = await said(dialogue, command + b"\r\n")
        assert answer.startswith(command[:1] + b" NO [UNAVAILABLE] "), answer
    assert await said(dialogue, b"e NOOP\r\n") == b"e OK Done\r\n"


async def test_whoever_speaks_another_protocol_is_hung_up_on() -> None:
    dialogue = dialogue_with(NO_SERVICES)
    answers = await said(dialogue, b"Accept: text/html\r\n" * (BAD_COMMANDS + 5))
    assert answers.count(b" BAD ") == BAD_COMMANDS
    assert answers.endswith(b"* BYE Too many commands that are none\r\n")
    assert dialogue.over


async def test_a_bad_command_now_and_then_does_no_harm() -> None:
    dialogue = dialogue_with(NO_SERVICES)
    await said(dialogue, b"a FROB\r\nb NOOP\r\n" * BAD_COMMANDS)
    assert not dialogue.over


async def test_bye_is_said_at_the_next_turn() -> None:
    dialogue = dialogue_with(NO_SERVICES)
    dialogue.end("Closing time")
    assert await said(dialogue, b"a NOOP\r\n") == b"* BYE Closing time\r\n"
    assert dialogue.over


@pytest.mark.parametrize("command", [b"a LOGIN ann {100000}\r\n", b"a LOGIN ann {100000+}\r\n"])
async def test_a_literal_over_the_limit_is_refused_before_memory_is_spent(command: bytes) -> None:
    dialogue = dialogue_with(NO_SERVICES)
    assert (await said(dialogue, command)).startswith(b"a NO [TOOBIG] ")
    assert dialogue.buffered_octets == 0


async def test_an_overlong_sasl_response_ends_the_exchange_only() -> None:
    dialogue = dialogue_with(NO_SERVICES)
    assert await said(dialogue, b"a AUTHENTICATE PLAIN\r\n") == b"+ \r\n"
    assert (await said(dialogue, b"x" * 10_000 + b"\r\n")).startswith(b"a BAD ")
    assert await said(dialogue, b"b NOOP\r\n") == b"b OK Done\r\n"


@given(st.binary(max_size=300))
def test_arbitrary_octets_never_raise(octets: bytes) -> None:
    asyncio.run(said(dialogue_with(NO_SERVICES), octets, b"\r\nlast NOOP\r\n"))
