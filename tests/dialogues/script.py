"""Conversations as text, and the player that holds them with a server over a socket.

# A comment says which rule is shown
SET message_limit_octets 1000       a setting of the door, before the first line
C: MAIL FROM:<a@b.test>             the client sends this line and CRLF
C> abc\\r\\n                          the client sends exactly these octets; \\r \\n \\0 \\\\ \\xff are understood
S: 250 2.1.0 Sender OK              the server says exactly this; … stands for anything
TLS                                 both sides begin TLS
CLOSED                              the server has hung up
DELIVERED ann@demo.test             the last message went to these people, and to nobody else
NOTHING DELIVERED
STORED Subject: x                   the last message has this line; … stands for anything
NOT STORED Bcc: …
ENVELOPE <a@b.test> RET=HDRS        the envelope of the last message, with the wishes of RFC 3461 and SMTPUTF8
ADDRESSED <c@d.test> NOTIFY=NEVER   one of its addressees, with the same
"""

import asyncio
import re
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from mailserver.smtp.config import SmtpConfig

REPLY_TIMEOUT_S = 10.0
_ESCAPES = {b"r": b"\r", b"n": b"\n", b"0": b"\0", b"\\": b"\\"}


@dataclass(frozen=True)
class Line:
    number: int
    word: str
    rest: str


@dataclass(frozen=True)
class Script:
    settings: dict[str, int | float]
    lines: tuple[Line, ...]


@dataclass(frozen=True)
class Stored:
    recipients: tuple[str, ...]
    octets: bytes
    envelope: str
    addressed: tuple[str, ...]


def read_script(path: Path) -> Script:
    kinds = {each.name: each.type for each in fields(SmtpConfig)}
    settings: dict[str, int | float] = {}
    lines = []
    for number, text in enumerate(path.read_text().splitlines(), 1):
        if not text.strip() or text.startswith("#"):
            continue
        word, _, rest = text.partition(" ")
        if text in ("C:", "S:"):
            word, rest = text, ""
        if word == "SET":
            name, value = rest.split()
            settings[name] = float(value) if kinds[name] in (float, "float") else int(value)
        else:
            lines.append(Line(number, word, rest))
    return Script(settings, tuple(lines))


async def play(
    script: Script, port: int, *, delivered: Callable[[], Sequence[Stored]], tls: ssl.SSLContext, is_tls_first: bool
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls if is_tls_first else None)
    try:
        for line in script.lines:
            try:
                async with asyncio.timeout(REPLY_TIMEOUT_S):
                    await _step(line, reader, writer, delivered, tls)
            except TimeoutError:
                raise AssertionError(f"line {line.number}: nothing came for: {line.word} {line.rest}") from None
    finally:
        writer.transport.abort()


async def _step(
    line: Line,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    delivered: Callable[[], Sequence[Stored]],
    tls: ssl.SSLContext,
) -> None:
    where = f"line {line.number}"
    match line.word:
        case "C:":
            writer.write(line.rest.encode() + b"\r\n")
        case "C>":
            writer.write(unescape(line.rest))
        case "S:":
            said = (await reader.readline()).decode().removesuffix("\r\n")
            assert matches(line.rest, said), f"{where}: expected {line.rest!r}, the server said {said!r}"
        case "TLS":
            await writer.start_tls(tls)
        case "CLOSED":
            said_more = await reader.read()
            assert said_more == b"", f"{where}: the server went on: {said_more!r}"
        case "DELIVERED":
            assert delivered(), f"{where}: nothing was delivered"
            assert delivered()[-1].recipients == tuple(line.rest.split()), where
        case "ENVELOPE":
            assert delivered()[-1].envelope == line.rest, f"{where}: {delivered()[-1].envelope}"
        case "ADDRESSED":
            assert line.rest in delivered()[-1].addressed, f"{where}: {delivered()[-1].addressed}"
        case "NOTHING":
            assert not delivered(), where
        case "STORED":
            assert any(matches(line.rest, each) for each in _stored_lines(delivered)), f"{where}: no line {line.rest!r}"
        case "NOT":
            pattern = line.rest.removeprefix("STORED ")
            assert not any(matches(pattern, each) for each in _stored_lines(delivered)), (
                f"{where}: there is {pattern!r}"
            )
        case _:
            raise ValueError(f"{where}: no such word, {line.word}")


def matches(pattern: str, text: str) -> bool:
    return re.fullmatch(".*".join(re.escape(part) for part in pattern.split("…")), text) is not None


def unescape(text: str) -> bytes:
    def octet(found: re.Match[bytes]) -> bytes:
        return bytes([int(found[1][1:], 16)]) if found[1].startswith(b"x") else _ESCAPES[found[1]]

    return re.sub(rb"\\(x[0-9a-f]{2}|.)", octet, text.encode())


def _stored_lines(delivered: Callable[[], Sequence[Stored]]) -> Iterator[str]:
    assert delivered(), "nothing was delivered"
    yield from delivered()[-1].octets.decode("utf-8", "replace").split("\r\n")
