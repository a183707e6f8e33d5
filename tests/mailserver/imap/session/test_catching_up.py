"""A session that could not look for changes, because the store was away, makes up for it."""

from dataclasses import dataclass, replace

import pytest

from mailserver.imap.session.conversation import Services
from mailserver.imap.wire.commands import Noop, Select, Tag
from mailserver.imap.wire.responses import Exists, Response
from mailserver.services import mailboxes, messages
from storage.store import MailStore
from storage.types import FlagChange, FlagOperation, Flags, SystemFlag, Uid
from tenants.types import Principal
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


@dataclass(frozen=True, slots=True)
class Unheard:
    """Somebody in another process, whose hints are lost."""

    store: MailStore
    who: Principal

    async def flag(self, uid: int, flag: SystemFlag) -> None:
        box = await mailboxes.find(self.store, self.who, "INBOX")
        change = FlagChange(FlagOperation.ADD, Flags(flag))
        await messages.change_flags(self.store, self.who, box.id, [Uid(uid)], change)

    async def expunge(self, uid: int) -> None:
        await self.flag(uid, SystemFlag.DELETED)
        box = await mailboxes.find(self.store, self.who, "INBOX")
        await messages.expunge(self.store, self.who, box.id, [Uid(uid)])


@pytest.fixture
def unheard(imap: Services, person: Person) -> Unheard:
    return Unheard(replace(imap.store, announce=lambda *_: None), person.principal)


ENABLED = (
    "= 3 messages in INBOX\n= selected INBOX\nC: e ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: <...>\nS: e OK <...>\n"
)


async def test_whoever_hears_of_a_later_modseq_hears_of_the_earlier_ones_too(
    imap: Services, person: Person, unheard: Unheard
) -> None:
    """Or it would take itself to be told of all up to there (RFC 7162 §6)."""
    transcript = Transcript(imap, person)
    await transcript.run(ENABLED)
    await unheard.expunge(2)
    await unheard.flag(1, SystemFlag.SEEN)
    await transcript.run(
        "C: a UID FETCH 1 (FLAGS MODSEQ)\n"
        "S: * 1 FETCH (FLAGS (\\Recent \\Seen) UID 1 MODSEQ (<n>))\n"
        "S: * VANISHED 2\n"
        "S: a OK Done"
    )


async def test_what_may_not_be_told_yet_is_not_taken_for_told(imap: Services, person: Person, unheard: Unheard) -> None:
    transcript = Transcript(imap, person)
    await transcript.run("= 3 messages in INBOX\n= selected INBOX")
    before = transcript.clients["1"].talk.selected.highest_modseq
    transcript.named["m"] = str(before)
    await unheard.expunge(2)
    await unheard.flag(1, SystemFlag.SEEN)
    await transcript.run(
        "C: a FETCH 1 (FLAGS MODSEQ)\n"
        "S: * OK [HIGHESTMODSEQ <m>] <...>\n"
        "S: * 1 FETCH (FLAGS (\\Recent \\Seen) MODSEQ (<n>))\n"
        "S: a OK [HIGHESTMODSEQ <m>] Done\n"
        "C: b ENABLE QRESYNC\n"
        "S: * ENABLED QRESYNC\n"
        "S: * VANISHED 2\n"
        "S: b OK [HIGHESTMODSEQ <n>] Done"
    )


async def test_nobody_is_watched_for_a_mailbox_that_could_not_be_opened(imap: Services, person: Person) -> None:
    transcript = Transcript(imap, person)
    await transcript.run("= signed in\nC: a SELECT nowhere\nS: a NO [NONEXISTENT] <...>")
    assert transcript.clients["1"].talk.watch is None


async def test_what_happens_while_a_mailbox_is_opened_is_told_after_it_is(imap: Services, person: Person) -> None:
    transcript = Transcript(imap, person)
    await transcript.run("= 1 message in INBOX\n= signed in")
    client = transcript.clients["1"]
    session = client.dialogue.session
    said: list[Response] = []
    async for response in session.handle(Select(Tag(b"a"), "INBOX")):
        said.append(response)
        if isinstance(response, Exists):
            await messages.append(
                imap.store, person.principal, "INBOX", plain_message(2), flags=Flags(), received_at=NOON
            )
    assert [response for response in said if isinstance(response, Exists)] == [Exists(1)]
    updates = [response async for response in session.handle(Noop(Tag(b"b")))]
    assert Exists(2) in updates
