"""An upload in parts: one part in memory, each part tried again by itself, and no upload left behind half done."""

import threading
from collections.abc import Iterable, Iterator

from minio.datatypes import Part

from storage.blobs.object_faults import Fault, Outcome
from storage.blobs.object_requests import RequestFailed, Requests
from storage.blobs.object_wire import Octets, Wire


def upload_pieces(
    wire: Wire,
    requests: Requests,
    name: str,
    pieces: Iterable[Octets],
    octets: int | None,
    part_octets: int,
    given_up: threading.Event,
) -> None:
    """Raises RequestFailed, what `pieces` raises, and ValueError when there are more or fewer octets than was said."""
    parts = _in_parts(pieces, octets, part_octets)
    part, is_last = next(parts)
    if is_last:
        requests.send("put", lambda: wire.write(name, part), given_up)
        return
    upload = requests.send("put", lambda: wire.begin_parts(name), given_up)
    try:
        sent: list[Part] = []
        total = 0
        while part:
            sent.append(_send(wire, requests, name, upload, len(sent) + 1, part, given_up))
            total += len(part)
            part = b""  # gone before the next one is gathered
            part, _ = next(parts, (b"", True))
        requests.send("put", lambda: wire.end_parts(name, upload, sent, total), given_up)
    except BaseException:
        _abort(wire, requests, name, upload)
        raise


def _send(
    wire: Wire, requests: Requests, name: str, upload: str, number: int, part: Octets, given_up: threading.Event
) -> Part:
    if given_up.is_set():
        raise RequestFailed(Fault(Outcome.NOT_TRIED, "nobody waits for the upload any more"))
    return requests.send("put", lambda: wire.write_part(name, upload, number, part), given_up)


def _abort(wire: Wire, requests: Requests, name: str, upload: str) -> None:
    """Best effort: what cannot be aborted now goes by the bucket's rule for uploads that were never ended."""
    try:
        requests.send("abort", lambda: wire.abort_parts(name, upload), threading.Event())
    except RequestFailed:
        return


def _in_parts(pieces: Iterable[Octets], octets: int | None, part_octets: int) -> Iterator[tuple[Octets, bool]]:
    """Parts of equal length but for the last, and whether it is the last; at least one, even of nothing."""
    seen = 0
    part: Octets = b""
    for piece in pieces:
        view = memoryview(piece)
        seen += len(view)
        if octets is not None and seen > octets:
            raise ValueError(f"more than {octets} octets")
        while view:
            if len(part) == part_octets:
                yield part, False
                part = b""
            if not part and len(view) >= part_octets:
                part, view = view[:part_octets], view[part_octets:]
                continue
            if not isinstance(part, bytearray):
                part = bytearray()
            taken = min(len(view), part_octets - len(part))
            part += view[:taken]
            view = view[taken:]
    if octets is not None and seen != octets:
        raise ValueError(f"{seen} octets where {octets} were announced")
    yield part, True
