"""Compression in several threads at once."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from zstandard import ZstdCompressionParameters

from storage.errors import ContentDamaged
from storage.zstd import BODY_1, HEADER_1, WIRE_1, Dictionary, pack, unpack


def test_octets_packed_by_many_threads_at_once_come_back_whole() -> None:
    texts = [(b"%d A line of text.\r\n" % number) * 4000 * (number + 1) for number in range(8)]

    def there_and_back(number: int) -> bool:
        text = texts[number % len(texts)]
        return unpack(pack(text), limit_octets=len(text)) == text

    with ThreadPoolExecutor(len(texts)) as threads:
        assert all(threads.map(there_and_back, range(400)))


def test_what_is_damaged_or_too_long_is_refused() -> None:
    packed = pack(b"x" * 1000)
    for damaged in (b"", b"no frame", packed[:-4], b"\0" + packed[1:]):
        with pytest.raises(ContentDamaged):
            unpack(damaged, limit_octets=1000)
    with pytest.raises(ContentDamaged):
        unpack(packed, limit_octets=999)


@pytest.mark.parametrize("dictionary", [BODY_1, HEADER_1, WIRE_1])
def test_a_frame_packed_with_a_dictionary_opens_in_any_thread_with_that_one_alone(dictionary: Dictionary) -> None:
    text = b"Subject: Your order has been shipped\r\nMIME-Version: 1.0\r\n"

    def there_and_back(pack: Callable[[bytes], bytes]) -> bool:
        return dictionary.unpack(pack(text), limit_octets=len(text)) == text

    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(there_and_back, [dictionary.pack, dictionary.pack_thoroughly] * 200))
    other = HEADER_1 if dictionary is BODY_1 else BODY_1
    assert _opened(other, dictionary.pack(text)) != text


@pytest.mark.parametrize("dictionary", [BODY_1, HEADER_1, WIRE_1])
def test_a_damaged_frame_of_a_dictionary_is_refused(dictionary: Dictionary) -> None:
    packed = dictionary.pack(b"x" * 1000)
    for damaged in (b"", b"no frame", packed[:-4]):
        with pytest.raises(ContentDamaged):
            dictionary.unpack(damaged, limit_octets=1000)
    with pytest.raises(ContentDamaged):
        dictionary.unpack(packed, limit_octets=999)


def test_a_dictionary_that_was_altered_is_not_used() -> None:
    with pytest.raises(RuntimeError, match="was altered"):
        Dictionary("body-1.zdict", "0" * 64, quick=ZstdCompressionParameters(), thorough=ZstdCompressionParameters())


def _opened(dictionary: Dictionary, packed: bytes) -> bytes | None:
    try:
        return dictionary.unpack(packed, limit_octets=1000)
    except ContentDamaged:
        return None
