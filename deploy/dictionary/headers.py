"""Header sections as mail servers and mail programs write them, with random values: what a header dictionary learns.

The shapes are in `material/`, a paragraph each; this fills in what differs from message to message.
"""

import base64
import random
import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

MATERIAL = Path(__file__).with_name("material")
_LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_ZONES = ("+0000", "+0000 (UTC)", "+0800", "+0800 (CST)", "-0800 (PST)", "-0700 (PDT)", "-0500", "+0100", "+0200")
_DOMAINS = ("example.com", "example.org", "example.net", "mail.example.com", "corp.example", "lists.example.org")
_HOSTS = ("mx", "mail", "smtp", "mx1", "out", "mta", "relay", "mail-")
_NETWORKS = ("198.51.100.", "203.0.113.", "10.0.0.", "172.16.0.")
_FIRST = ("John", "Mary", "Peter", "Anna", "David", "Michael", "Sarah", "Thomas", "Wei", "Fang", "Maria", "James")
_LAST = ("Smith", "Jones", "Miller", "Brown", "Wilson", "Chen", "Zhang", "Garcia", "Müller", "Taylor", "Martin", "Lee")
_CHINESE_NAMES = ("张三", "李四", "王芳", "人力资源部", "客户服务", "陈伟", "销售部")
_ROLES = ("info", "noreply", "no-reply", "support", "sales", "service", "notifications", "admin", "newsletter")
_COMMON = "the a of to and for in on with your our new from update report order account project question about please"
_CHARSETS = ("UTF-8", "utf-8", "UTF-8", "gb2312", "gb18030", "GBK")
_SIGNATURE_OCTETS = 256  # of RSA with 2,048 bits
_HOLE = re.compile(r"\{(\w+)(?::(\d+))?\}")


def paragraphs(name: str) -> list[str]:
    return [each.strip("\n") for each in (MATERIAL / name).read_text().split("\n\n") if each.strip()]


