"""The download resource (RFC 8620 §6.2): the octets of a blob, whole or in part.

What people sent may be a page with a script: it is served to be saved, never as what a sniffing browser takes it for,
and where it is shown all the same it has no origin and loads nothing.
"""

import re
from collections.abc import Mapping
from contextlib import nullcontext
from urllib.parse import parse_qs

from tenants.types import Principal
from webmail.jmap.blobs import PIECE_OCTETS, Blob, open_blob
from webmail.jmap.http.disposition import attachment
from webmail.jmap.http.door import Door
from webmail.jmap.http.exchange import Answer, HttpRequest, Refused
from webmail.jmap.http.ranges import OctetRange, RangeNotSatisfiable, parse_range
from webmail.jmap.ids import account_id

_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`|~-]+"  # noqa: S105 (RFC 9110 §5.6.2)
_MEDIA_TYPE = re.compile(rf"{_TOKEN}/{_TOKEN}(?:[ \t]*;[ \t]*{_TOKEN}=(?:{_TOKEN}|\"[^\"\\\x00-\x1f\x7f-\xff]*\"))*")
_LONGEST_TYPE = 255
_HELD_OCTETS = 1024 * 1024
_OCTETS = "application/octet-stream"
_SAFE = (
    ("content-security-policy", "sandbox; default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
)
_FOR_EVER = ("cache-control", "private, immutable, max-age=31536000")


async def answer_download(
    door: Door, request: HttpRequest, answer: Answer, who: Principal, variables: Mapping[str, str]
) -> None:
    found = await _find(door, who, variables)
    etag = f'"{variables["blob"]}"'
    headers = (
        ("content-type", _media_type(request.query)),
        ("content-disposition", attachment(variables["name"])),
        ("etag", etag),
        ("accept-ranges", "bytes"),
        _FOR_EVER,
        *_SAFE,
    )
    if _names(request.headers.get("if-none-match", ""), etag):
        await answer.begin(304, headers[2:])
        await answer.end()
        return
    wanted = _wanted_range(request, found, etag)
    with door.held_downloads.one(who.account_id) if found.held > _HELD_OCTETS else nullcontext():
        if wanted is None:
            await _send(answer, found, OctetRange(0, found.octets), 200, headers)
        else:
            more = ("content-range", wanted.content_range(found.octets))
            await _send(answer, found, wanted, 206, (*headers, more))


async def _find(door: Door, who: Principal, variables: Mapping[str, str]) -> Blob:
    if variables["account"] == account_id(who.account_id):
        found = await open_blob(door.parts.store, who, variables["blob"])
        if found is not None:
            return found
    raise Refused(404, "there is no such blob")


def _wanted_range(request: HttpRequest, found: Blob, etag: str) -> OctetRange | None:
    if_range = request.headers.get("if-range")
    if request.method != "GET" or (if_range is not None and if_range.strip() != etag):
        return None
    try:
        return parse_range(request.headers.get("range"), found.octets)
    except RangeNotSatisfiable:
        there_is = (("content-range", f"bytes */{found.octets}"),)
        raise Refused(416, "the blob is not that long", there_is) from None


async def _send(
    answer: Answer, found: Blob, wanted: OctetRange, status: int, headers: tuple[tuple[str, str], ...]
) -> None:
    """The first octets are there before the answer begins, so that a blob out of reach is still told as an error."""
    end = wanted.start + wanted.length
    piece = b""
    if not answer.is_head:
        piece = await found.read(wanted.start, min(PIECE_OCTETS, wanted.length))
    await answer.begin(status, (*headers, ("content-length", str(wanted.length))))
    if not answer.is_head:
        await answer.write(piece)
        for at in range(wanted.start + PIECE_OCTETS, end, PIECE_OCTETS):
            await answer.write(await found.read(at, min(PIECE_OCTETS, end - at)))
    await answer.end()


def _media_type(query: str) -> str:
    """As the client asks; what is no media type is octets."""
    try:
        given = parse_qs(query, max_num_fields=20).get("type", [""])[0].strip()
    except ValueError:
        return _OCTETS
    if len(given) > _LONGEST_TYPE or not given.isascii() or _MEDIA_TYPE.fullmatch(given) is None:
        return _OCTETS
    return given


def _names(if_none_match: str, etag: str) -> bool:
    """RFC 9110 §13.1.2, by weak comparison."""
    return any(each.strip().removeprefix("W/") in (etag, "*") for each in if_none_match.split(","))
