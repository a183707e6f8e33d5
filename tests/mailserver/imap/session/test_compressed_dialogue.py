"""A session whose octets are DEFLATE from COMPRESS on (RFC 4978)."""

import asyncio
import itertools
import tracemalloc
import zlib

from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.imap.session.dialogue import Dialogue
from tests.mailserver.imap.session.test_dialogue import ANN, NO_SERVICES, dialogue_with, said

COMMANDS = b'b1 NOOP\r\nb2 ID ("name" {4}\r\ntest)\r\nb3 FROB\r\nb4 CAPABILITY\r\nb5 LOGOUT\r\n'


def raw(data: bytes, flush: int = zlib.Z_SYNC_FLUSH) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush(flush)


async def compressed() -> Dialogue:
    dialogue = dialogue_with(NO_SERVICES, who=ANN)
    assert (await said(dialogue, b"a NOOP\r\n")).endswith(b"OK Done\r\n")
    assert await said(dialogue, b"a COMPRESS DEFLATE\r\n") == b"a OK DEFLATE is active\r\n"
    return dialogue


@settings(deadline=None)
@given(cuts=st.lists(st.integers(0, 60), max_size=8))
def test_how_the_network_splits_compressed_octets_never_matters(cuts: list[int]) -> None:
    data = raw(COMMANDS)

    async def talked() -> bytes:
        edges = [0, *sorted(min(cut, len(data)) for cut in cuts), len(data)]
        answers = await said(await compressed(), *(data[begin:end] for begin, end in itertools.pairwise(edges)))
        return zlib.decompressobj(-15).decompress(answers)

    expected = asyncio.run(said(dialogue_with(NO_SERVICES, who=ANN), COMMANDS))
    assert asyncio.run(talked()) == expected


async def test_who_does_not_wait_for_the_answer_must_have_compressed_already() -> None:
    dialogue = dialogue_with(NO_SERVICES, who=ANN)
    answer = await said(dialogue, b"a COMPRESS DEFLATE\r\n" + raw(b"b NOOP\r\n"))
    clear = b"a OK DEFLATE is active\r\n"
    assert answer.startswith(clear)
    assert zlib.decompressobj(-15).decompress(answer[len(clear) :]) == b"b OK Done\r\n"


async def test_what_is_not_deflate_ends_the_connection() -> None:
    dialogue = await compressed()
    answer = await said(dialogue, b"b NOOP\r\n")
    assert zlib.decompressobj(-15).decompress(answer).startswith(b"* BYE ")
    assert dialogue.over


async def test_a_bomb_costs_little_memory_and_ends_the_connection() -> None:
    dialogue = await compressed()
    bomb = raw(b"x" * 40_000_000)
    tracemalloc.start()
    try:
        answer = await said(dialogue, bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 2_000_000
    told = zlib.decompressobj(-15).decompress(answer)
    assert told.startswith(b"* BAD ")
    assert b"* BYE " in told
    assert dialogue.over


async def test_others_get_their_turn_while_a_bomb_of_blank_lines_is_inflated() -> None:
    dialogue = await compressed()
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(other())
    await said(dialogue, raw(b"\r\n" * 1_000_000))
    others.cancel()
    assert turns >= 30


async def test_after_a_rest_the_stream_goes_on() -> None:
    dialogue = await compressed()
    inflater = zlib.decompressobj(-15)
    compressor = zlib.compressobj(wbits=-15)
    for number in range(3):
        sent = compressor.compress(b"b%d NOOP\r\n" % number) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert inflater.decompress(await said(dialogue, sent)) == b"b%d OK Done\r\n" % number
        dialogue.rest()
