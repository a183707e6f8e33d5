"""One message to one push service: sealed, signed, sent (RFC 8030 §5, RFC 8291, RFC 8292)."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric import ec

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from mailserver.outward_http import NotPublic, OutwardFailed, OutwardHttp
from mailserver.web_push_encryption import (
    SALT_OCTETS,
    PushKeysInvalid,
    application_server_key,
    authorization,
    encrypt,
    parse_push_keys,
    public_octets,
    to_base64,
)
from storage.keys import KeyRing
from storage.push_subscriptions import Target

PUSHES = counter("web_pushes", "Messages to push services, by what came of them.", "came")

TTL_S = 86_400  # how long a push service keeps a message for a device that is off
TOKEN_S = 12 * 3_600  # RFC 8292 §2: at most a day
POST_S = 20.0
ANSWER_OCTETS = 64 * 1024

log = get_logger()


class Came(Enum):
    """What came of a message."""

    TAKEN = "taken"
    GONE = "gone"
    BUSY = "busy"  # 429: we are asked to send less
    FAILED = "failed"
    REJECTED = "rejected"  # the push service will not have this message: a key it does not know (RFC 8292 §4.2) …
    REFUSED = "refused"  # it would lead inside, or its keys are none


@dataclass(frozen=True, slots=True)
class Posted:
    """`retry_after_s` is what the push service asks for."""

    came: Came
    retry_after_s: float | None = None


class PushPosting:
    """`contact` is where operators of push services reach ours (RFC 8292 §2.1)."""

    def __init__(
        self, keys: KeyRing, outward: OutwardHttp, *, contact: str, clock: Callable[[], float] = time.time
    ) -> None:
        self._keys = keys
        self._outward = outward
        self._contact = contact
        self._clock = clock

    @cached_property
    def public_key(self) -> str:
        """What push services know the installation by (RFC 9749 §3)."""
        return to_base64(public_octets(self._private_key))

    def allows(self, url: str) -> bool:
        """Whether a subscription may have it."""
        return self._outward.allows(url, https_only=True)

    async def post(self, target: Target, message: bytes, headers: Mapping[str, str]) -> Posted:
        """`headers` are those that say how urgent it is."""
        posted = await self._post(target, message, headers)
        PUSHES.labels(posted.came.value).inc()
        return posted

    async def _post(self, target: Target, message: bytes, headers: Mapping[str, str]) -> Posted:
        more = {"content-type": "application/json", "ttl": str(TTL_S), **headers}
        try:
            if target.p256dh is not None and target.auth is not None:
                message = _sealed(message, target.p256dh, target.auth)
                more["content-encoding"] = "aes128gcm"
            more["authorization"] = self._authorization(target.url)
        except (ValueError, PushKeysInvalid):
            return Posted(Came.REFUSED)
        try:
            answer = await self._outward.post(target.url, message, more, timeout_s=POST_S, most_octets=ANSWER_OCTETS)
        except NotPublic:
            return Posted(Came.REFUSED)
        except OutwardFailed as failed:
            log.info("a push service does not answer", reason=str(failed))
            return Posted(Came.FAILED)
        if 200 <= answer.status < 300:
            return Posted(Came.TAKEN)
        if answer.status in (404, 410):
            return Posted(Came.GONE)
        return Posted(_came_of(answer.status), _retry_after_s(answer.headers.get("retry-after", "")))

    def _authorization(self, url: str) -> str:
        parts = urlsplit(url)
        return authorization(
            self._private_key,
            audience=f"{parts.scheme}://{parts.netloc}",
            subject=self._contact,
            expires_at=int(self._clock()) + TOKEN_S,
        )

    @cached_property
    def _private_key(self) -> ec.EllipticCurvePrivateKey:
        return application_server_key(self._keys.web_push_secret)


def _came_of(status: int) -> Came:
    """Of one that was not taken."""
    if status == 429:
        return Came.BUSY
    return Came.REJECTED if 400 <= status < 500 and status != 408 else Came.FAILED


def _sealed(message: bytes, p256dh: str, auth: str) -> bytes:
    """Raises PushKeysInvalid, ValueError."""
    fresh = ec.generate_private_key(ec.SECP256R1())
    return encrypt(message, parse_push_keys(p256dh, auth), salt=os.urandom(SALT_OCTETS), private_key=fresh)


def _retry_after_s(text: str) -> float | None:
    """In seconds; a date is not read (RFC 9110 §10.2.3)."""
    return float(text) if text.isascii() and text.isdigit() and len(text) < 8 else None
