"""An archive as it stands on disk: a directory of files that a manifest lists with their digests (pure).

    manifest.json            what it is, and every file with its length and SHA-256; written last
    rows/TABLE.ndjson.zst    of a tenant: the rows of a table, a JSON object each, as Postgres' row_to_json writes it
    mailboxes.ndjson.zst     of a mailbox or account: its mailboxes, thread references, and messages with their
    threads.ndjson.zst       placements and the names of their content; and rows/data_key.ndjson.zst, for its keys
    messages.ndjson.zst      may be given up before the archive is needed
    content/NNNN             blobs one after the other, sealed as they rest: a head, and the chunks

The head of a blob is its digest (20 octets), its length (64 bits) and the number of its chunks (32); then for each
chunk key, codec and sealed length as in a blob's layout; then the sealed chunks.
"""

import hashlib
import hmac
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from storage.blobs.layout import SealedChunk, pack_layout, unpack_layout
from storage.errors import ContentDamaged
from storage.types import BlobDigest

VERSION = 1
MANIFEST = "manifest.json"
CONTENT_FILE_OCTETS = 256 * 1024 * 1024
MAILBOXES, THREADS, MESSAGES = "mailboxes.ndjson.zst", "threads.ndjson.zst", "messages.ndjson.zst"
KEYS = "rows/data_key.ndjson.zst"
CONTENT = "content"
_HEAD = struct.Struct(">20sQI")
_CHUNK_OCTETS = 9
_CHUNKS_AT_MOST = 1_000_000
HEAD_OCTETS = _HEAD.size


class ArchiveUnusable(Exception):
    """It is cut, altered, of a version that is not known, or not what was asked for. Nothing was written."""


@dataclass(frozen=True, slots=True)
class ListedFile:
    name: str
    octets: int
    sha256: str
    rows: int


@dataclass(frozen=True, slots=True)
class Manifest:
    """`key_check` tells whether other keys are the same; `damaged` names content that could not be read when the
    archive was made. `mailbox` None: the whole account, if `account_id` is set, else the whole tenant."""

    tenant_id: int
    tenant: str
    account_id: int | None
    address: str | None
    mailbox: str | None
    made_at: str
    key_check: str
    files: Sequence[ListedFile]
    counts: Mapping[str, int]
    damaged: Sequence[str] = field(default_factory=tuple)
    version: int = VERSION

    @property
    def is_of_tenant(self) -> bool:
        return self.account_id is None


def key_check(naming_key: bytes) -> str:
    """Equal for equal keys, and says nothing about them."""
    return hmac.digest(naming_key, b"waypost archive", hashlib.sha256).hex()[:32]


def packed_manifest(manifest: Manifest) -> bytes:
    """With a digest of itself, so that an altered one is told."""
    body = json.dumps(asdict(manifest), indent=1, sort_keys=True)
    return json.dumps({"manifest": body, "sha256": hashlib.sha256(body.encode()).hexdigest()}).encode()


def read_manifest(octets: bytes) -> Manifest:
    """Raises ArchiveUnusable."""
    try:
        outer = json.loads(octets)
        body = outer["manifest"]
        if hashlib.sha256(body.encode()).hexdigest() != outer["sha256"]:
            raise ArchiveUnusable("its manifest was altered")
        values: dict[str, Any] = json.loads(body)
        if values["version"] != VERSION:
            raise ArchiveUnusable(f"it is of version {values['version']}; this program reads version {VERSION}")
        values["files"] = tuple(ListedFile(**each) for each in values["files"])
        return Manifest(**values)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as wrong:
        raise ArchiveUnusable("its manifest cannot be read") from wrong


@dataclass(frozen=True, slots=True)
class BlobHead:
    digest: BlobDigest
    octets: int
    layout_octets: int


def packed_blob(digest: BlobDigest, octets: int, chunks: Sequence[SealedChunk]) -> list[bytes]:
    return [_HEAD.pack(digest, octets, len(chunks)), pack_layout(chunks), *(chunk.sealed for chunk in chunks)]


def read_head(octets: bytes) -> BlobHead:
    """Of HEAD_OCTETS. Raises ArchiveUnusable."""
    if len(octets) != HEAD_OCTETS:
        raise ArchiveUnusable("a file of content is cut")
    digest, length, chunks = _HEAD.unpack(octets)
    if chunks > _CHUNKS_AT_MOST:
        raise ArchiveUnusable("a file of content is damaged")
    return BlobHead(BlobDigest(digest), length, chunks * _CHUNK_OCTETS)


def sealed_octets(layout: bytes) -> int:
    return sum(place.octets for place in unpack_layout(layout))


def read_chunks(layout: bytes, sealed: bytes) -> list[SealedChunk]:
    """Raises ArchiveUnusable."""
    try:
        places = unpack_layout(layout)
    except ContentDamaged:
        raise ArchiveUnusable("a file of content is damaged") from None
    return [
        SealedChunk(place.key_id, place.codec, sealed[place.offset : place.offset + place.octets]) for place in places
    ]
