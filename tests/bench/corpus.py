"""A deterministic corpus of realistic messages (RFC 5322): message i depends on (seed, i) alone.

    Corpus(seed).message(i)        message i of the realistic mix
    Corpus(seed).sized(i, 4096)    plain text of exactly that many octets
    Corpus(seed).tiny(i)           about 350 octets, for huge mailboxes

So two servers are filled alike. Needles are planted, for searches whose right answer is known (`needles`):
RARE in the body of every i % 3333 == 1111 (plain text), RARE_CJK in the GB18030, base64 coded body of every
i % 2500 == 1250, SUBJECT_KEY in the subject of every i % 100 == 7, FROM_KEY in the sender of every i % 50 == 3.
"""

import base64
import binascii
import random
import time
from bisect import bisect
from itertools import accumulate

from tests.bench.corpus_words import (
    CHINESE,
    CHINESE_CHARACTERS,
    DOMAINS,
    ENGLISH,
    FIRST_NAMES,
    JAPANESE,
    SYLLABLES,
    Zipf,
    grown,
)

RARE = "zyxquorvane"
RARE_CJK = "龘靐齉"
SUBJECT_KEY = "kumquatinvoice"
FROM_KEY = "marguerite"

MIX = {"plain": 42, "alternative": 30, "utf8": 8, "gb18030": 8, "japanese": 5, "attachment": 7}
"""Kinds of the realistic mix, in percent."""

_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_FILES = (
    ("report.pdf", "application/pdf"),
    ("photo.jpg", "image/jpeg"),
    ("=?GB18030?B?uai4uLXExeQ=?=.docx", "application/msword"),
    ("data.zip", "application/zip"),
)
_ENCODED_LINE = 78  # 76 columns of base64 and CRLF


