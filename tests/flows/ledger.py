"""What was tried and what was acknowledged, and the comparison with what is there afterwards."""

import imaplib
import re
import threading
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.flows.clients import Copy, read_mailbox, sign_in
from tests.flows.installation import Installation, Person
from tests.flows.letters import assert_arrived

KEPT = "Kept"
MAILBOXES = ("INBOX", KEPT)
_KEY = re.compile(rb"\r\nMessage-ID: <([^@>]+)@load\.example>\r\n")


@dataclass
class Attempt:
    """One message that a client tried to hand over, once."""

    key: str
    octets: bytes
    people: Sequence[Person]
    is_appended: bool = False
    acknowledged: set[str] = field(default_factory=set)
    """Addresses of those for whom the server said that it has the message."""
    flags: frozenset[str] = frozenset()
    """Acknowledged with the message, or by a later STORE."""
    mailboxes: tuple[str, ...] = MAILBOXES
    """Where it may be: one mailbox once a MOVE was acknowledged, or none was tried."""


class Ledger:
    """Shared by all clients of a load."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.attempts: dict[str, Attempt] = {}
        self.refusals: Counter[str] = Counter()
        self.stuck: list[str] = []
        self.broken: list[BaseException] = []

    def begin(self, attempt: Attempt) -> Attempt:
        with self._lock:
            self.attempts[attempt.key] = attempt
        return attempt

    def refused(self, reply: str) -> None:
        with self._lock:
            self.refusals[re.sub(r"<[^>]*> ", "", reply)] += 1

    @property
    def acknowledged(self) -> int:
        with self._lock:
            return sum(len(attempt.acknowledged) for attempt in self.attempts.values())

    def counts(self) -> str:
        tried = sum(len(attempt.people) for attempt in self.attempts.values())
        return f"{self.acknowledged} copies acknowledged of {tried} tried; refusals: {dict(self.refusals)}"


def assert_nothing_lost_or_doubled(installation: Installation, ledger: Ledger) -> None:
    """Every acknowledged message is there once and whole, every other one at most once and whole."""
    assert not ledger.broken, ledger.broken
    assert not ledger.stuck, f"waited for too long: {ledger.stuck}"
    people = {person.address: person for attempt in ledger.attempts.values() for person in attempt.people}
    there = {address: _read(installation, person) for address, person in people.items()}
    wrong = []
    for attempt in ledger.attempts.values():
        for person in attempt.people:
            copies = there[person.address].pop(attempt.key, [])
            wrong += [f"{attempt.key} for {person.address}: {what}" for what in _wrong_with(attempt, person, copies)]
    wrong += [f"{key} was never sent to {address}" for address, copies in there.items() for key in copies]
    assert not wrong, f"{len(wrong)} wrong, such as {wrong[:10]}"


def _wrong_with(attempt: Attempt, person: Person, copies: Sequence[tuple[str, Copy]]) -> Iterable[str]:
    is_acknowledged = person.address in attempt.acknowledged
    if len(copies) > 1 or (is_acknowledged and not copies):
        yield f"{len(copies)} copies, acknowledged: {is_acknowledged}"
    for mailbox, copy in copies:
        if attempt.is_appended:
            assert copy.octets == attempt.octets
        else:
            assert_arrived(copy.octets, attempt.octets)
        if is_acknowledged and not attempt.flags <= copy.flags:
            yield f"flags {set(copy.flags)} instead of {set(attempt.flags)}"
        if mailbox not in attempt.mailboxes:
            yield f"in {mailbox} instead of {attempt.mailboxes}"


def _read(installation: Installation, person: Person) -> dict[str, list[tuple[str, Copy]]]:
    """All copies that a person has, by the key of the attempt. The facts of every mailbox must agree."""
    found = defaultdict(list)
    with sign_in(installation, person) as client:
        for mailbox in MAILBOXES:
            if client.status(mailbox, "(MESSAGES)")[0] != "OK":
                continue
            copies = read_mailbox(client, mailbox)
            _assert_facts_agree(client, mailbox, copies)
            for copy in copies:
                key = _KEY.search(copy.octets)
                assert key, copy.octets[:300]
                found[key[1].decode()].append((mailbox, copy))
    return found


def _assert_facts_agree(client: imaplib.IMAP4, mailbox: str, copies: Sequence[Copy]) -> None:
    """STATUS counts what is there, uids ascend, and what is kept of each message beside its octets can be read."""
    uids = [copy.uid for copy in copies]
    assert uids == sorted(set(uids))
    _, (status,) = client.status(mailbox, "(MESSAGES UNSEEN UIDNEXT)")
    messages, unseen, uidnext = (int(number) for number in re.findall(rb" (\d+)", status))
    assert messages == len(copies)
    assert unseen == sum("\\Seen" not in copy.flags for copy in copies)
    assert uidnext > max(uids, default=0)
    if not copies:
        return
    _, lines = client.fetch("1:*", "(UID RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    assert len(lines) == len(copies)
    for line, copy in zip(lines, copies, strict=True):
        assert isinstance(line, bytes)
        assert b"(UID %d RFC822.SIZE %d ENVELOPE (" % (copy.uid, len(copy.octets)) in line
        assert b"@load.example>" in line
        assert b" BODYSTRUCTURE (" in line
