"""What of a message is shown as its HTML, read from the store: its texts, decoded, and which part is which image."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mailserver.mime.part import Part
from mailserver.mime.structure import unpack
from mailserver.mime.text import decode_transfer
from storage.content import Content
from webmail.jmap.email_bodies import BodyPart, body_lists, body_tree
from webmail.jmap.email_body_values import body_value
from webmail.message_html.references import PartPath
from webmail.message_html.sanitise import LONGEST_HTML
from webmail.message_html.text import Flow

MOST_PARTS = 50
_ENCODED_FOR_ONE = 4  # octets of an encoded part for one of its text, in what people send
_IN_A_THREAD_OCTETS = 128 * 1024


@dataclass(frozen=True, slots=True)
class HtmlPart:
    html: str


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str
    flow: Flow | None


@dataclass(frozen=True, slots=True)
class ImagePart:
    path: PartPath
    name: str


ShownPart = HtmlPart | TextPart | ImagePart


@dataclass(frozen=True, slots=True)
class ShownMessage:
    """`parts` one after the other; `cids` are the images that HTML may name; `is_cut`: there is more text."""

    parts: Sequence[ShownPart]
    cids: Mapping[str, PartPath]
    is_cut: bool


async def read_shown(content: Content) -> ShownMessage:
    """Raises ContentDamaged, ColdTierUnavailable, StoreUnavailable."""
    tree = body_tree(unpack(content.structure))
    lists = body_lists(tree)
    parts: list[ShownPart] = []
    left = LONGEST_HTML
    is_cut = len(lists.html) > MOST_PARTS
    for each in lists.html[:MOST_PARTS]:
        part = each.part
        if part.type == "image":
            if each.path is not None:
                parts.append(ImagePart(each.path, part.filename or ""))
        elif part.type == "text" and left > 0:
            text, has_more = await _text(content, part, left)
            left -= len(text)
            is_cut = is_cut or has_more
            parts.append(HtmlPart(text) if part.subtype == "html" else TextPart(text, _flow(part)))
        elif part.type == "text":
            is_cut = True
    return ShownMessage(parts, _cids(tree), is_cut)


async def part_octets(content: Content, part: Part, most_encoded: int) -> tuple[bytes, bool]:
    """A part without its transfer encoding, and whether there is more of it. Raises as `read_shown`."""
    kept = content.kept_decoded(part.body_offset, part.body_octets) if part.encoding == "base64" else None
    if kept is not None:
        octets = await content.read_decoded(kept, 0, most_encoded)
        return octets, len(octets) < kept.length
    taken = min(part.body_octets, most_encoded)
    encoded = await content.read(part.body_offset, taken)
    has_more = taken < part.body_octets
    if len(encoded) > _IN_A_THREAD_OCTETS:
        return await asyncio.to_thread(decode_transfer, encoded, part.encoding), has_more
    return decode_transfer(encoded, part.encoding), has_more


async def _text(content: Content, part: Part, most: int) -> tuple[str, bool]:
    octets, has_more = await part_octets(content, part, most * _ENCODED_FOR_ONE)

    def decode() -> tuple[str, bool]:
        value = body_value(
            octets,
            part.parameters.get("charset") or None,
            is_html=part.subtype == "html",
            most_octets=most,
            is_cut=has_more,
            has_problem=False,
        )
        return value["value"], value["isTruncated"]

    if len(octets) > _IN_A_THREAD_OCTETS:
        return await asyncio.to_thread(decode)
    return decode()


def _flow(part: Part) -> Flow | None:
    """RFC 3676 §4."""
    if part.parameters.get("format", "").strip().lower() != "flowed":
        return None
    return Flow(deletes_space=part.parameters.get("delsp", "").strip().lower() == "yes")


def _cids(tree: BodyPart) -> dict[str, PartPath]:
    """The first part of each content id; images alone, for nothing else is shown within HTML."""
    found: dict[str, PartPath] = {}
    for each in tree.leaves():
        if each.path is not None and each.part.content_id and _may_be_image(each.part):
            found.setdefault(each.part.content_id.strip().removeprefix("<").removesuffix(">").strip(), each.path)
    return found


def _may_be_image(part: Part) -> bool:
    """Some programs call every attachment octets; what it is shows when it is asked for."""
    return part.type == "image" or part.content_type == "application/octet-stream"
