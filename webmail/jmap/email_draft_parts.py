"""The body parts of an Email that a client wants made, read and checked by every rule of RFC 8621 §4.6."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from webmail.jmap.email_header_writing import InvalidValue, write_header
from webmail.jmap.email_wanted import PART_PROPERTIES
from webmail.jmap.errors import JsonObject, SetError
from webmail.jmap.header_properties import HeaderProperty, NotAHeaderProperty, parse_header_property

MOST_PARTS = 1000
DEEPEST = 20
_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,127}/[a-z0-9!#$&^_.+-]{1,127}")
_TOKEN = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]{1,127}")
_CID = re.compile(r"[!-;=?-~]{1,500}")
_LANGUAGE = re.compile(r"[A-Za-z0-9-]{1,60}")
_LOCATION = re.compile(r"[!-~]{1,900}")
_MULTIPART = "multipart/"


@dataclass(frozen=True, slots=True)
class DraftPart:
    """A part to be written. `text` or `blob_id` is its content, or it has parts; `fields` are written already.

    `content_type` and `content_disposition` are values that the client gave for the fields themselves.
    """

    type: str
    text: str | None = None
    blob_id: str | None = None
    sub_parts: Sequence["DraftPart"] = ()
    charset: str | None = None
    name: str | None = None
    disposition: str | None = None
    cid: str | None = None
    language: Sequence[str] = ()
    location: str | None = None
    content_type: str | None = None
    content_disposition: str | None = None
    fields: Sequence[bytes] = ()

    @property
    def is_multipart(self) -> bool:
        return self.type.startswith(_MULTIPART)

    def walk(self) -> Iterator["DraftPart"]:
        yield self
        for each in self.sub_parts:
            yield from each.walk()


@dataclass(slots=True)
class Problems:
    """Which properties are wrong, and why the first is."""

    found: dict[str, str] = field(default_factory=dict)

    def add(self, path: str, why: str) -> None:
        self.found.setdefault(path, why)

    def demand_none(self) -> None:
        if self.found:
            path, why = next(iter(self.found.items()))
            raise SetError("invalidProperties", f"{path}: {why}", tuple(self.found))


def written_fields(
    given: JsonObject, convenience: Mapping[str, HeaderProperty], problems: Problems, at: str
) -> list[tuple[str, str, bytes]]:
    """The fields that properties stand for: the property, the field's name in lower case, and the field as written."""
    fields: list[tuple[str, str, bytes]] = []
    asked_as: dict[str, str] = {}
    for name, value in given.items():
        wanted = convenience.get(name)
        if wanted is None:
            if not name.startswith("header:"):
                continue
            try:
                wanted = parse_header_property(name)
            except NotAHeaderProperty:
                problems.add(at + name, "it is malformed, or no form of this field")
                continue
        if wanted.key in asked_as:
            problems.add(at + name, f"{asked_as[wanted.key]} is the same field")
            problems.add(at + asked_as[wanted.key], f"{name} is the same field")
        asked_as[wanted.key] = name
        try:
            fields += [(name, wanted.key, octets) for octets in write_header(wanted, value)]
        except InvalidValue as invalid:
            problems.add(at + name, str(invalid))
    return fields


