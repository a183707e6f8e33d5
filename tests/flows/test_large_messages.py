"""An attachment of 20 MB goes in by both ways and comes out byte for byte, in pieces too; memory stays bounded."""

from collections.abc import Iterator
from contextlib import contextmanager

from tests.flows.clients import Dialogue, append, bystander, deliver, read_inbox, sign_in
from tests.flows.installation import Installation
from tests.flows.letters import assert_arrived, attachment, letter_with_attachment
from tests.flows.processes import forget_peak, peak_octets, resident_octets

ATTACHMENT_OCTETS = 20_000_000
PIECE_OCTETS = 1_000_000


@contextmanager
def growth_at_most(installation: Installation, octets: int, *, afterwards: int) -> Iterator[None]:
    """No process of the mail server takes more than this beside what it had, nor keeps more than `afterwards`."""
    before = {pid: resident_octets(pid) for pid in installation.roles()}
    for pid in before:
        forget_peak(pid)
    yield
    for pid, role in installation.roles().items():
        assert pid in before, f"{role} was started again"
        peak, kept = peak_octets(pid) - before[pid], resident_octets(pid) - before[pid]
        print(f"{role} {pid}: {peak / 1e6:.0f} MB at the peak, {kept / 1e6:.0f} MB kept")
        assert peak <= octets, f"{role} took {peak} octets more"
        assert kept <= afterwards, f"{role} keeps {kept} octets"


def fetch_in_pieces(client: Dialogue, section: str, octets: int, *, piece: int = PIECE_OCTETS) -> bytes:
    """BODY.PEEK[section]<start.piece> again and again, as phones do."""
    gathered = []
    for start in range(0, octets, piece):
        client.send(b"t1 FETCH 1 (BODY.PEEK[%s]<%d.%d>)\r\n" % (section.encode(), start, piece))
        gathered.append(client.literal())
        assert client.until_tagged()[-1].startswith("t1 OK")
    return b"".join(gathered)


def test_20_mb_by_smtp_are_read_back_byte_for_byte(installation: Installation) -> None:
    person, colleague = installation.people(2)
    content = attachment(ATTACHMENT_OCTETS, 20)
    sent = letter_with_attachment(content, "Large by SMTP")
    with bystander(installation, colleague), growth_at_most(installation, 180_000_000, afterwards=60_000_000):
        deliver(installation, [person], sent)
        (arrived,) = read_inbox(installation, person)
        assert_arrived(arrived, sent)
        with Dialogue(installation, "imaps") as client:
            client.sign_in(person)
            client.tagged("SELECT INBOX")
            assert fetch_in_pieces(client, "", len(arrived)) == arrived
            encoded = sent[sent.index(b"base64\r\n\r\n") + 10 : sent.rindex(b"\r\n--")]
            assert fetch_in_pieces(client, "2", len(encoded), piece=3_333_333) == encoded


def test_20_mb_by_append_are_read_back_byte_for_byte(installation: Installation) -> None:
    person, colleague = installation.people(2)
    sent = letter_with_attachment(attachment(ATTACHMENT_OCTETS, 21), "Large by APPEND")
    with bystander(installation, colleague), growth_at_most(installation, 180_000_000, afterwards=60_000_000):
        with sign_in(installation, person) as client:
            append(client, "Drafts", sent)
        with Dialogue(installation, "imaps") as reader:
            reader.sign_in(person)
            reader.tagged("EXAMINE Drafts")
            assert fetch_in_pieces(reader, "", len(sent), piece=7_777_777) == sent


def test_the_same_attachment_to_five_people_takes_no_more_memory(installation: Installation) -> None:
    people = installation.people(5)
    sent = letter_with_attachment(attachment(ATTACHMENT_OCTETS, 22), "Large to five")
    with growth_at_most(installation, 180_000_000, afterwards=60_000_000):
        deliver(installation, people, sent)
        for person in people[:2]:
            (arrived,) = read_inbox(installation, person)
            assert_arrived(arrived, sent)
