"""Every `.txt` beneath this folder is a conversation that must go as written."""

import asyncio
from pathlib import Path

import pytest

from mailserver.imap.session.conversation import Services
from tests.conftest import RunningServices
from tests.people import new_person
from tests.transcripts.runner import Transcript

HERE = Path(__file__).parent
TEXTS = {str(file.relative_to(HERE).with_suffix("")): file.read_text() for file in sorted(HERE.rglob("*.txt"))}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
async def test_the_conversation_goes_as_written(text: str, imap: Services, services: RunningServices) -> None:
    await Transcript(imap, await asyncio.to_thread(new_person, services)).run(text)