class PartReader:
    """Reads EmailBodyParts, some at most."""

    def __init__(self, values: Mapping[str, str], problems: Problems) -> None:
        self._values = values
        self._problems = problems
        self._parts = 0

    def read_only(self, given: JsonObject, name: str, type_: str) -> DraftPart | None:
        """`textBody` and `htmlBody`, which have one part of one type."""
        if name not in given:
            return None
        parts = given[name]
        if not isinstance(parts, list) or len(parts) != 1:
            self._problems.add(name, "it must be a list of one part")
            return None
        part = self.read(parts[0], f"{name}/0", 1)
        if part is not None and part.type != type_:
            self._problems.add(f"{name}/0/type", f"it must be {type_}")
        return part

    def read_list(self, parts: Any, at: str) -> list[DraftPart]:
        """`attachments`: they are that, unless they say otherwise."""
        if not isinstance(parts, list):
            self._problems.add(at, "it must be a list")
            return []
        found = []
        for number, each in enumerate(parts):
            if isinstance(each, dict) and each.get("disposition") is None:
                has_field = any(name.lower().startswith("header:content-disposition") for name in each)
                each = each if has_field else {**each, "disposition": "inline" if each.get("cid") else "attachment"}
            part = self.read(each, f"{at}/{number}", 1)
            if part is not None:
                found.append(part)
        return found

    def read(self, given: Any, at: str, depth: int) -> DraftPart | None:
        problems = self._problems
        self._parts += 1
        if not isinstance(given, dict):
            problems.add(at, "it must be an object")
            return None
        if self._parts > MOST_PARTS or depth > DEEPEST:
            problems.add(at, f"more than {MOST_PARTS} parts, or {DEEPEST} levels of them")
            return None
        for name in given:
            if name == "headers":
                problems.add(f"{at}/{name}", "each field is a property of its own")
            elif not name.startswith("header:") and name not in PART_PROPERTIES:
                problems.add(f"{at}/{name}", "there is no such property")
        raw = self._raw_content_fields(given, at)
        type_ = self._type(given, raw, at)
        if type_.startswith(_MULTIPART):
            return self._multipart(given, type_, raw, at, depth)
        if given.get("subParts") is not None:
            problems.add(f"{at}/subParts", "only a multipart has parts")
        return self._leaf(given, type_, raw, at)

    def _multipart(self, given: JsonObject, type_: str, raw: Mapping[str, str], at: str, depth: int) -> DraftPart:
        for name in ("partId", "blobId", "charset", "size"):
            if given.get(name) is not None:
                self._problems.add(f"{at}/{name}", "a multipart has none")
        parts = given.get("subParts")
        if not isinstance(parts, list) or not parts:
            self._problems.add(f"{at}/subParts", "a multipart has parts")
            parts = []
        if "boundary" in raw.get("content-type", "").lower():
            self._problems.add(f"{at}/header:Content-Type", "the server chooses the boundary")
        read = [self.read(each, f"{at}/subParts/{number}", depth + 1) for number, each in enumerate(parts)]
        return self._described(given, at, raw, type_, sub_parts=[each for each in read if each is not None])

    def _leaf(self, given: JsonObject, type_: str, raw: Mapping[str, str], at: str) -> DraftPart:
        problems = self._problems
        part_id, blob_id = self._string(given, "partId", at), self._string(given, "blobId", at)
        charset = self._string(given, "charset", at)
        if charset is not None and _TOKEN.fullmatch(charset) is None:
            problems.add(f"{at}/charset", "it is no name of a charset")
        if (part_id is None) == (blob_id is None):
            problems.add(f"{at}/partId", "a part has a partId or a blobId, and not both")
        text = None
        if part_id is not None:
            for name in ("charset", "size"):
                if given.get(name) is not None:
                    problems.add(f"{at}/{name}", "it goes with a blobId only")
            text = self._values.get(part_id)
            if text is None:
                problems.add(f"{at}/partId", "bodyValues does not have it")
            if type_.startswith("message/"):
                problems.add(f"{at}/type", "a message is given as a blob")
        return self._described(given, at, raw, type_, text=text, blob_id=blob_id, charset=charset)

    def _described(self, given: JsonObject, at: str, raw: Mapping[str, str], type_: str, **content: Any) -> DraftPart:
        problems = self._problems
        own = [(n, key, o) for n, key, o in written_fields(given, {}, problems, f"{at}/") if key not in raw]
        disposition = self._checked(given, "disposition", at, _TOKEN)
        name = self._string(given, "name", at)
        same = {
            "content-type": ("type", "charset", *(() if disposition else ("name",))),
            "content-disposition": ("disposition", "name"),
            "content-id": ("cid",),
            "content-language": ("language",),
            "content-location": ("location",),
        }
        for asked, key in [(n, key) for n, key, _ in own] + [(_asked(given, key), key) for key in raw]:
            for other in same.get(key, ()):
                if given.get(other) is not None:
                    problems.add(f"{at}/{asked}", f"{other} is the same field")
                    problems.add(f"{at}/{other}", f"{asked} is the same field")
            if key == "content-transfer-encoding":
                problems.add(f"{at}/{asked}", "the server chooses the encoding")
        return DraftPart(
            type_,
            name=name,
            disposition=disposition.lower() if disposition else None,
            cid=self._checked(given, "cid", at, _CID),
            language=self._language(given, at),
            location=self._checked(given, "location", at, _LOCATION),
            content_type=raw.get("content-type"),
            content_disposition=raw.get("content-disposition"),
            fields=[octets for _, _, octets in own],
            **content,
        )

    def _raw_content_fields(self, given: JsonObject, at: str) -> dict[str, str]:
        """Content-Type and Content-Disposition that the client writes itself."""
        found = {}
        for name, value in given.items():
            if name.lower().startswith(("header:content-type", "header:content-disposition")):
                try:
                    fields = write_header(parse_header_property(name), value)
                except (NotAHeaderProperty, InvalidValue):
                    continue  # told where all fields are read
                key = name.split(":")[1].lower()
                if len(fields) == 1 and key in ("content-type", "content-disposition"):
                    found[key] = fields[0].partition(b":")[2].decode().removesuffix("\r\n")
                elif fields:
                    self._problems.add(f"{at}/{name}", "a part has one of it")
        return found

    def _type(self, given: JsonObject, raw: Mapping[str, str], at: str) -> str:
        type_ = self._string(given, "type", at)
        if type_ is None:
            if "content-type" in raw:
                type_ = raw["content-type"].partition(";")[0].strip()
            else:
                is_text = given.get("blobId") is None
                type_ = (
                    "multipart/mixed"
                    if given.get("subParts")
                    else "text/plain"
                    if is_text
                    else "application/octet-stream"
                )
        type_ = type_.lower()
        if _TYPE.fullmatch(type_) is None:
            self._problems.add(f"{at}/type", "it is no media type")
        return type_

    def _language(self, given: JsonObject, at: str) -> Sequence[str]:
        value = given.get("language")
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(tag, str) and _LANGUAGE.fullmatch(tag) for tag in value):
            self._problems.add(f"{at}/language", "it must be a list of language tags")
            return ()
        return tuple(value)

    def _checked(self, given: JsonObject, name: str, at: str, pattern: re.Pattern[str]) -> str | None:
        value = self._string(given, name, at)
        if value is not None and pattern.fullmatch(value) is None:
            self._problems.add(f"{at}/{name}", "it holds what it may not")
            return None
        return value

    def _string(self, given: JsonObject, name: str, at: str) -> str | None:
        value = given.get(name)
        if value is not None and not isinstance(value, str):
            self._problems.add(f"{at}/{name}", "it must be a string")
            return None
        return value


def _asked(given: JsonObject, key: str) -> str:
    """The property by which a field was given."""
    return next(name for name in given if name.lower().split(":")[:2] == ["header", key])
