"""An account as suites of conformance tests have it: letters of every kind in a few mailboxes, each with a name."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.webmail.jmap.client import Jmap

NOW = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
ME = "ada@company.test"
PICTURE = bytes.fromhex("ffd8ffe000104a46494600010100000100010000ffd9")
REPORT = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"


def days_ago(days: float) -> str:
    """A UTCDate with milliseconds, as JavaScript writes every date."""
    return (NOW - timedelta(days=days)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


@dataclass(frozen=True, slots=True)
class Letter:
    octets: bytes
    days: float
    boxes: Sequence[str]
    keywords: Sequence[str] = ("$seen",)


def letter(sender: str, subject: str, days: float, body: str = "", **fields: str) -> bytes:
    """`body` begins with an empty line, or with more fields of the header."""
    date = (NOW - timedelta(days=days)).strftime("%a, %d %b %Y %H:%M:%S +0000")
    header = {"From": sender, "To": ME, "Subject": subject, "Date": date, "Message-ID": f"<{days}-{sender[:4]}@t.test>"}
    header |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = [f"{name}: {value}" for name, value in header.items()]
    return ("\r\n".join([*lines, "MIME-Version: 1.0"]) + "\r\n" + body + "\r\n").encode()


def of_parts(subtype: str, *parts: str) -> str:
    opened = "".join(f"--b\r\n{part}\r\n" for part in parts)
    return f'Content-Type: multipart/{subtype}; boundary="b"\r\n\r\n{opened}--b--'


def encoded(octets: bytes, *header: str) -> str:
    lines = [*header, "Content-Transfer-Encoding: base64", "", base64.b64encode(octets).decode()]
    return "\r\n".join(lines)


def attached(octets: bytes, media_type: str, disposition: str, *more: str) -> str:
    return encoded(octets, f"Content-Type: {media_type}", f"Content-Disposition: {disposition}", *more)


def text(body: str) -> str:
    return f"Content-Type: text/plain; charset=UTF-8\r\n\r\n{body}"


def html(body: str) -> str:
    return f"Content-Type: text/html; charset=UTF-8\r\n\r\n<html><body>{body}</body></html>"


GRACE, LIN = "Grace Hopper <grace@elsewhere.test>", "Lin Mei <lin@elsewhere.test>"
PLAN = "Harbour plan"
LETTERS = {
    "plain": Letter(letter(GRACE, "Lighthouse visit", 10, text("We meet in the boat house at nine.")), 10, ["inbox"]),
    "report": Letter(
        letter(
            LIN,
            "Yearly tide report",
            9,
            of_parts(
                "mixed",
                html("<h1>Tides</h1>"),
                attached(REPORT, "application/pdf", 'attachment; filename="tide.pdf"'),
            ),
            Cc="kim@elsewhere.test",
        ),
        9,
        ["inbox"],
        ["$seen", "$flagged"],
    ),
    "opening": Letter(
        letter(ME, PLAN, 8, text("Shall we?"), To="grace@elsewhere.test", Message_ID="<plan-1@t.test>"), 8, ["A"]
    ),
    "answer": Letter(
        letter(
            GRACE, f"Re: {PLAN}", 7, text("Yes."),
            Message_ID="<plan-2@t.test>", In_Reply_To="<plan-1@t.test>", References="<plan-1@t.test>",
        ), 7, ["inbox"], [],
    ),
    "third": Letter(
        letter(
            LIN, f"Re: {PLAN}", 6, text("I bring the theremin."),
            To=f"{ME}, grace@elsewhere.test", Message_ID="<plan-3@t.test>",
            In_Reply_To="<plan-2@t.test>", References="<plan-1@t.test> <plan-2@t.test>",
        ), 6, ["inbox"], ["$answered"],
    ),
    "twice": Letter(letter("Tom <tom@elsewhere.test>", "Filed twice", 5, text("Here and there.")), 5, ["inbox", "A"]),
    "large": Letter(letter("Eve <eve@elsewhere.test>", "Long", 4, text("Much to say. " * 4_000)), 4, ["B"], []),
    "alternative": Letter(
        letter(
            "News <news@elsewhere.test>",
            "Weekly",
            3,
            of_parts("alternative", text("As text."), html("<p>As <b>HTML</b>.</p>")),
        ),
        3,
        ["inbox"],
    ),
    "untitled": Letter(letter("Una <una@elsewhere.test>", "", 2.1, text("No title.")), 2.1, ["inbox"]),
    "tagged": Letter(
        letter("Hal <hal@elsewhere.test>", "Tagged", 1, text("Labels.")),
        1,
        ["inbox"],
        ["$seen", "$forwarded", "errand"],
    ),
    "old": Letter(letter("Iris <iris@elsewhere.test>", "From the attic", 30, text("Old.")), 30, ["A"]),
    "blind": Letter(
        letter(ME, "Between us", 2, text("Psst."), To="jack@elsewhere.test", Bcc="kay@elsewhere.test"),
        2,
        ["A"],
        ["$seen", "$draft"],
    ),
    "list": Letter(
        letter(
            "List <list@elsewhere.test>", "To all", 1.1, text("Dear all."),
            List_Unsubscribe="<https://elsewhere.test/leave>", X_Parcel="number 31-7",
        ), 1.1, ["inbox"],
    ),
    "inline": Letter(
        letter(
            "Kate <kate@elsewhere.test>",
            "Look",
            0.5,
            of_parts(
                "related",
                html('<img src="cid:pier@t.test">'),
                attached(PICTURE, "image/jpeg", "inline", "Content-ID: <pier@t.test>"),
            ),
        ),
        0.5,
        ["inbox"],
    ),
    "japanese": Letter(
        letter("=?UTF-8?B?6YeR5Z+O?= <kin@elsewhere.test>", "=?UTF-8?B?5rWc6L6644Gn?=", 0.4, text("Hi.")),
        0.4,
        ["inbox"],
        [],
    ),
    "nested": Letter(letter("Nan <nan@elsewhere.test>", "Below", 5.1, text("Deep.")), 5.1, ["A1"]),
    "korean": Letter(
        letter(
            "=?EUC-KR?B?seS/tbjR?= <ko@elsewhere.test>",
            "=?EUC-KR?B?sNa0z7TZx9Cw+A==?=",
            0.3,
            encoded("테스트 이메일".encode("euc-kr"), "Content-Type: text/plain; charset=EUC-KR"),
        ),
        0.3,
        ["inbox"],
    ),
    "malformed": Letter(
        letter(
            "broken@elsewhere.test",
            "Not quite right",
            0.2,
            "Content-Type: text/plain; charset=us-ascii\r\n\r\n" + "x" * 1_500 + "\r\ncafé",
            X_Odd="with \x01\x02 inside",
        ),
        0.2,
        ["inbox"],
    ),
    "zara": Letter(letter("Zara <zara@elsewhere.test>", "Alder", 5.2, text("a" * 100)), 3.1, ["B"]),
    "amy": Letter(letter("Amy <amy@elsewhere.test>", "Birch", 3.2, text("b" * 500)), 2.2, ["B"], ["$seen", "$flagged"]),
    "mike": Letter(letter("Mike <mike@elsewhere.test>", "Cedar", 1.2, text("c" * 50)), 1.3, ["B"], []),
}  # fmt: skip
NEWEST_FIRST = sorted(LETTERS, key=lambda name: LETTERS[name].days)


@dataclass(frozen=True, slots=True)
class Account:
    """`boxes` by role, or the name of those that were made: A and B, and A1 and A2 below A."""

    jmap: Jmap
    boxes: dict[str, str] = field(default_factory=dict)
    emails: dict[str, str] = field(default_factory=dict)

    def names(self, ids: Iterable[str]) -> list[str]:
        """Of emails."""
        known = {email: name for name, email in self.emails.items()}
        return [known[email] for email in ids]

    async def found(self, filter_: Any, **more: Any) -> list[str]:
        return self.names((await self.jmap.call("Email/query", {"filter": filter_, **more}))["ids"])

    async def email(self, name: str, *properties: str, **more: Any) -> Any:
        asked = {"ids": [self.emails[name]], "properties": list(properties), **more}
        (shown,) = (await self.jmap.call("Email/get", asked))["list"]
        return shown

    async def draft(self, *boxes: str, **more: Any) -> str:
        """An Email of a few words; its id."""
        made = await self.jmap.call("Email/set", {"create": {"a": self.words(*boxes, **more)}})
        assert made["created"] is not None, made
        return str(made["created"]["a"]["id"])

    def words(self, *boxes: str, **more: Any) -> Mapping[str, Any]:
        return {
            "mailboxIds": {self.boxes[name]: True for name in boxes},
            "from": [{"name": "Ada", "email": self.jmap.person.address}],
            "to": [{"name": "Bob", "email": "bob@elsewhere.test"}],
            "subject": "A few words",
            "bodyStructure": {"type": "text/plain", "partId": "1"},
            "bodyValues": {"1": {"value": "Hello."}},
            **more,
        }

    async def destroy(self, *emails: str) -> Any:
        return await self.jmap.call("Email/set", {"destroy": list(emails)})


async def seeded(jmap: Jmap) -> Account:
    """All letters, imported."""
    account = Account(jmap)
    for box in (await jmap.call("Mailbox/get", {"ids": None}))["list"]:
        account.boxes[box["role"]] = box["id"]
    made = await jmap.call(
        "Mailbox/set",
        {
            "create": {
                "A": {"name": "A", "parentId": None},
                "B": {"name": "B", "parentId": None},
                "A1": {"name": "A1", "parentId": "#A"},
                "A2": {"name": "A2", "parentId": "#A"},
            }
        },
    )
    account.boxes.update({name: each["id"] for name, each in made["created"].items()})
    emails = {
        name: {
            "blobId": await jmap.upload(each.octets, "message/rfc822"),
            "mailboxIds": {account.boxes[box]: True for box in each.boxes},
            "keywords": dict.fromkeys(each.keywords, True),
            "receivedAt": days_ago(each.days),
        }
        for name, each in LETTERS.items()
    }
    imported = await jmap.call("Email/import", {"emails": emails})
    assert imported["notCreated"] is None, imported
    account.emails.update({name: each["id"] for name, each in imported["created"].items()})
    return account