class Corpus:
    def __init__(self, seed: int = 1, vocabulary: int = 20_000) -> None:
        self.seed = seed
        rng = random.Random(f"{seed}:vocabulary")
        self._english = Zipf(grown(ENGLISH, vocabulary, SYLLABLES, (2, 5), rng))
        self._chinese = Zipf(grown(CHINESE, 4000, CHINESE_CHARACTERS, (2, 2), rng), 0.9)
        self._japanese = Zipf(JAPANESE, 0.7)
        # one block of base64 lines; attachments are windows of it
        block = random.Random(f"{seed}:blob").randbytes(57 * 60_000)
        self._block = base64.encodebytes(block).replace(b"\n", b"\r\n")
        self._block_lines = len(self._block) // _ENCODED_LINE
        # paragraphs are used again by the sized and tiny messages: building those must be cheap
        paragraphs = random.Random(f"{seed}:pool")
        self._pool = [_wrapped(self._english.pick(paragraphs, 60)) for _ in range(3000)]
        self._kinds = list(MIX)
        self._kind_weights = list(accumulate(MIX.values()))

    def kind(self, i: int) -> str:
        if i % 3333 == 1111:
            return "plain"
        if i % 2500 == 1250:
            return "gb18030"
        at = random.Random(f"{self.seed}:k:{i}").random() * self._kind_weights[-1]
        return self._kinds[bisect(self._kind_weights, at)]

    def message(self, i: int, to: str = "u0000@example.test", *, largest_attachment: int = 2_000_000) -> bytes:
        kind = self.kind(i)
        rng = self._rng(i)
        head = self._head(rng, i, kind, to)
        match kind:
            case "plain":
                return _joined(head, self._plain(rng, i))
            case "japanese":
                text = self._sentences(rng, self._japanese, 200, 3000).encode("iso-2022-jp")
                head += ["Content-Type: text/plain; charset=iso-2022-jp", "Content-Transfer-Encoding: 7bit", "", ""]
                return _joined(head) + text
            case "gb18030" | "utf8":
                return self._chinese_message(rng, i, kind, head)
            case "alternative":
                boundary = f"=_alt_{i:08x}"
                head += [f'Content-Type: multipart/alternative; boundary="{boundary}"', ""]
                return _joined(head, self._alternative(rng, boundary))
            case _:
                return self._with_attachments(rng, i, head, largest_attachment)

    def sized(self, i: int, size: int, to: str = "u0000@example.test") -> bytes:
        rng = self._rng(i, "z")
        head = _joined([*self._head(rng, i, "plain", to), "Content-Type: text/plain; charset=us-ascii", "", ""])
        need = max(size - len(head), 2)
        paragraphs: list[str] = []
        have = 0
        while have < need:
            paragraphs.append(rng.choice(self._pool))
            have += len(paragraphs[-1])
        body = "".join(paragraphs)[: need - 2].rstrip("\r\n")
        return head + (body + "x" * (need - 2 - len(body)) + "\r\n").encode()

    def tiny(self, i: int, to: str = "u0000@example.test") -> bytes:
        return (
            f"From: {FIRST_NAMES[i % 26]}@{DOMAINS[i % 6]}\r\nTo: {to}\r\n"
            f"Subject: tiny {i} {self._english.words[i % 20_000]}\r\nDate: {_date(i)}\r\n"
            f"Message-ID: {self.message_id(i)}\r\n\r\n{self._pool[i % 3000][:150]}\r\n"
        ).encode()

    def message_id(self, i: int) -> str:
        return f"<{self.seed}.{i}.{(i * 2_654_435_761) % 2**32:08x}@{DOMAINS[i % 6]}>"

    def parent(self, i: int) -> int | None:
        """The message that i answers, or None: about half of them are replies."""
        chance = binascii.crc32(b"%d:%d" % (self.seed, i))
        if i == 0 or chance & 1:
            return None
        return max(0, i - 1 - (chance >> 8) % 40)

    def references(self, i: int) -> list[str]:
        references: list[str] = []
        parent = self.parent(i)
        while parent is not None and len(references) < 10:
            references.append(self.message_id(parent))
            parent = self.parent(parent)
        return references[::-1]

    # pieces

    def _rng(self, i: int, what: str = "m") -> random.Random:
        return random.Random(f"{self.seed}:{what}:{i}")

    def _head(self, rng: random.Random, i: int, kind: str, to: str) -> list[str]:
        name = FROM_KEY if i % 50 == 3 else rng.choice(FIRST_NAMES)
        domain = DOMAINS[rng.randrange(6)]
        date = _date(i)
        at = (i % 4000) * _ENCODED_LINE
        signature = self._block[at : at + 76 * 3].replace(b"\r\n", b"").decode()
        head = [
            f"Return-Path: <{name}@{domain}>",
            f"Received: from mx{i % 7}.{domain} (mx{i % 7}.{domain} [192.0.2.{i % 250}])\r\n"
            f"\tby mx.example.test (Postfix) with ESMTPS id {i:012X}\r\n\tfor <{to}>; {date}",
            f"Received: from localhost (localhost [127.0.0.1])\r\n"
            f"\tby mx{i % 7}.{domain} (Postfix) with ESMTP id {i:010X};\r\n\t{date}",
            f"DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d={domain}; s=s1;"
            f"\r\n\th=from:to:subject:date:message-id;"
            f"\r\n\tb={signature[:70]}\r\n\t {signature[70:140]}\r\n\t {signature[140:210]}",
            f"From: {self._display_name(rng, kind, name)} <{name}@{domain}>",
            f"To: {to}",
        ]
        if rng.random() < 0.3:
            head.append("Cc: " + ",\r\n ".join(_person(rng) for _ in range(rng.randint(1, 4))))
        head += [f"Subject: {self._subject(i, kind)}", f"Date: {date}", f"Message-ID: {self.message_id(i)}"]
        if references := self.references(i):
            head += [f"In-Reply-To: {references[-1]}", "References: " + "\r\n ".join(references)]
        if rng.random() < 0.15:
            head.append(f"List-Id: <dev.{domain}>\r\nList-Unsubscribe: <mailto:leave@{domain}>")
        if rng.random() < 0.05:
            head.append("X-Priority: 1\r\nPriority: urgent")
        return [*head, "MIME-Version: 1.0", "X-Mailer: corpus.py"]

    def _display_name(self, rng: random.Random, kind: str, name: str) -> str:
        if kind == "gb18030" and rng.random() < 0.5:
            return _encoded_words("".join(self._chinese.pick(rng, 2))[:4], "gb18030")
        if kind == "japanese" and rng.random() < 0.5:
            return _encoded_words("".join(self._japanese.pick(rng, 1))[:4], "iso-2022-jp")
        return name.title() + " " + rng.choice(ENGLISH).title()

    def _subject(self, i: int, kind: str) -> str:
        root = i
        while (parent := self.parent(root)) is not None and root - parent < 20:
            root = parent
        rng = self._rng(root, "s")
        key = " " + SUBJECT_KEY if i % 100 == 7 else ""
        reply = "Re: " if root != i else ""
        match kind:
            case "gb18030":
                return reply + _encoded_words("".join(self._chinese.pick(rng, 6)), "gb18030") + key
            case "utf8":
                return reply + _encoded_words("".join(self._chinese.pick(rng, 6)), "utf-8") + key
            case "japanese":
                return reply + _encoded_words("".join(self._japanese.pick(rng, 5)), "iso-2022-jp") + key
            case _:
                return reply + " ".join(self._english.pick(rng, rng.randint(3, 9))) + key

    def _plain(self, rng: random.Random, i: int) -> str:
        text = self._text(rng, 400, 9000)
        if i % 3333 == 1111:
            text += f"\r\nAnd the word is {RARE} indeed.\r\n"
        fields = ["Content-Type: text/plain; charset=us-ascii", "Content-Transfer-Encoding: 7bit", "", text]
        return "\r\n".join(fields)

    def _chinese_message(self, rng: random.Random, i: int, kind: str, head: list[str]) -> bytes:
        charset = "gb18030" if kind == "gb18030" else "utf-8"
        needle = RARE_CJK if i % 2500 == 1250 else ""
        text = self._sentences(rng, self._chinese, 200, 4000, needle).encode(charset)
        if kind == "utf8" and rng.random() < 0.3:
            encoding, encoded = "quoted-printable", binascii.b2a_qp(text.replace(b"\r\n", b"\n"), istext=True)
        else:
            encoding, encoded = "base64", base64.encodebytes(text)
        head += [f"Content-Type: text/plain; charset={charset}", f"Content-Transfer-Encoding: {encoding}", "", ""]
        return _joined(head) + encoded.replace(b"\n", b"\r\n")

    def _alternative(self, rng: random.Random, boundary: str) -> str:
        text = self._text(rng, 500, 6000)
        return (
            f"--{boundary}\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
            f"{text}\r\n--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n"
            f"Content-Transfer-Encoding: quoted-printable\r\n\r\n{_html(text)}\r\n--{boundary}--\r\n"
        )

    def _with_attachments(self, rng: random.Random, i: int, head: list[str], largest: int) -> bytes:
        inner, outer = f"=_alt_{i:08x}", f"=_mix_{i:08x}"
        head += [
            f'Content-Type: multipart/mixed; boundary="{outer}"',
            "",
            f'--{outer}\r\nContent-Type: multipart/alternative; boundary="{inner}"\r\n',
            self._alternative(rng, inner),
        ]
        pieces = [_joined(head)]
        for _ in range(1 if rng.random() < 0.75 else 2):
            lines = min(int(10_000 * (largest / 10_000) ** rng.random()) // _ENCODED_LINE, self._block_lines - 1)
            start = rng.randrange(self._block_lines - lines)
            name, content_type = rng.choice(_FILES)
            pieces.append(
                f'\r\n--{outer}\r\nContent-Type: {content_type}; name="{name}"\r\n'
                f"Content-Transfer-Encoding: base64\r\n"
                f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'.encode()
            )
            pieces.append(self._block[start * _ENCODED_LINE : (start + lines) * _ENCODED_LINE])
        pieces.append(f"\r\n--{outer}--\r\n".encode())
        return b"".join(pieces)

    def _text(self, rng: random.Random, least: int, most: int) -> str:
        size = int(least * (most / least) ** rng.random())
        paragraphs: list[str] = []
        have = 0
        while have < size:
            paragraphs.append(_wrapped(self._english.pick(rng, rng.randint(20, 90))))
            have += len(paragraphs[-1]) + 2
        return "\r\n".join(paragraphs)

    def _sentences(self, rng: random.Random, words: Zipf, least: int, most: int, needle: str = "") -> str:
        size = int(least * (most / least) ** rng.random())
        lines: list[str] = []
        have = 0
        while have < size:
            line = "".join(words.pick(rng, rng.randint(4, 14))) + "。"
            if rng.random() < 0.2:
                line += " " + " ".join(self._english.pick(rng, 3)) + " "
            lines.append(line)
            have += len(line)
        if needle:
            lines.insert(len(lines) // 2, needle)
        return "\r\n".join(lines) + "\r\n"


def needles(messages: int) -> dict[str, int]:
    """How many of the first messages hold each needle."""
    return {
        RARE: sum(i % 3333 == 1111 for i in range(messages)),
        RARE_CJK: sum(i % 2500 == 1250 for i in range(messages)),
        SUBJECT_KEY: sum(i % 100 == 7 for i in range(messages)),
        FROM_KEY: sum(i % 50 == 3 for i in range(messages)),
    }


def _joined(lines: list[str], *more: str) -> bytes:
    return "\r\n".join([*lines, *more]).encode()


def _wrapped(words: list[str], width: int = 72) -> str:
    lines: list[str] = []
    line: list[str] = []
    columns = 0
    for word in words:
        if columns + len(word) + 1 > width:
            lines.append(" ".join(line))
            line, columns = [], 0
        line.append(word)
        columns += len(word) + 1
    lines.append(" ".join(line))
    return "\r\n".join(lines) + "\r\n"


def _encoded_words(text: str, charset: str) -> str:
    """RFC 2047 B words, each under 75 columns, folded."""
    words = []
    for start in range(0, len(text), 10):
        encoded = base64.b64encode(text[start : start + 10].encode(charset)).decode()
        words.append(f"=?{charset.upper()}?B?{encoded}?=")
    return "\r\n ".join(words)


def _person(rng: random.Random) -> str:
    return f"{rng.choice(FIRST_NAMES).title()} <{rng.choice(FIRST_NAMES)}@{rng.choice(DOMAINS)}>"


def _date(i: int) -> str:
    t = time.gmtime(1_700_000_000 + i * 613)
    clock = f"{t.tm_hour:02d}:{t.tm_min:02d}:{t.tm_sec:02d}"
    return f"{_DAYS[t.tm_wday]}, {t.tm_mday:02d} {_MONTHS[t.tm_mon - 1]} {t.tm_year} {clock} +0000"


def _html(text: str) -> str:
    """As quoted-printable."""
    style = '<style type=3D"text/css">p.m{margin:0;font:14px Arial,sans-serif;color:#333}</style>'
    paragraphs = "".join(
        f'<p class=3D"m" style=3D"padding:4px 0">{paragraph}<br></p>\r\n' for paragraph in text.split("\r\n\r\n")
    )
    return (
        '<html><head><meta http-equiv=3D"Content-Type" content=3D"text/html; charset=3Dutf-8">\r\n'
        f'{style}</head><body bgcolor=3D"#ffffff">\r\n<div>\r\n{paragraphs}</div>\r\n'
        '<img src=3D"https://t.example.test/p.gif" width=3D"1"></body></html>\r\n'
    )
