r"""Mailboxes as a forest that is changed in thought before it is in the store (RFC 8621 §2.5, RFC 8620 §5.3). Pure.

Creations and updates of one call are tried one after the other, again as long as that helps, and at last those that are
left all together: only the final state must be valid, so that two mailboxes may exchange their names.
"""

import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from mailserver.services.mailbox_hierarchy import places
from mailserver.services.mailboxes import (
    DEEPEST_LEVELS,
    DELIMITER,
    INBOX,
    LONGEST_NAME_OCTETS,
    MAILBOXES_PER_ACCOUNT,
    SPECIAL_USES,
    checked_name,
)
from storage.errors import MailboxNameInvalid
from storage.types import Mailbox, MailboxId

Key = MailboxId | str
"""A mailbox that is there, or a creation id of the same call."""


class Reason(Enum):
    """Why one creation, update or destruction is refused."""

    NOT_FOUND = auto()
    FORBIDDEN = auto()
    """Inbox keeps its name, its place and its role, and stays"""
    INVALID = auto()
    """for `properties`"""
    EXISTS = auto()
    """a mailbox beside it, `existing`, has this name"""
    TOO_MANY = auto()
    HAS_CHILD = auto()
    HAS_EMAIL = auto()


@dataclass(frozen=True, slots=True)
class Refusal:
    reason: Reason
    detail: str = ""
    properties: tuple[str, ...] = ()
    existing: Key | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A mailbox under its parent. `mailbox` is what is there already."""

    name: str
    parent: Key | None
    special_use: str | None = None
    is_subscribed: bool = True
    sort_order: int | None = None
    mailbox: Mailbox | None = None

    @property
    def is_inbox(self) -> bool:
        return self.mailbox is not None and self.mailbox.name == INBOX


class _Keep(Enum):
    """What an update does not name stays as it is."""

    KEEP = auto()


KEEP = _Keep.KEEP


@dataclass(frozen=True, slots=True)
class Update:
    """What is to become of a mailbox. `special_use` is one such as \\Sent, or None."""

    name: str | _Keep = KEEP
    parent: Key | _Keep | None = KEEP
    special_use: str | _Keep | None = KEEP
    is_subscribed: bool | _Keep = KEEP
    sort_order: int | _Keep | None = KEEP

    def applied(self, node: Node) -> Node:
        given = {name: getattr(self, name) for name in self.__slots__}
        return replace(node, **{name: value for name, value in given.items() if value is not KEEP})


@dataclass(slots=True)
class Forest:
    """All mailboxes of an account."""

    nodes: dict[Key, Node]
    _by_place: dict[tuple[Key | None, str], set[Key]] = field(default_factory=dict)
    _below: dict[Key | None, set[Key]] = field(default_factory=dict)

    @staticmethod
    def of(mailboxes: Iterable[Mailbox], sort_orders: Mapping[MailboxId, int | None]) -> "Forest":
        boxes = list(mailboxes)
        stand = places(boxes)
        forest = Forest({})
        for box in boxes:
            place = stand[box.id]
            name = INBOX if box.name == INBOX else place.name
            use, order = box.special_use, sort_orders.get(box.id)
            forest._put(box.id, Node(name, place.parent, use, box.is_subscribed, order, box))
        return forest

    def change(
        self, creates: Mapping[str, Node], updates: Mapping[MailboxId, Update]
    ) -> tuple[dict[str, Refusal], dict[MailboxId, Refusal]]:
        """Do all that can be done; the others are refused."""
        refused: dict[Key, Refusal] = {}
        wanted: dict[Key, Node | Update] = dict(creates.items())
        wanted.update(updates.items())
        while wanted:
            left = {}
            for key, what in wanted.items():
                if (refusal := self._try({key: what})) is not None:
                    left[key] = what
                    refused[key] = refusal
                else:
                    refused.pop(key, None)
            if len(left) == len(wanted):
                if len(left) > 1 and self._try(left) is None:
                    for key in left:
                        del refused[key]
                break
            wanted = dict(reversed(left.items()))  # so that what waited for one behind it comes after it
        return (
            {key: refused[key] for key in creates if key in refused},
            {key: refused[key] for key in updates if key in refused},
        )

    def _try(self, wanted: Mapping[Key, Node | Update]) -> Refusal | None:
        """All of it, or nothing and why."""
        before = {key: self.nodes.get(key) for key in wanted}
        refusal: Refusal | None = None
        for key, what in wanted.items():
            node = before[key]
            if isinstance(what, Update):
                if node is None:
                    refusal = Refusal(Reason.NOT_FOUND)
                    break
                if node.is_inbox and any(each is not KEEP for each in (what.name, what.parent, what.special_use)):
                    refusal = Refusal(Reason.FORBIDDEN, "Inbox keeps its name, its place and its role")
                    break
                what = what.applied(node)
            self._put(key, what)
        if refusal is None:
            refusal = next(filter(None, (self._wrong(key, before[key]) for key in wanted)), None)
        if refusal is not None:
            for key, node in before.items():
                self._take(key)
                if node is not None:
                    self._put(key, node)
        return refusal

    def _wrong(self, key: Key, before: Node | None) -> Refusal | None:
        """What is wrong about a mailbox as it now would be."""
        node = self.nodes[key]
        if before is None and len(self.nodes) > MAILBOXES_PER_ACCOUNT:
            return Refusal(Reason.TOO_MANY, f"an account has at most {MAILBOXES_PER_ACCOUNT} mailboxes")
        if before is None or node.special_use != before.special_use:
            if node.special_use is not None and node.special_use not in SPECIAL_USES:
                return Refusal(Reason.INVALID, "there are no mailboxes of this role here", ("role",))
            if node.special_use is not None and any(
                _share_use(node, each) for other, each in self.nodes.items() if other != key
            ):
                return Refusal(Reason.INVALID, "another mailbox has this role", ("role",))
        if before is not None and (node.name, node.parent) == (before.name, before.parent):
            return None
        return self._misplaced(key, node)

    def _misplaced(self, key: Key, node: Node) -> Refusal | None:
        if node.parent is not None and node.parent not in self.nodes:
            return Refusal(Reason.INVALID, "there is no such mailbox", ("parentId",))
        try:
            if DELIMITER in node.name:
                raise MailboxNameInvalid(node.name, f"it holds {DELIMITER}")
            checked_name(node.name)
        except MailboxNameInvalid as invalid:
            return Refusal(Reason.INVALID, invalid.reason, ("name",))
        if node.parent is None and node.name.isascii() and node.name.upper() == INBOX:
            return Refusal(Reason.INVALID, "there is one Inbox", ("name",))
        if beside := self._by_place[node.parent, node.name] - {key}:
            return Refusal(Reason.EXISTS, "a mailbox beside it has this name", ("name",), next(iter(beside)))
        line = [key]
        while (above := self.nodes[line[-1]].parent) is not None:
            if above == key or len(line) > DEEPEST_LEVELS:
                return Refusal(Reason.INVALID, f"it would be below itself, or below {DEEPEST_LEVELS}", ("parentId",))
            if above not in self.nodes:
                return Refusal(Reason.INVALID, "what it is to be below has no such parent", ("parentId",))
            line.append(above)
        return self._too_long(key, len(line), len(self.full_name(key).encode()))

    def _too_long(self, key: Key, levels: int, octets: int) -> Refusal | None:
        """Of a mailbox and all below it."""
        pending = [(key, levels, octets)]
        while pending:
            at, depth, length = pending.pop()
            if depth > DEEPEST_LEVELS:
                return Refusal(Reason.INVALID, f"at most {DEEPEST_LEVELS} levels", ("parentId",))
            if length > LONGEST_NAME_OCTETS:
                return Refusal(Reason.INVALID, "the name with those above it is too long", ("name",))
            pending += [
                (child, depth + 1, length + 1 + len(self.nodes[child].name.encode()))
                for child in self._below.get(at, ())
            ]
        return None

    def full_name(self, key: Key) -> str:
        """As IMAP calls it."""
        names: list[str] = []
        at: Key | None = key
        while at is not None:
            node = self.nodes[at]
            names.append(node.name)
            at = node.parent
        return DELIMITER.join(reversed(names))

    def destroy(self, mailboxes: Sequence[MailboxId], *, removes_emails: bool) -> dict[MailboxId, Refusal]:
        """Take mailboxes away, those below before those above; the others are refused."""
        left = list(mailboxes)
        while True:
            refused: dict[MailboxId, Refusal] = {}
            parents = {node.parent for node in self.nodes.values()}
            for key in left:
                refusal = _kept(self.nodes.get(key), key in parents, removes_emails=removes_emails)
                if refusal is None:
                    self._take(key)
                else:
                    refused[key] = refusal
            if len(refused) == len(left) or not refused:
                return refused
            left = list(refused)

    def _put(self, key: Key, node: Node) -> None:
        self._take(key)
        name = node.name if DELIMITER in node.name else unicodedata.normalize("NFC", node.name)
        node = replace(node, name=name)
        self.nodes[key] = node
        self._by_place.setdefault((node.parent, node.name), set()).add(key)
        self._below.setdefault(node.parent, set()).add(key)

    def _take(self, key: Key) -> None:
        node = self.nodes.pop(key, None)
        if node is not None:
            self._by_place[node.parent, node.name].discard(key)
            self._below[node.parent].discard(key)


def _share_use(one: Node, other: Node) -> bool:
    return one.special_use is not None and one.special_use in (other.special_use or "").split()


def _kept(node: Node | None, has_child: bool, *, removes_emails: bool) -> Refusal | None:
    if node is None or node.mailbox is None:
        return Refusal(Reason.NOT_FOUND)
    if node.is_inbox:
        return Refusal(Reason.FORBIDDEN, "Inbox stays")
    if has_child:
        return Refusal(Reason.HAS_CHILD)
    if node.mailbox.messages > node.mailbox.deleted and not removes_emails:
        return Refusal(Reason.HAS_EMAIL)
    return None
