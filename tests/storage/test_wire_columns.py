"""Wire forms packed by this version and those that stand as they are."""

import base64

import pytest

from storage import zstd
from storage.errors import ContentDamaged
from storage.wire_columns import PACKED_OCTETS, pack_wire, unpack_wire

ENVELOPE = (
    b'("Mon, 02 Nov 2026 10:00:00 +0000" "Lunch" (("Grace" NIL "grace" "elsewhere.test")) '
    b'(("Grace" NIL "grace" "elsewhere.test")) (("Grace" NIL "grace" "elsewhere.test")) '
    b'(("Ada" NIL "ada" "company.test")) NIL NIL NIL "<1@elsewhere.test>")'
)
BODYSTRUCTURE = b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 14 1 NIL NIL NIL NIL)'
PACKED = (
    "AQDqYDUALQMAs8MLmgz7wAz7MIzzBW8yMCItJTTiMlpXsXikEG/FA7l4LChehoTTVmCAOFEpW2oZyt4T/OAkF5NFdCIUF1UD6iYZ"
    "R6BwJE8HplcxeOZ1xOB5/J7b60J+z5jSIpRS7mMgzjMX/RI="
)


@pytest.mark.parametrize(
    ("envelope", "bodystructure"),
    [
        (ENVELOPE, BODYSTRUCTURE),
        (b"", b""),
        (ENVELOPE, b""),
        (ENVELOPE, BODYSTRUCTURE * 50),
        (ENVELOPE, BODYSTRUCTURE * 500),
        (b"x" * 256, bytes(PACKED_OCTETS - 256)),
    ],
)
def test_both_forms_come_back(envelope: bytes, bodystructure: bytes) -> None:
    assert unpack_wire(*pack_wire(envelope, bodystructure)) == (envelope, bodystructure)


def test_they_take_less_than_half_of_what_they_are() -> None:
    assert sum(map(len, pack_wire(ENVELOPE, BODYSTRUCTURE))) < (len(ENVELOPE) + len(BODYSTRUCTURE)) / 2


def test_long_ones_stand_as_they_are() -> None:
    assert pack_wire(ENVELOPE, BODYSTRUCTURE * 500) == (ENVELOPE, BODYSTRUCTURE * 500)


def test_those_of_an_earlier_version_open() -> None:
    assert unpack_wire(base64.b64decode(PACKED), b"") == (ENVELOPE, BODYSTRUCTURE)
    assert unpack_wire(ENVELOPE, BODYSTRUCTURE) == (ENVELOPE, BODYSTRUCTURE)


@pytest.mark.parametrize(
    "column",
    [
        b"\x01",
        b"\x01\x00\x00no frame",
        pack_wire(ENVELOPE, BODYSTRUCTURE)[0][:-1],
        b"\x01\xff\xff" + pack_wire(ENVELOPE, BODYSTRUCTURE)[0][3:],
        b"\x01\x00\x00" + zstd.WIRE_1.pack(bytes(PACKED_OCTETS + 1)),
    ],
    ids=["nothing", "no frame", "cut", "an envelope longer than both", "too long"],
)
def test_what_we_cannot_have_written_is_damaged(column: bytes) -> None:
    with pytest.raises(ContentDamaged):
        unpack_wire(column, b"")
