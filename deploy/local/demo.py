"""The mail of the demo tenant: what a small company wrote and received in the last three months.

`demo_messages` is pure: the same time and seed give the same octets. It tells the conversations of `demo_content` up
to now (an answer that would lie ahead is not yet there) and puts a copy into the mailbox of everyone of ours who took
part.
"""

import datetime as dt
import html
import random
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from typing import Any

from deploy.local.demo_content.attachments import make_attachment
from deploy.local.demo_content.conversations import Conversation, Turn, conversations
from deploy.local.demo_content.people import ADMINISTRATOR, COMPANY_ENGLISH, DOMAIN, PEOPLE, Person, person
from storage.types import Flags, SystemFlag

_POLICY = SMTP.clone(max_line_length=76)
_INBOX_DAYS = 21
_UNSEEN_DAYS = 4
_AT_ANY_HOUR = ("Builds", "Stations", "Newsletters", "Junk")


@dataclass(frozen=True, slots=True)
class DemoMessage:
    """One copy in one mailbox of `recipient`, an address of the demo tenant."""

    recipient: str
    folder: str
    flags: Flags
    octets: bytes
    received_at: dt.datetime


@dataclass(frozen=True, slots=True)
class _Told:
    """One message of a conversation, written out."""

    sender: Person
    to: tuple[Person, ...]
    cc: tuple[Person, ...]
    subject: str
    text: str
    sent_at: dt.datetime
    message_id: str
    octets: bytes


def demo_messages(now: dt.datetime, seed: int) -> list[DemoMessage]:
    """All copies, by time of arrival. `now` is aware."""
    copies: list[DemoMessage] = []
    for number, conversation in enumerate(conversations()):
        for values in conversation.values:
            chance = random.Random(f"{seed} {number} {sorted(values.items())}")
            told = list(_tell(conversation, values, now, chance))
            for position, message in enumerate(told):
                copies += _copies(message, told[position + 1 :], conversation.folder, now, chance)
    copies += _drafts(now, seed)
    copies += _welcomes(now, seed)
    return sorted(copies, key=lambda copy: copy.received_at)


def _tell(
    conversation: Conversation, given: Mapping[str, Any], now: dt.datetime, chance: random.Random
) -> Iterator[_Told]:
    began = now - dt.timedelta(days=float(given["age_days"]), minutes=chance.randint(0, 240))
    values = {"week": began.isocalendar().week, "month": f"{began.month} 月", **given}
    for role in ("buyer", "supplier"):
        if role in values:
            values[f"{role}_name"] = person(values[role]).name
    before: list[_Told] = []
    sent_at = began
    for position, turn in enumerate(conversation.turns):
        if position:
            sent_at += dt.timedelta(hours=turn.after_h * chance.uniform(0.8, 1.3), seconds=chance.randint(0, 59))
        if conversation.folder not in _AT_ANY_HOUR:
            sent_at = _in_working_hours(sent_at, person(_resolve(turn.sender, values)), chance)
        if sent_at > now:
            return
        told = _write(turn, conversation.subject, values, before, sent_at, chance)
        before.append(told)
        yield told


def _resolve(key: str, values: Mapping[str, Any]) -> str:
    key = key.strip("{}")
    return str(values.get(key, key))


def _in_working_hours(moment: dt.datetime, who: Person, chance: random.Random) -> dt.datetime:
    """People answer between eight and seven in their own zone, and rarely at weekends."""
    local = moment.astimezone(dt.timezone(dt.timedelta(hours=who.zone_h)))
    if local.hour >= 19:
        local = (local + dt.timedelta(days=1)).replace(hour=8, minute=chance.randint(5, 59))
    elif local.hour < 8:
        local = local.replace(hour=8, minute=chance.randint(5, 59))
    while local.weekday() >= 5 and chance.random() < 0.9:
        local += dt.timedelta(days=1)
    return local


