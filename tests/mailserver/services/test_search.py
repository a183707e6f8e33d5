"""SEARCH: every key against a small mailbox, and random programs against a naive reading by the standard library."""

import base64
import email
import email.policy
import random
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage

import pytest

from mailserver.services.content_search import field_pattern, field_values
from mailserver.services.search import Searched
from mailserver.services.search_keys import (
    AllOf,
    AmongPositions,
    AnyOf,
    BodyContains,
    ChangedSince,
    DateComparison,
    EnvelopeContains,
    EnvelopeField,
    Everything,
    HasFlag,
    HasKeyword,
    HeaderContains,
    InThread,
    IsMessage,
    LargerThan,
    NoneOf,
    ReceivedFrom,
    ReceivedOn,
    ReceivedUntil,
    SavedOn,
    SearchProgram,
    SentOn,
    SmallerThan,
    TextContains,
)
from mailserver.services.searching import Searches
from storage.store import MailStore
from storage.types import MessageId, Modseq, ThreadId
from tests.conftest import NOON, Company, plain_message
from tests.letters import attachment, lines_of, multipart, part
from tests.someone import ADD, ANSWERED, DELETED, DRAFT, FLAGGED, SEEN, Someone

BEFORE, ON, SINCE = DateComparison.BEFORE, DateComparison.ON, DateComparison.SINCE
NOV_2 = date(2026, 11, 2)
FROM, SUBJECT = EnvelopeField.FROM, EnvelopeField.SUBJECT


def encoded_word(text: str, charset: str) -> str:
    return f"=?{charset}?B?{base64.b64encode(text.encode(charset)).decode()}?="


CHINESE = (
    f"From: {encoded_word('王小明', 'gb18030')} <wang@elsewhere.test>\r\nTo: ada@company.test\r\n"
    f"Subject: {encoded_word('会议纪要：', 'gb18030')}\r\n {encoded_word('季度预算', 'gb18030')}\r\n"
    "Date: Mon, 2 Nov 2026 00:30:00 +0800 (CST)\r\nMessage-ID: <cn@elsewhere.test>\r\n"
    "Content-Type: text/plain; charset=gb18030\r\nContent-Transfer-Encoding: base64\r\n\r\n"
).encode() + base64.encodebytes("各位同事：附件是本季度的预算表，请查收。\r\n".encode("gb18030")).replace(
    b"\n", b"\r\n"
)
ATTACHED = multipart(
    part("Voilà l'été: die Straße.".encode(), "Content-Type: text/plain; charset=utf-8"),
    part(
        lines_of(b"%PDF secret words inside", 76, ends=True),
        'Content-Type: application/pdf; name="Quarterly Budget.pdf"',
        "Content-Transfer-Encoding: base64",
    ),
    part(b"", "Content-Type: image/png", "Content-Disposition: attachment; filename*=utf-8''%E9%A2%84%E7%AE%97.png"),
    subject="Attached",
)
LARGE = multipart(
    part(b"a short beginning", "Content-Type: text/plain"),
    part(b"filler " * 60_000 + b"needle at the end", "Content-Type: text/html"),
    attachment(lines_of(b"hidden " * 20_000, 76, ends=True)),
    subject="Large",
)

# uid, message, flags, received
MAILBOX: list[tuple[bytes, list[object], datetime]] = [
    (plain_message(1), [SEEN], NOON - timedelta(days=2)),
    (plain_message(2, body="Dinner at EIGHT", cc="Eve <eve@third.test>", x_empty=""), [SEEN, ANSWERED, "Work"], NOON),
    (CHINESE, [FLAGGED], NOON + timedelta(hours=11, minutes=59)),
    (ATTACHED, [DELETED, "home"], NOON + timedelta(hours=12)),
    (LARGE, [DRAFT], NOON + timedelta(days=3)),
    (b"no header at all\r\n\r\nlunch", [], NOON),
]

