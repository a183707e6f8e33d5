"""A Draft written as a message: header fields, parts, encodings (RFC 5322, RFC 2045, RFC 2231). Pure.

Line ends are CRLF; all but what the client gave raw, and messages within, is ASCII in lines of at most 998 octets.
"""

import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from mailserver.mime.charset import storable
from mailserver.mime.dates import format_date
from webmail.jmap.email_creation import Draft
from webmail.jmap.email_draft_parts import DraftPart
from webmail.jmap.encoded_words import folded

LONGEST_LINE_OCTETS = 998
_BASE64_OCTETS = 57  # 76 characters
_BLOCK_OCTETS = _BASE64_OCTETS * 4096
_PLAIN_PARAMETER = re.compile(r"[ !#-\[\]-~]{0,60}")
_PIECE_CHARACTERS = 50
_BARE_CR = re.compile(rb"\r(?!\n)")
_BARE_LF = re.compile(rb"(?<!\r)\n")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a message gets that its maker did not say. `token` makes boundaries that occur nowhere."""

    message_id: str
    date: datetime
    token: str


def compose(draft: Draft, blobs: Mapping[str, bytes], stamp: Stamp) -> bytes:
    """The whole message. `blobs` holds the content of all that the draft names."""
    given = {key for key, _ in draft.fields} | {_key(each) for each in draft.root.fields}
    out: list[bytes] = []
    if "message-id" not in given:
        out.append(folded("Message-ID", [f" <{stamp.message_id}>"]))
    if "date" not in given:
        out.append(folded("Date", [f" {format_date(stamp.date)}"]))
    out += [octets for _, octets in draft.fields]
    if "mime-version" not in given:
        out.append(b"MIME-Version: 1.0\r\n")
    boundaries = (f"=_{stamp.token}_{number}" for number in range(10**9))
    out += _part(draft.root, blobs, boundaries)
    if out[-1] and draft.root.blob_id is not None and not out[-1].endswith(b"\n"):
        out.append(b"\r\n")
    return b"".join(out)


def _key(field: bytes) -> str:
    return field.partition(b":")[0].decode("ascii", "replace").lower()


def _part(part: DraftPart, blobs: Mapping[str, bytes], boundaries: Iterator[str]) -> list[bytes]:
    """Header, empty line and body, without a line end that would belong to a boundary behind it."""
    if part.is_multipart:
        return _multipart(part, blobs, boundaries)
    if part.text is not None:
        octets = _BARE_LF.sub(b"\r\n", storable(part.text).encode("utf-8", "replace"))
        charset: str | None = "utf-8" if part.type.startswith("text/") else None
        encoding = "7bit" if _is_7bit(octets) else _shorter(octets)
    else:
        octets = blobs[part.blob_id or ""]
        charset = part.charset or _charset(part, octets)
        encoding = _encoding_of_blob(part, octets)
    header = [_content_type(part, [("charset", charset)] if charset else []), *_described(part)]
    if encoding != "7bit":
        header.append(f"Content-Transfer-Encoding: {encoding}\r\n".encode())
    return [*header, *part.fields, b"\r\n", *_encoded(octets, encoding)]


def _multipart(part: DraftPart, blobs: Mapping[str, bytes], boundaries: Iterator[str]) -> list[bytes]:
    boundary = next(boundaries)
    parameters = [("boundary", boundary)]
    if part.type == "multipart/related" and part.content_type is None:
        parameters.append(("type", part.sub_parts[0].type))
    out = [_content_type(part, parameters), *_described(part), *part.fields, b"\r\n"]
    for each in part.sub_parts:
        out += [f"--{boundary}\r\n".encode(), *_part(each, blobs, boundaries), b"\r\n"]
    out.append(f"--{boundary}--\r\n".encode())
    return out


def _content_type(part: DraftPart, parameters: Sequence[tuple[str, str]]) -> bytes:
    name = part.name if part.disposition is None and part.content_disposition is None else None
    if part.content_type is not None:
        given = part.content_type.rstrip().removesuffix(";")
        missing = [(key, value) for key, value in parameters if f"{key}=" not in given.lower().replace(" ", "")]
        more = "".join(f";\r\n {key}={_quoted(value)}" for key, value in missing)
        return f"Content-Type:{given}{more}\r\n".encode()
    pieces = [f" {part.type}"]
    for key, value in parameters:
        _add(pieces, key, value)
    if name is not None:
        _add(pieces, "name", name)
    return folded("Content-Type", pieces)


def _described(part: DraftPart) -> list[bytes]:
    """The other fields of content."""
    out: list[bytes] = []
    if part.content_disposition is not None:
        out.append(f"Content-Disposition:{part.content_disposition}\r\n".encode())
    elif part.disposition is not None:
        pieces = [f" {part.disposition}"]
        if part.name is not None:
            _add(pieces, "filename", part.name)
        out.append(folded("Content-Disposition", pieces))
    if part.cid is not None:
        out.append(folded("Content-ID", [f" <{part.cid}>"]))
    if part.language:
        tags = [f" {tag}," for tag in part.language[:-1]] + [f" {part.language[-1]}"]
        out.append(folded("Content-Language", tags))
    if part.location is not None:
        out.append(folded("Content-Location", [f" {part.location}"]))
    return out


def _add(pieces: list[str], name: str, value: str) -> None:
    """One parameter more; in pieces and percent-encoded where it is long or foreign (RFC 2231 §§3, 4)."""
    value = _CONTROLS.sub(" ", storable(value)).strip()
    pieces[-1] += ";"
    if _PLAIN_PARAMETER.fullmatch(value) and "=?" not in value:
        pieces.append(f" {name}={_quoted(value)}")
        return
    runs: list[str] = [""]
    for character in value:
        octets = quote(character, safe="", errors="replace")
        if len(runs[-1]) + len(octets) > _PIECE_CHARACTERS:
            runs.append("")
        runs[-1] += octets
    if len(runs) == 1:
        pieces.append(f" {name}*=utf-8''{runs[0]}")
        return
    for number, run in enumerate(runs):
        mark = "utf-8''" if number == 0 else ""
        pieces.append(f" {name}*{number}*={mark}{run}" + (";" if number < len(runs) - 1 else ""))


def _quoted(value: str) -> str:
    if value.isascii() and re.fullmatch(r"[\w.+-]+", value):
        return value
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _is_7bit(octets: bytes) -> bool:
    """Can it go as it is? Then all line ends are CRLF, and lines are short."""
    if not octets.isascii() or b"\0" in octets or _BARE_CR.search(octets) or _BARE_LF.search(octets):
        return False
    return all(len(line) <= LONGEST_LINE_OCTETS for line in octets.split(b"\r\n"))


def _shorter(octets: bytes) -> str:
    foreign = sum(map(len, re.findall(rb"[\x80-\xff=]+", octets)))
    return "base64" if foreign * 6 > len(octets) else "quoted-printable"


def _charset(part: DraftPart, octets: bytes) -> str | None:
    """Of a text that came as a blob without one: UTF-8, if that is what it is."""
    if not part.type.startswith("text/") or octets.isascii():
        return None
    try:
        octets.decode()
    except UnicodeDecodeError:
        return None
    return "utf-8"


def _encoding_of_blob(part: DraftPart, octets: bytes) -> str:
    """Content that came as octets goes so that exactly these come out. Messages are never encoded (RFC 2046 §5.2.1)."""
    if part.type.startswith("message/"):
        if _is_7bit(octets):
            return "7bit"
        is_short = all(len(line) <= LONGEST_LINE_OCTETS + 1 for line in octets.split(b"\n"))
        return "8bit" if is_short and b"\0" not in octets else "binary"
    return "7bit" if part.type.startswith("text/") and _is_7bit(octets) else "base64"


def _encoded(octets: bytes, encoding: str) -> Iterator[bytes]:
    if encoding == "base64":
        for at in range(0, len(octets), _BLOCK_OCTETS):
            block = octets[at : at + _BLOCK_OCTETS]
            if at:
                yield b"\r\n"
            yield b"\r\n".join(
                binascii.b2a_base64(block[line : line + _BASE64_OCTETS], newline=False)
                for line in range(0, len(block), _BASE64_OCTETS)
            )
    elif encoding == "quoted-printable":
        lines = octets.split(b"\r\n")
        yield b"\r\n".join(binascii.b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in lines)
    else:
        yield octets
