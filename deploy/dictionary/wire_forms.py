"""ENVELOPE and BODYSTRUCTURE of letters, as a message's row keeps them: made by the mail server's own scanner."""

import random
import re

from deploy.dictionary.headers import Headers
from deploy.dictionary.letters import Letters
from mailserver.mime.description import describe

_CONTENT_FIELDS = re.compile(rb"^Content-[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*", re.MULTILINE)
_FIRST_BOUNDARY = re.compile(rb"(?:This is a multi-part message in MIME format\.\r\n)?--([^\r\n]+)\r\n")
_SUBTYPES = (b"alternative", b"alternative", b"mixed", b"related")
_TEXTS = (
    b"text/plain; charset=utf-8",
    b"text/plain; charset=us-ascii",
    b'text/plain; charset="UTF-8"; format=flowed',
    b"text/html; charset=UTF-8",
    b"text/plain; charset=gb18030",
    b'text/plain; charset="gb2312"',
    b"text/plain; charset=iso-2022-jp",
    b"text/plain; charset=iso-8859-1",
)
_ENCODINGS = (b"7bit", b"8bit", b"base64", b"quoted-printable")


class WireForms:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._headers, self._letters = Headers(rng), Letters(rng)

    def both(self) -> bytes:
        """One behind the other."""
        body = self._letters.body()
        header = _CONTENT_FIELDS.sub(b"", self._headers.section())[:-2] + self._fields(body) + b"\r\n"
        description = describe(header + body)
        return description.envelope + description.bodystructure

    def _fields(self, body: bytes) -> bytes:
        boundary = _FIRST_BOUNDARY.match(body)
        if boundary:
            return b'Content-Type: multipart/%s; boundary="%s"\r\n' % (self._rng.choice(_SUBTYPES), boundary.group(1))
        encoding = self._rng.choice(_ENCODINGS)
        return b"Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n" % (self._rng.choice(_TEXTS), encoding)
