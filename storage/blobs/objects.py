"""Objects in an S3 bucket, for coroutines: the store of packs and large parts.

Every call runs in a thread of the store's own. Who is cancelled while it runs goes on at once; the thread ends its
request and gives the connection back. Every method raises ColdTierUnavailable when S3 is away, slow or refuses.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from storage.blobs.breaker import BreakerState
from storage.blobs.object_bootstrap import prepare_bucket, probe_bucket
from storage.blobs.object_faults import ObjectsHeld, ObjectsMisconfigured, Outcome
from storage.blobs.object_requests import Observed, Observer, RequestFailed, Requests
from storage.blobs.object_uploads import upload_pieces
from storage.blobs.object_wire import PAGE, ObjectFacts, Octets, Wire
from storage.blobs.objects_config import ObjectsConfig
from storage.errors import ColdTierUnavailable, ContentDamaged, ObjectMissing, StorageError

__all__ = ["ObjectFacts", "ObjectStore", "ObjectsConfig", "ObjectsHeld", "ObjectsMisconfigured", "Observed"]

Result = TypeVar("Result")
Page = list[ObjectFacts]

FAREWELL_S = 1.0


def _ignore(_observed: Observed) -> None:
    pass


class ObjectStore:
    """One bucket. `observe` is called from threads, once for each request, and must not block."""

    def __init__(self, config: ObjectsConfig, observe: Observer = _ignore) -> None:
        self._config = config
        self._wire = Wire(config)
        self._requests = Requests(config, observe)
        self._threads = ThreadPoolExecutor(config.connections, thread_name_prefix="objects")
        self._calls: set[threading.Event] = set()
        self._is_closed = False

    @property
    def breaker(self) -> BreakerState:
        return self._requests.state()

    async def put(self, name: str, octets: Octets) -> None:
        """Durable, and the same octets as here, when it returns."""
        if len(octets) > self._config.part_octets:
            await self.put_pieces(name, (octets,), len(octets))
        else:
            await self._call("put", name, lambda: self._wire.write(name, octets))

    async def put_pieces(self, name: str, pieces: Iterable[Octets], octets: int | None) -> None:
        """The same for octets in pieces of any length; of them one part is in memory at a time.

        `octets`: how many, if that is known. `pieces` is iterated in a thread; what it raises comes out here. Raises
        ValueError when it has more or fewer.
        """

        def upload(given_up: threading.Event) -> None:
            upload_pieces(self._wire, self._requests, name, pieces, octets, self._config.part_octets, given_up)

        await self._in_thread("put", name, upload)

    async def get(self, name: str, offset: int, length: int) -> bytes:
        """Exactly so many octets. Raises ObjectMissing, and ContentDamaged when the object ends before them."""
        if length <= 0:
            return b""
        return await self._call("get", name, lambda: self._wire.read(name, offset, length))

    async def facts(self, name: str) -> ObjectFacts | None:
        return await self._call("facts", name, lambda: self._wire.facts(name))

    async def delete(self, names: Sequence[str]) -> None:
        """Absent ones are fine. Raises ObjectsHeld for those that a legal hold keeps, after all others are gone."""
        held: list[str] = []
        for start in range(0, len(names), PAGE):
            held += await self._call("delete", "", partial(self._wire.delete, names[start : start + PAGE]))
        if held:
            raise ObjectsHeld(tuple(held))

    async def hold(self, name: str, *, on: bool) -> None:
        """Set or lift the legal hold of S3. Raises ObjectMissing, and ColdTierUnavailable without Object Lock."""
        await self._call("hold", name, lambda: self._wire.set_hold(name, on=on))

    async def is_held(self, name: str) -> bool:
        return await self._call("is_held", name, lambda: self._wire.is_held(name))

    async def has_object_lock(self) -> bool:
        """Whether the bucket can hold objects."""
        return await self._call("bucket", "", self._wire.has_object_lock)

    async def has_versions(self) -> bool:
        """Whether the bucket keeps what is deleted by others than us."""
        return await self._call("bucket", "", self._wire.has_versions)

    async def look(self) -> None:
        """Return if the bucket answers."""
        await self._call("look", "", self._wire.look)

    async def prepare(self) -> None:
        """Make the bucket if there is none, and write, read and delete an object in it. Raises ObjectsMisconfigured."""
        await self._in_thread(
            "prepare", "", lambda given_up: prepare_bucket(self._config, self._wire, self._requests, given_up)
        )

    async def probe(self) -> None:
        """The same without making a bucket."""
        await self._in_thread(
            "prepare", "", lambda given_up: probe_bucket(self._config, self._wire, self._requests, given_up)
        )

    def list(self, prefix: str = "", after: str = "") -> AsyncIterator[Page]:
        """By ascending name, in pages; `after` is left out. Others may have put objects of other names there."""
        return self._pages(prefix, after)

    async def close(self) -> None:
        """No more attempts; what is under way has a moment to end."""
        self._is_closed = True
        for given_up in list(self._calls):
            given_up.set()
        ending = asyncio.ensure_future(asyncio.to_thread(self._threads.shutdown, wait=True, cancel_futures=True))
        done, _ = await asyncio.wait({ending}, timeout=FAREWELL_S)
        if not done:
            self._wire.connections.hang_up()
        await ending
        self._wire.connections.close()

    async def _pages(self, prefix: str, after: str) -> AsyncIterator[Page]:
        while True:
            page = await self._call("list", prefix, partial(self._wire.page, prefix, after))
            if page:
                yield page
            if len(page) < PAGE:
                return
            after = page[-1].name

    async def _call(self, operation: str, name: str, request: Callable[[], Result]) -> Result:
        """One request that may be repeated."""
        return await self._in_thread(
            operation, name, lambda given_up: self._requests.send(operation, request, given_up)
        )

    async def _in_thread(self, operation: str, name: str, work: Callable[[threading.Event], Result]) -> Result:
        if self._is_closed:
            raise ColdTierUnavailable("the process ends")
        if self._requests.refuses():
            raise _told(self._requests.not_tried(operation), operation, name)
        given_up = threading.Event()
        latest = time.monotonic() + self._config.turn_timeout_s

        def take_turn() -> Result:
            if time.monotonic() > latest:
                raise ColdTierUnavailable("too many requests to S3 wait")
            return work(given_up)

        self._calls.add(given_up)
        try:
            return await asyncio.wrap_future(self._threads.submit(take_turn))
        except RequestFailed as failure:
            raise _told(failure, operation, name) from failure.__cause__
        finally:
            given_up.set()
            self._calls.discard(given_up)


def _told(failure: RequestFailed, operation: str, name: str) -> StorageError:
    match failure.fault.outcome:
        case Outcome.MISSING:
            return ObjectMissing(name)
        case Outcome.CUT if operation == "get":
            return ContentDamaged(f"object {name}: {failure.fault.reason}")
        case _:
            return ColdTierUnavailable(failure.fault.reason)
