"""Email/get and Email/parse (RFC 8621 §4.2, §4.9).

What is asked for decides what is read: where messages stand and how they are flagged is in the account's picture, which
is as the database is now; preview and header come for all ids by one statement, without touching blobs; only body parts
and their values open the messages.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from mailserver.mime.structure import unpack
from mailserver.services.account_view import AccountView
from mailserver.services.email_reading import read_columns, read_whole
from mailserver.services.messages import open_content
from storage.account_contents import datetime_of
from storage.emails import EmailColumns, EmailRow, WholeEmail
from storage.errors import MessageGone
from storage.types import MessageId
from webmail.jmap.answer_room import AnswerRoom
from webmail.jmap.arguments import Arguments
from webmail.jmap.blobs import Blob, open_blob
from webmail.jmap.email_headers import parse_fields, select_fields, utc_date
from webmail.jmap.email_keywords import keywords_of
from webmail.jmap.email_long import long_body
from webmail.jmap.email_objects import Body, body_properties, header_properties
from webmail.jmap.email_wanted import DEFAULT, DEFAULT_PARSED, Wanted, read_wanted
from webmail.jmap.email_whole import parsed_email, whole_body
from webmail.jmap.errors import JsonObject, MethodError
from webmail.jmap.ids import (
    MessageBlob,
    PartPath,
    blob_id,
    email_id,
    mailbox_id,
    parse_blob_id,
    parse_email_id,
    thread_id,
)
from webmail.jmap.limits import MAIL, upload_room
from webmail.jmap.method import Context, Method
from webmail.jmap.states import state_of

_IN_A_THREAD_OCTETS = 128 * 1024
_IN_A_THREAD_WORK = 512 * 1024
"""Octets of headers, times what is asked of them: so much more and others had to wait for it."""
LARGE_AT_ONCE = 2
"""Blobs of more than LARGE_OCTETS that are parsed, in memory, at the same time."""
LARGE_OCTETS = 1024 * 1024
_large = asyncio.Semaphore(LARGE_AT_ONCE)
_NULL_WHEN_PARSED = frozenset({"id", "mailboxIds", "keywords", "receivedAt", "threadId"})


async def get(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    asked = taken.standard_get(None)
    wanted = read_wanted(taken, asked.properties, DEFAULT)
    taken.end()
    view = await context.parts.account_views.of(context.who)
    if asked.ids is None:
        asked.demand_few(len(view.everything))
        asked_ids: Sequence[str] = [email_id(view.id_at(slot)) for slot in view.everything]
    else:
        asked_ids = asked.ids
    known = {
        message: text for text in asked_ids if (message := parse_email_id(text)) is not None and view.is_shown(message)
    }
    found = await email_objects(context, view, list(known), wanted, context.room)
    shown = {known[message] for message in found}
    return {
        "accountId": context.account_id,
        "state": state_of(view, "Email"),
        "list": list(found.values()),
        "notFound": [text for text in asked_ids if text not in shown],
    }


async def email_objects(
    context: Context, view: AccountView, messages: Sequence[MessageId], wanted: Wanted, room: AnswerRoom
) -> dict[MessageId, JsonObject]:
    """What is wanted of each, in this order; those that are gone meanwhile are absent. All stand in the view.

    Raises requestTooLarge.
    """
    rows = await _rows(context, messages, wanted)
    bodies = await _bodies(context, view, messages, wanted, room) if wanted.needs_body else None
    keys = {each.key for each in wanted.headers}
    found: dict[MessageId, JsonObject] = {}
    work = 0
    for message in messages:
        row = rows.get(message) if rows is not None else None
        body = bodies.get(message) if bodies is not None else None
        if (rows is not None and row is None) or (bodies is not None and body is None):
            continue
        shown = _metadata(view, message, wanted)
        if row is not None:
            if "preview" in wanted.properties:
                shown["preview"] = row.preview
            if wanted.needs_header:
                work += len(row.header) * (1 + len(wanted.headers))
                if work > _IN_A_THREAD_WORK:
                    work = 0
                    shown |= await asyncio.to_thread(_of_header, row.header, keys, wanted, room)
                else:
                    shown |= _of_header(row.header, keys, wanted, room)
        if body is not None:
            shown |= body
        elif "bodyValues" in wanted.properties:
            shown["bodyValues"] = {}
        found[message] = shown
    return found


def _of_header(header: bytes, keys: Collection[str], wanted: Wanted, room: AnswerRoom) -> JsonObject:
    fields = parse_fields(header) if "headers" in wanted.properties else select_fields(header, keys)
    return header_properties(fields, wanted, room)


def _metadata(view: AccountView, message: MessageId, wanted: Wanted) -> JsonObject:
    """What is in the account's picture."""
    slot = view.slot_of(message)
    assert slot is not None
    asked = wanted.properties
    shown: JsonObject = {"id": email_id(message)}
    if "blobId" in asked:
        shown["blobId"] = blob_id(MessageBlob(message))
    if "threadId" in asked:
        thread = view.thread_of(message)
        assert thread is not None
        shown["threadId"] = thread_id(thread)
    if "mailboxIds" in asked:
        shown["mailboxIds"] = {mailbox_id(each): True for each in view.mailbox_ids_of(message)}
    if "keywords" in asked:
        shown["keywords"] = keywords_of(view.flags_of(message), view.keywords_of(message))
    if "size" in asked:
        shown["size"] = view.facts.octets[slot]
    if "receivedAt" in asked:
        shown["receivedAt"] = utc_date(datetime_of(view.facts.received[slot]))
    if "hasAttachment" in asked:
        shown["hasAttachment"] = bool(view.facts.attachments[slot])
    return shown


