"""Conversations as trees: THREAD=ORDEREDSUBJECT and THREAD=REFERENCES (RFC 5256 §3).

REFERENCES goes in the six steps of the RFC, one function each. Messages that are only referred to are *dummies*: nodes
without a position. A chain of replies can be as long as the mailbox, and References fields can be made to contradict
one another on purpose, so nothing here recurses. Whether a link would close a loop is found by walking up from the
parent-to-be; a node without children closes none, which is nearly every one. The steps of these walks are
counted: past LOOP_STEPS, which no honest mailbox comes near, links that would need a walk are not made.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

LOOP_STEPS = 2_000_000
"""About half a second."""

UNRELATED = 0
"""No message id; and in a chain of references, a gap across which nothing is linked."""


class ThreadNode:
    """`position` is an index into what was threaded, in the order of the mailbox; None: a dummy.

    A dummy that is left in the end stands at the top and has two children at least.
    """

    __slots__ = ("children", "parent", "position")

    def __init__(self, position: int | None) -> None:
        self.position = position
        self.parent: ThreadNode | None = None
        self.children: list[ThreadNode] = []


@dataclass(frozen=True, slots=True)
class Conversations:
    """What threading knows of the messages, each sequence in the order of the mailbox.

    `sent`: comparable moments. `subjects`: keys of base subjects, equal where the subjects are, empty for none.
    `are_replies`: was a mark of a reply or forward taken off the subject. `ids`: the Message-ID as a number,
    `references`: those it refers to, oldest first.
    """

    sent: Sequence[int]
    subjects: Sequence[bytes]
    are_replies: Sequence[bool]
    ids: Sequence[int]
    references: Sequence[Sequence[int]]


def by_ordered_subject(messages: Conversations) -> list[ThreadNode]:
    """Poor man's threading: the oldest of each subject, and all others of it beneath."""
    order = sorted(range(len(messages.sent)), key=messages.sent.__getitem__)
    heads: dict[bytes, ThreadNode] = {}
    for position in order:
        node = ThreadNode(position)
        head = heads.setdefault(messages.subjects[position], node)
        if head is not node:
            head.children.append(node)
    return list(heads.values())


def by_references(messages: Conversations) -> list[ThreadNode]:
    nodes = _Linking(messages).linked()
    top = _pruned([node for node in nodes if node.parent is None])
    by_date = _by_date(messages.sent)
    for node in top:
        if node.position is None:
            node.children.sort(key=by_date)
    top.sort(key=by_date)
    top = _gathered(messages, top)
    _sort_siblings(top, by_date)
    return top


class _Linking:
    """Steps 1 and 2: every message and every id referred to becomes a node, linked as references say."""

    def __init__(self, messages: Conversations) -> None:
        self._messages = messages
        self._by_id: dict[int, ThreadNode] = {}
        self._nodes = [ThreadNode(position) for position in range(len(messages.ids))]
        self._steps_left = LOOP_STEPS

    def linked(self) -> list[ThreadNode]:
        """All nodes, dummies last."""
        for node, own in zip(self._nodes, self._messages.ids, strict=True):
            if own != UNRELATED:  # who comes later with the same id has none
                self._by_id.setdefault(own, node)
        for node, references in zip(tuple(self._nodes), self._messages.references, strict=True):
            self._link(node, references)
        for node in self._nodes:  # to take each out as it went would be quadratic: a dummy may have any number
            node.children = [child for child in dict.fromkeys(node.children) if child.parent is node]
        return self._nodes

    def _link(self, node: ThreadNode, references: Sequence[int]) -> None:
        before: ThreadNode | None = None
        for reference in references:
            if reference == UNRELATED:
                before = None
                continue
            referred = self._of(reference)
            if before is not None and referred.parent is None and not self._is_above(referred, before):
                _adopt(before, referred)
            before = referred
        if node.parent is before:
            return
        node.parent = None  # it stays among the children of its parent until `linked` is done
        if before is not None and not self._is_above(node, before):
            _adopt(before, node)

    def _of(self, reference: int) -> ThreadNode:
        node = self._by_id.get(reference)
        if node is None:
            node = self._by_id[reference] = ThreadNode(None)
            self._nodes.append(node)
        return node

    def _is_above(self, node: ThreadNode, other: ThreadNode) -> bool:
        """Is `node` the same as `other` or an ancestor of it? True as well when the walks have become too many."""
        if node is other:
            return True
        if not node.children:
            return False
        above: ThreadNode | None = other
        while above is not None and self._steps_left:
            self._steps_left -= 1
            if above is node:
                return True
            above = above.parent
        return above is not None


