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
    octets: int,
    part_octets: int,
    given_up: threading.Event,
) -> None:
    """Raises RequestFailed, what `pieces` raises, and ValueError when there are more or fewer octets than was said."""
    parts = _in_parts(pieces, octets, part_octets)
    if octets <= part_octets:
        [whole] = parts
        requests.send("put", lambda: wire.write(name, whole), given_up)
        return
    upload = requests.send("put", lambda: wire.begin_parts(name), given_up)
    try:
        sent = [_send(wire, requests, name, upload, number, part, given_up) for number, part in enumerate(parts, 1)]
        requests.send("put", lambda: wire.end_parts(name, upload, sent, octets), given_up)
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


def _in_parts(pieces: Iterable[Octets], octets: int, part_octets: int) -> Iterator[Octets]:
    """Parts of equal length but for the last; at least one, even of nothing."""
    if octets <= part_octets:
        part_octets = octets
    seen = 0
    gathered = bytearray()
    for piece in pieces:
        view = memoryview(piece)
        seen += len(view)
        if seen > octets:
            raise ValueError(f"more than {octets} octets")
        while view:
            if not gathered and len(view) >= part_octets > 0:
                part, view = view[:part_octets], view[part_octets:]
                yield part
                continue
            taken = min(len(view), part_octets - len(gathered))
            gathered += view[:taken]
            view = view[taken:]
            if len(gathered) == part_octets:
                yield gathered
                gathered = bytearray()
    if seen != octets:
        raise ValueError(f"{seen} octets where {octets} were announced")
    if gathered or not octets:
        yield gathered
