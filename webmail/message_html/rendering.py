"""From what was read of a message to the document that is shown. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from html import escape

from webmail.message_html.document import document
from webmail.message_html.reading import HtmlPart, ImagePart, ShownMessage, ShownPart, TextPart
from webmail.message_html.references import PartPath, References, RemoteImages
from webmail.message_html.sanitise import Sanitised, sanitise
from webmail.message_html.text import text_html
from webmail.message_html.words import Words


@dataclass(frozen=True, slots=True)
class Rendered:
    """`remote_images` counts those that the message refers to, fetched or not."""

    html: str
    remote_images: int


def render(
    message: ShownMessage,
    images: RemoteImages,
    words: Words,
    *,
    part_url: Callable[[PartPath], str],
    remote_url: Callable[[str], str],
) -> Rendered:
    """Never raises."""
    references = References(message.cids, images, part_url, remote_url)
    written = [
        (each, _written(each, references, words, prefix=f"m{number}-"))
        for number, each in enumerate(message.parts)
        if not (isinstance(each, TextPart) and not each.text.strip())
    ]
    parts = [
        part
        for each, part in written
        if not isinstance(each, ImagePart) or each.path not in references.parts_shown  # not twice
    ]
    return Rendered(document(parts, words, is_cut=message.is_cut), references.remote_images)


def _written(each: ShownPart, references: References, words: Words, *, prefix: str) -> Sanitised:
    match each:
        case HtmlPart(html):
            return sanitise(html, references, prefix=prefix)
        case TextPart(text, flow):
            return Sanitised(text_html(text, words, flow=flow), "")
        case ImagePart(path, name):
            source, label = escape(references.part_url(path)), escape(name or words.image)
            return Sanitised(f'<div><img src="{source}" alt="{label}" title="{label}" loading="lazy"></div>', "")
