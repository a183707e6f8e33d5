"""What files need beside their octets to be on disk: the directory that names them."""

import os
from pathlib import Path


def sync_directory(path: Path) -> None:
    """A name that was given, taken or changed in it is on disk when this returns."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