async def _rows(context: Context, messages: Sequence[MessageId], wanted: Wanted) -> Mapping[MessageId, EmailRow] | None:
    """None: nothing of them is needed."""
    columns = EmailColumns(0)
    if "preview" in wanted.properties:
        columns |= EmailColumns.PREVIEW
    if wanted.needs_header:
        columns |= EmailColumns.HEADER
    if not columns or not messages:
        return None if not columns else {}
    return await read_columns(context.parts.store, context.who, messages, columns)


async def _bodies(
    context: Context, view: AccountView, messages: Sequence[MessageId], wanted: Wanted, room: AnswerRoom
) -> Mapping[MessageId, JsonObject]:
    sizes = {message: view.facts.octets[slot] for message in messages if (slot := view.slot_of(message)) is not None}
    bodies: dict[MessageId, JsonObject] = {}
    async for some in read_whole(context.parts.store, context.who, sizes):
        for message, whole in some.items():
            if (body := await _body(context, whole, wanted, room)) is not None:
                bodies[message] = body
    return bodies


async def _body(context: Context, email: WholeEmail, wanted: Wanted, room: AnswerRoom) -> JsonObject | None:
    """None: it is gone."""
    message = email.message_id

    def part_blob(path: PartPath) -> str:
        return blob_id(MessageBlob(message, path))

    def of_whole(octets: bytes) -> JsonObject:
        return body_properties(whole_body(octets, unpack(email.structure), wanted, part_blob, room), wanted)

    if email.octets is not None:
        if len(email.octets) > _IN_A_THREAD_OCTETS or wanted.parts.headers:
            return await asyncio.to_thread(of_whole, email.octets)
        return of_whole(email.octets)
    try:
        content = await open_content(context.parts.store, context.who, message)
    except MessageGone:
        return None
    content.note_reading()
    body: Body = await long_body(content, unpack(content.structure), wanted, part_blob, room)
    return await asyncio.to_thread(body_properties, body, wanted)


async def parse(context: Context, arguments: JsonObject) -> JsonObject:
    taken = Arguments(context, arguments)
    taken.account()
    blob_ids = list(dict.fromkeys(map(context.real_id, taken.ids("blobIds"))))
    if len(blob_ids) > context.limits.max_objects_in_get:
        raise MethodError("requestTooLarge", f"at most {context.limits.max_objects_in_get} blobs")
    properties = taken.properties("properties", None)
    wanted = read_wanted(taken, properties, DEFAULT_PARSED)
    taken.end()
    parsed: dict[str, JsonObject] = {}
    not_parsable: list[str] = []
    not_found: list[str] = []
    left = upload_room(context.limits).octets
    for each in blob_ids:
        blob = await open_blob(context.parts.store, context.who, each)
        if blob is None:
            not_found.append(each)
            continue
        left -= blob.octets
        if left < 0:
            raise MethodError("requestTooLarge", "fewer octets are parsed at once")
        if blob.octets > LARGE_OCTETS:
            async with _large:
                shown = await _parsed(blob, each, wanted, context.room)
        else:
            shown = await _parsed(blob, each, wanted, context.room)
        if shown is None:
            not_parsable.append(each)
        else:
            parsed[each] = shown
    return {
        "accountId": context.account_id,
        "parsed": parsed or None,
        "notParsable": not_parsable or None,
        "notFound": not_found or None,
    }


async def _parsed(blob: Blob, text: str, wanted: Wanted, room: AnswerRoom) -> JsonObject | None:
    """None: it is no message."""
    octets = await blob.whole()
    shown = await asyncio.to_thread(parsed_email, octets, wanted, _part_blobs(text), room)
    if shown is None:
        return None
    shown |= dict.fromkeys(wanted.properties & _NULL_WHEN_PARSED)
    if "blobId" in wanted.properties:
        shown["blobId"] = text
    if "size" in wanted.properties:
        shown["size"] = len(octets)
    return shown


def _part_blobs(text: str) -> Callable[[PartPath], str]:
    """How the parts of a message are called that is a blob itself, or a part of one."""
    blob = parse_blob_id(text)
    assert blob is not None  # it was opened

    def of(path: PartPath) -> str:
        return blob_id(replace(blob, part=(*(blob.part or ()), *path)))

    return of


METHODS = (Method("Email/get", MAIL, get), Method("Email/parse", MAIL, parse))