def _write(
    turn: Turn,
    subject: str,
    values: Mapping[str, Any],
    before: Sequence[_Told],
    sent_at: dt.datetime,
    chance: random.Random,
) -> _Told:
    sender = person(_resolve(turn.sender, values))
    subject = ("Re: " if before else "") + subject.format(**values)
    text = f"{turn.text.format(**values)}\n\n-- \n{sender.signature}"
    text = text.replace("-- \n", "") if not sender.is_ours else text
    if before and turn.quotes:
        text += "\n\n" + _quoted(before[-1], sender)
    told = _Told(
        sender=sender,
        to=tuple(person(_resolve(key, values)) for key in turn.to),
        cc=tuple(person(_resolve(key, values)) for key in turn.cc),
        subject=subject,
        text=text,
        sent_at=sent_at.astimezone(dt.timezone(dt.timedelta(hours=sender.zone_h))).replace(microsecond=0),
        message_id=f"<{chance.getrandbits(80):020x}@{sender.address.partition('@')[2]}>",
        octets=b"",
    )
    return replace(told, octets=_compose(told, turn, before, chance).as_bytes(policy=_POLICY))


def _quoted(message: _Told, by: Person) -> str:
    if by.language == "zh":
        head = f"在 {message.sent_at:%Y-%m-%d %H:%M}，{message.sender.name} 写道："
    else:
        head = f"On {message.sent_at:%a, %d %b %Y at %H:%M}, {message.sender.name} wrote:"
    return "\n".join([head, *(("> " + line).rstrip() for line in message.text.split("\n"))])


def _compose(told: _Told, turn: Turn, before: Sequence[_Told], chance: random.Random) -> EmailMessage:
    message = EmailMessage(policy=_POLICY)
    message["From"] = _header_address(told.sender)
    message["To"] = [_header_address(who) for who in told.to]
    if told.cc:
        message["Cc"] = [_header_address(who) for who in told.cc]
    message["Subject"] = told.subject
    message["Date"] = told.sent_at
    message["Message-ID"] = told.message_id
    if before:
        message["In-Reply-To"] = before[-1].message_id
        message["References"] = " ".join(earlier.message_id for earlier in before)
    _set_text(message, told.text, turn.charset)
    if turn.html:
        message.add_alternative(_as_html(told), subtype="html", charset="utf-8")
    for filename in turn.attach:
        made = make_attachment(filename, told.subject, told.sent_at.astimezone(dt.UTC), chance)
        message.add_attachment(made.octets, maintype=made.maintype, subtype=made.subtype, filename=made.filename)
    for part in message.walk():
        if part.is_multipart():
            part.set_boundary(f"={chance.getrandbits(96):024x}")  # the library's own differs from run to run
    return message


def _header_address(who: Person) -> Address:
    local_part, _, domain = who.address.partition("@")
    return Address(who.name, local_part, domain)


