"""The bucket at the start of a process: it is there, or is made, and takes, gives back and deletes an object."""

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from minio.error import S3Error

from storage.blobs.object_faults import ObjectsMisconfigured, Outcome
from storage.blobs.object_requests import RequestFailed, Requests
from storage.blobs.object_wire import Wire
from storage.blobs.objects_config import ObjectsConfig

PROBES = ".probe/"  # where the objects of this check are for a moment; no tenant has a name like it

_PASSING = (Outcome.AWAY, Outcome.SLOW, Outcome.NOT_TRIED)
_OURS_ALREADY = ("BucketAlreadyOwnedByYou", "BucketAlreadyExists")  # another process was quicker


def prepare_bucket(config: ObjectsConfig, wire: Wire, requests: Requests, given_up: threading.Event) -> None:
    """Raises ObjectsMisconfigured when somebody has to act, and RequestFailed when S3 is away."""
    with _blaming(config):
        if not requests.send("prepare", wire.has_bucket, given_up):
            requests.send("prepare", lambda: _make(wire, object_lock=config.object_lock), given_up)
    probe_bucket(config, wire, requests, given_up)


def probe_bucket(config: ObjectsConfig, wire: Wire, requests: Requests, given_up: threading.Event) -> None:
    """Raises as `prepare_bucket` does, and makes no bucket."""
    with _blaming(config):
        _probe(wire, requests, given_up)


@contextmanager
def _blaming(config: ObjectsConfig) -> Iterator[None]:
    try:
        yield
    except RequestFailed as failure:
        if failure.fault.outcome in _PASSING:
            raise
        raise ObjectsMisconfigured(f"bucket {config.bucket} at {config.url}: {failure.fault.reason}") from failure


def _make(wire: Wire, *, object_lock: bool) -> None:
    """Without Object Lock where the server knows none of it."""
    try:
        wire.make_bucket(object_lock=object_lock)
    except S3Error as error:
        if error.code in _OURS_ALREADY:
            return
        if not object_lock or error.code not in ("NotImplemented", "InvalidRequest", "InvalidArgument"):
            raise
        wire.make_bucket(object_lock=False)


def _probe(wire: Wire, requests: Requests, given_up: threading.Event) -> None:
    if requests.send("prepare", wire.keeps_everything, given_up):
        raise ObjectsMisconfigured("the bucket keeps every new object for a while (default retention): turn that off")
    name, mark = PROBES + secrets.token_hex(8), secrets.token_bytes(16)
    requests.send("prepare", lambda: wire.write(name, mark), given_up)
    found = requests.send("prepare", lambda: wire.read(name, 0, len(mark)), given_up)
    requests.send("prepare", lambda: wire.delete([name]), given_up)
    if found != mark:
        raise ObjectsMisconfigured("S3 gives back other octets than it was given")
