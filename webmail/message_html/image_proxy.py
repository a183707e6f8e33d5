"""Images of messages, asked for by a path that we signed: parts of a message, and what lies elsewhere on the web.

Whatever a part or a server calls it, only what begins as a raster image goes out, under the name of that format. Every
other end (nothing there, no image, too large, too slow, not public) is one and the same 404, so that nobody learns what
we can reach. What is elsewhere is asked for without cookie, referrer or a word about the person.
"""

import time
from collections.abc import Callable

from mailserver.assembly import Parts
from mailserver.mime.sections import part_at
from mailserver.mime.structure import unpack
from mailserver.outward_http import OutwardFailed
from storage.content import open_content
from storage.errors import MessageGone
from webmail.jmap.http.exchange import Answer, Refused
from webmail.message_html.places import Places, TooManyWaiting
from webmail.message_html.raster import media_type
from webmail.message_html.reading import part_octets
from webmail.message_html.references import web_url
from webmail.message_html.signatures import DAY_S, PartImage, Permitted, RemoteImage, image_key, sign, verify

MOST_OCTETS = 10 * 1024 * 1024
TIMEOUT_S = 15.0
MOST_REDIRECTS = 4
REMOTE_AT_ONCE = 24
OWN_AT_ONCE = 12
AT_ONCE_OF_ONE = 6
WAITING_OF_ONE = 64
_ACCEPT = {"accept": "image/avif,image/webp,image/png,image/jpeg,image/gif,image/*;q=0.5"}
_SAFE = (
    ("content-security-policy", "sandbox; default-src 'none'"),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "cross-origin"),  # the document that shows it has no origin
)
_KEPT = ("cache-control", f"private, max-age={DAY_S}")
_ABSENT_KEPT = ("cache-control", "private, max-age=300")


class Images:
    """One per process. `clock` gives seconds since 1970."""

    def __init__(self, parts: Parts, *, clock: Callable[[], float] = time.time) -> None:
        self._parts = parts
        self._clock = clock
        self._remote = Places(REMOTE_AT_ONCE, of_one=AT_ONCE_OF_ONE, waiting_of_one=WAITING_OF_ONE)
        self._own = Places(OWN_AT_ONCE, of_one=AT_ONCE_OF_ONE, waiting_of_one=WAITING_OF_ONE)

    def signer(self) -> Callable[[Permitted], str]:
        """Gives the paths of images in a document that is written now."""
        key, day = self._keys()[0], self.day()
        return lambda permitted: sign(key, permitted, day)

    def day(self) -> int:
        return int(self._clock()) // DAY_S

    async def answer(self, path: str, answer: Answer) -> None:
        """Raises Refused, StoreUnavailable, ColdTierUnavailable, ContentDamaged."""
        permitted = verify(self._keys(), path, self.day())
        if permitted is None:
            raise Refused(404, "there is no such image")
        places = self._remote if isinstance(permitted.image, RemoteImage) else self._own
        try:
            async with places.one(permitted.account_id):
                octets = await self._octets(permitted)
        except TooManyWaiting:
            raise Refused(429, "too many images at once", (("retry-after", "5"),)) from None
        kind = media_type(octets)
        if kind is None:
            await answer.whole(404, b"", (_ABSENT_KEPT, *_SAFE))
        else:
            await answer.whole(200, octets, (("content-type", kind), _KEPT, *_SAFE))

    def _keys(self) -> list[bytes]:
        return [image_key(secret) for secret in self._parts.store.keys.forwarding_keys()]

    async def _octets(self, permitted: Permitted) -> bytes:
        """Empty: there is nothing."""
        match permitted.image:
            case RemoteImage(url):
                return await self._fetch(url)
            case PartImage() as image:
                return await self._part(permitted, image)

    async def _fetch(self, url: str) -> bytes:
        if web_url(url) != url:
            return b""
        try:
            found = await self._parts.outward.get(
                url, _ACCEPT, timeout_s=TIMEOUT_S, most_octets=MOST_OCTETS, most_redirects=MOST_REDIRECTS
            )
        except OutwardFailed:
            return b""
        return found.body if found.status == 200 else b""

    async def _part(self, permitted: Permitted, image: PartImage) -> bytes:
        store = self._parts.store
        keys = await store.keys.of(permitted.tenant_id)
        try:
            async with store.database.read(permitted.tenant_id) as connection:
                content = await open_content(
                    connection,
                    store.database,
                    store.blobs,
                    keys,
                    permitted.tenant_id,
                    permitted.account_id,
                    image.message,
                )
        except MessageGone:
            return b""
        part = part_at(unpack(content.structure), image.path)
        if part is None or part.children or part.body_octets > MOST_OCTETS * 2:
            return b""
        octets, _ = await part_octets(content, part, MOST_OCTETS * 2)
        return octets
