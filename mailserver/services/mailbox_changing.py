"""Mailboxes made, changed and destroyed by their ids, many in one transaction (RFC 8621 §2.5)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailserver.services.email_changing import AccountMoved
from mailserver.services.mailbox_forest import Forest, Key, Node, Refusal, Update
from mailserver.services.mailboxes import empty_tombstone
from storage import account_contents, mailbox_changing, rearranging
from storage import mailboxes as stored
from storage.errors import StorageError, StoreUnavailable
from storage.query import Connection
from storage.store import MailStore
from storage.types import MailboxId, Modseq
from tenants.types import Principal


@dataclass(slots=True)
class MailboxesChanged:
    """What came of it. `made` has the ids of what was created, by creation id."""

    made: dict[str, MailboxId] = field(default_factory=dict)
    destroyed: list[MailboxId] = field(default_factory=list)
    refused_creates: dict[str, Refusal] = field(default_factory=dict)
    refused_updates: dict[MailboxId, Refusal] = field(default_factory=dict)
    refused_destroys: dict[MailboxId, Refusal] = field(default_factory=dict)
    modseqs: list[Modseq] = field(default_factory=list)


async def change_mailboxes(
    store: MailStore,
    who: Principal,
    creates: Mapping[str, Node],
    updates: Mapping[MailboxId, Update],
    destroys: Sequence[MailboxId],
    *,
    removes_emails: bool,
    unchanged_since: Modseq | None = None,
) -> MailboxesChanged:
    """Make, change, then destroy mailboxes: all that can be done, at one modseq; the others are refused.

    The messages of what is destroyed are removed afterwards, chunk by chunk; should the process end before, upkeep
    removes the rest. With `unchanged_since`, nothing is done if anything was changed after that.

    Raises StoreUnavailable, AccountMoved.
    """

    async def change() -> MailboxesChanged:
        async with store.database.transaction(who.tenant_id) as connection:
            modseq = await stored.take_modseq(connection, who.tenant_id, who.account_id)
            if modseq is None:
                raise StoreUnavailable("the account's state is not made")
            if unchanged_since is not None and await rearranging.has_changed(
                connection, who.tenant_id, who.account_id, unchanged_since, mailboxes_too=True
            ):
                raise AccountMoved
            return await _change(connection, who, modseq, creates, updates, destroys, removes_emails=removes_emails)

    try:
        changed = await store.database.retried(change)
    except _NothingDone as nothing:
        return nothing.changed
    store.announce(who.tenant_id, who.account_id, changed.modseqs[-1])
    for mailbox_id in changed.destroyed:
        changed.modseqs += await empty_tombstone(store, who, mailbox_id)
    return changed


async def _change(
    connection: Connection,
    who: Principal,
    modseq: Modseq,
    creates: Mapping[str, Node],
    updates: Mapping[MailboxId, Update],
    destroys: Sequence[MailboxId],
    *,
    removes_emails: bool,
) -> MailboxesChanged:
    now = await account_contents.mailboxes(connection, who.tenant_id, who.account_id)
    forest = Forest.of(now.mailboxes.values(), now.sort_orders)
    before = dict(forest.nodes)
    changed = MailboxesChanged()
    changed.refused_creates, changed.refused_updates = forest.change(creates, updates)
    writer = _Writer(connection, who, modseq)
    await writer.rename(forest, before)
    changed.made = await writer.make(forest, [key for key in creates if key not in changed.refused_creates])
    altered = {each: forest.nodes[each] for each in updates if each not in changed.refused_updates}
    for mailbox_id, node in altered.items():
        await writer.alter(mailbox_id, node, before[mailbox_id])
    changed.refused_destroys = forest.destroy(destroys, removes_emails=removes_emails)
    for mailbox_id in destroys:
        if mailbox_id not in changed.refused_destroys:
            await writer.bury(mailbox_id)
            changed.destroyed.append(mailbox_id)
    if any(_is_trash(node) != _is_trash(before[each]) for each, node in altered.items()):
        await writer.tell_all()
    if not writer.has_written:
        raise _NothingDone(changed)
    changed.modseqs.append(modseq)
    return changed


def _is_trash(node: Node) -> bool:
    """What is unread in the trash makes its thread unread nowhere else (RFC 8621 §2), so all mailboxes count by it."""
    return "\\Trash" in (node.special_use or "").split()


class _NothingDone(StorageError):
    """All was refused, or was so already: the modseq is given back."""

    def __init__(self, changed: MailboxesChanged) -> None:
        super().__init__("nothing is to be done")
        self.changed = changed


class _Writer:
    """Writes at one modseq; `seq` counts what is logged at it."""

    def __init__(self, connection: Connection, who: Principal, modseq: Modseq) -> None:
        self._connection = connection
        self._whose = (who.tenant_id, who.account_id)
        self._modseq = modseq
        self._seq = 0

    @property
    def has_written(self) -> bool:
        return self._seq > 0

    async def rename(self, forest: Forest, before: Mapping[Key, Node]) -> None:
        """Whatever has another full name now, those below what was changed too."""
        names = {
            node.mailbox.id: name
            for key, node in forest.nodes.items()
            if node.mailbox is not None and (name := forest.full_name(key)) != node.mailbox.name
        }
        if names:
            await mailbox_changing.rename(self._connection, *self._whose, names, self._modseq, seq=self._seq)
            self._seq += len(names)

    async def make(self, forest: Forest, keys: Sequence[str]) -> dict[str, MailboxId]:
        """Those above before those below, so that nobody sees one without the other's id."""
        made: dict[str, MailboxId] = {}
        for key in sorted(keys, key=lambda key: forest.full_name(key).count("/")):
            node = forest.nodes[key]
            mailbox = await stored.insert(
                self._connection,
                *self._whose,
                forest.full_name(key),
                self._modseq,
                seq=self._next(),
                special_use=node.special_use,
            )
            made[key] = mailbox.id
            if node.sort_order is not None or node.is_subscribed != mailbox.is_subscribed:
                await self._alter(mailbox.id, node)
        return made

    async def alter(self, mailbox_id: MailboxId, node: Node, before: Node) -> None:
        if (node.special_use, node.is_subscribed, node.sort_order) != (
            before.special_use,
            before.is_subscribed,
            before.sort_order,
        ):
            await self._alter(mailbox_id, node)

    async def tell_all(self) -> None:
        """The last that is written."""
        await mailbox_changing.tell_all(self._connection, *self._whose, self._modseq, seq=self._seq)

    async def bury(self, mailbox_id: MailboxId) -> None:
        await mailbox_changing.bury(self._connection, *self._whose, mailbox_id, self._modseq, seq=self._next())

    async def _alter(self, mailbox_id: MailboxId, node: Node) -> None:
        await mailbox_changing.alter(
            self._connection,
            *self._whose,
            mailbox_id,
            self._modseq,
            special_use=node.special_use,
            is_subscribed=node.is_subscribed,
            sort_order=node.sort_order,
            seq=self._next(),
        )

    def _next(self) -> int:
        self._seq += 1
        return self._seq - 1
