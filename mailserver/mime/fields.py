"""Header fields as text: unfolded, undeclared 8-bit octets decoded, encoded words left as they are (RFC 5322 §2.2).

Only the fields that ENVELOPE, BODYSTRUCTURE and the message columns are made of are kept. A field that may hold a list
of addresses or ids and stands there several times is joined, so that nobody can hide a second From behind the first;
of any other field the first occurrence counts.
"""

import re

from mailserver.mime.charset import decode_octets, decode_text

Fields = dict[str, str]

_ADDRESS_LISTS = frozenset({"from", "sender", "reply-to", "to", "cc", "bcc"})
_ID_LISTS = frozenset({"references", "in-reply-to"})
_KEPT = _ADDRESS_LISTS | _ID_LISTS | {
    "date",
    "subject",
    "message-id",
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-id",
    "content-description",
    "content-md5",
    "content-language",
    "content-location",
}  # fmt: skip

_RAW_JAPANESE = b"\x1b$B"  # ISO 2022 shifts to two-octet characters, undeclared in headers of old senders
_CHARSET = re.compile(r"charset\s*=\s*\"?([\w.:-]{1,40})", re.IGNORECASE)


def parse_fields(header: bytes) -> Fields:
    """Read a header section, with or without its closing empty line, CRLF or bare LF. Linear in its size."""
    if header.isascii():
        if _RAW_JAPANESE in header:
            return _collect(decode_text(header, "iso-2022-jp"))
        return _collect(header.decode("ascii"))
    try:
        return _collect(header.decode("utf-8"))
    except UnicodeDecodeError:
        fields = _collect(header.decode("latin-1"))
    declared = _CHARSET.search(fields.get("content-type", ""))
    hint = declared[1] if declared else None
    return {
        name: value if value.isascii() else decode_octets(value.encode("latin-1"), hint)
        for name, value in fields.items()
    }


def _collect(text: str) -> Fields:
    fields: Fields = {}
    repeated: dict[str, list[str]] = {}
    for line in text.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", "\t").split("\n"):
        name, _, value = line.partition(":")
        name = name.lower()
        if name not in _KEPT:
            name = name.rstrip(" \t")
            if name not in _KEPT:
                continue
        if name not in fields:
            fields[name] = value.strip(" \t\r")
        elif name in _ADDRESS_LISTS or name in _ID_LISTS:
            repeated.setdefault(name, [fields[name]]).append(value.strip(" \t\r"))
    for name, values in repeated.items():
        fields[name] = (", " if name in _ADDRESS_LISTS else " ").join(values)
    return fields
