"""The columns that keep ENVELOPE and BODYSTRUCTURE as they go over the wire.

Short ones (nearly all) are packed together into the first column, to two fifths; the second is empty then. Opening them
costs a microsecond. Long ones, and those of before there was a dictionary for it, stand there as they are: an ENVELOPE
begins with a parenthesis.
"""

from collections.abc import Callable

from storage import zstd
from storage.errors import ContentDamaged

PACKED_OCTETS = 8192
"""Both together; longer ones are not packed, so that the length of the columns bounds what comes of them."""

_WIRE_1 = b"\x01"  # then the length of the ENVELOPE, 2 octets, and the frame
_FRAME_AT = 3


def pack_wire(envelope: bytes, bodystructure: bytes) -> tuple[bytes, bytes]:
    """The two columns."""
    if len(envelope) + len(bodystructure) > PACKED_OCTETS:
        return envelope, bodystructure
    packed = zstd.WIRE_1.pack(envelope + bodystructure)
    return b"".join((_WIRE_1, len(envelope).to_bytes(2), packed)), b""


def unpack_wire(envelope: bytes, bodystructure: bytes) -> tuple[bytes, bytes]:
    """Undo `pack_wire`. Raises ContentDamaged for what we cannot have written."""
    return wire_opener()(envelope, bodystructure)


def wire_opener() -> Callable[[bytes, bytes], tuple[bytes, bytes]]:
    """`unpack_wire` for this thread alone, faster: for those who open by the ten thousand."""
    open_forms = zstd.WIRE_1.opener(limit_octets=PACKED_OCTETS)

    def unpack(envelope: bytes, bodystructure: bytes) -> tuple[bytes, bytes]:
        if envelope[:1] != _WIRE_1:
            return envelope, bodystructure
        forms = open_forms(envelope[_FRAME_AT:])
        at = envelope[1] << 8 | envelope[2]
        if at > len(forms):
            raise ContentDamaged("the wire forms of a message are cut")
        return forms[:at], forms[at:]

    return unpack