class Headers:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._received, self._signatures = paragraphs("received.txt"), paragraphs("signatures.txt")
        self._scores, self._programs = paragraphs("scores.txt"), paragraphs("programs.txt")
        self._subjects = (MATERIAL / "words.txt").read_text().split("\n")[:-1]
        self._plain: dict[str, Callable[[], str]] = {
            "domain": lambda: rng.choice(_DOMAINS),
            "host": lambda: f"{rng.choice(_HOSTS)}{rng.choice(('', rng.randrange(99)))}.{rng.choice(_DOMAINS)}",
            "ip": lambda: rng.choice(_NETWORKS) + str(rng.randrange(256)),
            "time": lambda: str(rng.randrange(1_600_000_000, 1_800_000_000)),
            "uuid": lambda: str(UUID(int=rng.getrandbits(128))),
            "UUID": lambda: str(UUID(int=rng.getrandbits(128))).upper(),
            "date": self._date,
            "address": self._address,
            "person": self._person,
            "subject": self._subject,
            "id": self._message_id,
            "signature": self._signature,
        }
        self._counted: dict[str, Callable[[int], str]] = {
            "hex": lambda count: f"{rng.getrandbits(4 * count):0{count}x}",
            "HEX": lambda count: f"{rng.getrandbits(4 * count):0{count}X}",
            "digits": lambda count: f"{rng.randrange(10**count):0{count}}",
            "letters": lambda count: "".join(rng.choices(_LETTERS, k=count)),
            "LETTERS": lambda count: "".join(rng.choices(_LETTERS[:26] + _LETTERS[-10:], k=count)),
            "base64": lambda octets: base64.b64encode(rng.randbytes(octets)).decode(),
            "people": lambda most: ",\n ".join(self._person() for _ in range(rng.randint(1, most))),
            "ids": lambda most: rng.choice((" ", "\n ")).join(self._message_id() for _ in range(rng.randint(1, most))),
        }

    def section(self) -> bytes:
        """A whole header section with its empty line."""
        rng = self._rng
        fields = []
        if rng.random() < 0.7:
            fields.append(f"Return-Path: <{rng.choice(('{address}', '{address}', ''))}>")
        if rng.random() < 0.4:
            fields.append(rng.choice(("Delivered-To: ", "X-Original-To: ", "Envelope-To: ")) + "{address}")
        fields += rng.choices(self._received, k=rng.randint(1, 4))
        fields += rng.choices(self._signatures, k=rng.randint(0, 3))
        if rng.random() < 0.3:
            fields.append(rng.choice(self._scores))
        program = rng.choice(self._programs)
        if rng.random() < 0.5:  # no reply
            program = re.sub(r"^(In-Reply-To|References):.*\n", "", program, flags=re.MULTILINE)
        text = _HOLE.sub(self._filled, "\n".join([*fields, program]))
        return (text + "\n\n").replace("\n", "\r\n").encode()

    def _filled(self, hole: re.Match[str]) -> str:
        name, count = hole.groups()
        return self._plain[name]() if count is None else self._counted[name](int(count))

    def _date(self) -> str:
        rng = self._rng
        clock = f"{rng.randrange(24):02d}:{rng.randrange(60):02d}:{rng.randrange(60):02d}"
        day = f"{rng.randint(1, 30):{rng.choice(('d', '02d'))}}"
        return (
            f"{rng.choice(_DAYS)}, {day} {rng.choice(_MONTHS)} {rng.randint(2022, 2028)} {clock} {rng.choice(_ZONES)}"
        )

    def _address(self) -> str:
        rng = self._rng
        first, last = rng.choice(_FIRST).lower(), rng.choice(_LAST).lower().replace("ü", "ue")
        unseen = "".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(4, 9)))
        return f"{rng.choice((f'{first}.{last}', first, unseen, unseen, rng.choice(_ROLES)))}@{rng.choice(_DOMAINS)}"

    def _person(self) -> str:
        rng = self._rng
        name = rng.choice(_CHINESE_NAMES) if rng.random() < 0.25 else f"{rng.choice(_FIRST)} {rng.choice(_LAST)}"
        named = self._encoded(name) if not name.isascii() else rng.choice((name, name, f'"{name}"'))
        return rng.choice((f"{named} <{self._address()}>", f"{named} <{self._address()}>", self._address()))

    def _subject(self) -> str:
        rng = self._rng
        if rng.random() < 0.3:
            words = rng.choices(_COMMON.split(), k=rng.randint(3, 8))
            return rng.choice(("", "Re: ", "RE: ", "Fwd: ")) + " ".join(words)
        subject = rng.choice(self._subjects)
        return subject if subject.isascii() else self._encoded(subject)

    def _encoded(self, text: str) -> str:
        """As an encoded word (RFC 2047)."""
        charset = self._rng.choice(_CHARSETS)
        octets = text.encode(charset, "replace")
        if self._rng.random() < 0.2:
            return f"=?{charset}?Q?{quote(octets, safe='').replace('%', '=')}?="
        return f"=?{charset}?B?{base64.b64encode(octets).decode()}?="

    def _message_id(self) -> str:
        form = self._rng.choice(
            ("{uuid}@{domain}", "{letters:20}@{domain}", "CA{letters:48}@{domain}", "20{digits:12}.{letters:8}@{host}",
             "{digits:9}.{digits:4}.{digits:12}@{host}", "tencent_{HEX:40}@{domain}", "{UUID}@{domain}",
             "{hex:32}@{domain}")
        )  # fmt: skip
        return f"<{_HOLE.sub(self._filled, form)}>"

    def _signature(self) -> str:
        rng = self._rng
        signature = base64.b64encode(rng.randbytes(rng.choice((_SIGNATURE_OCTETS // 2, _SIGNATURE_OCTETS)))).decode()
        columns, fold = rng.choice((64, 70, 72, 76)), rng.choice(("\n\t ", "\n         ", "\n "))
        return fold.join(signature[at : at + columns] for at in range(0, len(signature), columns))
