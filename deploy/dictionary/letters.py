"""Bodies of letters as they rest in a blob: everything below the header section, made of the phrases in `material/`.

Text in base64 is not here in that form: the codec keeps it decoded (storage/blobs/base64_runs.py), so what the
dictionary should know of it is the text itself, in the charsets that Chinese mail is written in.
"""

import binascii
import random
from collections.abc import Sequence
from itertools import pairwise

from deploy.dictionary.headers import paragraphs

_JUMPS = 0.7
_NAMES = 0.35  # words nobody has seen before
_CHINESE_CHARSETS = ("utf-8", "utf-8", "gb18030")


class _Babble:
    """New text from old, pair by pair: what a letter says is new, only its turns of phrase were seen before."""

    def __init__(self, rng: random.Random, tokens: Sequence[str]) -> None:
        self._rng = rng
        self._tokens = tokens
        self._after: dict[str, list[str]] = {}
        for first, second in pairwise(tokens):
            self._after.setdefault(first, []).append(second)

    def tokens(self, count: int) -> list[str]:
        said: list[str] = []
        token = self._rng.choice(self._tokens)
        for _ in range(count):
            said.append(token)
            is_jump = self._rng.random() < _JUMPS
            token = self._rng.choice(self._tokens if is_jump else self._after.get(token, self._tokens))
        return said


class Letters:
    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._english = paragraphs("english.txt")
        self._chinese = paragraphs("chinese.txt")
        self._html = paragraphs("html.txt")
        self._words = _Babble(rng, " ".join(self._english).split())
        self._characters = _Babble(rng, "".join(self._chinese))

    def _in_english(self) -> str:
        if self._rng.random() < 0.25:
            return self._rng.choice(self._english)
        words = self._words.tokens(self._rng.randint(12, 90))
        return " ".join(self._unseen() if self._rng.random() < _NAMES else word for word in words)

    def _in_chinese(self) -> str:
        if self._rng.random() < 0.25:
            return self._rng.choice(self._chinese)
        return "".join(self._characters.tokens(self._rng.randint(20, 120)))

    def _unseen(self) -> str:
        return "".join(self._rng.choices("etaoinshrdlucmfwyp0123", k=self._rng.randint(3, 10)))

    def body(self) -> bytes:
        """Below the header section of a letter of one part or of several."""
        kind = self._rng.random()
        if kind < 0.35:
            return self._text()[1]
        if kind < 0.5:
            return self._markup("utf-8")
        boundary = self._boundary()
        parts = [self._part(f"text/plain; charset={self._cased('utf-8')}", *self._text())]
        charset = self._rng.choice(("utf-8", "utf-8", "gb18030", "us-ascii"))
        if self._rng.random() < 0.6:
            octets = _quoted(self._markup(charset))
            parts.append(self._part(f"text/html; charset={self._cased(charset)}", "quoted-printable", octets))
        else:
            parts.append(self._part(f'text/html; charset="{self._cased(charset)}"', "7bit", self._markup(charset)))
        if self._rng.random() < 0.3:
            parts.append(self._attachment())
        opening = b"This is a multi-part message in MIME format.\r\n" if self._rng.random() < 0.3 else b""
        between = b"--" + boundary
        return opening + between + (b"\r\n" + between).join(parts) + b"\r\n" + between + b"--\r\n"

    def _text(self) -> tuple[str, bytes]:
        """The encoding, and the octets."""
        rng = self._rng
        if rng.random() < 0.3:
            text = "\n".join(self._in_chinese() for _ in range(rng.randint(3, 10)))
            return "base64", text.replace("\n", "\r\n").encode(rng.choice(_CHINESE_CHARSETS))
        paragraphs = [self._in_english() for _ in range(rng.randint(2, 12))]
        if rng.random() < 0.3:
            octets = "\n\n".join(paragraphs).encode()
            return "quoted-printable", _quoted(octets)
        text = "\n\n".join(_wrapped(each) for each in paragraphs)
        if rng.random() < 0.2:
            text += "\n\n" + "\n".join("> " + line for line in _wrapped(self._in_english()).split("\n"))
        return rng.choice(("7bit", "8bit", "7bit")), text.replace("\n", "\r\n").encode()

    def _markup(self, charset: str) -> bytes:
        rng = self._rng
        frame = rng.choice(self._html)
        speak = self._in_english if rng.random() < 0.7 else self._in_chinese
        phrases = [speak() for _ in range(rng.randint(2, 8))]
        tag = rng.choice(("p", "div", "p", "td", "span", "li"))
        text = "".join(
            rng.choice((f"<{tag}>{each}</{tag}>", f"<div>{each}</div>\n<div><br></div>\n")) for each in phrases
        )
        at = frame.find("</div>") if "</div>" in frame else frame.find("</td>")
        return (frame[:at] + text + frame[at:]).replace("\n", "\r\n").encode(charset, "xmlcharrefreplace")

    def _attachment(self) -> bytes:
        kind, name = self._rng.choice(
            (
                ("application/pdf", "invoice.pdf"),
                ("image/png", "image001.png"),
                ("image/jpeg", "IMG_0001.jpg"),
                ("application/octet-stream", "report.docx"),
                ("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet", "table.xlsx"),
                ("text/calendar; method=REQUEST", "invite.ics"),
            )
        )
        return (
            f'\r\nContent-Type: {kind}; name="{name}"\r\nContent-Disposition: attachment; filename="{name}"\r\n'
            f"Content-Transfer-Encoding: base64\r\nContent-ID: <{self._rng.getrandbits(40):x}>\r\n\r\n"
        ).encode()

    def _part(self, kind: str, encoding: str, octets: bytes) -> bytes:
        fields = [f"Content-Type: {kind}", f"Content-Transfer-Encoding: {encoding}"]
        if self._rng.random() < 0.2:
            fields.reverse()
        return b"\r\n" + "\r\n".join(fields).encode() + b"\r\n\r\n" + octets

    def _cased(self, charset: str) -> str:
        return charset.upper() if self._rng.random() < 0.5 else charset

    def _boundary(self) -> bytes:
        rng = self._rng
        number = rng.getrandbits(64)
        return rng.choice(
            (f"----=_Part_{number}", f"0000000000{number:018x}", f"Apple-Mail=_{number:016X}", f"=_{number:x}")
        ).encode()


def _quoted(octets: bytes) -> bytes:
    return binascii.b2a_qp(octets.replace(b"\r\n", b"\n"), istext=True).replace(b"\n", b"\r\n")


def _wrapped(paragraph: str, width: int = 72) -> str:
    lines, line = [], ""
    for word in paragraph.split(" "):
        if len(line) + len(word) > width:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\n".join([*lines, line])
