"""What of messages matches a search, for a list of results: subject and a piece of the body, marked (RFC 8621 §5)."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailserver.mime.fields import parse_fields
from mailserver.mime.header import display
from mailserver.mime.highlighting import LOOKED_CHARACTERS, Highlighter
from mailserver.mime.message_words import is_read, readable_text
from mailserver.mime.packing import unpack
from mailserver.mime.part import Part
from mailserver.services.email_reading import read_whole
from mailserver.services.messages import open_content
from storage.emails import WholeEmail
from storage.errors import ColdTierUnavailable, ContentDamaged, MessageGone
from storage.store import MailStore
from storage.types import MessageId
from tenants.types import Principal

MOST_OCTETS = 255
_PART_OCTETS = 4 * LOOKED_CHARACTERS
_PARTS = 20


@dataclass(frozen=True, slots=True)
class Snippet:
    """HTML with <mark>; None where nothing matches, or where the message cannot be read now."""

    subject: str | None
    body: str | None


NOTHING = Snippet(None, None)


@dataclass(frozen=True, slots=True)
class Asked:
    """What to mark in subjects, and what in bodies."""

    subject: Highlighter
    body: Highlighter


async def snippets(
    store: MailStore, who: Principal, sizes: Mapping[MessageId, int], asked: Asked
) -> dict[MessageId, Snippet]:
    """Of messages whose octets are `sizes`; those that are gone are absent. Raises StoreUnavailable, KeyUnusable."""
    found: dict[MessageId, Snippet] = {}
    async for some in read_whole(store, who, sizes):
        small = [each for each in some.values() if each.octets is not None]
        found.update(await asyncio.to_thread(_of_small, small, asked))
        for each in some.values():
            if each.octets is None and (snippet := await _of_long(store, who, each, asked)) is not None:
                found[each.message_id] = snippet
    return found


def _of_small(emails: Sequence[WholeEmail], asked: Asked) -> dict[MessageId, Snippet]:
    found: dict[MessageId, Snippet] = {}
    for email in emails:
        assert email.octets is not None
        root = unpack(email.structure)
        subject = _subject(email.octets[: root.header_octets], asked)
        body = None
        for part in _texts(root):
            if (body := _piece(email.octets[part.body_offset :][: part.body_octets], part, asked)) is not None:
                break
        found[email.message_id] = Snippet(subject, body)
    return found


async def _of_long(store: MailStore, who: Principal, email: WholeEmail, asked: Asked) -> Snippet | None:
    root = unpack(email.structure)
    try:
        opened = await open_content(store, who, email.message_id)
        subject = _subject(await opened.read(0, root.header_octets), asked)
        for part in _texts(root):
            octets = await opened.read(part.body_offset, min(part.body_octets, _PART_OCTETS))
            body = await asyncio.to_thread(_piece, octets, part, asked)
            if body is not None:
                return Snippet(subject, body)
    except MessageGone:
        return None
    except (ContentDamaged, ColdTierUnavailable):
        return NOTHING
    return Snippet(subject, None)


def _texts(root: Part) -> list[Part]:
    """Plain text first, for HTML mostly says the same; what is attached last."""
    texts = [part for part in root.walk() if is_read(part)][:_PARTS]
    return sorted(texts, key=lambda part: (part.disposition == "attachment", part.subtype == "html"))


def _subject(header: bytes, asked: Asked) -> str | None:
    return asked.subject.marked(display(parse_fields(header).get("subject", "")))


def _piece(octets: bytes, part: Part, asked: Asked) -> str | None:
    alone = part.with_body(0, min(len(octets), _PART_OCTETS))
    return asked.body.snippet(readable_text(octets, alone), MOST_OCTETS)
