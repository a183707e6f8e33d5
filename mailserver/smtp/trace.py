"""The trace fields a message gets here: Received and Return-Path (RFC 5321 §4.4, RFC 3848, RFC 8314 §4.3)."""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime

from mailserver.mime.dates import format_date

_NAME_CHARACTERS = 200
_NOT_IN_COMMENT = re.compile(r"[^!#-'*-\[\]-~]")
_HOST = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*\.?")


@dataclass(frozen=True, slots=True)
class TlsFacts:
    """What was agreed with the client, as OpenSSL names it: `TLSv1.3`, `TLS_AES_256_GCM_SHA384`."""

    version: str
    cipher: str


@dataclass(frozen=True, slots=True)
class Hop:
    """How a message came to us. `address` is the client's IP address, empty on a unix socket."""

    client: str
    address: str
    hostname: str
    protocol: str
    tls: TlsFacts | None


def protocol(*, is_lmtp: bool, is_extended: bool, is_encrypted: bool, is_signed_in: bool, is_utf8: bool) -> str:
    """The name after `with` (RFC 3848, RFC 6531 §4.3); plain HELO can be none of the others."""
    if not is_extended:
        return "SMTP"
    kind = "LMTP" if is_lmtp else "SMTP"
    name = f"UTF8{kind}" if is_utf8 else "LMTP" if is_lmtp else "ESMTP"
    return name + ("S" if is_encrypted else "") + ("A" if is_signed_in else "")


def received_field(hop: Hop, *, message_id: str, only_recipient: str | None, received_at: datetime) -> bytes:
    """`only_recipient` is the forward path if there was just one; with several, naming them would betray a Bcc."""
    lines = [f"Received: from {_origin(hop)}\r\n\tby {hop.hostname} with {hop.protocol}"]
    if hop.tls:
        lines.append(f" ({hop.tls.version})")
    lines.append(f"\r\n\tid {message_id}")
    if only_recipient:
        lines.append(f" for <{only_recipient}>")
    if hop.tls:
        lines.append(f"\r\n\ttls {hop.tls.cipher}")
    lines.append(f";\r\n\t{format_date(received_at)}\r\n")
    return "".join(lines).encode()


def return_path_field(reverse_path: str) -> bytes:
    return b"Return-Path: <%s>\r\n" % reverse_path.encode()


def address_literal(address: str) -> str:
    """`[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3)."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def _origin(hop: Hop) -> str:
    if not hop.address:
        return f"{hop.client} (local)" if _is_extended_domain(hop.client) else "localhost (local)"
    literal = address_literal(hop.address)
    if _is_extended_domain(hop.client):
        return f"{hop.client} ({literal})"
    return f"{literal} (helo={_harmless(hop.client)})"


def _harmless(client: str) -> str:
    """What stands in a comment: nothing that ends it, hides in it or makes the line too long (RFC 5322 §3.2.2)."""
    return _NOT_IN_COMMENT.sub("?", client[:_NAME_CHARACTERS])


def _is_extended_domain(client: str) -> bool:
    if not client.startswith("["):
        return _HOST.fullmatch(client) is not None
    if not client.endswith("]"):
        return False
    try:
        ipaddress.ip_address(client[1:-1].removeprefix("IPv6:"))
    except ValueError:
        return False
    return True
