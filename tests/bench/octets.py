"""What mail takes on disk: PostgreSQL with its indexes (WAL apart) and S3, beside Dovecot's Maildir.

    python -m tests.bench.octets [--messages 10000] [--only mix,text] [--without-dovecot]

The same messages go into both. Ours is counted hot, as delivered, and cold: made older than 90 days, moved by the
tiering of upkeep in ten turns, its week of hot content dropped, its log of changes cut. Dovecot's is `du` of the
person's directory after a client listed the mailbox (its cache of envelopes is filled then; ours are stored at
delivery). Needs root, as `make bench` does.
"""

import argparse
import asyncio
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import count, islice
from pathlib import Path

from tests.bench.corpus import Corpus
from tests.bench.dovecot import DovecotAndPostfix
from tests.bench.load.options import Options
from tests.bench.load.rig import Rig
from tests.bench.octets_of_ours import Measured, Ours, Stored, batched
from tests.bench.target import Ports

_TEXT_KINDS = {"plain", "gb18030", "utf8", "japanese"}
_REPEATED = 0.3
_AIM = {"mix": 0.75, "text": 0.4, "short": 0.4}
_POSTGRES_AIM_OCTETS = 4096


def mix(corpus: Corpus) -> Iterator[bytes]:
    """The realistic mix, attachments up to 2 MB."""
    return (corpus.message(i) for i in count())


def text(corpus: Corpus) -> Iterator[bytes]:
    """Those of the mix that are text alone: 42 plain to 21 Chinese and Japanese, 4.6 KB in the mean."""
    return (corpus.message(i) for i in count() if corpus.kind(i) in _TEXT_KINDS)


def short(corpus: Corpus) -> Iterator[bytes]:
    """Plain text of 1 to 2 KB, header included."""
    sizes = random.Random(5)
    return (corpus.sized(i, sizes.randint(1000, 2000)) for i in count())


def page(corpus: Corpus) -> Iterator[bytes]:
    """Plain text of exactly 4 KB: one block of a Maildir, so the least that it ever wastes."""
    return (corpus.sized(i, 4096) for i in count())


def attached(corpus: Corpus) -> Iterator[bytes]:
    """Messages with attachments, all different."""
    return (corpus.message(i) for i in count() if corpus.kind(i) == "attachment")


def repeated(corpus: Corpus) -> Iterator[bytes]:
    """The same, but three of ten carry what an earlier one carried."""
    chance = random.Random(7)
    earlier: list[bytes] = []
    for message in attached(corpus):
        if earlier and chance.random() < _REPEATED:
            yield _with_the_attachments_of(message, chance.choice(earlier))
        else:
            earlier.append(message)
            yield message


CORPORA: dict[str, Callable[[Corpus], Iterator[bytes]]] = {
    each.__name__: each for each in (mix, text, short, page, attached, repeated)
}
_FEWER = {"attached": 0.1, "repeated": 0.1}


def _with_the_attachments_of(message: bytes, other: bytes) -> bytes:
    mine, theirs = _outer_boundary(message), _outer_boundary(other)
    text_end = message.index(
        b"\r\n" + mine + b"\r\nContent-Type: ", message.index(b"=_alt_", message.index(b"\r\n\r\n"))
    )
    their_end = other.index(b"\r\n" + theirs + b"\r\nContent-Type: ", other.index(b"=_alt_", other.index(b"\r\n\r\n")))
    return message[:text_end] + other[their_end:].replace(theirs, mine)


def _outer_boundary(message: bytes) -> bytes:
    at = message.index(b"=_mix_")
    return b"--" + message[at : message.index(b'"', at)]


