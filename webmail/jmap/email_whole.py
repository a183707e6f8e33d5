"""Emails made from whole messages in memory, for those that are small, and for blobs that are to be parsed. Pure."""

import re
from collections.abc import Callable

from mailserver.mime.description import has_attachment
from mailserver.mime.part import Part
from mailserver.mime.structure import scan
from mailserver.mime.text import preview
from mailserver.mime.transfer_encoding import UnknownEncoding, decoded
from webmail.jmap.answer_room import AnswerRoom
from webmail.jmap.email_bodies import body_lists, body_tree
from webmail.jmap.email_headers import Fields, parse_fields
from webmail.jmap.email_objects import (
    Body,
    PartContent,
    body_properties,
    header_properties,
    parts_shown,
    parts_with_values,
)
from webmail.jmap.email_wanted import Wanted
from webmail.jmap.errors import JsonObject
from webmail.jmap.ids import PartPath

ENCODED = frozenset({"base64", "quoted-printable"})
_NAME = re.compile(rb"[!-9;-~]{1,100}")
MOST_ENCODED_FOR_ONE = 12
"""Octets of an encoded part that one octet of its text takes at most: UTF-32 in quoted-printable."""
MOST_VALUE_OCTETS = 16 * 1024 * 1024
"""So much of a text is shown, whatever is asked."""


def whole_body(octets: bytes, root: Part, wanted: Wanted, blob_id: Callable[[PartPath], str], room: AnswerRoom) -> Body:
    """Everything of a message's body that is wanted, from its octets. `root` is their structure."""
    tree = body_tree(root)
    lists = body_lists(tree)
    shown = [each.part for each in parts_shown(tree, lists, wanted)]
    sizes: dict[int, int] = {}
    if "size" in wanted.parts.properties:
        sizes = {id(part): _decoded_octets(octets, part) for part in shown}
    headers: dict[int, bytes] = {}
    if wanted.parts.needs_header:
        headers = {id(part): octets[part.header_offset : part.header_offset + part.header_octets] for part in shown}
    texts = {
        id(each.part): _content(octets, each.part, value_limit(wanted))
        for each in parts_with_values(tree, lists, wanted)
    }
    return Body(tree, lists, headers, sizes, texts, blob_id, room)


def value_limit(wanted: Wanted) -> int:
    """How many encoded octets of a text are read at most."""
    if not wanted.values.most_octets:
        return MOST_VALUE_OCTETS
    return min(MOST_VALUE_OCTETS, wanted.values.most_octets * MOST_ENCODED_FOR_ONE + 1024)


def decoded_part(octets: bytes, encoding: str) -> bytes:
    """The content of a part; one whose encoding is not known is taken as it is (RFC 8621 §4.1.4)."""
    try:
        return decoded(octets, encoding, is_text=False)
    except UnknownEncoding:
        return octets


def _content(octets: bytes, part: Part, limit: int) -> PartContent:
    taken = min(part.body_octets, limit)
    encoded = octets[part.body_offset : part.body_offset + taken]
    return PartContent(decoded_part(encoded, part.encoding), is_cut=taken < part.body_octets)


def _decoded_octets(octets: bytes, part: Part) -> int:
    if part.type == "multipart" or part.encoding not in ENCODED:
        return part.body_octets
    return len(decoded_part(octets[part.body_offset : part.body_offset + part.body_octets], part.encoding))


def is_message(fields: Fields) -> bool:
    """Does it begin with fields, or a line of an mbox and then fields? Any octets can be read as a message."""
    named = sum(_NAME.fullmatch(field.name) is not None for field in fields.all)
    return named > 0 and named * 2 >= len(fields.all)


def parsed_email(
    octets: bytes, wanted: Wanted, blob_id: Callable[[PartPath], str], room: AnswerRoom
) -> JsonObject | None:
    """The properties of a message that is not in the store (RFC 8621 §4.9), or None where it is no message.

    Raises requestTooLarge.
    """
    root = scan(octets)
    fields = parse_fields(octets[: root.header_octets])
    if not is_message(fields):
        return None
    shown = header_properties(fields, wanted, room) if wanted.needs_header else {}
    if wanted.needs_body or "bodyValues" in wanted.properties:
        shown |= body_properties(whole_body(octets, root, wanted, blob_id, room), wanted)
    if "hasAttachment" in wanted.properties:
        shown["hasAttachment"] = has_attachment(root)
    if "preview" in wanted.properties:
        shown["preview"] = preview(octets, root)
    return shown
