"""An Email that a client wants made: what it says, checked by every rule of RFC 8621 §4.6, before anything is read.

Two steps: `parse_creation` makes a Draft of the JSON or tells which properties are wrong; `email_composing` writes it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from webmail.jmap.email_draft_parts import DraftPart, PartReader, Problems, written_fields
from webmail.jmap.email_wanted import PROPERTIES
from webmail.jmap.errors import JsonObject
from webmail.jmap.header_properties import CONVENIENCE

_SERVER_SET = frozenset({"id", "blobId", "threadId", "size", "hasAttachment", "preview"})
_BODIES = frozenset({"bodyStructure", "bodyValues", "textBody", "htmlBody", "attachments"})
_CONTENT = "content-"


@dataclass(frozen=True, slots=True)
class Draft:
    """A message to be written: its fields by name in lower case, in order, and its body."""

    fields: Sequence[tuple[str, bytes]]
    root: DraftPart

    @property
    def blob_ids(self) -> list[str]:
        """Of what it is made, each once."""
        return list(dict.fromkeys(part.blob_id for part in self.root.walk() if part.blob_id is not None))


def parse_creation(email: JsonObject) -> Draft:
    """What concerns the message itself; keywords, mailboxes and receivedAt are the caller's.

    Raises SetError (invalidProperties).
    """
    problems = Problems()
    for name in email:
        if name in _SERVER_SET:
            problems.add(name, "only the server sets it")
        elif name == "headers":
            problems.add(name, "each field is a property of its own")
        elif not name.startswith("header:") and name not in PROPERTIES:
            problems.add(name, "there is no such property")
    fields = written_fields(email, CONVENIENCE, problems, "")
    for asked, key, _ in fields:
        if key.startswith(_CONTENT):
            problems.add(asked, "fields of content belong to body parts")
    root = _root(email, problems)
    structure = email.get("bodyStructure")
    if isinstance(structure, dict):
        given = {key for _, key, _ in fields}
        for asked, key, _ in written_fields(structure, {}, Problems(), ""):
            if key in given:
                problems.add(f"bodyStructure/{asked}", "the Email has this field already")
    problems.demand_none()
    return Draft([(key, octets) for _, key, octets in fields], root)


def _root(email: JsonObject, problems: Problems) -> DraftPart:
    reader = PartReader(_values(email, problems), problems)
    given = {name: email[name] for name in _BODIES - {"bodyValues"} if email.get(name) is not None}
    if "bodyStructure" in given:
        for name in given.keys() - {"bodyStructure"}:
            problems.add(name, "bodyStructure says it all")
        return reader.read(given["bodyStructure"], "bodyStructure", 0) or _EMPTY
    text = reader.read_only(given, "textBody", "text/plain")
    html = reader.read_only(given, "htmlBody", "text/html")
    attachments = reader.read_list(given.get("attachments", []), "attachments")
    return _arranged(text, html, attachments)


_EMPTY = DraftPart("text/plain", text="")


def _arranged(text: DraftPart | None, html: DraftPart | None, attachments: Sequence[DraftPart]) -> DraftPart:
    """The usual structure: alternatives, pictures beside the HTML that shows them, attachments around."""
    shown = [each for each in attachments if html and each.cid and each.disposition == "inline"]
    others = [each for each in attachments if each not in shown]
    if html is not None and shown:
        html = DraftPart("multipart/related", sub_parts=[html, *shown])
    bodies = [each for each in (text, html) if each is not None]
    if not bodies and not others:
        return _EMPTY
    body = DraftPart("multipart/alternative", sub_parts=bodies) if len(bodies) == 2 else None
    inner = [body] if body is not None else bodies
    return DraftPart("multipart/mixed", sub_parts=[*inner, *others]) if others else inner[0]


def _values(email: JsonObject, problems: Problems) -> dict[str, str]:
    """`bodyValues` by partId."""
    given = email.get("bodyValues")
    if given is None:
        return {}
    if not isinstance(given, dict):
        problems.add("bodyValues", "it must be an object")
        return {}
    values: dict[str, str] = {}
    for part_id, each in given.items():
        at = f"bodyValues/{part_id}"
        if not isinstance(each, dict) or not isinstance(each.get("value"), str):
            problems.add(at, "it must be an object with a value")
            continue
        for name in each:
            if name in ("isEncodingProblem", "isTruncated"):
                if each[name] is not False:
                    problems.add(f"{at}/{name}", "it must be false")
            elif name != "value":
                problems.add(f"{at}/{name}", "there is no such property")
        values[part_id] = each["value"]
    return values
