"""Every conversation under transcripts/ is played at the door."""

from pathlib import Path

import pytest

from tests.conftest import RunningServices
from tests.webmail.jmap.client import Jmap
from tests.webmail.jmap.transcript import play

TRANSCRIPTS = [
    pytest.param(path.read_text("utf-8"), id=path.stem)
    for path in sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
]


@pytest.mark.parametrize("conversation", TRANSCRIPTS)
async def test_the_server_says_what_is_written(conversation: str, jmap: Jmap, services: RunningServices) -> None:
    await play(jmap, conversation, services)


async def test_a_conversation_that_goes_otherwise_is_noticed(jmap: Jmap, services: RunningServices) -> None:
    for said in ('[["Core/echo", {"a": 2}, "0"]]', '[["Core/echo", {}, "0"]]', "[]", "400 {}"):
        with pytest.raises(AssertionError):
            await play(jmap, f'C: [["Core/echo", {{"a": 1}}, "0"]]\nS: {said}', services)
