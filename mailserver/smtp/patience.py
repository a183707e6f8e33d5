"""A time limit that costs nothing where nothing waits: most commands are answered without asking anybody."""

import asyncio
from collections.abc import Coroutine, Generator
from typing import Any, Generic, TypeVar

Result = TypeVar("Result")


async def within(limit_s: float, work: Coroutine[Any, Any, Result]) -> Result:
    """What `work` returns. Raises TimeoutError when it waits for longer than `limit_s`; then it was cancelled."""
    begun = _Begun(work)
    if begun.has_ended:
        return begun.result
    async with asyncio.timeout(limit_s):
        return await begun


class _Begun(Generic[Result]):
    """A coroutine that has run up to where it first waits. Whatever it raised until then comes out of the constructor;
    to await it is to go on with it."""

    __slots__ = ("_waits_for", "_work", "has_ended", "result")

    result: Result

    def __init__(self, work: Coroutine[Any, Any, Result]) -> None:
        self._work = work
        self.has_ended = False
        try:
            self._waits_for = work.send(None)
        except StopIteration as end:
            self.has_ended = True
            self.result = end.value

    def __await__(self) -> Generator[Any, Any, Result]:
        """What `yield from` would do, but for the first step, which was done already (PEP 380)."""
        waits_for = self._waits_for
        try:
            while True:
                try:
                    sent = yield waits_for
                except BaseException as thrown:  # noqa: BLE001 (handed on into the work)
                    waits_for = self._work.throw(thrown)
                else:
                    waits_for = self._work.send(sent)
        except StopIteration as end:
            result: Result = end.value
            return result
