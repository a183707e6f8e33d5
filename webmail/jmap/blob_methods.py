"""Blobs within a request (RFC 9404): made with Blob/upload, read with Blob/get, looked for with Blob/lookup; Blob/copy
(RFC 8620 §6.3)."""

import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from storage import uploads
from storage.message_places import Places, places
from storage.types import MailboxId, MessageId, ThreadId, UploadId
from webmail.jmap.arguments import Arguments, as_creations
from webmail.jmap.blob_digests import DIGESTS
from webmail.jmap.blob_sources import read_sources
from webmail.jmap.blobs import PIECE_OCTETS, Blob, is_there, open_blob
from webmail.jmap.errors import InvalidArguments, JsonObject, MethodError, SetError
from webmail.jmap.ids import MessageBlob, UploadBlob, blob_id, email_id, mailbox_id, parse_blob_id, thread_id
from webmail.jmap.ijson import is_text
from webmail.jmap.limits import BLOB, CORE, MAIL, upload_room
from webmail.jmap.method import Context, Method

_DATA = frozenset({"data", "data:asText", "data:asBase64"})
_PROPERTIES = frozenset({"id", "size", *_DATA, *(f"digest:{name}" for name in DIGESTS)})
_DEFAULT = frozenset({"data", "size"})
LOOKED_UP = {"Mailbox": MAIL, "Thread": MAIL, "Email": MAIL}
"""The types that can refer to blobs, with the capabilities that define them."""


async def upload(context: Context, arguments: JsonObject) -> JsonObject:
    """RFC 9404 §4.1."""
    taken = Arguments(context, arguments)
    taken.account()
    create = as_creations("create", taken.object("create"))
    taken.end()
    taken.demand_few(len(create))
    created: JsonObject = {}
    not_created: JsonObject = {}
    for creation_id, creation in create.items():
        try:
            created[creation_id] = await _create(context, creation)
            context.created_ids[creation_id] = created[creation_id]["id"]
        except SetError as error:
            not_created[creation_id] = error.arguments()
    return {"accountId": context.account_id, "created": created or None, "notCreated": not_created or None}


async def _create(context: Context, creation: JsonObject) -> JsonObject:
    media_type = creation.get("type")
    if not isinstance(media_type, str | None):
        raise SetError("invalidProperties", "type must be a string", properties=("type",))
    sources = await read_sources(context, creation)
    store = context.parts.store
    keys = await store.keys.of(context.who.tenant_id)
    kept = await uploads.receive(
        store.database, keys, context.who.account_id, _pieces(sources), upload_room(context.limits)
    )
    return {"id": blob_id(UploadBlob(UploadId(kept.id))), "type": media_type, "size": kept.octets}


async def _pieces(sources: Sequence[bytes]) -> AsyncIterator[bytes]:
    for each in sources:
        yield each


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    """RFC 9404 §4.2. As many octets as one request may have come in one answer; who wants more downloads them. Digests
    are made of as many as uploads may take up (§5)."""
    taken = Arguments(context, arguments)
    asked = taken.standard_get(_PROPERTIES)
    offset, length = taken.unsigned_or_null("offset") or 0, taken.unsigned_or_null("length")
    taken.end()
    if asked.ids is None:
        raise InvalidArguments("ids: blobs cannot be listed")
    reading = _Reading(offset, length, _DEFAULT if asked.properties is None else asked.properties)
    left, left_to_digest = context.limits.max_size_request, upload_room(context.limits).octets
    shown: list[JsonObject] = []
    not_found: list[str] = []
    for each in asked.ids:
        found = await open_blob(context.parts.store, context.who, each)
        if found is None:
            not_found.append(each)
            continue
        if reading.wants_data:
            left -= reading.selected(found)[1]
            if left < 0:
                raise MethodError("requestTooLarge", f"at most {context.limits.max_size_request} octets at once")
            context.room.take(reading.selected(found)[1])
        if reading.digests:
            left_to_digest -= reading.selected(found)[1]
            if left_to_digest < 0:
                raise MethodError("requestTooLarge", "fewer octets can be digested at once")
        shown.append({"id": each, **await reading.read(found)})
    return {"accountId": context.account_id, "list": shown, "notFound": not_found}


