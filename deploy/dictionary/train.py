"""Trains the dictionaries of `storage/dictionaries/` again: the same octets each time, with the same version of zstd.

    python -m deploy.dictionary.train DIRECTORY

writes header-1.zdict and body-1.zdict there. A dictionary that was ever shipped is never changed or removed, for mail
was packed with it: what is learnt better gets the next number, here and in storage/blobs/codec.py.
"""

import hashlib
import random
import sys
from collections.abc import Sequence
from pathlib import Path

import zstandard

from deploy.dictionary.headers import Headers
from deploy.dictionary.letters import Letters

DICTIONARY_OCTETS = 32 * 1024  # beside 16, 64 and 110 KB: the best or next to it, on mail that it was not trained on
_HEADERS = 4000
_BODIES = 4000
_SEED = 20261122


def train() -> dict[str, bytes]:
    """By file name."""
    headers, letters = Headers(random.Random(_SEED)), Letters(random.Random(_SEED))
    samples: dict[str, Sequence[bytes]] = {
        "header-1.zdict": [headers.section() for _ in range(_HEADERS)],
        "body-1.zdict": [letters.body() for _ in range(_BODIES)],
    }
    return {name: zstandard.train_dictionary(DICTIONARY_OCTETS, [*each]).as_bytes() for name, each in samples.items()}


def main(arguments: list[str]) -> int:
    if len(arguments) != 1:
        print(__doc__, file=sys.stderr)
        return 2
    for name, octets in train().items():
        (Path(arguments[0]) / name).write_bytes(octets)
        print(name, len(octets), hashlib.sha256(octets).hexdigest())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
