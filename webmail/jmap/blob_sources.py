"""What Blob/upload makes a blob of: pieces of text, of base64, and ranges of other blobs (RFC 9404 §4.1)."""

import base64
import binascii
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from webmail.jmap.arguments import as_unsigned
from webmail.jmap.blobs import PIECE_OCTETS, Blob, open_blob
from webmail.jmap.errors import InvalidArguments, JsonObject, SetError
from webmail.jmap.method import Context

_TEXT, _BASE64 = "data:asText", "data:asBase64"
_RANGE = frozenset({"offset", "length"})


@dataclass(frozen=True, slots=True)
class BlobRange:
    blob: Blob
    offset: int
    length: int


Source = bytes | BlobRange


async def read_sources(context: Context, creation: JsonObject) -> list[Source]:
    """The sources that a creation names, each looked at. Raises SetError."""
    unknown = creation.keys() - {"data", "type"}
    if unknown:
        raise SetError("invalidProperties", properties=sorted(unknown))
    given = creation.get("data")
    if not isinstance(given, list):
        raise invalid("data must be a list of sources")
    if len(given) > context.limits.max_data_sources:
        raise SetError("tooLarge", f"at most {context.limits.max_data_sources} sources")
    return [await _read_source(context, each) for each in given]


def octets_of(sources: Sequence[Source]) -> int:
    return sum(len(each) if isinstance(each, bytes) else each.length for each in sources)


async def pieces_of(sources: Sequence[Source]) -> AsyncIterator[bytes]:
    for source in sources:
        if isinstance(source, bytes):
            yield source
            continue
        end = source.offset + source.length
        for at in range(source.offset, end, PIECE_OCTETS):
            yield await source.blob.read(at, min(PIECE_OCTETS, end - at))


async def _read_source(context: Context, given: object) -> Source:
    if not isinstance(given, dict):
        raise invalid("a source must be an object")
    source = {name: value for name, value in given.items() if value is not None}
    match source:
        case {"data:asText": str(text)} if len(source) == 1:
            return text.encode()
        case {"data:asBase64": str(text)} if len(source) == 1:
            return _decode(text)
        case {"blobId": str(blob_id)} if source.keys() - {"blobId"} <= _RANGE:
            return await _read_range(context, blob_id, source)
    raise invalid("a source is one of data:asText, data:asBase64 and blobId, which may have offset and length")


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("data:asBase64 is no base64") from None


async def _read_range(context: Context, blob_id: str, source: JsonObject) -> BlobRange:
    found = await open_blob(context.parts.store, context.who, context.real_id(blob_id))
    if found is None:
        raise SetError("blobNotFound", properties=("data",), more={"notFound": [blob_id]})
    try:
        offset = as_unsigned("offset", source.get("offset", 0))
        length = as_unsigned("length", source.get("length", max(0, found.octets - offset)))
    except InvalidArguments as error:
        raise invalid(error.description) from None
    if offset + length > found.octets:
        raise invalid("the blob is not that long")
    return BlobRange(found, offset, length)


def invalid(description: str) -> SetError:
    return SetError("invalidProperties", description, properties=("data",))
