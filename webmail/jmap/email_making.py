"""New Emails put into the store: composed from what a client says, or imported as they are (RFC 8621 §4.6, §4.8)."""

import asyncio
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any
from zoneinfo import ZoneInfo

from mailserver.mime.header import parse_date
from mailserver.mime.sections import header_fields
from mailserver.mime.structure import scan
from mailserver.services.appending import prepare
from mailserver.services.email_changing import MAILBOXES_PER_EMAIL, Added, NewEmail, add_email
from storage.errors import (
    ColdTierUnavailable,
    KeyUnusable,
    MailboxNotFound,
    OverQuota,
    StoreUnavailable,
    TooManyKeywords,
)
from storage.types import Flags, MailboxId, Modseq, SystemFlag
from storage.uploads import UploadGone
from webmail.jmap.blobs import Blob, open_blob
from webmail.jmap.email_changes_read import read_keywords, read_mailboxes, read_received_at
from webmail.jmap.email_composing import Stamp, compose
from webmail.jmap.email_creation import Draft, parse_creation
from webmail.jmap.email_headers import parse_fields
from webmail.jmap.email_keywords import flags_of
from webmail.jmap.email_whole import is_message
from webmail.jmap.errors import JsonObject, SetError
from webmail.jmap.ids import MessageBlob, blob_id, email_id
from webmail.jmap.method import Context

LARGE_OCTETS = 1024 * 1024
LARGE_AT_ONCE = 2
_IN_A_THREAD_OCTETS = 64 * 1024
_IMPORTED = frozenset({"blobId", "mailboxIds", "keywords", "receivedAt"})

