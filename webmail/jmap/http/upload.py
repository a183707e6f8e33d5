"""The upload resource (RFC 8620 §6.1): what is posted can be used as a blob for a day."""

from collections.abc import Mapping

from storage import uploads
from storage.types import UploadId
from tenants.types import Principal
from webmail.jmap.errors import RequestError
from webmail.jmap.http.door import Door
from webmail.jmap.http.exchange import Answer, BodyTooLarge, HttpRequest, Refused
from webmail.jmap.ids import UploadBlob, account_id, blob_id
from webmail.jmap.ijson import write
from webmail.jmap.limits import upload_room

_LONGEST_TYPE = 255


async def answer_upload(
    door: Door, request: HttpRequest, answer: Answer, who: Principal, variables: Mapping[str, str]
) -> None:
    if variables["account"] != account_id(who.account_id):
        raise Refused(404, "there is no such account")
    media_type = request.headers.get("content-type", "").strip() or "application/octet-stream"
    if len(media_type) > _LONGEST_TYPE:
        raise Refused(400, "the content type is too long")
    most = door.limits.max_size_upload
    store = door.parts.store
    with door.uploads.one(who.account_id):
        try:
            request.demand_length(most)
            keys = await store.keys.of(who.tenant_id)
            kept = await uploads.receive(
                store.database, keys, who.account_id, request.pieces(most), upload_room(door.limits)
            )
        except BodyTooLarge:
            words = f"an upload has at most {most} octets"
            raise RequestError("limit", words, status=413, limit="maxSizeUpload") from None
    told = {
        "accountId": account_id(who.account_id),
        "blobId": blob_id(UploadBlob(UploadId(kept.id))),
        "type": media_type,
        "size": kept.octets,
    }
    await answer.json(201, write(told))
