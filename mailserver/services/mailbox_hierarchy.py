"""Mailboxes as a tree: what "/" in their names says of who stands below whom (RFC 8621 §2). Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mailserver.services.mailboxes import DELIMITER, INBOX
from storage.types import Mailbox, MailboxId


@dataclass(frozen=True, slots=True)
class Place:
    """A mailbox below its `parent`, under the name that it has there."""

    parent: MailboxId | None
    name: str


def places(mailboxes: Iterable[Mailbox]) -> Mapping[MailboxId, Place]:
    """Where each stands.

    Where a superior level is missing (mailboxes are made with all of theirs, so that only what came from elsewhere
    lacks one), the nearest that is there is the parent, and what lies between stays in the name: a mailbox that nobody
    made would need an id, rights and counts of its own, and would vanish when its last child does.
    """
    boxes = list(mailboxes)
    ids = {box.name: box.id for box in boxes}
    found: dict[MailboxId, Place] = {}
    for box in boxes:
        superior = box.name
        while DELIMITER in superior:
            superior = superior.rpartition(DELIMITER)[0]
            if superior in ids:
                found[box.id] = Place(ids[superior], box.name[len(superior) + 1 :])
                break
        else:
            found[box.id] = Place(None, "Inbox" if box.name == INBOX else box.name)
    return found


def ancestors(mailbox: MailboxId, found: Mapping[MailboxId, Place]) -> list[MailboxId]:
    """From its parent up."""
    line: list[MailboxId] = []
    parent = found[mailbox].parent
    while parent is not None:
        line.append(parent)
        parent = found[parent].parent
    return line
