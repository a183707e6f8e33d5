"""ENVELOPE and BODYSTRUCTURE as they go over the wire (RFC 3501 §7.4.2, RFC 9051 §7.5.2), in one of the `Forms`."""

import re
from mmap import mmap

from mailserver.mime.addresses import Address, parse_addresses
from mailserver.mime.fields import Fields, parse_fields
from mailserver.mime.octets import Octets
from mailserver.mime.parameters import Parameters
from mailserver.mime.part import Part
from mailserver.mime.structure import DEFAULT_LIMITS
from mailserver.mime.wire import NIL, SEVEN_BIT, Forms

_HOST_CHARACTERS = 255
_FULL_CHARACTERS = 524_288
"""So much is read and written for a BODYSTRUCTURE with all that it can tell; the parts after that are told barely."""
_FOREIGN = re.compile(r"[^\x00-\x7f]+")


def envelope(octets: bytes | mmap | Octets, part: Part, forms: Forms = SEVEN_BIT) -> bytes:
    """The ENVELOPE of the message whose root is `part`."""
    return render_envelope(fields_of(octets, part), forms).encode()


def bodystructure(octets: bytes | mmap | Octets, part: Part, forms: Forms = SEVEN_BIT) -> bytes:
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
                f' "{item.subtype}" {_parameters(item.parameters, forms)}'
                f" {_disposition(item, forms)} {_language_and_location(fields, forms)})"
            )
            pending.extend(reversed(item.children))
        elif item.type == "message" and (item.subtype == "rfc822" or (forms.knows_global and _is_global(item))):
            inner = item.children[0]
            within = {} if cost > _FULL_CHARACTERS else fields_of(octets, inner)
            out.append(f"({_basic(item, fields, forms)} {render_envelope(within, forms)} ")
            pending.append(f" {item.lines} {_extension(item, fields, forms)})")
            pending.append(inner)
        elif item.type == "text":
            out.append(f"({_basic(item, fields, forms)} {item.lines} {_extension(item, fields, forms)})")
        else:
            out.append(f"({_basic(item, fields, forms)} {_extension(item, fields, forms)})")
        cost += len(out[-1])
    return "".join(out).encode()


def _is_global(part: Part) -> bool:
    return part.subtype == "global" and bool(part.children)


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


def fields_of(octets: bytes | mmap | Octets, part: Part) -> Fields:
    """The fields of a part's header: those the scan left, or read again from the octets."""
    if part.fields is None:
        end = part.header_offset + min(part.header_octets, DEFAULT_LIMITS.header_octets)
        return parse_fields(octets[part.header_offset : end])
    return part.fields


def render_envelope(fields: Fields, forms: Forms = SEVEN_BIT) -> str:
    get = fields.get
    sender = _addresses(get("from"), forms)
    return (
        f"({_date(get('date'), forms)} {forms.human_nstring(get('subject'))} {sender}"
        f" {_addresses(get('sender'), forms, sender)} {_addresses(get('reply-to'), forms, sender)}"
        f" {_addresses(get('to'), forms)} {_addresses(get('cc'), forms)} {_addresses(get('bcc'), forms)}"
        f" {forms.nstring(get('in-reply-to'))} {forms.nstring(get('message-id'))})"
    )


def _date(value: str | None, forms: Forms) -> str:
    """Clients parse dates and decode no words in them, so what is not ASCII (a zone's local name) becomes `?`."""
    return forms.nstring(value if value is None or value.isascii() else _FOREIGN.sub("?", value))


def _addresses(value: str | None, forms: Forms, default: str = NIL) -> str:
    if not value:
        return default
    addresses = parse_addresses(value)
    if not addresses:
        return default
    return "(" + "".join([_address(address, forms) for address in addresses]) + ")"


def _address(address: Address, forms: Forms) -> str:
    name, route, mailbox, host = address
    if host is None:
        return f"(NIL NIL {forms.human_nstring(mailbox)} NIL)"
    return (
        f"({forms.human_nstring(name)} {forms.nstring(route)} {forms.string(mailbox or 'MISSING_MAILBOX')}"
        f" {_host(host, forms)})"
    )


def _host(host: str, forms: Forms) -> str:
    """A domain; in 7 bits one with letters beyond ASCII as A-labels (RFC 5890) if it has that form."""
    if not host:
        return '"MISSING_DOMAIN"'
    if not (host.isascii() or forms.is_utf8) and len(host) <= _HOST_CHARACTERS:
        try:
            host = host.encode("idna").decode("ascii")
        except UnicodeError:
            return forms.string(host)
    return forms.string(host)


def _basic(part: Part, fields: Fields, forms: Forms) -> str:
    """Type, subtype and the body fields that all single parts have."""
    parameters = part.parameters
    if part.type == "text" and "charset" not in parameters:
        parameters = {"charset": "us-ascii", **parameters}
    return (
        f'"{part.type}" "{part.subtype}" {_parameters(parameters, forms)} {forms.nstring(part.content_id)}'
        f' {forms.human_nstring(fields.get("content-description"))} "{part.encoding}" {part.body_octets}'
    )


def _extension(part: Part, fields: Fields, forms: Forms) -> str:
    md5 = forms.nstring(fields.get("content-md5"))
    return f"{md5} {_disposition(part, forms)} {_language_and_location(fields, forms)}"


def _language_and_location(fields: Fields, forms: Forms) -> str:
    languages = fields.get("content-language")
    location = forms.nstring(fields.get("content-location"))
    if not languages:
        return f"NIL {location}"
    tags = [tag.strip() for tag in languages.split(",")]
    quoted = [forms.string(tag) for tag in tags if tag]
    if not quoted:
        return f"NIL {location}"
    return f"{quoted[0] if len(quoted) == 1 else '(' + ' '.join(quoted) + ')'} {location}"


def _disposition(part: Part, forms: Forms) -> str:
    if part.disposition is None:
        return NIL
    return f'("{part.disposition}" {_parameters(part.disposition_parameters, forms)})'


def _parameters(parameters: Parameters, forms: Forms) -> str:
    if not parameters:
        return NIL
    written = [f"{forms.string(name)} {forms.human_string(value)}" for name, value in parameters.items()]
    return "(" + " ".join(written) + ")"
