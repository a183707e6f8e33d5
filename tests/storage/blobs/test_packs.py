"""Packs and layouts, as values."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.blobs.layout import SealedChunk, pack_layout, unpack_layout
from storage.blobs.packs import SealedContent, build_pack, read_index
from storage.errors import ContentDamaged
from storage.types import BlobDigest

chunks = st.builds(SealedChunk, st.integers(1, 2**32 - 1), st.integers(0, 255), st.binary(max_size=80))
contents = st.builds(
    SealedContent,
    st.binary(min_size=20, max_size=20).map(BlobDigest),
    st.integers(0, 2**40),
    st.lists(chunks, min_size=1, max_size=4),
)


@given(st.lists(contents, max_size=8, unique_by=lambda content: content.digest))
def test_every_chunk_stands_where_the_row_will_say(given_contents: list[SealedContent]) -> None:
    pack = build_pack(given_contents)
    assert pack.sha256 == hashlib.sha256(pack.octets).digest()
    for content, blob in zip(given_contents, pack.blobs, strict=True):
        places = unpack_layout(blob.layout)
        assert [
            SealedChunk(place.key_id, place.codec, pack.octets[blob.offset + place.offset :][: place.octets])
            for place in places
        ] == list(content.chunks)
        assert (blob.digest, blob.octets, blob.stored_octets) == (content.digest, content.octets, content.stored_octets)


@given(st.lists(contents, max_size=8, unique_by=lambda content: content.digest))
def test_a_pack_tells_what_it_holds_without_any_row(given_contents: list[SealedContent]) -> None:
    pack = build_pack(given_contents)
    assert read_index(pack.octets) == list(pack.blobs)


ONE = build_pack([SealedContent(BlobDigest(b"d" * 20), 5, [SealedChunk(2, 0, b"sealed")])]).octets


@pytest.mark.parametrize(
    "octets",
    [b"", b"W", ONE[:-1], ONE[1:], ONE[:20] + ONE[40:], ONE[:8] + ONE[-8:]],
    ids=range(6),
)
def test_what_is_cut_or_altered_is_no_index(octets: bytes) -> None:
    with pytest.raises(ContentDamaged):
        read_index(octets)


SEALED_AT = len(b"WPPACK\0\1")


@pytest.mark.parametrize("at", [*range(SEALED_AT), *range(SEALED_AT + len(b"sealed"), len(ONE))])
def test_a_flipped_bit_anywhere_but_in_what_is_sealed_is_no_index(at: int) -> None:
    for bit in range(8):
        octets = bytearray(ONE)
        octets[at] ^= 1 << bit
        with pytest.raises(ContentDamaged):
            read_index(bytes(octets))


def test_a_cut_layout_is_damage() -> None:
    layout = pack_layout([SealedChunk(1, 1, b"xyz")])
    with pytest.raises(ContentDamaged):
        unpack_layout(layout[:-1])
