"""DEFLATE with bounded memory (RFC 4978)."""

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.imap.wire.compression import PIECE_OCTETS, CompressedDataInvalid, Compression


def everything(compression: Compression) -> bytes:
    return b"".join(iter(compression.inflate, b""))


def raw(data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush(flush)


@given(pieces=st.lists(st.binary(max_size=300)), rests=st.booleans(), cut=st.integers(1, 50))
def test_what_one_end_deflates_the_other_inflates(pieces: list[bytes], rests: bool, cut: int) -> None:
    """However the network cuts it, and though the sender forgets what it has sent."""
    server, client = Compression(), Compression()
    for piece in pieces:
        sent = server.deflate(piece)
        received = b""
        for start in range(0, len(sent), cut):
            client.receive(sent[start : start + cut])
            received += everything(client)
        assert received == piece  # nothing is held back for later
        if rests:
            server.rest()


def test_a_bomb_is_inflated_a_piece_at_a_time() -> None:
    compression = Compression()
    compression.receive(raw(b" " * 50_000_000))
    held = compression.pending_octets
    assert held < 60_000
    for _ in range(10):
        assert len(compression.inflate()) == PIECE_OCTETS
        assert compression.pending_octets <= held


def test_what_is_no_deflate_is_refused() -> None:
    compression = Compression()
    compression.receive(b"a1 NOOP\r\n")
    with pytest.raises(CompressedDataInvalid):
        everything(compression)


def test_nothing_may_follow_the_end_of_the_stream() -> None:
    compression = Compression()
    compression.receive(raw(b"a1 LOGOUT\r\n", zlib.Z_FINISH))
    assert everything(compression) == b"a1 LOGOUT\r\n"
    compression.receive(b"more")
    with pytest.raises(CompressedDataInvalid):
        compression.inflate()


def test_what_follows_the_clients_end_is_handed_over() -> None:
    compression = Compression()
    sent = compression.deflate(b"* OK\r\n")
    compression.receive(raw(b"a1 UNAUTHENTICATE\r\n", zlib.Z_FINISH) + b"a2 NOOP\r\n")
    assert compression.inflate() == b"a1 UNAUTHENTICATE\r\n"
    last, received = compression.end()
    assert received == b"a2 NOOP\r\n"
    inflater = zlib.decompressobj(-15)
    assert inflater.decompress(sent + last) == b"* OK\r\n"
    assert inflater.eof
