"""What one person may ask of JMAP at once (RFC 8620 §2, the core capability)."""

from dataclasses import dataclass, field

from storage.uploads import UploadRoom

MAIL, SUBMISSION, VACATION = (f"urn:ietf:params:jmap:{name}" for name in ("mail", "submission", "vacationresponse"))
CORE, BLOB, QUOTA, MDN, WEBSOCKET, WEBPUSH = (
    f"urn:ietf:params:jmap:{name}" for name in ("core", "blob", "quota", "mdn", "websocket", "webpush-vapid")
)

VACATION_EXTENSION = "urn:waypost:params:jmap:vacation"


@dataclass(frozen=True, slots=True)
class Limits:
    """Octets, and numbers of objects or requests; all are told in the session."""

    max_size_upload: int = field(default=52_428_800, metadata={"least": 1_048_576})  # octets of one upload
    max_concurrent_upload: int = field(default=4, metadata={"least": 4})  # uploads of one person at once
    max_size_request: int = field(default=10_485_760, metadata={"least": 10_000})  # octets of one request
    max_concurrent_requests: int = field(default=8, metadata={"least": 4})  # requests of one person at once
    max_calls_in_request: int = field(default=32, metadata={"least": 16})  # method calls in one request
    max_objects_in_get: int = field(default=500, metadata={"least": 500})  # ids in one /get
    max_objects_in_set: int = field(default=500, metadata={"least": 500})  # objects in one /set
    max_size_blob_set: int = field(default=10_000_000, metadata={"least": 1_000})  # octets of one blob of Blob/upload
    max_data_sources: int = field(default=64, metadata={"least": 64})  # sources of one blob of Blob/upload

    @property
    def most_blob_octets(self) -> int:
        """Of one blob of Blob/upload: what an upload may not have it may not either (RFC 9404 §4.1)."""
        return min(self.max_size_blob_set, self.max_size_upload)


def upload_room(limits: Limits) -> UploadRoom:
    """What all uploads of a person may take up: several times what one message can refer to (RFC 8620 §6)."""
    return UploadRoom(octets=4 * limits.max_size_upload, uploads=1_000)
