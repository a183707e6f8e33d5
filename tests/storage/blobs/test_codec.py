"""What was ever packed opens, and what was not is refused. The packed octets here were made when each codec was."""

import base64
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.dictionary.letters import Letters
from storage.blobs.codec import CHUNK_OCTETS, Codec, compress, decompress, recompress
from storage.errors import ContentDamaged

PACKED = json.loads(Path(__file__).with_name("packed.json").read_text())

TEXT = b"Please find attached the report for this week. Thank you for your email.\r\n" * 3
CHINESE = "请查收附件，谢谢！如有任何问题，请随时与我联系。\r\n" * 9
ENCODED = base64.encodebytes(CHINESE.encode("gb18030")).replace(b"\n", b"\r\n")
NOISE = Random(1).randbytes(300_000)
LETTERS = Letters(Random(99))
LONG_TEXT = b"".join(b"%d lines of text are in this one.\r\n" % number for number in range(9_000))

CHOSEN = {
    "nothing": (b"", Codec.RAW),
    "a few octets": (b"Hello\r\n", Codec.RAW),
    "a letter": (TEXT, Codec.BODY_1),
    "a letter in base64": (ENCODED, Codec.BASE64_BODY_1),
    "a part that is compressed already": (NOISE[:50_000], Codec.RAW),
    "the same in base64": (base64.encodebytes(NOISE[:7_000]).replace(b"\n", b"\r\n"), Codec.BASE64_BODY_1),
    "more of it in base64": (base64.encodebytes(NOISE[:50_000]).replace(b"\n", b"\r\n"), Codec.BASE64_ZSTD),
    "text of some length": (LONG_TEXT[:30_000], Codec.ZSTD),
    "long text": (LONG_TEXT, Codec.ZSTD),
    "long content that is compressed already": (NOISE, Codec.RAW),
    "a whole chunk": (bytes(CHUNK_OCTETS), Codec.ZSTD),
}


@pytest.mark.parametrize(("octets", "codec"), CHOSEN.values(), ids=CHOSEN)
def test_each_kind_of_content_has_its_codec_and_comes_back(octets: bytes, codec: Codec) -> None:
    for pack in (compress, recompress):
        chosen, packed = pack(octets)
        assert chosen == codec
        assert decompress(chosen, packed) == octets
        if codec != Codec.RAW:
            assert len(packed) < len(octets) * 15 / 16


def test_every_codec_has_octets_here_that_were_packed_with_it() -> None:
    assert {entry["codec"] for entry in PACKED} == {codec.value for codec in Codec}


@pytest.mark.parametrize(
    "entry", PACKED, ids=[f"{Codec(entry['codec']).name} {entry['octets'][:9]}" for entry in PACKED]
)
def test_what_was_packed_by_an_earlier_version_opens(entry: dict[str, str]) -> None:
    packed, octets = base64.b64decode(entry["packed"]), base64.b64decode(entry["octets"])
    assert decompress(int(entry["codec"]), packed) == octets


def test_the_dictionary_is_worth_a_third_of_a_short_letter() -> None:
    letter = TEXT[:150]
    assert len(compress(letter)[1]) < len(letter) / 3


def test_for_the_cold_tier_it_gets_smaller() -> None:
    letters = [LETTERS.body() for _ in range(50)]
    assert sum(len(recompress(letter)[1]) for letter in letters) < sum(len(compress(letter)[1]) for letter in letters)


@given(st.binary(max_size=2000), st.integers(1, 40))
def test_any_octets_come_back(octets: bytes, times: int) -> None:
    for pack in (compress, recompress):
        assert decompress(*pack(octets * times)) == octets * times


DAMAGED = {
    "an unknown codec": (9, compress(TEXT)[1]),
    "a negative codec": (-1, compress(TEXT)[1]),
    "nothing": (Codec.BODY_1, b""),
    "no frame": (Codec.BODY_1, b"octets"),
    "a cut frame": (Codec.BODY_1, compress(TEXT)[1][:-2]),
    "another codec's": (Codec.ZSTD, compress(TEXT)[1]),
    "a piece that was not unfolded": (Codec.BASE64_BODY_1, compress(TEXT)[1]),
    "nothing unfolded": (Codec.BASE64_BODY_1, compress(bytes(100))[1]),
}


@pytest.mark.parametrize(("codec", "packed"), DAMAGED.values(), ids=DAMAGED)
def test_what_we_cannot_have_written_is_damaged(codec: int, packed: bytes) -> None:
    with pytest.raises(ContentDamaged):
        decompress(codec, packed)


@pytest.mark.parametrize("octets", [TEXT, ENCODED, LONG_TEXT], ids=["dictionary", "base64", "plain"])
def test_more_octets_than_the_limit_are_damaged(octets: bytes) -> None:
    codec, packed = compress(octets)
    with pytest.raises(ContentDamaged):
        decompress(codec, packed, limit_octets=len(octets) - 1)


def test_many_threads_pack_and_open_at_once() -> None:
    letters = [TEXT + b"%d\r\n" % number * 50 for number in range(8)] + [ENCODED, LONG_TEXT]

    def there_and_back(number: int) -> bool:
        letter = letters[number % len(letters)]
        return all(decompress(*pack(letter)) == letter for pack in (compress, recompress))

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(there_and_back, range(400)))
