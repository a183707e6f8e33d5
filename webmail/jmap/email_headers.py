"""Header fields of a message or a part as JMAP gives them, in each of the parsed forms (RFC 8621 §4.1.2, §4.1.3)."""

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, NamedTuple

from mailserver.mime.addresses import Address, parse_addresses
from mailserver.mime.comments import comment_end
from mailserver.mime.header import parse_date
from mailserver.mime.sections import header_fields
from webmail.jmap.encoded_words import decoded, text_form, unfolded
from webmail.jmap.errors import JsonObject
from webmail.jmap.header_properties import Form, HeaderProperty

_FOLDS = b" \t"
_REMEMBERED_OCTETS = 200
_CHARSET = re.compile(rb"charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)
_ANGLE_OR_COMMENT = re.compile(r"<([^<>]*)>|\(")
_ZONE = re.compile(r"\d[:.]\d{2}(?:[:.]\d{2})?(?:\.\d+)?\s*([+-])(\d{2})(\d{2})(?!\d)")
_ZONES = {"est": -5, "edt": -4, "cst": -6, "cdt": -5, "mst": -7, "mdt": -6, "pst": -8, "pdt": -7}
_NAMED_ZONE = re.compile(r"\d[:.]\d{2}\s*(" + "|".join(_ZONES) + r")\b", re.IGNORECASE)
_DOT_ATOM = re.compile(r"[^\s()<>\[\]:;@\\,.\"\x00-\x1f\x7f]+(?:\.[^\s()<>\[\]:;@\\,.\"\x00-\x1f\x7f]+)*")
_SPACES = re.compile(r"\s+")


class Field(NamedTuple):
    """A field as it stands in the message; `value` begins behind the colon and may be folded."""

    name: bytes
    value: bytes


class Fields:
    """The fields of one header section, in order. `hint` is the charset that its message declares, if any."""

    __slots__ = ("_by_key", "all")

    def __init__(self, fields: Iterable[Field]) -> None:
        self.all = list(fields)
        self._by_key: dict[bytes, list[bytes]] | None = None

    def values(self, key: str) -> Sequence[bytes]:
        """Of every instance, by the name in lower case."""
        if self._by_key is None:
            self._by_key = {}
            for name, value in self.all:
                self._by_key.setdefault(name.lower(), []).append(value)
        return self._by_key.get(key.encode("ascii", "replace"), ())

    @property
    def hint(self) -> str | None:
        """The charset that the message declares: what undeclared octets of its header are likely in."""
        for value in self.values("content-type"):
            if (found := _CHARSET.search(value)) is not None:
                return found[1].decode("ascii", "replace")
        return None


def parse_fields(header: bytes) -> Fields:
    """The fields of a header section. Lines that belong to no field are passed over; linear in its size."""
    return Fields(_fields(header))


def _fields(header: bytes) -> Iterable[Field]:
    name = b""
    lines: list[bytes] = []
    for line in header.split(b"\n"):
        if line[:1] in (b" ", b"\t"):
            if lines:
                lines.append(line)
            continue
        if lines:
            yield Field(name, b"\n".join(lines).removesuffix(b"\r"))
            lines = []
        if line in (b"", b"\r"):
            return
        name, colon, value = line.partition(b":")
        name = name.rstrip(_FOLDS)
        if colon and name:
            lines = [value]
    if lines:
        yield Field(name, b"\n".join(lines).removesuffix(b"\r"))


def select_fields(header: bytes, keys: Collection[str]) -> Fields:
    """As `parse_fields`, of a few names alone: for lists, where a header holds ten times what is asked of it."""
    wanted = {key.encode() for key in keys}
    if not header.isascii():
        wanted.add(b"content-type")  # which tells the charset
    return parse_fields(header_fields(header, sorted(wanted), exclude=False))


def headers(fields: Fields) -> list[JsonObject]:
    """The `headers` property: every field, in Raw form."""
    return [{"name": field.name.decode("ascii", "replace"), "value": raw_form(field.value)} for field in fields.all]


def header_value(fields: Fields, wanted: HeaderProperty) -> Any:
    """The value of a header property (RFC 8621 §4.1.3)."""
    values = fields.values(wanted.key)
    form = FORMS[wanted.form]
    if wanted.is_all:
        return [form(value, _hint(fields, value)) for value in values]
    return form(values[-1], _hint(fields, values[-1])) if values else None


def _hint(fields: Fields, value: bytes) -> str | None:
    return None if value.isascii() else fields.hint


def raw_form(value: bytes, _hint: str | None = None) -> str:
    return value.replace(b"\0", b"").decode("utf-8", "replace")


def addresses_form(value: bytes, hint: str | None = None) -> list[JsonObject]:
    """§4.1.2.3: every mailbox, groups and comments left out."""
    if len(value) <= _REMEMBERED_OCTETS:  # a mailbox is full of the same few people
        return [dict(each) for each in _addresses_of(value, hint)]
    return _addresses(value, hint)


def _addresses(value: bytes, hint: str | None) -> list[JsonObject]:
    return [_shown(each) for each in parse_addresses(unfolded(value, hint)) if each.host is not None]


_addresses_of = lru_cache(maxsize=4096)(_addresses)


def grouped_addresses_form(value: bytes, hint: str | None = None) -> list[JsonObject]:
    """§4.1.2.4: mailboxes that stand in no group are in one without a name."""
    groups: list[JsonObject] = []
    loose: list[JsonObject] | None = None
    members: list[JsonObject] | None = None
    for address in parse_addresses(unfolded(value, hint)):
        if address.host is not None:
            if members is None:
                if loose is None:
                    loose = []
                    groups.append({"name": None, "addresses": loose})
                loose.append(_shown(address))
            else:
                members.append(_shown(address))
        elif address.mailbox is not None:
            members, loose = [], None
            groups.append({"name": _name(address.mailbox), "addresses": members})
        else:
            members = None
    return groups


def _shown(address: Address) -> JsonObject:
    name, _, mailbox, host = address
    return {"name": _name(name), "email": _email(mailbox or "", host or "")}


def _name(name: str | None) -> str | None:
    if not name:
        return None
    if name.isascii() and "=?" not in name and "  " not in name and name.isprintable():
        return name.strip() or None
    shown = text_form(_SPACES.sub(" ", name).strip().encode("utf-8", "replace"))
    return shown.strip() or None


def _email(mailbox: str, host: str) -> str:
    if not host:
        return decoded(mailbox)
    if _DOT_ATOM.fullmatch(mailbox) is None and mailbox:
        mailbox = '"' + mailbox.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return f"{mailbox}@{host}"


def message_ids_form(value: bytes, hint: str | None = None) -> list[str] | None:
    """§4.1.2.5: None where there is no msg-id. White space within one is that of folding, and goes."""
    return _in_angles(unfolded(value, hint)) or None


def _in_angles(text: str) -> list[str]:
    """What stands in angle brackets outside of comments, without white space; nothing of what is empty."""
    found = []
    position = 0
    has_comments = True  # until one is never closed
    while (match := _ANGLE_OR_COMMENT.search(text, position)) is not None:
        position = match.end()
        if match[0] == "(":
            end = comment_end(text, match.start()) if has_comments else -1
            has_comments = end >= 0
            position = max(position, end)
        elif bare := _SPACES.sub("", match[1]):
            found.append(bare)
    return found


def date_form(value: bytes, _hint: str | None = None) -> str | None:
    """§4.1.2.6: the moment in the zone that the field names (RFC 3339); one that is not known counts as UTC."""
    text = unfolded(value, None)
    moment = parse_date(text)
    if moment is None:
        return None
    offset = _offset_minutes(text)
    try:
        local = moment.astimezone(timezone(timedelta(minutes=offset)))
    except (ValueError, OverflowError):
        return utc_date(moment)
    if local.year < 1 or not offset:
        return utc_date(moment)
    sign, minutes = "-" if offset < 0 else "+", abs(offset)
    return f"{local:%Y-%m-%dT%H:%M:%S}{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def _offset_minutes(text: str) -> int:
    found = _ZONE.search(text)
    if found is not None:
        minutes = int(found[2]) * 60 + int(found[3])
        return -minutes if found[1] == "-" else minutes
    named = _NAMED_ZONE.search(text)
    return _ZONES[named[1].lower()] * 60 if named else 0


def utc_date(moment: datetime) -> str:
    """A UTCDate (RFC 8620 §1.4), fractions of a second only where there are any."""
    moment = moment.astimezone(UTC)
    fraction = f".{moment.microsecond:06d}".rstrip("0") if moment.microsecond else ""
    return f"{moment.year:04d}-{moment:%m-%dT%H:%M:%S}{fraction}Z"


def urls_form(value: bytes, hint: str | None = None) -> list[str] | None:
    """§4.1.2.7, RFC 2369 §2: what stands in angle brackets, without white space; None where nothing does."""
    return _in_angles(unfolded(value, hint)) or None


FORMS: Mapping[Form, Callable[[bytes, str | None], Any]] = {
    Form.RAW: raw_form,
    Form.TEXT: text_form,
    Form.ADDRESSES: addresses_form,
    Form.GROUPED_ADDRESSES: grouped_addresses_form,
    Form.MESSAGE_IDS: message_ids_form,
    Form.DATE: date_form,
    Form.URLS: urls_form,
}
