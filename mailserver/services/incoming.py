"""A message on its way in, with its envelope, as doors hand it to the services (RFC 5321 §3.3, RFC 3461)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from mmap import mmap

from storage.outgoing_types import Notify, ReturnContent, Submitter
from tenants.types import Resolution


@dataclass(frozen=True, slots=True)
class Addressee:
    """One RCPT that was answered 250: the path as the client wrote it (`bob@demo.test`), and what it reaches.

    `resolution` None: an address of another system, which only people who signed in may give. `original_recipient` is
    ORCPT, decoded.
    """

    path: str
    resolution: Resolution | None
    notify: Notify | None = None
    original_recipient: str | None = None


@dataclass(frozen=True, slots=True)
class IncomingMail:
    """`octets` begin with the Return-Path and Received fields of the door. `sender` is who signed in, if somebody did.

    `received_from` is how the client called itself, `trace_id` what the logs call the message; `future_release`, how it
    was asked for that waited (RFC 4865 §5.1.2).
    """

    octets: bytes | mmap
    reverse_path: str
    addressees: Sequence[Addressee]
    received_at: datetime
    sender: Submitter | None = None
    envelope_id: str | None = None
    return_content: ReturnContent | None = None
    needs_utf8: bool = False
    received_from: str | None = None
    trace_id: str | None = None
    future_release: str | None = None