@dataclass(frozen=True, slots=True)
class _Reading:
    offset: int
    length: int | None
    properties: frozenset[str]

    @property
    def wants_data(self) -> bool:
        return not self.properties.isdisjoint(_DATA)

    @property
    def digests(self) -> list[str]:
        return [name for name in DIGESTS if f"digest:{name}" in self.properties]

    def selected(self, blob: Blob) -> tuple[int, int]:
        """Where the octets begin, and how many there are."""
        start = min(self.offset, blob.octets)
        most = blob.octets - start
        return start, most if self.length is None else min(self.length, most)

    async def read(self, blob: Blob) -> JsonObject:
        start, length = self.selected(blob)
        digests = {name: DIGESTS[name]() for name in self.digests}
        pieces: list[bytes] = []
        if digests or self.wants_data:
            for at in range(start, start + length, PIECE_OCTETS):
                piece = await blob.read(at, min(PIECE_OCTETS, start + length - at))
                for digest in digests.values():
                    digest.update(piece)
                if self.wants_data:
                    pieces.append(piece)
        shown: JsonObject = {f"digest:{name}": _base64(digest.digest()) for name, digest in digests.items()}
        if self.wants_data:
            shown |= self._data(b"".join(pieces))
        if "size" in self.properties:
            shown["size"] = blob.octets
        if self.offset > blob.octets or (self.length is not None and self.length > length):
            shown["isTruncated"] = True
        return shown

    def _data(self, octets: bytes) -> JsonObject:
        shown: JsonObject = {}
        wants_text, wants_base64 = (name in self.properties for name in ("data:asText", "data:asBase64"))
        if (wants_text or "data" in self.properties) and not is_text(octets):
            shown |= {"data:asText": None, "isEncodingProblem": True}
            wants_base64 = wants_base64 or "data" in self.properties
        elif wants_text or "data" in self.properties:
            shown["data:asText"] = octets.decode()
        return {**shown, "data:asBase64": _base64(octets)} if wants_base64 else shown


async def lookup(context: Context, arguments: JsonObject) -> JsonObject:
    """RFC 9404 §4.3: which mailboxes, threads and messages a blob is found in. Of a foreign one: none."""
    taken = Arguments(context, arguments)
    taken.account()
    type_names, asked = taken.strings("typeNames"), taken.ids("ids")
    taken.end()
    for name in type_names:
        if name not in LOOKED_UP or LOOKED_UP[name] not in context.using:
            raise MethodError("unknownDataType", f"there is no type {name[:100]} here that refers to blobs")
    ids = list(dict.fromkeys(context.real_id(each) for each in asked))
    if len(ids) > (most := context.limits.max_objects_in_get):
        raise MethodError("requestTooLarge", f"at most {most} ids")
    found = await _messages_of(context, ids)
    return {
        "accountId": context.account_id,
        "list": [{"id": each, "matchedIds": _matched(type_names, found.get(each))} for each in ids],
    }


async def _messages_of(context: Context, ids: Sequence[str]) -> dict[str, Places]:
    wanted: dict[str, MessageId] = {}
    for each in ids:
        ref = parse_blob_id(each)
        if isinstance(ref, MessageBlob) and (ref.part is None or await is_there(context.parts.store, context.who, ref)):
            wanted[each] = ref.message
    who = context.who
    async with context.parts.store.database.read(who.tenant_id) as connection:
        found = await places(connection, who.tenant_id, who.account_id, list(wanted.values()))
    by_message = {each.message_id: each for each in found}
    return {each: by_message[message] for each, message in wanted.items() if message in by_message}


def _matched(type_names: Sequence[str], found: Places | None) -> JsonObject:
    if found is None:
        return {name: [] for name in type_names}
    matched = {
        "Mailbox": [mailbox_id(MailboxId(each)) for each in found.mailbox_ids],
        "Thread": [thread_id(ThreadId(found.thread_id))],
        "Email": [email_id(MessageId(found.message_id))],
    }
    return {name: matched[name] for name in type_names}


async def copy(context: Context, arguments: JsonObject) -> JsonObject:
    """RFC 8620 §6.3. A person has one account, so there is nowhere to copy to."""
    taken = Arguments(context, arguments)
    from_account = taken.id("fromAccountId")
    taken.ids("blobIds")
    taken.account()
    taken.end()
    if from_account == context.account_id:
        raise InvalidArguments("fromAccountId: a blob cannot be copied to the account where it is")
    raise MethodError("fromAccountNotFound")


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


METHODS = (
    Method("Blob/copy", CORE, copy),
    Method("Blob/upload", BLOB, upload),
    Method("Blob/get", BLOB, get),
    Method("Blob/lookup", BLOB, lookup),
)
