"""Mail that is passed on to other systems: what is queued, under which reverse path (docs/decisions/forwarding.md).

One queued message for each place that passes on (a person's forwarding, a group, a returning bounce), since each has
a Delivered-To field and a reverse path of its own. The field is how a circle through other systems is noticed: who
finds an address here already passed this message on.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from mmap import mmap

from mailserver.dsn.addresses import encode_unitext, typed_address
from mailserver.services.incoming import Addressee, IncomingMail
from mailserver.srs import rewrite
from storage.outgoing_types import BodyKind, Envelope, Notify, QueuedRecipient, Submitter
from tenants.types import Forward, Resolution, TenantId

_HEADER_LIMIT_OCTETS = 1_048_576
_PIECE_OCTETS = 1_048_576
_DELIVERED_TO = b"delivered-to:"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to queue. `added` goes in front of its header."""

    submitter: Submitter
    envelope: Envelope
    added: bytes


@dataclass(frozen=True, slots=True)
class _Place:
    """A place that passes mail on. `address` is None for a bounce on its way back; `group` is the one that a person was
    reached through."""

    tenant_id: TenantId
    address: str | None
    owner: str
    is_group: bool
    group: str | None = None


def own_outgoing(mail: IncomingMail) -> Iterator[Outgoing]:
    """What somebody who signed in sends to other systems, as it is; each address once, as its first RCPT has it."""
    first: dict[str, int] = {}
    for index, addressee in enumerate(mail.addressees):
        if addressee.resolution is None:
            first.setdefault(_same(addressee.path), index)
    if not first:
        return
    if mail.sender is None:
        raise ValueError("only people who signed in send to other systems")
    chosen = [mail.addressees[index] for index in first.values()]
    recipients = tuple(QueuedRecipient(each.path, each.original_recipient, each.notify) for each in chosen)
    yield Outgoing(mail.sender, _envelope(mail, mail.reverse_path, recipients), b"")


def passed_on(
    mail: IncomingMail, *, before: frozenset[bytes], is_author_local: bool, secret: bytes, now: datetime
) -> Iterator[Outgoing]:
    """What groups and forwardings make of a message, each address elsewhere once; places of `before` are left out.

    `is_author_local`: the reverse path is of this installation, and needs no rewriting.
    """
    places: dict[_Place, list[QueuedRecipient]] = {}
    seen = {_same(each.path) for each in mail.addressees if each.resolution is None}
    for addressee in mail.addressees:
        resolution = addressee.resolution
        for forward in resolution.elsewhere if resolution is not None else ():
            assert resolution is not None
            place = _place(resolution, forward)
            if _same(forward.address) not in seen and not _was_there(place, before):
                seen.add(_same(forward.address))
                recipient = _recipient(addressee, forward, is_list=bool(place.owner))
                places.setdefault(place, []).append(recipient)
    for place, recipients in places.items():
        reverse_path = _reverse_path(mail, place, is_author_local=is_author_local, secret=secret, now=now)
        envelope = _envelope(mail, reverse_path, tuple(recipients), is_list=bool(place.owner))
        yield Outgoing(Submitter(place.tenant_id, None), envelope, b"".join(_marks(place)))


def _same(address: str) -> str:
    """Equal for one address however its domain is written; local parts of other systems may differ by case."""
    local_part, _, domain = address.rpartition("@")
    return f"{local_part}@{domain.lower()}"


def passed_on_before(mail: IncomingMail) -> frozenset[bytes]:
    """The places that passed this message on already, as Delivered-To tells; looked for only where it matters."""
    if not any(each.resolution is not None and each.resolution.elsewhere for each in mail.addressees):
        return frozenset()
    return _delivered_to_fields(mail.octets)


def looping(mail: IncomingMail, before: frozenset[bytes]) -> frozenset[int]:
    """The addressees of whom nothing is left but to pass the message on where it has been."""
    return frozenset(
        index
        for index, each in enumerate(mail.addressees)
        if each.resolution is not None
        and each.resolution.elsewhere
        and all(_was_there(_place(each.resolution, forward), before) for forward in each.resolution.elsewhere)
    )