TABLE: list[tuple[str, SearchProgram, list[int]]] = [
    ("ALL", Everything(), [1, 2, 3, 4, 5, 6]),
    ("SEEN", HasFlag(SEEN), [1, 2]),
    ("ANSWERED", HasFlag(ANSWERED), [2]),
    ("FLAGGED", HasFlag(FLAGGED), [3]),
    ("DELETED", HasFlag(DELETED), [4]),
    ("DRAFT", HasFlag(DRAFT), [5]),
    ("UNSEEN", NoneOf(HasFlag(SEEN)), [3, 4, 5, 6]),
    ("KEYWORD work, in any case", HasKeyword("wORK"), [2]),
    ("UNKEYWORD home", NoneOf(HasKeyword("Home")), [1, 2, 3, 5, 6]),
    ("positions", AmongPositions((range(1, 3), range(5, 6))), [2, 3, 6]),
    ("no positions", AmongPositions(()), []),
    ("FROM", EnvelopeContains(FROM, "GRACE"), [1, 2]),
    ("FROM, encoded", EnvelopeContains(FROM, "小明"), [3]),
    ("FROM, the address", EnvelopeContains(FROM, "wang@elsewhere"), [3]),
    ("FROM, name and address", EnvelopeContains(FROM, "小明 <wang@"), [3]),
    ("FROM, any", EnvelopeContains(FROM, ""), [1, 2, 3]),
    ("TO", EnvelopeContains(EnvelopeField.TO, "ada@"), [1, 2, 3]),
    ("CC", EnvelopeContains(EnvelopeField.CC, "third"), [2]),
    ("BCC", EnvelopeContains(EnvelopeField.BCC, "third"), []),
    ("SUBJECT", EnvelopeContains(SUBJECT, "message"), [1, 2]),
    ("SUBJECT, two encoded words as one text", EnvelopeContains(SUBJECT, "纪要：季度"), [3]),
    ("SUBJECT, half-width for full-width", EnvelopeContains(SUBJECT, "纪要:季度"), [3]),
    ("SUBJECT, any", EnvelopeContains(SUBJECT, ""), [1, 2, 3, 4, 5]),
    ("SUBJECT with what no text holds", EnvelopeContains(SUBJECT, "\x01"), []),
    ("HEADER From", HeaderContains("from", "GRACE"), [1, 2]),
    ("HEADER From, encoded", HeaderContains("from", "小明"), [3]),
    ("HEADER Subject, two encoded words as one text", HeaderContains("subject", "纪要：季度"), [3]),
    ("HEADER that is there", HeaderContains("x-empty", ""), [2]),
    ("HEADER with a text", HeaderContains("message-id", "<2@"), [2]),
    ("HEADER that is nowhere", HeaderContains("x-nothing", ""), []),
    ("BODY", BodyContains("lunch"), [1, 6]),
    ("BODY, in any case", BodyContains("dinner at eight"), [2]),
    ("BODY in GB18030 and base64", BodyContains("预算表"), [3]),
    ("BODY, casefolded", BodyContains("STRASSE"), [4]),
    ("BODY, accents", BodyContains("VOILÀ"), [4]),
    ("BODY, the name of an attachment", BodyContains("budget.pdf"), [4]),
    ("BODY, a name in another notation", BodyContains("预算.png"), [4]),
    ("BODY does not look into what is not text", BodyContains("secret"), []),
    ("BODY does not look into large attachments", BodyContains("hidden"), []),
    ("BODY of a large part", BodyContains("needle at the end"), [5]),
    ("BODY is not the header", BodyContains("grace"), []),
    ("TEXT is the header too", TextContains("grace"), [1, 2]),
    ("TEXT in the body", TextContains("needle"), [5]),
    ("TEXT, encoded in the header", TextContains("王小明"), [3]),
    ("LARGER", LargerThan(100_000), [5]),
    ("LARGER excludes its number", LargerThan(len(LARGE)), []),
    ("SMALLER", SmallerThan(40), [6]),
    ("SMALLER excludes its number", SmallerThan(len(MAILBOX[5][0])), []),
    ("BEFORE", ReceivedOn(BEFORE, NOV_2), [1]),
    ("ON, to the last minute", ReceivedOn(ON, NOV_2), [2, 3, 6]),
    ("SINCE", ReceivedOn(SINCE, NOV_2 + timedelta(days=1)), [4, 5]),
    ("SENTON, as written before a comment", SentOn(ON, NOV_2), [1, 2, 3]),
    ("SENTBEFORE", SentOn(BEFORE, NOV_2), []),
    ("SENTSINCE has only what has a date", SentOn(SINCE, date(1990, 1, 1)), [1, 2, 3]),
    ("OLDER, to the second", ReceivedUntil(NOON + timedelta(milliseconds=999)), [1, 2, 6]),
    ("OLDER, a second too much", ReceivedUntil(NOON - timedelta(seconds=1)), [1]),
    ("YOUNGER, to the second", ReceivedFrom(NOON + timedelta(milliseconds=999)), [2, 3, 4, 5, 6]),
    ("YOUNGER, a second too much", ReceivedFrom(NOON + timedelta(seconds=1)), [3, 4, 5]),
    ("SAVEDBEFORE, long ago", SavedOn(BEFORE, date(2020, 1, 1)), []),
    ("SAVEDSINCE, long ago", SavedOn(SINCE, date(2020, 1, 1)), [1, 2, 3, 4, 5, 6]),
    ("EMAILID of nobody", IsMessage(MessageId(1)), []),
    ("THREADID of nobody", InThread(ThreadId(1)), []),
    ("OR", AnyOf((HasFlag(ANSWERED), HeaderContains("from", "wang"))), [2, 3]),
    ("AND", AllOf((HasFlag(SEEN), BodyContains("lunch"))), [1]),
    ("NOT OR", NoneOf(AnyOf((HasFlag(SEEN), BodyContains("needle")))), [3, 4, 6]),
    ("OR NOT", AnyOf((NoneOf(HasFlag(SEEN)), AllOf((HasFlag(ANSWERED), NoneOf(HasFlag(DELETED)))))), [2, 3, 4, 5, 6]),
    ("nothing of all", AllOf(()), [1, 2, 3, 4, 5, 6]),
    ("nothing of any", AnyOf(()), []),
]


