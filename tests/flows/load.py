"""Several clients at once that hand over mail without a pause, and write down what was acknowledged."""

import contextlib
import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence

from tests.flows.clients import Dialogue
from tests.flows.installation import Installation, Person
from tests.flows.ledger import KEPT, Attempt, Ledger
from tests.flows.letters import attachment, letter, letter_with_attachment

MESSAGES_PER_CONNECTION = 25
_numbers = itertools.count()
_FLAGS = ("\\Seen", "\\Flagged", "\\Answered", "$Work")


class Ended(Exception):
    """The connection is gone, or this transaction is over."""


class Letters:
    """Messages of one client: mostly small ones, now and then a large attachment that others have as well."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self._attachments = [attachment(octets, octets) for octets in (3_000, 70_000, 250_000)]

    def next(self, sender: str = "grace@elsewhere.example") -> tuple[str, bytes]:
        """A key of its own, and the octets."""
        key = f"{next(_numbers)}.{self.chance.getrandbits(32):08x}"
        fields = {"message_id": f"<{key}@load.example>", "from": sender, "subject": f"第{key}封 of the load"}
        if self.chance.random() < 0.1:
            return key, letter_with_attachment(self.chance.choice(self._attachments), **fields)
        return key, letter(body="A line of text.\n" * self.chance.randrange(100), **fields)


@contextlib.contextmanager
def load_on(
    installation: Installation, companies: Sequence[Sequence[Person]], ledger: Ledger, seed: int
) -> Iterator[None]:
    """People of each company send and get mail while the block runs; on leaving, all clients have ended."""
    stop = threading.Event()
    everybody = [person for people in companies for person in people]
    first, *_ = companies
    works: list[Callable[[Letters], Iterator[None]]] = [
        lambda letters: send_by_smtp(installation, ledger, letters, first, most=1),
        lambda letters: send_by_smtp(installation, ledger, letters, first, most=4),
        lambda letters: send_by_smtp(installation, ledger, letters, everybody, most=len(everybody)),
        lambda letters: send_by_lmtp(installation, ledger, letters, everybody),
        lambda letters: submit(installation, ledger, letters, first),
        lambda letters: keep(installation, ledger, letters, first[0]),
        lambda letters: keep(installation, ledger, letters, first[-1]),
    ]

    def run(number: int, work: Callable[[Letters], Iterator[None]]) -> None:
        letters = Letters(random.Random(f"{seed} {number}"))
        while not stop.is_set():
            try:
                for _ in work(letters):
                    if stop.is_set():
                        break
            except TimeoutError as error:
                ledger.stuck.append(f"client {number}: {error!r}")
            except (Ended, OSError):
                stop.wait(0.02)  # so that clients do not spin while nobody listens
            except BaseException as error:
                ledger.broken.append(error)
                raise

    threads = [threading.Thread(target=run, args=each) for each in enumerate(works)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


# Each of these makes one connection and yields after every message.


def send_by_smtp(
    installation: Installation, ledger: Ledger, letters: Letters, people: Sequence[Person], *, most: int
) -> Iterator[None]:
    with Dialogue(installation, "smtp") as client:
        demand(ledger, client.greeting, "220")
        demand(ledger, client.ask("EHLO load.example"), "250")
        for _ in range(MESSAGES_PER_CONNECTION):
            chosen = letters.chance.sample(people, letters.chance.randint(1, most))
            hand_over(ledger, client, letters, chosen, "grace@elsewhere.example")
            yield


def submit(installation: Installation, ledger: Ledger, letters: Letters, people: Sequence[Person]) -> Iterator[None]:
    sender = letters.chance.choice(people)
    with Dialogue(installation, "submissions") as client:
        demand(ledger, client.greeting, "220")
        demand(ledger, client.ask("EHLO load.example"), "250")
        demand(ledger, client.ask(f"AUTH PLAIN {sender.sasl_plain}"), "235")
        for _ in range(MESSAGES_PER_CONNECTION):
            chosen = letters.chance.sample(people, letters.chance.randint(1, 2))
            hand_over(ledger, client, letters, chosen, sender.address)
            yield


def hand_over(ledger: Ledger, client: Dialogue, letters: Letters, people: Sequence[Person], sender: str) -> None:
    """One transaction of SMTP."""
    demand(ledger, client.ask(f"MAIL FROM:<{sender}>"), "250")
    for person in people:
        demand(ledger, client.ask(f"RCPT TO:<{person.address}>"), "250")
    demand(ledger, client.ask("DATA"), "354")
    key, octets = letters.next(sender)
    attempt = ledger.begin(Attempt(key, octets, people))
    client.data(octets)
    demand(ledger, client.reply(), "250")
    attempt.acknowledged = {person.address for person in people}


def send_by_lmtp(
    installation: Installation, ledger: Ledger, letters: Letters, people: Sequence[Person]
) -> Iterator[None]:
    with Dialogue(installation, "lmtp") as client:
        demand(ledger, client.greeting, "220")
        demand(ledger, client.ask("LHLO load.example"), "250")
        for _ in range(MESSAGES_PER_CONNECTION):
            chosen = letters.chance.sample(people, letters.chance.randint(1, 4))
            demand(ledger, client.ask("MAIL FROM:<>"), "250")
            for person in chosen:
                demand(ledger, client.ask(f"RCPT TO:<{person.address}>"), "250")
            demand(ledger, client.ask("DATA"), "354")
            key, octets = letters.next()
            attempt = ledger.begin(Attempt(key, octets, chosen))
            client.data(octets)
            for person in chosen:
                reply = client.reply()
                if reply.startswith("250"):
                    attempt.acknowledged.add(person.address)
                elif reply:
                    ledger.refused(reply)
                else:
                    raise Ended
            yield


def keep(installation: Installation, ledger: Ledger, letters: Letters, person: Person) -> Iterator[None]:
    """Append messages over IMAP, flag some of them, and move some to another mailbox."""
    chance = letters.chance
    with Dialogue(installation, "imaps") as client:
        demand(ledger, client.greeting, "* OK")
        tagged(ledger, client, f'LOGIN "{person.address}" "{person.password}"')
        client.tagged(f"CREATE {KEPT}")
        tagged(ledger, client, "SELECT INBOX")
        for _ in range(MESSAGES_PER_CONNECTION):
            key, octets = letters.next()
            flags = frozenset(chance.sample(_FLAGS, chance.randint(0, 2)))
            attempt = ledger.begin(Attempt(key, octets, [person], is_appended=True, flags=flags))
            client.send(f"t1 APPEND INBOX ({' '.join(flags)}) {{{len(octets)}+}}\r\n".encode() + octets + b"\r\n")
            done = finish(ledger, client)
            attempt.acknowledged.add(person.address)
            uid = done.partition("APPENDUID ")[2].partition("]")[0].split()[1]
            if chance.random() < 0.4:
                flag = chance.choice(_FLAGS)
                tagged(ledger, client, f"UID STORE {uid} +FLAGS ({flag})")
                attempt.flags |= {flag}
            if chance.random() < 0.4:
                tagged(ledger, client, f"UID MOVE {uid} {KEPT}")
                attempt.mailboxes = (KEPT,)
            yield


def demand(ledger: Ledger, reply: str, code: str) -> None:
    """Go on only if the server said this."""
    if not reply.startswith(code):
        if reply:
            ledger.refused(reply)
        raise Ended


def tagged(ledger: Ledger, client: Dialogue, command: str) -> str:
    client.send(f"t1 {command}\r\n".encode())
    return finish(ledger, client)


def finish(ledger: Ledger, client: Dialogue) -> str:
    lines = client.until_tagged()
    done = lines[-1] if lines else ""
    demand(ledger, done, "t1 OK")
    return done
