"""Messages that are sent in these tests, and the comparison with what was kept of them."""

import base64
import random
import re
import zlib

BOUNDARY = "=_next-part_="
_TRACE = re.compile(rb"(?:Return-Path: <[^\r\n]*>\r\n)?Received: [^\r\n]*(?:\r\n[ \t][^\r\n]*)*\r\n")


def letter(subject: str = "Lunch", body: str = "At noon?", **fields: str) -> bytes:
    """A small message. Field names are given with underscores: message_id="<a@b>"."""
    header = {
        "From": "Grace <grace@elsewhere.example>",
        "To": "somebody@flows.test",
        "Subject": subject,
        "Date": "Mon, 02 Nov 2026 10:00:00 +0000",
        "Message-ID": f"<{zlib.crc32((subject + body).encode())}@elsewhere.example>",
        **{name.replace("_", "-").title().replace("-Id", "-ID"): value for name, value in fields.items()},
    }
    lines = [f"{name}: {value}" for name, value in header.items()]
    return ("\r\n".join(lines) + "\r\n\r\n" + body.replace("\n", "\r\n") + "\r\n").encode()


def letter_with_attachment(content: bytes, subject: str = "The plans", **fields: str) -> bytes:
    """Two parts: a line of text, and the content in base64."""
    encoded = base64.encodebytes(content).replace(b"\n", b"\r\n").decode("ascii")
    body = "\r\n".join(
        [
            f"--{BOUNDARY}",
            "Content-Type: text/plain; charset=utf-8",
            "",
            "They are attached.",
            f"--{BOUNDARY}",
            'Content-Type: application/octet-stream; name="plans.bin"',
            'Content-Disposition: attachment; filename="plans.bin"',
            "Content-Transfer-Encoding: base64",
            "",
            f"{encoded}--{BOUNDARY}--",
        ]
    )
    kind = f'multipart/mixed; boundary="{BOUNDARY}"'
    return letter(subject, "", mime_version="1.0", content_type=kind, **fields) + body.encode("ascii") + b"\r\n"


def attachment(octets: int, seed: int) -> bytes:
    """Content that no compression makes smaller."""
    return random.Random(seed).randbytes(octets)


def assert_arrived(kept: bytes, sent: bytes) -> None:
    """What was kept is what was sent, octet for octet, below the trace fields that we put in front."""
    assert kept.endswith(sent), f"{len(kept)} octets are kept of {len(sent)}: {kept[:600]!r}"
    trace = kept[: len(kept) - len(sent)]
    assert _TRACE.fullmatch(trace), trace
