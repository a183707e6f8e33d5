"""A message with NUL octets made one without, losing nothing (RFC 3516 §4.4, §6).

No literal may hold a NUL, so BODY[…] could not show such a message. Parts that hold one come in base64 instead; the
rest stays as it is. BINARY gives back what was sent.
"""

from binascii import b2a_base64

from mailserver.mime.part import Part
from mailserver.mime.sections import header_fields
from mailserver.mime.structure import scan

_AS_IT_IS = frozenset({"7bit", "8bit", "binary"})
_LINE_OCTETS = 57  # 76 characters


class NulNotEncodable(Exception):
    """A NUL stands where no part's encoding could cover it: in a header, between parts, in an encoded part."""

    def __init__(self) -> None:
        super().__init__("a NUL stands outside of what could be encoded")


def without_nul(octets: bytes) -> bytes:
    """Raises NulNotEncodable."""
    root = scan(octets)
    out: list[bytes] = []
    at = 0
    for part in root.walk():
        body_end = part.body_offset + part.body_octets
        if part.children:
            if part.encoding == "binary":
                out += [octets[at : part.header_offset], _relabelled(octets, part, b"8bit", is_root=part is root)]
                at = part.body_offset
        elif b"\0" in octets[part.body_offset : body_end]:
            if part.encoding not in _AS_IT_IS:
                raise NulNotEncodable
            out += [octets[at : part.header_offset], _relabelled(octets, part, b"base64", is_root=part is root)]
            encoded = _base64_lines(octets[part.body_offset : body_end])
            out.append(encoded if body_end == len(octets) else encoded.removesuffix(b"\r\n"))
            at = body_end
    out.append(octets[at:])
    whole = b"".join(out)
    if b"\0" in whole:
        raise NulNotEncodable
    return whole


def _relabelled(octets: bytes, part: Part, encoding: bytes, *, is_root: bool) -> bytes:
    """The part's header with another Content-Transfer-Encoding."""
    header = octets[part.header_offset : part.header_offset + part.header_octets]
    kept = header_fields(header, [b"content-transfer-encoding"], exclude=True)
    end = b"\r\n" if kept.endswith(b"\r\n") else b"\n"
    fields = b"Content-Transfer-Encoding: " + encoding + end
    if is_root and not header_fields(header, [b"mime-version"], exclude=False).strip():
        fields = b"MIME-Version: 1.0" + end + fields
    return kept.removesuffix(end) + fields + end


def _base64_lines(octets: bytes) -> bytes:
    lines = [b2a_base64(octets[at : at + _LINE_OCTETS], newline=False) for at in range(0, len(octets), _LINE_OCTETS)]
    return b"\r\n".join(lines) + b"\r\n"
