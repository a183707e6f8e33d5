"""One request each, as S3 knows it: the minio client over connections of our own (blocking; called in threads).

minio's own way to upload splits what is longer than 5 MiB, holds two parts and cannot send one of them again, so its
steps are called one by one here. They are not part of its promise: the version is pinned, and the contract tests tell.
"""

import hashlib
import time
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any
from urllib.parse import urlsplit

from minio import Minio
from minio.datatypes import Part
from minio.deleteobjects import DeleteObject
from minio.error import S3Error

from storage.blobs.object_connections import Connections
from storage.blobs.object_faults import Absent, AnswerBroken, AnswerCut, AnswerSlow, LockMissing, UploadAltered
from storage.blobs.objects_config import ObjectsConfig

Octets = bytes | bytearray | memoryview

PAGE = 1000  # the most that S3 lists or deletes at once

_NEVER_HELD = "NoSuchObjectLegalHold"
_NO_LOCK = (
    "InvalidRequest",
    "NoSuchObjectLockConfiguration",
    "NotImplemented",
    "ObjectLockConfigurationNotFoundError",
)
_SLICE_OCTETS = 256 * 1024
_SLOWEST = 256 * 1024  # octets a second; an answer that comes more slowly is given up


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    name: str
    octets: int
    modified_at: datetime


