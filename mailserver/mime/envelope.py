"""ENVELOPE and BODYSTRUCTURE as they go over the wire to clients without UTF8=ACCEPT (RFC 3501 §7.4.2).

message/global is a basic part here: IMAP4rev1 knows an envelope inside message/rfc822 only (RFC 9051 knows both).
"""

import re
from mmap import mmap

from mailserver.mime.addresses import Address, parse_addresses
from mailserver.mime.fields import Fields, parse_fields
from mailserver.mime.parameters import Parameters
from mailserver.mime.part import Part
from mailserver.mime.structure import DEFAULT_LIMITS
from mailserver.mime.wire import NIL, human_nstring, human_string, nstring, string

_HOST_CHARACTERS = 255
_FULL_CHARACTERS = 524_288
"""So much is read and written for a BODYSTRUCTURE with all that it can tell; the parts after that are told barely."""
_FOREIGN = re.compile(r"[^\x00-\x7f]+")


def envelope(octets: bytes | mmap, part: Part) -> bytes:
    """The ENVELOPE of the message whose root is `part`."""
    return render_envelope(fields_of(octets, part)).encode("ascii")


def bodystructure(octets: bytes | mmap, part: Part) -> bytes:
    """The BODYSTRUCTURE of the message whose root is `part`, extension data included.

    A message can hold thousands of parts with headers of their own, which would become hundreds of megabytes here, to
    be made at delivery and sent to whoever looks at the mailbox. Past a measure only types, encodings and sizes follow.
    """
    out: list[str] = []
    pending: list[Part | str] = [part]
    cost = 0
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            out.append(item)
            cost += len(item)
            continue
        if cost > _FULL_CHARACTERS:
            item = _bare(item)
        fields = fields_of(octets, item)
        cost += sum(map(len, fields.values()))
        if item.type == "multipart":
            out.append("(")
            pending.append(
                f' "{item.subtype}" {_parameters(item.parameters)}'
                f" {_disposition(item)} {_language_and_location(fields)})"
            )
            pending.extend(reversed(item.children))
        elif item.type == "message" and item.subtype == "rfc822":
            inner = item.children[0]
            within = {} if cost > _FULL_CHARACTERS else fields_of(octets, inner)
            out.append(f"({_basic(item, fields)} {render_envelope(within)} ")
            pending.append(f" {item.lines} {_extension(item, fields)})")
            pending.append(inner)
        elif item.type == "text":
            out.append(f"({_basic(item, fields)} {item.lines} {_extension(item, fields)})")
        else:
            out.append(f"({_basic(item, fields)} {_extension(item, fields)})")
        cost += len(out[-1])
    return "".join(out).encode("ascii")


def _bare(part: Part) -> Part:
    """Without what its header says beyond the type and the encoding."""
    return Part(
        type=part.type,
        subtype=part.subtype,
        encoding=part.encoding,
        body_octets=part.body_octets,
        lines=part.lines,
        children=part.children,
        fields={},
    )


def fields_of(octets: bytes | mmap, part: Part) -> Fields:
    """The fields of a part's header: those the scan left, or read again from the octets."""
    if part.fields is None:
        end = part.header_offset + min(part.header_octets, DEFAULT_LIMITS.header_octets)
        return parse_fields(octets[part.header_offset : end])
    return part.fields


def render_envelope(fields: Fields) -> str:
    get = fields.get
    sender = _addresses(get("from"))
    return (
        f"({_date(get('date'))} {human_nstring(get('subject'))} {sender}"
        f" {_addresses(get('sender'), sender)} {_addresses(get('reply-to'), sender)}"
        f" {_addresses(get('to'))} {_addresses(get('cc'))} {_addresses(get('bcc'))}"
        f" {nstring(get('in-reply-to'))} {nstring(get('message-id'))})"
    )


def _date(value: str | None) -> str:
    """Clients parse dates and decode no words in them, so what is not ASCII (a zone's local name) becomes `?`."""
    return nstring(value if value is None or value.isascii() else _FOREIGN.sub("?", value))


def _addresses(value: str | None, default: str = NIL) -> str:
    if not value:
        return default
    addresses = parse_addresses(value)
    if not addresses:
        return default
    return "(" + "".join([_address(address) for address in addresses]) + ")"


def _address(address: Address) -> str:
    name, route, mailbox, host = address
    if host is None:
        return f"(NIL NIL {human_nstring(mailbox)} NIL)"
    return f"({human_nstring(name)} {nstring(route)} {string(mailbox or 'MISSING_MAILBOX')} {_host(host)})"


def _host(host: str) -> str:
    """A domain; one with letters beyond ASCII as A-labels (RFC 5890) if it has that form."""
    if not host:
        return '"MISSING_DOMAIN"'
    if not host.isascii() and len(host) <= _HOST_CHARACTERS:
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return string(host)
    return string(host)


def _basic(part: Part, fields: Fields) -> str:
    """Type, subtype and the body fields that all single parts have."""
    parameters = part.parameters
    if part.type == "text" and "charset" not in parameters:
        parameters = {"charset": "us-ascii", **parameters}
    return (
        f'"{part.type}" "{part.subtype}" {_parameters(parameters)} {nstring(part.content_id)}'
        f' {human_nstring(fields.get("content-description"))} "{part.encoding}" {part.body_octets}'
    )


def _extension(part: Part, fields: Fields) -> str:
    return f"{nstring(fields.get('content-md5'))} {_disposition(part)} {_language_and_location(fields)}"


def _language_and_location(fields: Fields) -> str:
    languages = fields.get("content-language")
    location = nstring(fields.get("content-location"))
    if not languages:
        return f"NIL {location}"
    tags = [tag.strip() for tag in languages.split(",")]
    quoted = [string(tag) for tag in tags if tag]
    if not quoted:
        return f"NIL {location}"
    return f"{quoted[0] if len(quoted) == 1 else '(' + ' '.join(quoted) + ')'} {location}"


def _disposition(part: Part) -> str:
    if part.disposition is None:
        return NIL
    return f'("{part.disposition}" {_parameters(part.disposition_parameters)})'


def _parameters(parameters: Parameters) -> str:
    if not parameters:
        return NIL
    return "(" + " ".join([f"{string(name)} {human_string(value)}" for name, value in parameters.items()]) + ")"
