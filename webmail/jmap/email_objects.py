"""Email objects: from what is known of a message to the JSON that was asked for (RFC 8621 §4.1). Pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from mailserver.mime.comments import without_comments
from mailserver.mime.part import Part
from webmail.jmap.answer_room import CHARACTERS_OF_A_VALUE, AnswerRoom, characters_of
from webmail.jmap.email_bodies import BodyLists, BodyPart
from webmail.jmap.email_body_values import body_value
from webmail.jmap.email_headers import Fields, header_value, headers, parse_fields
from webmail.jmap.email_wanted import PartWanted, Wanted
from webmail.jmap.encoded_words import text_form, unfolded
from webmail.jmap.errors import JsonObject
from webmail.jmap.header_properties import Form, HeaderProperty
from webmail.jmap.ids import PartPath

_FEW_HEADERS = 16
_SHORT_HEADER_OCTETS = 4_096
_OF_A_SHORT_PART = 512
"""Characters of the description of a part with a short header, about: lists of Emails have very many."""
_SPACES = re.compile(r"\s+")
_KNOWN_ENCODINGS = frozenset({"7bit", "8bit", "binary", "base64", "quoted-printable"})


@dataclass(frozen=True, slots=True)
class PartContent:
    """Decoded octets of a text part. `is_cut`: they are the beginning of it."""

    octets: bytes
    is_cut: bool = False


@dataclass(frozen=True, slots=True)
class Body:
    """The parts of a message with what was read for them, each by its part's `id()`: sections of header fields, sizes
    of decoded content, and text."""

    root: BodyPart
    lists: BodyLists
    headers: Mapping[int, bytes]
    sizes: Mapping[int, int]
    texts: Mapping[int, PartContent]
    blob_id: Callable[[PartPath], str]
    room: AnswerRoom
    _fields: dict[int, Fields] = field(default_factory=dict)

    def fields(self, part: Part) -> Fields:
        found = self._fields.get(id(part))
        if found is None:
            found = self._fields[id(part)] = parse_fields(self.headers[id(part)])
        return found


def header_properties(fields: Fields, wanted: Wanted, room: AnswerRoom) -> JsonObject:
    """What is derived from the header of the message. Raises requestTooLarge."""
    shown = _header_values(fields, wanted.headers, room)
    if "headers" in wanted.properties:
        shown["headers"] = headers(fields)
        room.take(characters_of(shown["headers"]))
    return shown


def _header_values(fields: Fields, wanted: Sequence[HeaderProperty], room: AnswerRoom) -> JsonObject:
    """Where many are wanted, what goes by several names, in capitals or not, is worked out once.

    Raises requestTooLarge.
    """
    shown: JsonObject = {}
    if len(wanted) <= _FEW_HEADERS:
        for each in wanted:
            shown[each.asked] = header_value(fields, each)
        room.take(characters_of(shown))
        return shown
    values: dict[tuple[str, Form, bool], Any] = {}
    for each in wanted:
        what = (each.key, each.form, each.is_all)
        if what not in values:
            values[what] = header_value(fields, each)
        shown[each.asked] = values[what]
        room.take(len(each.asked) + characters_of(values[what]))
    return shown


def body_properties(body: Body, wanted: Wanted) -> JsonObject:
    """What is derived from the body. Raises requestTooLarge."""
    shown: JsonObject = {}
    if "bodyStructure" in wanted.properties:
        shown["bodyStructure"] = _structure(body, body.root, wanted.parts)
    for name, parts in (
        ("textBody", body.lists.text),
        ("htmlBody", body.lists.html),
        ("attachments", body.lists.attachments),
    ):
        if name in wanted.properties:
            shown[name] = [_part(body, each, wanted.parts) for each in parts]
    if "bodyValues" in wanted.properties:
        shown["bodyValues"] = {
            each.part_id: _value(body, each, wanted) for each in parts_with_values(body.root, body.lists, wanted)
        }
    return shown


def parts_with_values(root: BodyPart, lists: BodyLists, wanted: Wanted) -> Sequence[BodyPart]:
    """The text parts whose values are wanted, each once."""
    if "bodyValues" not in wanted.properties:
        return ()
    chosen: dict[int, BodyPart] = {}
    values = wanted.values
    for is_wanted, parts in ((values.all, root.leaves()), (values.text, lists.text), (values.html, lists.html)):
        if is_wanted:
            chosen |= {id(each.part): each for each in parts if each.part.type == "text"}
    return list(chosen.values())


def parts_shown(root: BodyPart, lists: BodyLists, wanted: Wanted) -> Sequence[BodyPart]:
    """The parts that are described, each once."""
    if "bodyStructure" in wanted.properties:
        return list(root.walk())
    chosen: dict[int, BodyPart] = {}
    for name, parts in (("textBody", lists.text), ("htmlBody", lists.html), ("attachments", lists.attachments)):
        if name in wanted.properties:
            chosen |= {id(each.part): each for each in parts}
    return list(chosen.values())


def has_known_encoding(part: Part) -> bool:
    return part.encoding in _KNOWN_ENCODINGS


def _structure(body: Body, each: BodyPart, wanted: PartWanted) -> JsonObject:
    shown = _part(body, each, wanted)
    if each.path is None:
        shown["subParts"] = [_structure(body, child, wanted) for child in each.sub_parts]
    return shown


def _part(body: Body, each: BodyPart, wanted: PartWanted) -> JsonObject:
    part = each.part
    shown: JsonObject = {
        name: describe(body, each) for name, describe in _DESCRIBED.items() if name in wanted.properties
    }
    is_short = part.header_octets <= _SHORT_HEADER_OCTETS and "headers" not in wanted.properties
    body.room.take(_OF_A_SHORT_PART if is_short else characters_of(shown))
    if wanted.headers:
        shown |= _header_values(body.fields(part), wanted.headers, body.room)
    return shown


def _value(body: Body, each: BodyPart, wanted: Wanted) -> JsonObject:
    content = body.texts[id(each.part)]
    shown = body_value(
        content.octets,
        each.part.parameters.get("charset") or None,
        is_html=each.part.subtype == "html",
        most_octets=wanted.values.most_octets,
        is_cut=content.is_cut,
        has_problem=not has_known_encoding(each.part),
    )
    body.room.take(CHARACTERS_OF_A_VALUE + len(shown["value"]))
    return shown


def _size(body: Body, each: BodyPart) -> int:
    return body.sizes[id(each.part)]


def _blob_id(body: Body, each: BodyPart) -> str | None:
    return None if each.path is None else body.blob_id(each.path)


def _charset(_body: Body, each: BodyPart) -> str | None:
    given = each.part.parameters.get("charset")
    return given or ("us-ascii" if each.part.type == "text" else None)


def _cid(_body: Body, each: BodyPart) -> str | None:
    value = each.part.content_id
    if value is None:
        return None
    bare = without_comments(value).strip() if "(" in value else value.strip()
    return bare.removeprefix("<").removesuffix(">").strip() or None


def _language(body: Body, each: BodyPart) -> list[str] | None:
    values = body.fields(each.part).values("content-language")
    if not values:
        return None
    tags = [tag.strip() for tag in without_comments(unfolded(values[-1])).split(",")]
    return [tag for tag in tags if tag] or None


def _location(body: Body, each: BodyPart) -> str | None:
    values = body.fields(each.part).values("content-location")
    return _SPACES.sub("", text_form(values[-1])) or None if values else None


_DESCRIBED: Mapping[str, Callable[[Body, BodyPart], Any]] = {
    "partId": lambda _body, each: each.part_id,
    "blobId": _blob_id,
    "size": _size,
    "headers": lambda body, each: headers(body.fields(each.part)),
    "name": lambda _body, each: each.part.filename,
    "type": lambda _body, each: each.type,
    "charset": _charset,
    "disposition": lambda _body, each: each.part.disposition,
    "cid": _cid,
    "language": _language,
    "location": _location,
    "subParts": lambda _body, _each: None,
}