async def fill_dovecot(peer: DovecotAndPostfix, user: int, messages: Iterator[bytes]) -> tuple[int, int]:
    """Octets of the person's directory after a client has listed it: on disk, and if a file took no more than it is."""
    rig = Rig(Options(name=peer.name, imap=peer.doors.imap, imaps=peer.doors.imaps))
    client = await rig.imap(user)
    for some in batched(messages, 50):
        await client.append_many(b"INBOX", some)
    await client.command(b"SELECT INBOX")
    await client.command(b"FETCH 1:* (FLAGS INTERNALDATE RFC822.SIZE ENVELOPE BODYSTRUCTURE)")
    await client.command(b"LOGOUT")
    client.close()
    await asyncio.sleep(1)  # its process writes the index as it ends
    home = str(peer.mail_of(user))
    sizes = [
        subprocess.run(["du", "-s", *how, home], check=True, capture_output=True, text=True).stdout.split()[0]  # noqa: ASYNC221
        for how in (("-B1",), ("-B1", "--apparent-size"))
    ]
    return int(sizes[0]), int(sizes[1])


def _tell(name: str, messages: int, octets: int, ours: Measured, dovecot: tuple[int, int] | None) -> None:
    print(f"\n{name}: {messages} messages, {octets / messages:,.0f} octets each")
    for state, stored in (("hot", ours.hot), ("cold", ours.cold)):
        postgres = (stored.octets - stored.objects) / messages
        line = f"  {state:5}{stored.octets / messages:10,.0f} a message: PostgreSQL {postgres:,.0f}"
        if stored.objects:
            line += f", S3 {stored.objects / messages:,.0f}"
        if dovecot is not None:
            line += f"; of Dovecot's {stored.octets / dovecot[0]:.3f}"
            line += f" (asked {_AIM[name]})" if state == "cold" and name in _AIM else ""
        print(line)
        _tell_tables(stored, messages)
    if dovecot is not None:
        print(
            f"  Dovecot {dovecot[0] / messages:,.0f} a message, {dovecot[1] / messages:,.0f} without its blocks' rests"
        )
    if (ours.cold.octets - ours.cold.objects) / messages > _POSTGRES_AIM_OCTETS:
        print(f"  more than {_POSTGRES_AIM_OCTETS} octets of PostgreSQL a message")


def _tell_tables(stored: Stored, messages: int) -> None:
    for name, table in sorted(stored.tables.items(), key=lambda each: -each[1].total):
        if table.total >= messages:
            sizes = f"{table.rows / messages:8.0f} {table.beside / messages:8.0f} {table.indexes / messages:8.0f}"
            print(f"    {name:20}{sizes}")


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--messages", type=int, default=10_000, help="a tenth of it with attachments alone")
    parser.add_argument("--only", default=",".join(CORPORA), help=f"of: {', '.join(CORPORA)}")
    parser.add_argument("--without-dovecot", action="store_true")
    parser.add_argument("--ports", type=int, default=Ports().peers, help="base of Dovecot's")
    options = parser.parse_args(arguments)
    names = options.only.split(",")
    if unknown := {*names} - {*CORPORA}:
        print(f"no such corpus: {', '.join(sorted(unknown))}", file=sys.stderr)
        return 2
    corpus = Corpus(1)
    with tempfile.TemporaryDirectory(prefix="waypost-octets-") as directory:
        Path(directory).chmod(0o755)  # Dovecot's users pass through
        peer = DovecotAndPostfix(Path(directory), Ports(peers=options.ports))
        try:
            if not options.without_dovecot:
                peer.start_for_seeding()
            for user, name in enumerate(names):
                messages = int(options.messages * _FEWER.get(name, 1))
                _run(name, messages, corpus, None if options.without_dovecot else peer, user)
        finally:
            peer.stop()
    return 0


def _run(name: str, messages: int, corpus: Corpus, peer: DovecotAndPostfix | None, user: int) -> None:
    octets = 0

    def counted() -> Iterator[bytes]:
        nonlocal octets
        octets = 0
        for message in islice(CORPORA[name](corpus), messages):
            octets += len(message)
            yield message

    with Ours() as ours:
        measured = asyncio.run(ours.measure(counted()))
    dovecot = asyncio.run(fill_dovecot(peer, user, counted())) if peer is not None else None
    _tell(name, messages, octets, measured, dovecot)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
