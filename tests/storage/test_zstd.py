"""Compression in several threads at once."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from storage.errors import ContentDamaged
from storage.zstd import pack, unpack


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