@pytest.fixture(scope="module")
def shared_mailbox() -> dict[str, Someone]:
    return {}


@pytest.fixture
async def filed(store: MailStore, company: Company, shared_mailbox: dict[str, Someone]) -> Someone:
    """The mailbox above, made once."""
    if not shared_mailbox:
        someone = Someone(store, await company.person("ada"))
        for octets, values, received_at in MAILBOX:
            await someone.append("INBOX", octets, *values, received_at=received_at)  # type: ignore[arg-type]
        shared_mailbox["ada"] = someone
    return shared_mailbox["ada"]


async def searched(ada: Someone) -> Searched:
    shown = await ada.contents()
    return Searched(shown.mailbox.id, shown.uids, shown.flags, shown.keywords)


async def uids_in(ada: Someone, view: Searched, program: SearchProgram) -> list[int]:
    searches = Searches(ada.store)
    try:
        return [view.uids[position] for position in await searches.search(ada.who, view, program)]
    finally:
        await searches.close()


async def found(ada: Someone, program: SearchProgram) -> list[int]:
    return await uids_in(ada, await searched(ada), program)


@pytest.mark.parametrize(("program", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
async def test_each_key_finds_what_it_should(filed: Someone, program: SearchProgram, expected: list[int]) -> None:
    assert await found(filed, program) == expected


DATES = [
    # the Date field, the day as it is written
    ("Mon, 2 Nov 2026 00:05:00 +1400", NOV_2),
    ("Mon, 2 Nov 2026 23:55:00 -1200", NOV_2),
    ("Mon, 2 Nov 2026 23:59:59 +0000", NOV_2),
    ("Mon, 2 Nov 2026 00:00:00 +0800", NOV_2),
    ("Mon, 2 Nov 2026 00:00:00 +0800 (China Standard Time)", NOV_2),
    ("Mon, 2 Nov 2026 23:30:00 EST", NOV_2),
    ("Mon, 2 Nov 2026 23:30 -0500 (EST)", NOV_2),
    ("2 Nov 26 00:10 +0900", NOV_2),
    ("Mon Nov  2 23:10:00 2026", NOV_2),
    ("Sun, 1 Nov 2026 23:59:00 -1100", date(2026, 11, 1)),
    ("Tue, 3 Nov 2026 00:01:00 +1300", date(2026, 11, 3)),
]


@pytest.mark.parametrize(("written", "day"), DATES, ids=[row[0] for row in DATES])
async def test_the_day_sent_is_the_day_as_written(ada: Someone, written: str, day: date) -> None:
    await ada.receive(plain_message(1, date=written))
    for comparison, ask in ((BEFORE, lambda d: day < d), (ON, lambda d: day == d), (SINCE, lambda d: day >= d)):
        for near in (day - timedelta(days=1), day, day + timedelta(days=1), day - timedelta(30), day + timedelta(30)):
            assert await found(ada, SentOn(comparison, near)) == ([1] if ask(near) else []), (comparison, near)


async def test_a_modseq_finds_what_changed_since(ada: Someone) -> None:
    for number in range(3):
        await ada.receive(plain_message(number))
    (stored,) = await ada.flag("INBOX", [2], ADD, SEEN)
    assert await found(ada, ChangedSince(stored.modseq)) == [2]
    assert await found(ada, ChangedSince(Modseq(0))) == [1, 2, 3]


async def test_a_subject_longer_than_its_column_is_searched_to_its_end(ada: Someone) -> None:
    await ada.receive(plain_message(1, subject="\r\n ".join(f"word{number}" for number in range(2000)) + " tail"))
    assert await found(ada, EnvelopeContains(SUBJECT, "word1999 tail")) == [1]
    assert await found(ada, EnvelopeContains(SUBJECT, "word2000")) == []
    assert await found(ada, HeaderContains("subject", "word1999 tail")) == [1]


async def test_addresses_beyond_what_a_page_keeps_are_searched_too(ada: Someone) -> None:
    people = ",\r\n ".join(f"Person {number} <p{number}@third.test>" for number in range(400))
    await ada.receive(plain_message(1, to=people))
    await ada.receive(plain_message(2))
    assert await found(ada, EnvelopeContains(EnvelopeField.TO, "p399@third")) == [1]
    assert await found(ada, EnvelopeContains(EnvelopeField.TO, "p400@third")) == []


async def test_a_message_and_its_thread_are_found_by_their_ids(ada: Someone) -> None:
    first = await ada.receive(plain_message(1))
    await ada.receive(plain_message(2, in_reply_to="<1@elsewhere.test>"))
    await ada.receive(plain_message(3))
    assert await found(ada, IsMessage(first.message_id)) == [1]
    assert await found(ada, InThread(ThreadId(first.message_id))) == [1, 2]


async def test_a_header_longer_than_its_column_is_searched_to_its_end(ada: Someone) -> None:
    header = "".join(f"X-Filler-{number}: {'x' * 900}\r\n" for number in range(330)) + "X-Last: here at the end\r\n\r\n"
    await ada.receive(header.encode() + b"body")
    assert await found(ada, HeaderContains("x-last", "the END")) == [1]
    assert await found(ada, TextContains("here at the end")) == [1]


async def test_what_is_gone_is_not_found_by_what_must_be_read(ada: Someone) -> None:
    await ada.receive(plain_message(1))
    await ada.append("INBOX", plain_message(2), DELETED)
    view = await searched(ada)
    await ada.expunge()
    for program in (
        TextContains("noon"), BodyContains("noon"), LargerThan(1), HeaderContains("subject", "message"),
        EnvelopeContains(FROM, "grace"), EnvelopeContains(SUBJECT, "message"), SentOn(ON, NOV_2),
    ):  # fmt: skip
        assert await uids_in(ada, view, program) == [1]


@pytest.mark.parametrize(
    ("header", "values"),
    [
        (b"To: a\r\nTO: b\r\n\r\n", ["a", "b"]),
        (b"to : spaced\r\n\r\n", ["spaced"]),
        (b"To:\r\n folded\r\n\tagain\r\n\r\n", ["folded again"]),
        (b"X-To: a\r\n To: folded\r\n\r\n", []),
        (b"To: no line end", ["no line end"]),
        (b"To\r\n: a\r\n", []),
        (b" To: a\r\n", []),
        (b"To: \xd6\xd0\xce\xc4\r\n", ["中文"]),
        (b"", []),
    ],
)
def test_the_values_of_a_field(header: bytes, values: list[str]) -> None:
    assert list(field_values(header, field_pattern("to"))) == values


# -- random programs against a naive evaluation

WORDS = ["lunch", "Noon", "budget", "预算", "wang", "grace", "été", "message 1", "x", "zzz"]


class Naive:
    """A message as the standard library reads it."""

    def __init__(self, uid: int, octets: bytes, values: list[object], received_at: datetime, modseq: int) -> None:
        self.uid, self.octets, self.values = uid, len(octets), values
        self.received_at, self.modseq = received_at, modseq
        self.mail = email.message_from_bytes(octets, policy=email.policy.default)
        assert isinstance(self.mail, EmailMessage)
        self.header = "\n".join(f"{name}: {value}" for name, value in self.mail.items()).casefold()
        texts = [each.get_content() for each in self.mail.walk() if each.get_content_maintype() == "text"]
        inner = [f"{n}: {v}" for each in self.mail.walk() if each is not self.mail for n, v in each.items()]
        self.body = "\n".join([*texts, *inner]).casefold()

    def matches(self, program: SearchProgram) -> bool:
        match program:
            case Everything():
                return True
            case AllOf(keys):
                return all(self.matches(key) for key in keys)
            case AnyOf(keys):
                return any(self.matches(key) for key in keys)
            case NoneOf(key):
                return not self.matches(key)
            case AmongPositions(spans):
                return any(self.uid - 1 in span for span in spans)
            case EnvelopeContains(field, text):
                return any(text.casefold() in str(value).casefold() for value in self.mail.get_all(field.value, []))
            case HasFlag(flag):
                return flag in self.values
            case HasKeyword(keyword):
                return keyword.lower() in [each.lower() for each in self.values if isinstance(each, str)]
            case HeaderContains(name, text):
                return any(text.casefold() in str(value).casefold() for value in self.mail.get_all(name, []))
            case BodyContains(text):
                return text.casefold() in self.body
            case TextContains(text):
                return text.casefold() in self.header or text.casefold() in self.body
            case ReceivedOn(comparison, day):
                return compared(comparison, self.received_at.astimezone(UTC).date(), day)
            case SentOn(comparison, day):
                sent = self.mail["date"]
                return sent is not None and compared(comparison, sent.datetime.date(), day)
            case LargerThan(octets):
                return self.octets > octets
            case SmallerThan(octets):
                return self.octets < octets
            case ChangedSince(modseq):
                return self.modseq >= modseq
            case ReceivedUntil(moment):
                return self.received_at <= moment
            case ReceivedFrom(moment):
                return self.received_at >= moment
            case _:
                raise AssertionError(program)


def compared(comparison: DateComparison, found_day: date, day: date) -> bool:
    return {BEFORE: found_day < day, ON: found_day == day, SINCE: found_day >= day}[comparison]


def some_message(choose: random.Random, number: int) -> bytes:
    sent = datetime(2026, 11, choose.randint(1, 4), choose.choice([0, 12, 23]), 30)  # noqa: DTZ001 (its zone comes next)
    zone = choose.choice(["+0000", "+0800", "-1100", "+1300 (NZDT)"])
    words = " ".join(choose.sample(WORDS, 3))
    made = EmailMessage(policy=email.policy.SMTP)
    made["Subject"] = f"{words} message {number}"
    made["From"] = choose.choice(["Grace <grace@elsewhere.test>", "王小明 <wang@elsewhere.test>"])
    made["To"] = "Ada <ada@company.test>"
    made["Date"] = f"{sent:%a, %d %b %Y %H:%M:%S} {zone}"
    body = " ".join(choose.choices(WORDS, k=4)) * choose.choice([1, 1, 40])
    made.set_content(
        body, charset=choose.choice(["utf-8", "gb18030"]), cte=choose.choice(["base64", "quoted-printable"])
    )
    if choose.random() < 0.3:
        made.add_alternative(f"<p>{choose.choice(WORDS)}</p>" * choose.choice([1, 5000]), subtype="html")
    if choose.random() < 0.3:
        size = choose.choice([10, 70_000])
        name = f"{choose.choice(WORDS)}.bin"
        made.add_attachment(choose.randbytes(size), maintype="application", subtype="octet-stream", filename=name)
    return made.as_bytes()


def some_program(choose: random.Random, depth: int) -> SearchProgram:
    if depth and choose.random() < 0.6:
        inner = tuple(some_program(choose, depth - 1) for _ in range(choose.randint(1, 3)))
        return choose.choice([AllOf(inner), AnyOf(inner), NoneOf(inner[0])])
    day = date(2026, 11, choose.randint(1, 5))
    comparison, text = choose.choice([BEFORE, ON, SINCE]), choose.choice(WORDS)
    leaves: list[Callable[[], SearchProgram]] = [
        Everything,
        lambda: AmongPositions((range(choose.randint(0, 9), 12), range(choose.randint(13, 20), 30))),
        lambda: HasFlag(choose.choice([SEEN, ANSWERED, FLAGGED, DELETED])),
        lambda: HasKeyword(choose.choice(["work", "HOME"])),
        lambda: HeaderContains(choose.choice(["subject", "from", "to", "cc"]), choose.choice([text, ""])),
        lambda: EnvelopeContains(choose.choice(list(EnvelopeField)), choose.choice([text, ""])),
        lambda: BodyContains(text),
        lambda: TextContains(text),
        lambda: ReceivedOn(comparison, day),
        lambda: ReceivedUntil(NOON + timedelta(hours=choose.randint(-60, 60))),
        lambda: ReceivedFrom(NOON + timedelta(hours=choose.randint(-60, 60))),
        lambda: SentOn(comparison, day),
        lambda: LargerThan(choose.randint(200, 3000)),
        lambda: SmallerThan(choose.randint(200, 3000)),
        lambda: ChangedSince(Modseq(choose.randint(1, 40))),
    ]
    return choose.choice(leaves)()


@pytest.mark.parametrize("seed", range(3))
async def test_random_programs_find_what_a_naive_reading_finds(ada: Someone, seed: int) -> None:
    choose = random.Random(seed)
    mailbox = []
    for number in range(30):
        values: list[object] = choose.sample([SEEN, ANSWERED, FLAGGED, DELETED, "Work", "home"], choose.randint(0, 3))
        octets, received_at = some_message(choose, number), NOON + timedelta(hours=choose.randint(-60, 60))
        placed = await ada.append("INBOX", octets, *values, received_at=received_at)  # type: ignore[arg-type]
        mailbox.append(Naive(placed.uid, octets, values, received_at, placed.modseq))
    view, searches = await searched(ada), Searches(ada.store)
    for _ in range(150):
        program = some_program(choose, 3)
        expected = [each.uid for each in mailbox if each.matches(program)]
        positions = await searches.search(ada.who, view, program)
        assert [view.uids[position] for position in positions] == expected, program
    await searches.close()