def _adopt(parent: ThreadNode, child: ThreadNode) -> None:
    child.parent = parent
    parent.children.append(child)


def _pruned(top: Iterable[ThreadNode]) -> list[ThreadNode]:
    """Step 3: dummies go, their children move up; at the top only if it is one child."""
    kept: list[ThreadNode] = []
    pending: list[ThreadNode] = []
    for node in top:
        node.children = _without_dummies(node)
        if node.position is not None:
            kept.append(node)
        elif len(node.children) == 1:
            kept.append(node.children[0])
        elif node.children:
            kept.append(node)
        pending.extend(node.children)
    while pending:
        node = pending.pop()
        node.children = _without_dummies(node)
        pending.extend(node.children)
    return kept


def _without_dummies(node: ThreadNode) -> list[ThreadNode]:
    """The messages that stand nearest below, in the order of the tree."""
    found: list[ThreadNode] = []
    pending = list(reversed(node.children))
    while pending:
        child = pending.pop()
        if child.position is not None:
            found.append(child)
        else:
            pending.extend(reversed(child.children))
    return found


def _by_date(sent: Sequence[int]) -> Callable[[ThreadNode], tuple[int, int]]:
    """Steps 4 and 6 compare by sent date, then by place in the mailbox; a dummy stands for its first child."""

    def key(node: ThreadNode) -> tuple[int, int]:
        position = _stands_for(node)
        return sent[position], position

    return key


def _stands_for(node: ThreadNode) -> int:
    position = node.position if node.position is not None else node.children[0].position
    assert position is not None
    return position


def _gathered(messages: Conversations, top: list[ThreadNode]) -> list[ThreadNode]:
    """Step 5: threads of one subject are merged."""

    def is_reply(node: ThreadNode) -> bool:
        return node.position is not None and messages.are_replies[node.position]

    table: dict[bytes, ThreadNode] = {}
    for node in top:
        subject = messages.subjects[_stands_for(node)]
        if not subject:
            continue
        found = table.get(subject)
        if found is None or (
            found.position is not None and (node.position is None or (is_reply(found) and not is_reply(node)))
        ):
            table[subject] = node
    place_of: dict[ThreadNode, int] = {node: place for place, node in enumerate(top)}
    kept: list[ThreadNode | None] = list(top)
    for place, node in enumerate(top):
        subject = messages.subjects[_stands_for(node)]
        found = table.get(subject) if subject else None
        if found is None or found is node:
            continue
        kept[place] = None
        if node.position is None and found.position is None:
            found.children.extend(node.children)
        elif found.position is None or (is_reply(node) and not is_reply(found)):
            found.children.append(node)
        else:
            dummy = ThreadNode(None)
            dummy.children = [found, node]
            kept[place_of[found]] = dummy
            place_of[dummy] = place_of[found]
            table[subject] = dummy
    return [node for node in kept if node is not None]


def _sort_siblings(top: list[ThreadNode], by_date: Callable[[ThreadNode], tuple[int, int]]) -> None:
    """Step 6. Dummies are only at the top, so the order in which the other sets are sorted does not matter."""
    pending = list(top)
    while pending:
        node = pending.pop()
        if len(node.children) > 1:
            node.children.sort(key=by_date)
        pending.extend(node.children)
    top.sort(key=by_date)
