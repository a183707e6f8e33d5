"""Bodies of long messages, of which only what is wanted is read: headers of parts, texts, sizes (RFC 8621 §4.1.4)."""

from collections.abc import Callable

from mailserver.mime.part import Part
from mailserver.mime.transfer_encoding import UnknownEncoding, decoding
from storage.content import Content
from webmail.jmap.answer_room import AnswerRoom
from webmail.jmap.blobs import PIECE_OCTETS
from webmail.jmap.email_bodies import body_lists, body_tree
from webmail.jmap.email_objects import Body, PartContent, parts_shown, parts_with_values
from webmail.jmap.email_wanted import Wanted
from webmail.jmap.email_whole import ENCODED, decoded_part, value_limit
from webmail.jmap.ids import PartPath


async def long_body(
    content: Content, root: Part, wanted: Wanted, blob_id: Callable[[PartPath], str], room: AnswerRoom
) -> Body:
    """As `email_whole.whole_body`, in ranges, from the beginning of the message to its end.

    Raises ContentDamaged, ColdTierUnavailable, StoreUnavailable.
    """
    tree = body_tree(root)
    lists = body_lists(tree)
    shown = {id(each.part) for each in parts_shown(tree, lists, wanted)}
    valued = {id(each.part) for each in parts_with_values(tree, lists, wanted)}
    headers: dict[int, bytes] = {}
    sizes: dict[int, int] = {}
    texts: dict[int, PartContent] = {}
    for each in tree.walk():
        part = each.part
        if id(part) in shown and wanted.parts.needs_header:
            headers[id(part)] = await content.read(part.header_offset, part.header_octets)
        if id(part) in valued:
            texts[id(part)] = await _text(content, part, value_limit(wanted))
        if id(part) in shown and "size" in wanted.parts.properties:
            text = texts.get(id(part))
            sizes[id(part)] = len(text.octets) if text and not text.is_cut else await _size(content, part)
    return Body(tree, lists, headers, sizes, texts, blob_id, room)


async def _text(content: Content, part: Part, limit: int) -> PartContent:
    taken = min(part.body_octets, limit)
    kept = content.kept_decoded(part.body_offset, part.body_octets) if part.encoding == "base64" else None
    if kept is not None:
        octets = await content.read_decoded(kept, 0, limit)
        return PartContent(octets, is_cut=len(octets) < kept.length)
    encoded = await content.read(part.body_offset, taken)
    return PartContent(decoded_part(encoded, part.encoding), is_cut=taken < part.body_octets)


async def _size(content: Content, part: Part) -> int:
    """Without reading it, where it is kept decoded or is not encoded at all."""
    if part.type == "multipart" or part.encoding not in ENCODED:
        return part.body_octets
    if part.encoding == "base64":
        kept = content.kept_decoded(part.body_offset, part.body_octets)
        if kept is not None:
            return kept.length
    try:
        decoder = decoding(part.encoding, is_text=False)
    except UnknownEncoding:
        return part.body_octets
    size = 0
    for at in range(0, part.body_octets, PIECE_OCTETS):
        length = min(PIECE_OCTETS, part.body_octets - at)
        size += len(decoder.feed(await content.read(part.body_offset + at, length)))
    return size + len(decoder.end())
