"""The dictionaries that ship are those that the training program makes."""

from pathlib import Path

import storage
from deploy.dictionary.train import train

SHIPPED = Path(storage.__file__).with_name("dictionaries")


def test_training_again_makes_the_same_octets() -> None:
    for name, octets in train().items():
        assert (SHIPPED / name).read_bytes() == octets, name
