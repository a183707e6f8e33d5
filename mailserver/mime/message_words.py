"""The words of a message, field by field and part by part, and how they are laid out in the rows of the index.

Subject and people come from the header; the body is its text parts, HTML as a person reads it, reports, the names of
attachments, and subject and people of messages within. A text that stands word for word in one before adds nothing:
HTML beside its plain text. Rows hold words with single spaces between, two spaces between fields and parts; words of
the subject begin with `;`, of people with `:`. A message too long for one row continues in the next, a little of it in
both so that phrases are found, and each of its rows ends in the word `~`.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from mmap import mmap

from mailserver.mime.fields import Fields, parse_fields
from mailserver.mime.header import display
from mailserver.mime.html_text import html_text
from mailserver.mime.part import Part
from mailserver.mime.searchable import form_of
from mailserver.mime.text import part_text

PEOPLE = ("from", "sender", "reply-to", "to", "cc", "bcc")
SUBJECT_MARK, PEOPLE_MARK, LONG_MARK = ";", ":", "~"
GAP = "  "

PART_OCTETS = 1024 * 1024
"""Of one part, as it is in the message; what stands beyond is not indexed."""
MESSAGE_CHARACTERS = 1_500_000
"""Of the words of one message."""
ROW_CHARACTERS = 24_000
_TWICE_CHARACTERS = 400  # of a row stand in the next one too
_LOOKED_BACK = 8  # so many texts before are compared with each


@dataclass(frozen=True, slots=True)
class MessageWords:
    """The forms (`searchable`) of the texts of a message."""

    subject: str
    people: str
    body: tuple[str, ...]


def is_read(part: Part) -> bool:
    """Has it text of its own? A report has: whose mail did not arrive, and why."""
    return part.type in ("text", "message") and not part.children


def readable_text(octets: bytes | mmap, part: Part) -> str:
    """The text of a leaf part as a person reads it."""
    text = part_text(octets, part)
    return html_text(text) if part.subtype == "html" else text


def words_of_message(octets: bytes | mmap, root: Part) -> MessageWords:
    """Of a message that is at hand. Never raises."""
    fields = parse_fields(bytes(octets[: root.header_octets]))
    forms: list[str] = []
    for part, is_inner in parts_of(root):
        if part is not root:
            header = bytes(octets[part.header_offset : part.header_offset + part.header_octets]) if is_inner else b""
            forms += forms_of_part_header(part, header)
        if is_read(part):
            forms.append(form_of(readable_text(octets, _first_octets(part))))
    return MessageWords(subject_of(fields), people_of(fields), tuple(without_repeats(forms)))


def subject_of(fields: Fields) -> str:
    return form_of(display(fields.get("subject", "")))


def people_of(fields: Fields) -> str:
    """Names and addresses as they are written, field by field."""
    return GAP.join(form for name in PEOPLE if (value := fields.get(name)) and (form := form_of(display(value))))


def forms_of_part_header(part: Part, header: bytes) -> list[str]:
    """The name of an attachment; of a message within, whose header is handed over, its subject and people."""
    forms = [form_of(name)] if (name := part.filename) else []
    if header:
        fields = parse_fields(header)
        forms += [subject_of(fields), *people_of(fields).split(GAP)]
    return forms


def parts_of(root: Part) -> Iterator[tuple[Part, bool]]:
    """In the order of the message; with each, whether it is the root of a message within."""
    pending = [(root, False)]
    while pending:
        part, is_inner = pending.pop()
        yield part, is_inner
        pending.extend((child, part.type == "message") for child in reversed(part.children))


def _first_octets(part: Part) -> Part:
    if part.body_octets <= PART_OCTETS:
        return part
    return part.with_body(part.body_offset, PART_OCTETS)


def without_repeats(forms: Iterable[str]) -> Iterator[str]:
    """Leaves out what is empty, and what stands word for word in one of the texts just before."""
    seen: list[str] = []
    for form in forms:
        padded = f" {form} "
        if not form or any(padded in each for each in seen):
            continue
        seen.append(padded)
        if len(seen) > _LOOKED_BACK:
            seen.pop(0)
        yield form


def rows_of(words: MessageWords) -> list[str]:
    """At least one."""
    head = GAP.join(form for form in (_marked(words.subject, SUBJECT_MARK), _marked(words.people, PEOPLE_MARK)) if form)
    body = GAP.join(words.body)[:MESSAGE_CHARACTERS]
    whole = GAP.join(text for text in (head, body) if text)
    if len(whole) <= ROW_CHARACTERS:
        return [whole]
    return [f"{row}{GAP}{LONG_MARK}" for row in _cut(whole)]


def _marked(form: str, mark: str) -> str:
    return mark + form.replace(" ", " " + mark).replace(f" {mark} ", GAP) if form else ""


def _cut(text: str) -> Iterator[str]:
    begin = 0
    while True:
        end = begin + ROW_CHARACTERS
        if end >= len(text):
            yield text[begin:]
            return
        end = text.rfind(" ", begin, end)
        yield text[begin:end]
        begin = text.find(" ", end - _TWICE_CHARACTERS) + 1
