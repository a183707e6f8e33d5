"""The header section of a message on its way in: its end, its fields, what submission changes (RFC 5322, RFC 6409 §8).

Works on octets with a few searches; nothing is parsed that is not asked for, and every octet that is not named stays.
"""

import re
from collections.abc import Iterator

_EMPTY_LINE = b"\r\n\r\n"
# A field with its folded lines; blanks may follow the name (obsolete syntax, RFC 5322 §4.5).
_FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)(?:\r\n|\Z)")
_DROPPED_AT_SUBMISSION = frozenset({b"bcc", b"resent-bcc", b"return-path"})


def find_end(octets: bytes, start: int) -> int:
    """The offset after the header's last line, -1 if it is not there yet; nothing before `start` is looked at anew."""
    if octets.startswith(b"\r\n"):
        return 0
    end = octets.find(_EMPTY_LINE, max(0, start - 3))
    return end + 2 if end >= 0 else -1


def put_in_front(added: bytes, header: bytes) -> bytes:
    """`added` and the header. One that begins with a blank would be read as a fold of ours: it is all body."""
    return added + (b"\r\n" if header[:1] in (b" ", b"\t") else b"") + header


def count_received(header: bytes) -> int:
    lowered = header.lower()
    return lowered.count(b"\nreceived:") + lowered.startswith(b"received:")


def fields(header: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Lower-case names and bodies as they stand, folded and undecoded; lines that are no field are passed over."""
    for found in _fields(header):
        yield found[1].lower(), found[2]


def complete_for_submission(header: bytes, *, date: str, message_id: str) -> bytes:
    """The header without blind copies and return path, with Date and Message-ID in front where they were missing."""
    names = set()
    kept: list[bytes] = []
    copied_to = 0
    for found in _fields(header):
        name = found[1].lower()
        names.add(name)
        if name in _DROPPED_AT_SUBMISSION:
            kept.append(header[copied_to : found.start()])
            copied_to = found.end()
    added = b""
    if b"date" not in names:
        added += b"Date: %s\r\n" % date.encode("ascii")
    if b"message-id" not in names:
        added += b"Message-ID: <%s>\r\n" % message_id.encode("ascii")
    return added + b"".join(kept) + header[copied_to:]


def _fields(header: bytes) -> Iterator[re.Match[bytes]]:
    """Every field, in order. A line that is neither field nor folded is passed over with what is folded below it."""
    position = 0
    while position < len(header):
        found = _FIELD.match(header, position)
        if found is not None:
            yield found
            position = found.end()
            continue
        line_end = header.find(b"\r\n", position)
        position = line_end + 2 if line_end >= 0 else len(header)
