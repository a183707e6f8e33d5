"""Looks now and then whether the cookie by which something was opened is still good.

What ends everything of a person, or a token, ends what is open within seconds (`services.endings`); what a browser has
open that signs out, or whose session was pushed out by later ones, ends by itself.
"""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mailserver.assembly import Parts
from mailserver.services.open_streams import Ending
from storage.errors import StoreUnavailable
from webmail.jmap.http.authentication import signed_in
from webmail.jmap.http.exchange import HttpRequest, Refused

LOOK_EVERY_S = 60.0


@contextmanager
def looked_after(parts: Parts, request: HttpRequest, end: Callable[[Ending], None]) -> Iterator[None]:
    """`end` is called once, on the loop. Passwords and tokens are not looked at again: `endings` hears of theirs."""
    if request.headers.get("authorization"):
        yield
        return
    look = _Look(parts, request, end)
    try:
        yield
    finally:
        look.stop()


class _Look:
    __slots__ = ("_end", "_parts", "_request", "_task", "_timer")

    def __init__(self, parts: Parts, request: HttpRequest, end: Callable[[Ending], None]) -> None:
        self._parts = parts
        self._request = request
        self._end = end
        self._task: asyncio.Task[None] | None = None
        self._timer = self._later()

    def stop(self) -> None:
        self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

    def _later(self) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(LOOK_EVERY_S, self._begin)

    def _begin(self) -> None:
        self._task = asyncio.create_task(self._look(), name="is it still good")

    async def _look(self) -> None:
        try:
            await signed_in(self._parts, self._request)
        except Refused:
            self._end(Ending.SIGNED_OUT)
            return
        except StoreUnavailable:
            pass  # nobody knows; the next look will
        self._task = None
        self._timer = self._later()