def delivered_to_field(address: str) -> bytes:
    """In ASCII whatever the address, so that it does not make an ordinary message one that needs SMTPUTF8."""
    return b"Delivered-To: %s\r\n" % encode_unitext(address).lower().encode("ascii")


def is_list(resolution: Resolution) -> bool:
    """A group with an owner is a mailing list of RFC 3461 §5.2.7.1, one without an alias of §5.2.7.3."""
    return any(forward.group_owner and forward.through is None for forward in resolution.elsewhere)


def _marks(place: _Place) -> list[bytes]:
    """What a message gets there, the person first: who sends it back to the group sends it in a circle as well."""
    return [delivered_to_field(each) for each in (place.address, place.group) if each is not None]


def _was_there(place: _Place, before: frozenset[bytes]) -> bool:
    return any(mark in before for mark in _marks(place))


def _place(resolution: Resolution, forward: Forward) -> _Place:
    if forward.through is not None:
        person = str(forward.through.address)
        return _Place(resolution.tenant_id, person, forward.group_owner, is_group=False, group=forward.group)
    return _Place(resolution.tenant_id, forward.group, forward.group_owner, is_group=True)


def _recipient(addressee: Addressee, forward: Forward, *, is_list: bool) -> QueuedRecipient:
    """RFC 3461 §5.2.7: all wishes go on with a message that goes on to one address; none beyond a list; else those of
    failure and delay."""
    if is_list:
        return QueuedRecipient(forward.address)
    assert addressee.resolution is not None
    original = addressee.original_recipient or typed_address(addressee.path)
    notify = addressee.notify
    is_alone = len(addressee.resolution.elsewhere) == 1 and not addressee.resolution.recipients
    if notify is not None and not is_alone:
        notify = notify & ~Notify.SUCCESS or Notify.NEVER
    return QueuedRecipient(forward.address, original, notify)


def _reverse_path(mail: IncomingMail, place: _Place, *, is_author_local: bool, secret: bytes, now: datetime) -> str:
    if not mail.reverse_path or place.address is None:
        return mail.reverse_path
    if place.owner:
        return place.owner
    if is_author_local:
        return mail.reverse_path
    domain = place.address.rpartition("@")[2]
    rewritten = rewrite(mail.reverse_path, domain, secret=secret, now=now)
    if rewritten is not None:
        return rewritten
    return "" if place.is_group else place.address  # whose forwarding fails hears of it; a group's people do not


def _envelope(
    mail: IncomingMail, reverse_path: str, recipients: tuple[QueuedRecipient, ...], *, is_list: bool = False
) -> Envelope:
    is_utf8 = mail.needs_utf8 or not all(text.isascii() for text in (reverse_path, *(r.address for r in recipients)))
    return Envelope(
        reverse_path,
        recipients,
        envelope_id=None if is_list else mail.envelope_id,
        return_content=None if is_list else mail.return_content,
        needs_utf8=is_utf8,
        body=body_kind(mail.octets),
    )


def body_kind(octets: bytes | mmap) -> BodyKind:
    """What the octets are, whatever the client declared (RFC 6152 §3)."""
    pieces = (octets[at : at + _PIECE_OCTETS] for at in range(0, len(octets), _PIECE_OCTETS))
    return BodyKind.SEVENBIT if all(piece.isascii() for piece in pieces) else BodyKind.EIGHTBIT


def with_field(added: bytes, octets: bytes | mmap) -> bytes | mmap:
    """The message with a field in front, in the place of the Return-Path that the door has put there."""
    if not added:
        return octets
    end = octets.find(b"\r\n") + 2 if octets[:12].lower() == b"return-path:" else 0
    return added + octets[end:]


def _delivered_to_fields(octets: bytes | mmap) -> frozenset[bytes]:
    head = octets[:_HEADER_LIMIT_OCTETS]
    end = head.find(b"\r\n\r\n")
    lines = (head[: end + 2] if end >= 0 else head).lower().split(b"\r\n")
    return frozenset(
        b"Delivered-To: %s\r\n" % line[len(_DELIVERED_TO) :].strip() for line in lines if line.startswith(_DELIVERED_TO)
    )