def _set_text(message: EmailMessage, text: str, charset: str) -> None:
    if text.isascii():
        message.set_content(text, charset="us-ascii")
    elif charset == "utf-8":
        chinese = sum("一" <= letter <= "鿿" for letter in text)
        message.set_content(text, charset="utf-8", cte="base64" if chinese > len(text) // 6 else "quoted-printable")
    else:
        message.set_content(text, charset=charset, cte="base64")


def _as_html(told: _Told) -> str:
    """Paragraphs and lists of the text, links and prices marked, in the plain look of office mail."""
    blocks = []
    for block in told.text.split("\n\n"):
        lines = [html.escape(line) for line in block.split("\n")]
        items = [line.removeprefix("- ") for line in lines if line.startswith("- ")]
        numbered = [line.partition(". ")[2] for line in lines if re.match(r"\d\. ", line)]
        if items and len(items) == len(lines):
            blocks.append("<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>")
        elif numbered and len(numbered) == len(lines):
            blocks.append("<ol>" + "".join(f"<li>{item}</li>" for item in numbered) + "</ol>")
        elif lines[0].startswith("&gt;"):
            blocks.append(
                "<blockquote>" + "<br>".join(line.removeprefix("&gt;").strip() for line in lines) + "</blockquote>"
            )
        else:
            blocks.append("<p>" + "<br>\n".join(lines) + "</p>")
    body = "\n".join(blocks)
    body = re.sub(r"(\d[\d,.]* (?:EUR|USD|NTU|元|V\b))", r"<strong>\1</strong>", body)
    language = told.sender.language
    return (
        f'<!DOCTYPE html>\n<html lang="{language}"><head><meta charset="utf-8">\n'
        f"<title>{html.escape(told.subject)}</title>\n"
        "<style>body { font-family: sans-serif; font-size: 14px } blockquote { color: #666 }</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _copies(
    told: _Told, later: Sequence[_Told], folder: str, now: dt.datetime, chance: random.Random
) -> Iterator[DemoMessage]:
    if told.sender.is_ours:
        yield DemoMessage(told.sender.address, "Sent", Flags(SystemFlag.SEEN), told.octets, told.sent_at)
    arrived_at = told.sent_at + dt.timedelta(seconds=chance.randint(1, 8))
    for who in (*told.to, *told.cc):
        if who.is_ours and who != told.sender:
            age = now - told.sent_at
            yield DemoMessage(
                who.address,
                _filed(folder, age, chance),
                _flags_of(told, later, who, age, chance),
                told.octets,
                arrived_at,
            )


def _filed(folder: str, age: dt.timedelta, chance: random.Random) -> str:
    if folder == "Junk":
        return folder
    if age < dt.timedelta(days=_INBOX_DAYS) or chance.random() < 0.3:
        return "INBOX"
    return folder or chance.choice(("Archive", "Archive", "Trash"))


def _flags_of(told: _Told, later: Sequence[_Told], who: Person, age: dt.timedelta, chance: random.Random) -> Flags:
    answered = any(message.sender == who for message in later)
    flags = SystemFlag.ANSWERED if answered else SystemFlag(0)
    if answered or age > dt.timedelta(days=_UNSEEN_DAYS) or chance.random() < 0.4:
        flags |= SystemFlag.SEEN
    if flags & SystemFlag.SEEN and chance.random() < 0.08:
        flags |= SystemFlag.FLAGGED
    keywords = {"$Important"} if chance.random() < 0.03 else set()
    if answered and chance.random() < 0.1:
        keywords.add("$Forwarded")
    return Flags(flags, frozenset(keywords))


def _drafts(now: dt.datetime, seed: int) -> Iterator[DemoMessage]:
    """What people began to write and have not sent."""
    begun = (
        ("lin", "northlake", "Next year's frame contract", "Dear Ruth,\n\nas we said on the telephone,"),
        (
            "chen",
            "optics",
            "Sapphire windows, thinner",
            "Dear Mori-san,\n\ncould you make the window 1.5 mm thick instead of 2? The",
        ),
        ("zhang", "lin", "年终盘点安排", "林伟：\n\n今年盘点定在 12 月 28 日，样机清单请"),
        ("david", "seebach", "Service visit", "Dear Mr Groß,\n\nI could come to Grünau on"),
    )
    for number, (writer, reader, subject, text) in enumerate(begun):
        chance = random.Random(f"{seed} draft {number}")
        who, written_at = person(writer), now - dt.timedelta(hours=chance.uniform(2, 90))
        message = _plain(who, (person(reader),), subject, text, written_at, chance)
        yield DemoMessage(who.address, "Drafts", Flags(SystemFlag.DRAFT | SystemFlag.SEEN), message, written_at)


def _welcomes(now: dt.datetime, seed: int) -> Iterator[DemoMessage]:
    """The administrator's first mail to each, three months ago."""
    for key, who in PEOPLE.items():
        chance = random.Random(f"{seed} welcome {key}")
        sent_at = now - dt.timedelta(days=88, minutes=chance.randint(0, 30))
        text = (
            f"{who.name}，您好！\n\n您的邮箱 {who.address} 已开通。请在邮件客户端中使用完整地址登录，"
            "IMAP 与 SMTP 均为加密连接。\n\n"
            f"Welcome to {COMPANY_ENGLISH}. Your mailbox {who.address} is ready: sign in with the whole address,"
            " and let your client use TLS.\n\nWaypost"
        )
        octets = _plain(person(ADMINISTRATOR), (who,), "欢迎使用企业邮箱 / Welcome", text, sent_at, chance)
        yield DemoMessage(who.address, "INBOX", Flags(SystemFlag.SEEN), octets, sent_at)


def _plain(
    sender: Person, to: tuple[Person, ...], subject: str, text: str, moment: dt.datetime, chance: random.Random
) -> bytes:
    moment = moment.astimezone(dt.timezone(dt.timedelta(hours=sender.zone_h))).replace(microsecond=0)
    told = _Told(sender, to, (), subject, text, moment, f"<{chance.getrandbits(80):020x}@{DOMAIN}>", b"")
    return _compose(told, Turn(sender="", to=(), text=text), (), chance).as_bytes(policy=_POLICY)
