"""Reverse paths of mail that is passed on, rewritten so that SPF passes and bounces find their way (SRS).

    ann@author.test, passed on for bob@demo.test      SRS0=hhhhhh=tt=author.test=ann@demo.test
    SRS0=…@other.test, passed on once more            SRS1=hhhhhh=other.test==…@demo.test

`hhhhhh` is a keyed digest, of our domain as well, so that only our own rewriting comes back, through the company it was
made for; `tt` the day, so that it does for 21 days. Both are base32, and the digest is of lower case, because some
systems fold the case of what they return. There is no RFC; the scheme is that of libsrs2, whose addresses other
forwarders understand.
"""

import base64
import hmac
import re
from datetime import datetime, timedelta
from typing import Final

VALID_FOR: Final = timedelta(days=21)
LOCAL_PART_LIMIT_OCTETS: Final = 64  # RFC 5321 §4.5.3.1.1: more need not be taken

_DIGEST_CHARACTERS = 6
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_DAYS = len(_ALPHABET) ** 2
_FLAGS = re.IGNORECASE | re.ASCII  # without ASCII the long s and the Kelvin sign are letters of a digest
_KIND = re.compile(r"SRS([01])[=+-]", _FLAGS)
_SRS0 = re.compile(r"SRS0[=+-]([a-z2-7]{6})=([a-z2-7]{2})=([^=]+)=(.+)", _FLAGS | re.DOTALL)
_SRS1 = re.compile(r"SRS1[=+-]([a-z2-7]{6})=([^=]+)=([=+-].+)", _FLAGS | re.DOTALL)
_FOREIGN_SRS1 = re.compile(r"SRS1[=+-][^=]*=([^=]+)=([=+-].+)", _FLAGS | re.DOTALL)


class NotOurs(Exception):
    """No address that we rewrote, or one that is too old."""


def is_rewritten(address: str) -> bool:
    """Whether it looks so; `restore` knows."""
    return _KIND.match(address) is not None


def rewrite(reverse_path: str, domain: str, *, secret: bytes, now: datetime) -> str | None:
    """The reverse path under our own `domain`; None if no address of ours can hold it (too long, or quoted)."""
    local_part, _, host = reverse_path.rpartition("@")
    kind = _KIND.match(local_part)
    if local_part.startswith('"') or host.startswith("["):
        return None
    if kind is None:
        day = _day(now)
        body = f"{day}={host}={local_part}"
        rewritten = f"SRS0={_digest(secret, body, domain)}={body}"
    else:
        body = _second_hop(kind, local_part, host)
        rewritten = f"SRS1={_digest(secret, body, domain)}={body}"
    if len(rewritten.encode()) > LOCAL_PART_LIMIT_OCTETS:
        return None
    return f"{rewritten}@{domain}"


def restore(address: str, *, secret: bytes, now: datetime) -> str:
    """Whom a bounce to an address of ours goes on to. Raises NotOurs."""
    local_part, _, domain = address.rpartition("@")
    if found := _SRS0.fullmatch(local_part):
        digest, day, host, author = found.groups()
        _check(secret, digest, f"{day}={host}={author}", domain)
        if not _is_recent(day.lower(), now):
            raise NotOurs("it is over three weeks old")
        return f"{author}@{host}"
    if found := _SRS1.fullmatch(local_part):
        digest, host, rest = found.groups()
        _check(secret, digest, f"{host}={rest}", domain)
        return f"SRS0{rest}@{host}"
    raise NotOurs("it has not the form")


def _second_hop(kind: re.Match[str], local_part: str, host: str) -> str:
    """The host that rewrote it first, and what that host will understand; hosts between are left out."""
    again = _FOREIGN_SRS1.fullmatch(local_part) if kind[1] == "1" else None
    if again is not None:
        return f"{again[1]}={again[2]}"
    return f"{host}={local_part[4:]}"


def _check(secret: bytes, digest: str, body: str, domain: str) -> None:
    if not hmac.compare_digest(digest.lower(), _digest(secret, body, domain)):
        raise NotOurs("the digest is not ours")


def _digest(secret: bytes, body: str, domain: str) -> str:
    octets = hmac.digest(secret, f"{body}@{domain}".lower().encode(), "sha256")
    return base64.b32encode(octets)[:_DIGEST_CHARACTERS].decode().lower()


def _day(now: datetime) -> str:
    day = int(now.timestamp()) // 86_400 % _DAYS
    return _ALPHABET[day // 32] + _ALPHABET[day % 32]


def _is_recent(day: str, now: datetime) -> bool:
    then = _ALPHABET.index(day[0]) * 32 + _ALPHABET.index(day[1])
    return (int(now.timestamp()) // 86_400 - then) % _DAYS <= VALID_FOR.days
