"""Paths of images that carry their own permission, so that only what we wrote into a message can be asked for.

A message's document is sandboxed: its origin is no one's, and browsers send no cookie with what it loads. So a path
says whose it is, until when it is good, and what it stands for, and is signed with a key of the installation
(HMAC-SHA256, RFC 2104). A path stays the same for a day, so that browsers keep what they fetched. Pure.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Sequence
from dataclasses import dataclass

from storage.types import MessageId
from tenants.types import AccountId, TenantId
from webmail.message_html.references import LONGEST_URL, PartPath

DAY_S = 86_400
GOOD_FOR_DAYS = 2  # the day of signing and the next
_PREFIX = "/image/"
_NUMBER = r"[1-9][0-9]{0,18}"
_PART = rf"part/({_NUMBER})/([1-9][0-9]{{0,4}}(?:\.[1-9][0-9]{{0,4}}){{0,99}})"
_REMOTE = rf"remote/([A-Za-z0-9_-]{{1,{LONGEST_URL * 2}}})"
_PATH = re.compile(
    rf"/image/({_NUMBER})\.({_NUMBER})\.([0-9]{{1,6}})\.([A-Za-z0-9_-]{{22}})/(?:{_PART}|{_REMOTE})", re.ASCII
)
_LABEL = b"waypost images in mail 1"
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True)
class PartImage:
    message: MessageId
    path: PartPath


@dataclass(frozen=True, slots=True)
class RemoteImage:
    url: str


@dataclass(frozen=True, slots=True)
class Permitted:
    """Whose image it is."""

    tenant_id: TenantId
    account_id: AccountId
    image: PartImage | RemoteImage


def image_key(secret: bytes) -> bytes:
    """The key for signing, from a secret of the installation that has other uses too."""
    return hmac.digest(secret, _LABEL, hashlib.sha256)


def sign(key: bytes, permitted: Permitted, day: int) -> str:
    """`day` counts from 1970-01-01 UTC."""
    who, what = f"{permitted.tenant_id}.{permitted.account_id}.{day}", _name(permitted.image)
    return f"{_PREFIX}{who}.{_signature(key, who, what)}/{what}"


def verify(keys: Sequence[bytes], path: str, day: int) -> Permitted | None:
    """None: nobody of us wrote this path, or too long ago. Any of the keys may have signed."""
    found = _PATH.fullmatch(path) if len(path) <= LONGEST_URL * 2 + 200 else None
    if found is None:
        return None
    tenant, account, signed_on, signature, message, part, remote = found.groups()
    if not 0 <= day - int(signed_on) < GOOD_FOR_DAYS or max(map(int, (tenant, account, message or "1"))) > _LARGEST:
        return None
    who = f"{tenant}.{account}.{signed_on}"
    what = path.rpartition(signature + "/")[2]
    if not any(hmac.compare_digest(_signature(key, who, what), signature) for key in keys):
        return None
    image: PartImage | RemoteImage
    if message is not None:
        image = PartImage(MessageId(int(message)), tuple(map(int, part.split("."))))
    else:
        try:
            image = RemoteImage(base64.urlsafe_b64decode(remote + "=" * (-len(remote) % 4)).decode())
        except (binascii.Error, ValueError):
            return None
    return Permitted(TenantId(int(tenant)), AccountId(int(account)), image)


def _name(image: PartImage | RemoteImage) -> str:
    match image:
        case PartImage(message, path):
            return f"part/{message}/{'.'.join(map(str, path))}"
        case RemoteImage(url):
            return "remote/" + base64.urlsafe_b64encode(url.encode()).decode().rstrip("=")


def _signature(key: bytes, who: str, what: str) -> str:
    digest = hmac.digest(key, f"{who}\n{what}".encode(), hashlib.sha256)
    return base64.urlsafe_b64encode(digest[:16]).decode().rstrip("=")
