"""Somebody waits in IDLE, and sees at once what happens to their mailbox."""

from tests.flows.clients import Idler, append, deliver, deliver_by_lmtp, read_inbox, sign_in, submission
from tests.flows.installation import Installation
from tests.flows.letters import assert_arrived, letter

AT_ONCE_S = 3.0  # far above what it takes, far below the poll that would repair a lost hint


def test_idle_sees_what_comes_by_smtp_lmtp_and_submission(installation: Installation) -> None:
    person, colleague = installation.people(2)
    with Idler(installation, person) as idler:
        deliver(installation, [person], letter("by SMTP"))
        idler.wait_for(b"* 1 EXISTS", within_s=AT_ONCE_S)
        deliver_by_lmtp(installation, [person, colleague], letter("by LMTP"))
        idler.wait_for(b"* 2 EXISTS", within_s=AT_ONCE_S)
        with submission(installation, colleague) as client:
            client.sendmail(colleague.address, [person.address], letter("a reply", **{"from": colleague.address}))
        idler.wait_for(b"* 3 EXISTS", within_s=AT_ONCE_S)
    assert len(read_inbox(installation, person)) == 3


def test_idle_sees_flags_and_removals_of_another_session(installation: Installation) -> None:
    person = installation.person()
    for subject in ("one", "two"):
        deliver(installation, [person], letter(subject))
    with sign_in(installation, person, mailbox="INBOX") as other, Idler(installation, person) as idler:
        other.store("2", "+FLAGS", "(\\Flagged $Work)")
        idler.wait_for(b"* 2 FETCH (FLAGS (\\Flagged", within_s=AT_ONCE_S)
        other.store("1", "+FLAGS.SILENT", "(\\Deleted)")
        idler.wait_for(b"* 1 FETCH", within_s=AT_ONCE_S)
        other.expunge()
        idler.wait_for(b"* 1 EXPUNGE", within_s=AT_ONCE_S)
        append(other, "INBOX", letter("three"))
        idler.wait_for(b"* 2 EXISTS", within_s=AT_ONCE_S)


def test_many_sessions_of_one_person_all_see_it(installation: Installation) -> None:
    """Spread over the processes by the kernel, so that hints have to travel."""
    person = installation.person()
    idlers = [Idler(installation, person) for _ in range(12)]
    try:
        sent = letter("to all desks")
        deliver(installation, [person], sent)
        for idler in idlers:
            idler.wait_for(b"* 1 EXISTS", within_s=AT_ONCE_S)
    finally:
        for idler in idlers:
            idler.__exit__()
    (arrived,) = read_inbox(installation, person)
    assert_arrived(arrived, sent)
