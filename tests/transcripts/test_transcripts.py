"""Every `.txt` beneath this folder is a conversation that must go as written."""

from pathlib import Path

import pytest

from mailserver.imap.session.conversation import Services
from tests.conftest import Company
from tests.transcripts.runner import Transcript

HERE = Path(__file__).parent
FILES = sorted(HERE.rglob("*.txt"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(HERE).with_suffix("")))
async def test_the_conversation_goes_as_written(file: Path, imap: Services, company: Company) -> None:
    await Transcript(imap, await company.person()).run(file.read_text())
