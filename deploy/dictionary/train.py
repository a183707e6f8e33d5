"""Trains the dictionaries of `storage/dictionaries/` again: the same octets each time, with the same version of zstd.

    python -m deploy.dictionary.train DIRECTORY

writes header-1.zdict, wire-1.zdict and body-1.zdict there. A dictionary that was ever shipped is never changed or
removed, for mail was packed with it: what is learnt better gets the next number, here and where it is used.
"""

import hashlib
import random
import sys
from collections.abc import Callable
from pathlib import Path

import zstandard

from deploy.dictionary.headers import Headers
from deploy.dictionary.letters import Letters
from deploy.dictionary.wire_forms import WireForms

DICTIONARY_OCTETS = 32 * 1024  # beside 16, 64 and 110 KB: the best or next to it, on mail that it was not trained on
WIRE_FORMS_OCTETS = 8 * 1024
_SAMPLES = 4000
_SEED = 20261122


def train() -> dict[str, bytes]:
    """By file name."""
    headers, letters, forms = Headers(_rng()), Letters(_rng()), WireForms(_rng())
    return {
        "header-1.zdict": _trained(headers.section, DICTIONARY_OCTETS),
        "wire-1.zdict": _trained(forms.both, WIRE_FORMS_OCTETS),
        "body-1.zdict": _trained(letters.body, DICTIONARY_OCTETS),
    }


def _rng() -> random.Random:
    return random.Random(_SEED)


def _trained(sample: Callable[[], bytes], octets: int) -> bytes:
    return zstandard.train_dictionary(octets, [sample() for _ in range(_SAMPLES)]).as_bytes()


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
