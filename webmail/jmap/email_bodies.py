"""The body of a message as JMAP divides it: parts with ids, and the flat lists of what is shown (RFC 8621 §4.1.4)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from mailserver.mime.part import Part
from webmail.jmap.ids import PartPath


@dataclass(frozen=True, slots=True, eq=False)
class BodyPart:
    """A part of the tree that JMAP shows: it ends at messages within the message. `path` is None for a multipart, else
    the part's numbers as IMAP counts them, which are its partId and name its blob."""

    part: Part
    path: PartPath | None
    sub_parts: Sequence["BodyPart"] = ()

    @property
    def part_id(self) -> str | None:
        return None if self.path is None else ".".join(map(str, self.path))

    @property
    def type(self) -> str:
        return self.part.content_type

    def leaves(self) -> Iterator["BodyPart"]:
        """Every part that is no multipart, in the order of the message."""
        pending = [self]
        while pending:
            each = pending.pop()
            if each.path is not None:
                yield each
            pending.extend(reversed(each.sub_parts))

    def walk(self) -> Iterator["BodyPart"]:
        pending = [self]
        while pending:
            each = pending.pop()
            yield each
            pending.extend(reversed(each.sub_parts))


@dataclass(frozen=True, slots=True)
class BodyLists:
    """What to show one after the other as text, as HTML, and what to offer beside it."""

    text: Sequence[BodyPart]
    html: Sequence[BodyPart]
    attachments: Sequence[BodyPart]


def body_tree(root: Part) -> BodyPart:
    """Of the message whose root is `root`."""
    return _tree(root, ()) if root.type == "multipart" else BodyPart(root, (1,))


def _tree(part: Part, path: PartPath) -> BodyPart:
    if part.type != "multipart":
        return BodyPart(part, path)
    return BodyPart(part, None, [_tree(child, (*path, n)) for n, child in enumerate(part.children, start=1)])


def body_lists(root: BodyPart) -> BodyLists:
    """By the algorithm that the RFC suggests."""
    text: list[BodyPart] = []
    html: list[BodyPart] = []
    attachments: list[BodyPart] = []
    _divide([root], "mixed", False, html, text, attachments)
    return BodyLists(text, html, attachments)


def _divide(
    parts: Sequence[BodyPart],
    around: str,
    is_in_alternative: bool,
    html: list[BodyPart] | None,
    text: list[BodyPart] | None,
    attachments: list[BodyPart],
) -> None:
    """`around` is the subtype of the multipart; a list that is None has its representation elsewhere."""
    text_before = len(text) if text is not None else -1
    html_before = len(html) if html is not None else -1
    for place, each in enumerate(parts):
        if each.path is None:
            subtype = each.part.subtype
            _divide(each.sub_parts, subtype, is_in_alternative or subtype == "alternative", html, text, attachments)
        elif not _is_inline(each.part, place, around):
            attachments.append(each)
        elif around == "alternative":
            _choose(each, html, text, attachments)
        else:
            if is_in_alternative:
                if each.type == "text/plain":
                    html = None
                if each.type == "text/html":
                    text = None
            if text is not None:
                text.append(each)
            if html is not None:
                html.append(each)
            if (text is None or html is None) and _is_media(each.part):
                attachments.append(each)
    if around == "alternative" and text is not None and html is not None:
        if text_before == len(text) and html_before != len(html):
            text.extend(html[html_before:])
        if html_before == len(html) and text_before != len(text):
            html.extend(text[text_before:])


def _choose(
    each: BodyPart, html: list[BodyPart] | None, text: list[BodyPart] | None, attachments: list[BodyPart]
) -> None:
    """One of several representations of the same."""
    chosen = {"text/plain": text, "text/html": html}.get(each.type, attachments)
    if chosen is not None:
        chosen.append(each)
    else:
        attachments.append(each)


def _is_inline(part: Part, place: int, around: str) -> bool:
    """Is it of the body rather than an attachment?"""
    if part.disposition == "attachment" or not (_is_media(part) or part.content_type in ("text/plain", "text/html")):
        return False
    return place == 0 or (around != "related" and (_is_media(part) or not part.filename))


def _is_media(part: Part) -> bool:
    return part.type in ("image", "audio", "video")