_large = asyncio.Semaphore(LARGE_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Made:
    """An Email that is in the store now; its thread is told by the account's picture."""

    added: Added
    octets: int
    flags: Flags

    @property
    def modseqs(self) -> Sequence[Modseq]:
        return self.added.modseqs

    @property
    def is_draft(self) -> bool:
        return bool(self.flags.system & SystemFlag.DRAFT)

    def shown(self) -> JsonObject:
        message = self.added.message_id
        return {"id": email_id(message), "blobId": blob_id(MessageBlob(message)), "size": self.octets}


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a new Email goes, and how."""

    mailboxes: Sequence[MailboxId]
    flags: Flags
    received_at: datetime | None


@contextmanager
def _told_of_it_alone() -> Iterator[None]:
    """A blob that cannot be read now is told of the Email that needs it: what was made before it stays made."""
    try:
        yield
    except UploadGone:  # later uploads took its place while it was read
        raise SetError("blobNotFound", "the blob is no longer there") from None
    except (ColdTierUnavailable, KeyUnusable, StoreUnavailable):
        raise SetError("serverUnavailable", "try again later") from None


async def make_email(context: Context, email: JsonObject) -> Made:
    """Raises SetError (invalidProperties, blobNotFound, tooLarge, overQuota, tooManyKeywords, serverUnavailable)."""
    with _told_of_it_alone():
        return await _make(context, email)


async def _make(context: Context, email: JsonObject) -> Made:
    place, draft = _read(context, email)
    blobs = await _open(context, draft)
    octets_of_blobs, characters = _told_size(draft, blobs)
    limit = context.parts.config.message_limit_octets
    if octets_of_blobs > limit * 3 // 4:
        raise SetError("tooLarge", f"attachments may have {limit * 3 // 4} octets together")
    if characters > limit:
        raise SetError("tooLarge", f"texts may have {limit} octets together")
    if octets_of_blobs + characters <= LARGE_OCTETS:
        return await _compose_and_add(context, draft, blobs, place)
    async with _large:
        return await _compose_and_add(context, draft, blobs, place)


def _told_size(draft: Draft, blobs: Mapping[str, Blob]) -> tuple[int, int]:
    """Octets of blobs, and characters of texts, before anything is composed: a thousand parts may have the same."""
    octets = characters = 0
    for part in draft.root.walk():
        if part.text is not None:
            characters += len(part.text)
        elif part.blob_id is not None:
            octets += blobs[part.blob_id].octets
    return octets, characters


async def _compose_and_add(context: Context, draft: Draft, blobs: Mapping[str, Blob], place: _Place) -> Made:
    who = context.who
    contents = {name: await blob.whole() for name, blob in blobs.items()}
    stamp = Stamp(
        message_id=f"{uuid.uuid4()}@{who.address.domain}",
        date=datetime.now(ZoneInfo(who.time_zone)).replace(microsecond=0),
        token=token_hex(12),
    )
    if sum(_told_size(draft, blobs)) > _IN_A_THREAD_OCTETS:
        octets = await asyncio.to_thread(compose, draft, contents, stamp)
    else:
        octets = compose(draft, contents, stamp)
    return await _add(context, octets, place)


async def import_email(context: Context, given: JsonObject) -> Made:
    """Raises SetError (invalidProperties, invalidEmail, tooLarge, overQuota, tooManyKeywords, serverUnavailable)."""
    with _told_of_it_alone():
        return await _read_and_import(context, given)


async def _read_and_import(context: Context, given: JsonObject) -> Made:
    if unknown := given.keys() - _IMPORTED:
        raise SetError("invalidProperties", "there is no such property", tuple(sorted(unknown)))
    place = _read_place(context, given)
    wanted = given.get("blobId")
    blob = None
    if isinstance(wanted, str):
        blob = await open_blob(context.parts.store, context.who, context.real_id(wanted))
    if blob is None:
        raise SetError("invalidProperties", "there is no such blob", ("blobId",))
    if blob.octets > context.parts.config.message_limit_octets:
        raise SetError("tooLarge", f"a message may have {context.parts.config.message_limit_octets} octets")
    if blob.octets <= LARGE_OCTETS:
        return await _import(context, blob, place)
    async with _large:
        return await _import(context, blob, place)


async def _import(context: Context, blob: Blob, place: _Place) -> Made:
    octets = _mended(await blob.whole())
    header = octets[: scan(octets).header_octets]
    if not is_message(parse_fields(header)):
        raise SetError("invalidEmail", "it does not begin with header fields")
    if place.received_at is None:
        place = _Place(place.mailboxes, place.flags, _received_at(header))
    return await _add(context, octets, place)


def _mended(octets: bytes) -> bytes:
    """Without the line that an mbox puts before a message, and with CRLF if all its lines end in LF alone."""
    if octets.startswith(b"From ") and b"\n" in octets:
        octets = octets[octets.index(b"\n") + 1 :]
    return octets if b"\r" in octets else octets.replace(b"\n", b"\r\n")


def _received_at(header: bytes) -> datetime | None:
    """When the last server that handled it got it."""
    received = parse_fields(header_fields(header, [b"received"], exclude=False)).values("received")
    if not received:
        return None
    moment = parse_date(received[0].rpartition(b";")[2].decode("ascii", "replace"))
    return None if moment is None or moment > datetime.now(UTC) else moment


async def _add(context: Context, octets: bytes, place: _Place) -> Made:
    if len(place.mailboxes) > MAILBOXES_PER_EMAIL:
        raise SetError("tooManyMailboxes", f"at most {MAILBOXES_PER_EMAIL}")
    limit = context.parts.config.message_limit_octets
    if len(octets) > limit:
        raise SetError("tooLarge", f"a message may have {limit} octets")
    store, who = context.parts.store, context.who
    try:
        message = await prepare(store, who, octets, place.received_at or datetime.now(UTC))
        added = await add_email(store, who, NewEmail(message, place.mailboxes, place.flags))
    except OverQuota:
        raise SetError("overQuota", "there is no room for it") from None
    except MailboxNotFound:
        raise SetError("invalidProperties", "there is no such mailbox", ("mailboxIds",)) from None
    except TooManyKeywords as refusal:
        raise SetError("tooManyKeywords", f"at most {refusal.limit}") from None
    return Made(added, len(octets), place.flags)


def _read(context: Context, email: JsonObject) -> tuple[_Place, Draft]:
    """Whatever is wrong is told at once."""
    wrong: list[SetError] = []
    place, draft = None, None
    try:
        place = _read_place(context, email)
    except SetError as error:
        wrong.append(error)
    try:
        draft = parse_creation(email)
    except SetError as error:
        wrong.append(error)
    if place is None or draft is None:
        properties = dict.fromkeys(name for error in wrong for name in error.properties)
        raise SetError("invalidProperties", wrong[0].description, tuple(properties))
    return place, draft


def _read_place(context: Context, given: JsonObject) -> _Place:
    mailboxes = read_mailboxes(context, given.get("mailboxIds"))
    flags = Flags(*flags_of(read_keywords(given.get("keywords"))))
    at: Any = given.get("receivedAt")
    return _Place(sorted(mailboxes), flags, None if at is None else read_received_at(at))


async def _open(context: Context, draft: Draft) -> dict[str, Blob]:
    """The blobs that a draft names. Raises SetError (blobNotFound)."""
    found: dict[str, Blob] = {}
    missing: list[str] = []
    for name in draft.blob_ids:
        blob = await open_blob(context.parts.store, context.who, context.real_id(name))
        if blob is None:
            missing.append(name)
        else:
            found[name] = blob
    if missing:
        raise SetError("blobNotFound", "there is no such blob", more={"notFound": missing})
    return found
