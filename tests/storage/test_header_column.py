"""Headers packed by this version and by those before it."""

import base64

import pytest

from storage import zstd
from storage.errors import ContentDamaged
from storage.header_column import HEADER_COLUMN_OCTETS, pack_header, unpack_header

HEADER = b"From: Ada <ada@company.test>\r\nSubject: Lunch\r\nMIME-Version: 1.0\r\n\r\n"
PACKED = {
    "a whole frame": (
        "KLUv/SBDGQIARnJvbTogQWRhIDxhZGFAY29tcGFueS50ZXN0Pg0KU3ViamVjdDogTHVuY2gNCk1JTUUtVmVyc2lvbjogMS4wDQoNCg=="
    ),
    "with header-1": "ASBDPQEAgEFkZG1wYW55Lkx1bmNoDQoG/OF4bCWLYB0CUgtxWOxJ2iZMf7oa",
}


@pytest.mark.parametrize("header", [b"", HEADER, HEADER * 1000, bytes(HEADER_COLUMN_OCTETS)])
def test_a_header_comes_back(header: bytes) -> None:
    assert unpack_header(pack_header(header)) == header


def test_the_dictionary_is_worth_a_third() -> None:
    assert len(pack_header(HEADER)) < len(zstd.pack(HEADER)) * 2 / 3


@pytest.mark.parametrize("packed", PACKED.values(), ids=PACKED)
def test_a_header_packed_by_an_earlier_version_opens(packed: str) -> None:
    assert unpack_header(base64.b64decode(packed)) == HEADER


@pytest.mark.parametrize(
    "packed", [b"", b"\x00\x11", b"\x01", b"\x01no frame", b"\x28", pack_header(HEADER)[:-1], HEADER]
)
def test_what_we_cannot_have_written_is_damaged(packed: bytes) -> None:
    with pytest.raises(ContentDamaged):
        unpack_header(packed)


def test_a_header_longer_than_the_column_keeps_is_damaged() -> None:
    with pytest.raises(ContentDamaged):
        unpack_header(pack_header(bytes(HEADER_COLUMN_OCTETS + 1)))
