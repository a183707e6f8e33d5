"""A session that could not look for changes, because the store was away, makes up for it."""

import pytest

from mailserver.imap.session.conversation import Services
from mailserver.services import messages
from storage.types import Flags
from tests.conftest import NOON, plain_message
from tests.people import Person
from tests.transcripts.runner import Transcript


@pytest.mark.parametrize(
    ("command", "answers"),
    [
        ("UID STORE 1 +FLAGS.SILENT (\\Seen)", ["a OK Stored"]),
        ("UID FETCH 1 (UID)", ["* 1 FETCH (UID 1)", "a OK Done"]),
        ("UID MOVE 1 Trash", ["* OK [COPYUID 5 1 1] Moved", "* 1 EXPUNGE", "a OK Done"]),
    ],
)
async def test_a_uid_learnt_before_the_store_went_away_names_its_message(
    imap: Services, person: Person, command: str, answers: list[str]
) -> None:
    transcript = Transcript(imap, person)
    await transcript.run("= selected INBOX")
    client = transcript.clients["1"]
    await messages.append(imap.store, person.principal, "INBOX", plain_message(), flags=Flags(), received_at=NOON)
    client.talk.must_look = True  # what a look that failed after the APPEND leaves behind
    await client.send(f"a {command}\r\n".encode())
    assert client.lines == ["* 1 EXISTS", "* 1 RECENT", *answers]