class Wire:
    """The bucket. Methods raise what `object_faults` knows, and none waits longer than timeouts and octets allow."""

    def __init__(self, config: ObjectsConfig) -> None:
        parts = urlsplit(config.url)
        self._bucket = config.bucket
        self._read_timeout_s = config.read_timeout_s
        self.connections = Connections(config)
        self._client: Any = Minio(  # what it says of its types is narrower than what it takes
            parts.netloc,
            access_key=config.access_key,
            secret_key=config.secret_key,
            secure=parts.scheme == "https",
            region=config.region,
            http_client=self.connections.pool,
        )

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Raises AnswerCut unless S3 has exactly `length` octets, AnswerBroken unless all of them come."""
        response = self._client.get_object(self._bucket, name, offset, length)
        is_whole = False
        try:
            octets = self._octets_of(response, length)
            is_whole = True
            return octets
        finally:
            if not is_whole:
                response.close()  # what is still in the connection must not be the next answer
            response.release_conn()

    def _octets_of(self, response: Any, length: int) -> bytes:
        announced = response.headers.get("content-length")
        if announced is not None and int(announced) != length:
            raise AnswerCut(f"the answer has {announced} octets, and {length} were asked for")
        deadline = time.monotonic() + self._read_timeout_s + length / _SLOWEST
        pieces: list[bytes] = []
        missing = length
        while missing:
            piece = response.read1(min(missing, _SLICE_OCTETS))
            if not piece:
                raise AnswerBroken(f"an answer ended {missing} octets early")
            pieces.append(piece)
            missing -= len(piece)
            if missing and time.monotonic() > deadline:
                raise AnswerSlow
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def write(self, name: str, octets: Octets) -> None:
        digest = _md5(octets)
        written = self._client._put_object(self._bucket, name, octets, _checked(digest))
        _compare(written.etag, digest, written.http_headers)

    def begin_parts(self, name: str) -> str:
        """The id of a new upload in parts."""
        return str(self._client._create_multipart_upload(self._bucket, name, {}))

    def write_part(self, name: str, upload: str, number: int, octets: Octets) -> Part:
        digest = _md5(octets)
        where = {"partNumber": str(number), "uploadId": upload}
        written = self._client._put_object(self._bucket, name, octets, _checked(digest), query_params=where)
        _compare(written.etag, digest, written.http_headers)
        return Part(number, written.etag)

    def end_parts(self, name: str, upload: str, parts: Sequence[Part], octets: int) -> None:
        """The answer may be lost, or be an error under the status 200: so we look whether the whole object is there."""
        try:
            self._client._complete_multipart_upload(self._bucket, name, upload, list(parts))
        except S3Error as error:
            if error.code != "NoSuchUpload":
                raise
        facts = self.facts(name)
        if facts is None or facts.octets != octets:
            raise UploadAltered

    def abort_parts(self, name: str, upload: str) -> None:
        self._client._abort_multipart_upload(self._bucket, name, upload)

    def facts(self, name: str) -> ObjectFacts | None:
        try:
            found = self._client.stat_object(self._bucket, name)
        except S3Error as error:
            if error.code not in ("NoSuchKey", "NoSuchObject"):
                raise
            self.look()  # the answer to HEAD has no body, so it is the same for a bucket that is gone
            return None
        return _facts(found)

    def look(self) -> None:
        """Raises what keeps us from the bucket."""
        self._client.get_bucket_versioning(self._bucket)

    def page(self, prefix: str, after: str) -> list[ObjectFacts]:
        """Up to PAGE objects after this name; fewer: these are the last."""
        listing = self._client.list_objects(self._bucket, prefix or None, recursive=True, start_after=after or None)
        return [_facts(found) for found in islice(listing, PAGE)]

    def delete(self, names: Sequence[str]) -> tuple[str, ...]:
        """Remove up to PAGE objects; returns the names of those that S3 keeps, for a legal hold.

        In a bucket with versions a plain DELETE would only hide an object, so every version of it is named.
        """
        if self.has_versions():
            doomed = [DeleteObject(name, version) for name in names for version in self._versions(name)]
        else:
            doomed = [DeleteObject(name) for name in names]
        held: list[str] = []
        for error in self._client.remove_objects(self._bucket, doomed):
            if error.code in ("NoSuchKey", "NoSuchVersion"):
                continue
            name = str(error.name)
            if not self.is_held(name):
                raise S3Error(None, error.code, error.message, name, None, None)  # type: ignore[arg-type]
            held.append(name)
        return tuple(held)

    def has_versions(self) -> bool:
        return self._client.get_bucket_versioning(self._bucket).status in ("Enabled", "Suspended")

    def _versions(self, name: str) -> list[str | None]:
        listing = self._client.list_objects(self._bucket, name, recursive=True, include_version=True)
        return [found.version_id for found in listing if found.object_name == name]

    def set_hold(self, name: str, *, on: bool) -> None:
        change = self._client.enable_object_legal_hold if on else self._client.disable_object_legal_hold
        try:
            change(self._bucket, name)
        except S3Error as error:
            if error.code in _NO_LOCK:
                raise LockMissing from error
            if self.facts(name) is None:  # SeaweedFS calls it an error of its own
                raise Absent from error
            raise

    def is_held(self, name: str) -> bool:
        try:
            return bool(self._client.is_object_legal_hold_enabled(self._bucket, name))
        except S3Error as error:
            if error.code not in (_NEVER_HELD, *_NO_LOCK):
                raise
            return False

    def has_bucket(self) -> bool:
        try:
            self.look()
        except S3Error as error:
            if error.code != "NoSuchBucket":
                raise
            return False
        return True

    def make_bucket(self, *, object_lock: bool) -> None:
        self._client.make_bucket(self._bucket, object_lock=object_lock)

    def has_object_lock(self) -> bool:
        return self._lock() is not None

    def keeps_everything(self) -> bool:
        """Whether the bucket has a default retention: every new object stays for a while."""
        lock = self._lock()
        return lock is not None and lock.mode is not None

    def _lock(self) -> Any:
        """How the bucket locks objects; None: it cannot."""
        try:
            return self._client.get_object_lock_config(self._bucket)
        except S3Error as error:
            if error.code in _NO_LOCK:
                return None
            raise


def _facts(found: Any) -> ObjectFacts:
    return ObjectFacts(
        str(found.object_name), int(found.size or 0), found.last_modified or datetime.fromtimestamp(0, UTC)
    )


def _md5(octets: Octets) -> "hashlib._Hash":
    return hashlib.md5(octets, usedforsecurity=False)


def _checked(digest: "hashlib._Hash") -> dict[str, str]:
    return {"Content-Type": "application/octet-stream", "Content-MD5": b64encode(digest.digest()).decode()}


def _compare(etag: str, digest: "hashlib._Hash", headers: Any) -> None:
    """The ETag of one PUT is the MD5 of what S3 has, unless the bucket encrypts with keys of its own."""
    if "x-amz-server-side-encryption" not in headers and etag != digest.hexdigest():
        raise UploadAltered
