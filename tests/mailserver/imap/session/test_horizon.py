"""Where the log no longer reaches back, clients are answered from what is there (RFC 7162 §3.2.6, §5.3)."""

import asyncio

from mailserver.imap.session.conversation import Services
from mailserver.imap.session.updates import difference
from mailserver.services import changes, messages
from tests.conftest import RunningServices, owner_connection
from tests.people import Person
from tests.transcripts.runner import Transcript


def forget_the_past(services: RunningServices, person: Person) -> None:
    """As after the log was cut: it begins with what comes next."""
    with owner_connection(services) as owner:
        account = (person.principal.account_id,)
        owner.execute("UPDATE account_state SET oldest_modseq = modseq + 1 WHERE account_id = %s", account)
        owner.execute("DELETE FROM change WHERE account_id = %s", account)


COMING_BACK = r"""
C2: b1 ENABLE QRESYNC
S2: * ENABLED QRESYNC
S2: b1 OK <...>
C2: b2 SELECT INBOX (QRESYNC (<v> <m>))
S2: * FLAGS <...>
S2: * 5 EXISTS
S2: * 0 RECENT
S2: * OK [UNSEEN 1] <...>
S2: * OK [PERMANENTFLAGS <...>
S2: * OK [UIDVALIDITY <v>] <...>
S2: * OK [UIDNEXT 10] <...>
S2: * OK [HIGHESTMODSEQ <h>] <...>
S2: * OK [MAILBOXID <...>
S2: * VANISHED (EARLIER) 1,3,7,9
S2: * 2 FETCH (UID 4 FLAGS (\Seen) MODSEQ (<n>))
S2: b2 OK [READ-WRITE] <...>
# of the uids that it names, and of those above the last one whose number it knows rightly
C2: b3 SELECT INBOX (QRESYNC (<v> <m> 2:8 (1,3 2,5)))
S2: * OK [CLOSED] <...>
S2: * FLAGS <...>
S2: * 5 EXISTS
S2: * 0 RECENT
S2: * OK [UNSEEN 1] <...>
S2: * OK [PERMANENTFLAGS <...>
S2: * OK [UIDVALIDITY <v>] <...>
S2: * OK [UIDNEXT 10] <...>
S2: * OK [HIGHESTMODSEQ <h>] <...>
S2: * OK [MAILBOXID <...>
S2: * VANISHED (EARLIER) 7
S2: * 2 FETCH (UID 4 FLAGS (\Seen) MODSEQ (<n>))
S2: b3 OK [READ-WRITE] <...>
C2: b4 UID FETCH 3:* (FLAGS) (CHANGEDSINCE <m> VANISHED)
S2: * VANISHED (EARLIER) 3,7,9
S2: * 2 FETCH (FLAGS (\Seen) UID 4 MODSEQ (<n>))
S2: b4 OK <...>
C2: b5 UID FETCH 3:* (FLAGS) (CHANGEDSINCE <h> VANISHED)
S2: b5 OK <...>
"""


async def test_all_that_is_known_and_not_there_has_vanished(
    imap: Services, person: Person, services: RunningServices
) -> None:
    transcript = Transcript(imap, person)
    await transcript.run("= 9 messages in INBOX\n= selected INBOX")
    view = transcript.clients["1"].talk.selected
    transcript.named |= {"v": str(view.uidvalidity), "m": str(view.highest_modseq)}
    await transcript.run("\n".join(f"= uid {uid} of INBOX is expunged" for uid in (1, 3, 7, 9)))
    await transcript.run("= flags of INBOX uid 4 are (\\Seen)")
    await asyncio.to_thread(forget_the_past, services, person)
    await transcript.run("2 = signed in\n" + COMING_BACK)


async def test_a_session_that_slept_beyond_the_horizon_compares(
    imap: Services, person: Person, services: RunningServices
) -> None:
    transcript = Transcript(imap, person)
    await transcript.run("= 4 messages in INBOX\n= selected INBOX")
    await transcript.run(
        "C: a1 ENABLE QRESYNC\nS: * ENABLED QRESYNC\nS: * OK [HIGHESTMODSEQ <m>] <...>\nS: a1 OK <...>"
    )
    await transcript.run("= uid 2 of INBOX is expunged\n= flags of INBOX uid 3 are (\\Flagged)\n= 1 message in INBOX\n")
    await asyncio.to_thread(forget_the_past, services, person)
    await transcript.run(
        """
C: a2 NOOP
S: * VANISHED 2
S: * 4 EXISTS
S: * 4 RECENT
S: * 2 FETCH (UID 3 FLAGS (\\Recent \\Flagged) MODSEQ (<n>))
S: a2 OK [HIGHESTMODSEQ <h>] Done
C: a3 NOOP
S: a3 OK Done
"""
    )


async def test_what_changes_while_a_session_compares_stands_as_the_mailbox_was_read(
    imap: Services, person: Person
) -> None:
    """Its view may become the picture that others of the process take for the mailbox at that modseq."""
    transcript = Transcript(imap, person)
    await transcript.run("= 2 messages in INBOX\n= selected INBOX")
    view = transcript.clients["1"].talk.selected
    await transcript.run("= flags of INBOX uid 1 are (\\Flagged)")
    contents = await messages.load_contents(imap.store, person.principal, view.mailbox_id)
    await transcript.run("= flags of INBOX uid 1 are ()")
    touched = await changes.flags_since(imap.store, person.principal, view.mailbox_id, view.cursor)
    view.take_in(difference(view, contents, touched), may_expunge=True)
    assert view.is_exact
    assert view.highest_modseq == contents.modseq
    assert view.flags == contents.flags
    await transcript.run("C: a2 NOOP\nS: * 1 FETCH (FLAGS (\\Recent))\nS: a2 OK Done")
