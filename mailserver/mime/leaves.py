"""Which parts are large enough to be stored by themselves, and whether they may be stored decoded."""

import binascii
from dataclasses import dataclass
from mmap import mmap

from mailserver.mime.part import Part


@dataclass(frozen=True, slots=True)
class Base64Layout:
    """How a base64 body is laid out: `decoded` written in lines of `line_octets` characters, each ended by CRLF, the
    last one too if `ends_in_crlf`."""

    line_octets: int
    ends_in_crlf: bool
    decoded: bytes


def leaves_over(root: Part, limit_octets: int) -> list[Part]:
    """The leaf parts whose bodies are longer than `limit_octets`, in the order of the message; they never overlap."""
    return [part for part in root.walk() if not part.children and part.body_octets > limit_octets]


def base64_layout(octets: bytes | mmap, part: Part) -> Base64Layout | None:
    """The layout of a part's encoded body, if encoding the decoded octets again gives back exactly the same octets.

    None if not: odd lines, other line ends, white space, data after the padding, or no base64 at all. The line length
    is a multiple of 4. Needs about three times the body in memory.
    """
    if part.encoding != "base64" or not part.body_octets:
        return None
    encoded = octets[part.body_offset : part.body_offset + part.body_octets]
    line_octets = encoded.find(b"\r\n")
    ends_in_crlf = encoded.endswith(b"\r\n")
    if line_octets < 0:
        line_octets = len(encoded)
    if line_octets == 0 or line_octets % 4:
        return None
    joined = encoded.replace(b"\r\n", b"")
    lines = -(-len(joined) // line_octets)
    breaks = lines if ends_in_crlf else lines - 1
    if len(joined) + 2 * breaks != len(encoded):
        return None
    stride = line_octets + 2
    returns, feeds = encoded[line_octets::stride], encoded[line_octets + 1 :: stride]
    whole = breaks - 1 if ends_in_crlf and len(joined) % line_octets else breaks
    if returns[:whole].count(b"\r") != whole or feeds[:whole].count(b"\n") != whole:
        return None
    try:
        decoded = binascii.a2b_base64(joined)
    except binascii.Error:
        return None
    if binascii.b2a_base64(decoded, newline=False) != joined:
        return None
    return Base64Layout(line_octets, ends_in_crlf, decoded)
