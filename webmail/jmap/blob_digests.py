"""The digests that Blob/get tells of octets (RFC 9404 §4.2), by the names of the HTTP digest registry (RFC 3230)."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Protocol


class Running(Protocol):
    def update(self, octets: bytes, /) -> None: ...
    def digest(self) -> bytes: ...


DIGESTS: Mapping[str, Callable[[], Running]] = {
    "sha": lambda: hashlib.sha1(usedforsecurity=False),
    "sha-256": hashlib.sha256,
    "sha-512": hashlib.sha512,
}
