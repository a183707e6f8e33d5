"""Messages of every make that a store must give back octet for octet."""

import base64
import quopri
import random
from collections.abc import Iterator

CRLF = b"\r\n"


def lines_of(octets: bytes, length: int, *, ends: bool, line_end: bytes = CRLF) -> bytes:
    """base64 in lines of `length` characters."""
    encoded = base64.b64encode(octets)
    lines = [encoded[at : at + length] for at in range(0, len(encoded), length)]
    return line_end.join(lines) + (line_end if ends else b"")


def part(body: bytes, *fields: str) -> bytes:
    return CRLF.join(field.encode() for field in fields) + CRLF * 2 + body


def multipart(*parts: bytes, subject: str = "Parts", kind: str = "mixed") -> bytes:
    head = f'Subject: {subject}\r\nMIME-Version: 1.0\r\nContent-Type: multipart/{kind}; boundary="=b="\r\n\r\n'
    body = b"".join(b"--=b=" + CRLF + each + CRLF for each in parts)
    return head.encode() + body + b"--=b=--" + CRLF


def attachment(encoded: bytes) -> bytes:
    return part(encoded, "Content-Type: application/octet-stream", "Content-Transfer-Encoding: base64")


TEXT = part(b"See attached.", "Content-Type: text/plain")


def letters() -> Iterator[tuple[str, bytes]]:
    """A name and a message."""
    noise = random.Random(7)
    small, medium, large = (noise.randbytes(size) for size in (65 * 1024, 300_001, 3_000_000))
    yield "empty", b""
    yield "one octet", b"x"
    yield "no header end", b"Subject: nothing more"
    yield "no header end but CRLF", b"Subject: nothing more\r\n"
    yield "only an empty line", b"\r\n"
    yield "header alone", b"Subject: header alone\r\n\r\n"
    yield "body alone", b"\r\nbody alone"
    yield "plain", b"Subject: plain\r\n\r\nHello.\r\n"
    yield "bare line feeds", b"Subject: plain\n\nHello.\n"
    yield "NUL and 8-bit", b"Subject: \xff\0\xfe\r\nFrom: \0 <\xe4@b>\r\n\r\n\0\x80\xff" * 3
    yield "long text", b"Subject: long\r\n\r\n" + b"A line of a long text.\r\n" * 20_000
    yield (
        "8-bit text",
        b"Content-Type: text/plain; charset=gb18030\r\n\r\n" + ("你好，世界。\r\n" * 9000).encode("gb18030"),
    )
    yield "quoted-printable", part(
        quopri.encodestring(("Grüße an alle. " * 8000).encode()).replace(b"\n", CRLF),
        "Content-Type: text/plain; charset=utf-8", "Content-Transfer-Encoding: quoted-printable",
    )  # fmt: skip
    yield "header longer than its column", b"Subject: x\r\n" + b"X-Filler: " + b"f" * 300_000 + b"\r\n\r\nbody\r\n"
    yield "header of exactly its column", b"X: " + b"f" * (256 * 1024 - 7) + b"\r\n\r\nbody\r\n"
    for length in (76, 60, 72, 64, 4, 1024, 1028):
        for ends in (True, False):
            yield (
                f"base64 in lines of {length}, {'a' if ends else 'no'} CRLF at its end",
                multipart(TEXT, attachment(lines_of(small, length, ends=ends))),
            )
    for size in range(65_536, 65_542):
        yield f"base64 of {size} octets", multipart(attachment(lines_of(noise.randbytes(size), 76, ends=True)))
    yield "base64 in odd lines", multipart(attachment(lines_of(small, 75, ends=True)))
    yield "base64 in one line", multipart(attachment(lines_of(small, 10**9, ends=False)))
    yield "base64 with bare line feeds", multipart(attachment(lines_of(small, 76, ends=True, line_end=b"\n")))
    yield "base64 with a space", multipart(attachment(lines_of(small, 76, ends=True).replace(b"A", b" ", 1)))
    yield "base64 with an empty line at its end", multipart(attachment(lines_of(small, 76, ends=True) + CRLF))
    yield (
        "base64 with an empty line in it",
        multipart(attachment(lines_of(medium, 76, ends=True) + CRLF + lines_of(small, 76, ends=True))),
    )
    yield "base64 cut off", multipart(attachment(lines_of(small, 76, ends=False)[:-3]))
    yield "base64 with text after it", multipart(attachment(lines_of(small[:-1], 76, ends=True) + b"-- \r\nAn advert"))
    yield (
        "base64 with one longer line",
        multipart(attachment(lines_of(small, 76, ends=True) + b"A" * 80 + CRLF + lines_of(small, 76, ends=True))),
    )
    yield "base64 with stray bits", multipart(attachment(lines_of(small[:65_536], 76, ends=False)[:-3] + b"B=="))
    yield "base64 that is not", multipart(attachment(b"this is not base64! " * 5000))
    yield "base64 as the whole body", attachment(lines_of(medium, 76, ends=True))
    yield "of many megabytes", multipart(TEXT, attachment(lines_of(large, 76, ends=True)))
    yield "three equal attachments", multipart(TEXT, *[attachment(lines_of(medium, 76, ends=True))] * 3)
    yield "three equal large attachments", multipart(*[attachment(lines_of(large[:1_200_000], 72, ends=False))] * 3)
    yield "a binary part", multipart(part(large[:1_500_000], "Content-Type: application/x-binary"))
    yield (
        "nested",
        multipart(
            part(multipart(TEXT, attachment(lines_of(small, 76, ends=True))), "Content-Type: message/rfc822"),
            attachment(lines_of(medium, 60, ends=True)),
        ),
    )
    yield "no closing boundary", multipart(TEXT, attachment(lines_of(medium, 76, ends=True)))[:-9]
    yield "cut within base64", multipart(TEXT, attachment(lines_of(medium, 76, ends=True)))[:200_001]
