"""What Blob/upload makes a blob of: pieces of text, of base64, and ranges of other blobs (RFC 9404 §4.1)."""

import base64
import binascii

from storage.uploads import UploadGone
from webmail.jmap.arguments import as_unsigned
from webmail.jmap.blobs import Blob, open_blob
from webmail.jmap.errors import InvalidArguments, JsonObject, SetError
from webmail.jmap.method import Context

_RANGE = frozenset({"offset", "length"})


async def read_sources(context: Context, creation: JsonObject) -> list[bytes]:
    """The octets of the sources that a creation names. Raises SetError.

    Each is read as it is met, for a part of a message is in memory as long as it is open: of one blob at a time.
    """
    unknown = creation.keys() - {"data", "type"}
    if unknown:
        raise SetError("invalidProperties", properties=sorted(unknown))
    given = creation.get("data")
    if not isinstance(given, list):
        raise invalid("data must be a list of sources")
    if len(given) > context.limits.max_data_sources:
        raise SetError("tooLarge", f"at most {context.limits.max_data_sources} sources")
    reader = _Reader(context)
    return [await reader.read(each) for each in given]


class _Reader:
    """Of the sources of one blob, as far as one may have them all."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._left = context.limits.most_blob_octets
        self._last: tuple[str, Blob] | None = None

    async def read(self, given: object) -> bytes:
        """Raises SetError."""
        if not isinstance(given, dict):
            raise invalid("a source must be an object")
        source = {name: value for name, value in given.items() if value is not None}
        match source:
            case {"data:asText": str(text)} if len(source) == 1:
                octets = text.encode()
            case {"data:asBase64": str(text)} if len(source) == 1:
                octets = _decode(text)
            case {"blobId": str(blob_id)} if source.keys() - {"blobId"} <= _RANGE:
                return await self._range(blob_id, source)
            case _:
                words = "a source is one of data:asText, data:asBase64 and blobId, which may have offset and length"
                raise invalid(words)
        self._take(len(octets))
        return octets

    async def _range(self, blob_id: str, source: JsonObject) -> bytes:
        found = await self._opened(blob_id)
        try:
            offset = as_unsigned("offset", source.get("offset", 0))
            length = as_unsigned("length", source.get("length", max(0, found.octets - offset)))
        except InvalidArguments as error:
            raise invalid(error.description) from None
        if offset + length > found.octets:
            raise invalid("the blob is not that long")
        self._take(length)
        try:
            return await found.read(offset, length)
        except UploadGone:
            raise _not_found(blob_id) from None

    async def _opened(self, blob_id: str) -> Blob:
        if self._last is not None and self._last[0] == blob_id:
            return self._last[1]
        self._last = None
        found = await open_blob(self._context.parts.store, self._context.who, self._context.real_id(blob_id))
        if found is None:
            raise _not_found(blob_id)
        self._last = blob_id, found
        return found

    def _take(self, octets: int) -> None:
        self._left -= octets
        if self._left < 0:
            raise SetError("tooLarge", f"at most {self._context.limits.most_blob_octets} octets")


def _not_found(blob_id: str) -> SetError:
    return SetError("blobNotFound", properties=("data",), more={"notFound": [blob_id]})


def _decode(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise invalid("data:asBase64 is no base64") from None


def invalid(description: str) -> SetError:
    return SetError("invalidProperties", description, properties=("data",))
