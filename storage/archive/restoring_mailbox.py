"""An archived mailbox, or all of an account, put back into an account of the same tenant.

Into an account without messages everything comes back in one transaction with its uids. Clients that know the mailboxes
saw those messages go, and count on their uids not coming back: so the account begins a new epoch, and new mailboxes
with a new uidvalidity take the place of the old ones, whose open sessions end. Into an account that
has mail, messages come as others do: with new uids, and the log tells of them; what stands there already is left alone,
so doing it twice adds nothing. Messages keep their ids, unless another account has them by now.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from storage import mailbox_trees, mailboxes
from storage.archive import placing
from storage.archive.content import archived_keys, batches, checked, put_back
from storage.archive.files import Archive
from storage.archive.format import MAILBOXES, MESSAGES, THREADS, ArchiveUnusable, key_check
from storage.archive.placing import ArchivedMessage, ArchivedPlacement, Known, Placing
from storage.database import Database
from storage.epochs import Lost, start_epoch
from storage.errors import StoreUnavailable
from storage.keys import TenantKeys
from storage.provisioning import provision_account
from storage.query import Connection
from storage.steps import reached
from storage.types import BlobDigest, MailboxId, MessageId, Modseq
from storage.usage import usage
from tenants.types import AccountId

_MESSAGES_AT_ONCE = 200
_DELIMITER = "/"

Progress = Callable[[str, int], None]
"""What is written, and how much of it."""


@dataclass(slots=True)
class RestoredMailbox:
    """`added` and `present` count places of messages; `lost` messages of which the archive has no content.

    `is_rebuilt`: the account had no mail, got its uids back and began a new epoch. `modseq` is what it reached.
    """

    added: int = 0
    present: int = 0
    lost: int = 0
    is_rebuilt: bool = False
    modseq: Modseq | None = None


async def restore_mailbox(
    archive: Archive,
    database: Database,
    keys: TenantKeys,
    secrets: Path,
    account_id: AccountId,
    progress: Progress = lambda _what, _done: None,
) -> RestoredMailbox:
    """Beyond any quota: what was there was within it. Raises ArchiveUnusable, KeyUnusable, StoreUnavailable."""
    manifest = archive.manifest
    if manifest.is_of_tenant:
        raise ArchiveUnusable("it is of a tenant, not of a mailbox")
    if manifest.tenant_id != keys.tenant_id or manifest.key_check != key_check(keys.naming_key):
        raise ArchiveUnusable(f"it is of the tenant {manifest.tenant}, and goes into accounts of that one only")
    await provision_account(database, keys.tenant_id, account_id)
    await _put_content(archive, database, archived_keys(archive, secrets), keys, progress)
    work = _Restoring(archive, keys, account_id, progress, RestoredMailbox())
    if manifest.mailbox is None and await work.rebuild(database):
        return work.result
    await work.add(database)
    return work.result


async def _put_content(
    archive: Archive, database: Database, archived: TenantKeys, keys: TenantKeys, progress: Progress
) -> None:
    done = 0
    for some in batches(archive.blobs()):
        blobs = [checked(archived, keys, each) for each in some]
        async with database.transaction(keys.tenant_id) as connection:
            await put_back(connection, keys.tenant_id, blobs)
        done += len(some)
        progress("content", done)
        reached("archive: some content is there")


@dataclass(slots=True)
class _Restoring:
    archive: Archive
    keys: TenantKeys
    account_id: AccountId
    progress: Progress
    result: RestoredMailbox

    async def rebuild(self, database: Database) -> bool:
        """In one transaction, if the account has no messages; else nothing is done."""
        tenant_id = self.keys.tenant_id
        async with database.transaction(tenant_id) as connection:
            await self._take_modseq(connection)
            if (await usage(connection, tenant_id, self.account_id)).used_messages:
                return False
            self.result.is_rebuilt = True
            await start_epoch(connection, tenant_id, self.account_id, Lost(is_known=False))
            targets = await self._make_mailboxes(connection, in_place_of_old=True)
            for row in self.archive.rows(MAILBOXES):
                await placing.raise_uidnext(
                    connection, tenant_id, self.account_id, targets[row["id"]], int(row["uidnext"])
                )
            await self._add_threads(connection)
            for some in _messages(self.archive):
                await self._place(connection, some, targets, keeps_uids=True)
            reached("archive: account is rebuilt")
        return True

    async def add(self, database: Database) -> None:
        """A few hundred at a time; who is interrupted begins anew, and what came before is there."""
        tenant_id = self.keys.tenant_id
        async with database.transaction(tenant_id) as connection:
            await self._take_modseq(connection)
            targets = await self._make_mailboxes(connection, in_place_of_old=False)
            await self._add_threads(connection)
        for some in _messages(self.archive):
            async with database.transaction(tenant_id) as connection:
                await self._place(connection, some, targets, keeps_uids=False)
            reached("archive: some messages are there")

    async def _take_modseq(self, connection: Connection) -> Modseq:
        """And the account's lock."""
        modseq = await mailboxes.take_modseq(connection, self.keys.tenant_id, self.account_id)
        if modseq is None:
            raise StoreUnavailable("the account's state cannot be made")
        self.result.modseq = modseq
        return modseq

    async def _make_mailboxes(self, connection: Connection, *, in_place_of_old: bool) -> dict[int, MailboxId]:
        """Where the messages of each archived mailbox go: to the one with its id, else with its name, else a new
        one."""
        tenant_id, account_id = self.keys.tenant_id, self.account_id
        there = {
            mailbox.id: mailbox
            for mailbox in await mailboxes.list_mailboxes(connection, tenant_id, account_id)
            if not mailbox.is_deleted
        }
        by_name = {mailbox.name: mailbox for mailbox in there.values()}
        uses = set((await mailbox_trees.overview(connection, tenant_id, account_id)).special_uses.split())
        targets: dict[int, MailboxId] = {}
        for row in self.archive.rows(MAILBOXES):
            found = there.get(MailboxId(row["id"])) or by_name.get(row["name"])
            if found is not None and in_place_of_old:
                await mailboxes.bury(connection, tenant_id, account_id, found.id, await self._take_modseq(connection))
                there.pop(found.id)
                uses -= set((found.special_use or "").split())
                by_name.pop(found.name)
                found = None
            if found is None:
                levels = row["name"].split(_DELIMITER)
                for superior in (_DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))):
                    if superior not in by_name:
                        by_name[superior] = await mailboxes.insert(
                            connection, tenant_id, account_id, superior, await self._take_modseq(connection)
                        )
                use = row["special_use"] if not uses & set((row["special_use"] or "").split()) else None
                found = by_name[row["name"]] = await mailboxes.insert(
                    connection, tenant_id, account_id, row["name"], await self._take_modseq(connection),
                    is_selectable=row["is_selectable"], special_use=use,
                )  # fmt: skip
                uses |= set((use or "").split())
                if row["is_subscribed"]:
                    await mailboxes.set_subscribed(
                        connection, tenant_id, account_id, row["name"], await self._take_modseq(connection),
                        is_subscribed=True,
                    )  # fmt: skip
            elif row["is_selectable"] and not found.is_selectable:
                await mailboxes.revive(connection, tenant_id, account_id, found.id, await self._take_modseq(connection))
            targets[row["id"]] = found.id
        return targets

    async def _add_threads(self, connection: Connection) -> None:
        rows = self.archive.rows(THREADS)
        while some := [(int(row["reference"]), int(row["thread_id"])) for row in islice(rows, 5000)]:
            await placing.add_threads(connection, self.keys.tenant_id, self.account_id, some)

    async def _place(
        self,
        connection: Connection,
        messages: list[ArchivedMessage],
        targets: Mapping[int, MailboxId],
        *,
        keeps_uids: bool,
    ) -> None:
        """In a transaction: blobs, then the account's lock, then what is new."""
        tenant_id, account_id = self.keys.tenant_id, self.account_id
        here = await placing.claim(connection, tenant_id, [digest for each in messages for digest in each.blobs])
        whole = [each for each in messages if here.issuperset(each.blobs)]
        self.result.lost += len(messages) - len(whole)
        modseq = await self._take_modseq(connection)
        found = await self._known(connection, whole)
        new = [each for each in whole if each.id not in found]
        ids = await self._ids(connection, new)
        binned = [known.id for known in found.values() if not known.mailbox_ids]
        octets_of_binned = await placing.leave_bin(
            connection, tenant_id, account_id, [MessageId(each) for each in binned]
        )
        await placing.add_messages(connection, tenant_id, account_id, modseq, [(ids[each.id], each) for each in new])
        placings: dict[tuple[MailboxId, MessageId], Placing] = {}  # two archived mailboxes may go into one
        for each in whole:
            for at in each.placements:
                placed = _placing(each, at, targets[at.mailbox_id], ids, found.get(each.id), keeps_uids=keeps_uids)
                if placed is not None:
                    placings.setdefault((placed.mailbox_id, placed.message_id), placed)
        self.result.present += sum(len(each.placements) for each in whole) - len(placings)
        self.result.added += len(placings)
        await placing.add_placements(connection, tenant_id, account_id, modseq, list(placings.values()))
        await placing.count(connection, tenant_id, account_id, [each.octets for each in new], octets_of_binned)
        self.progress("messages", self.result.added + self.result.present)

    async def _known(self, connection: Connection, messages: list[ArchivedMessage]) -> dict[MessageId, Known]:
        """The account's own messages that the archived ones are: by id; or, where another account has that id by now,
        the copy that an earlier restore made of it."""
        tenant_id = self.keys.tenant_id
        ids = [each.id for each in messages]
        rows = await placing.known(connection, tenant_id, self.account_id, ids)
        found = {MessageId(row.id): row for row in rows}
        elsewhere = await placing.taken(connection, tenant_id, ids) - found.keys()
        copies = {MessageId(row.origin_id): row for row in rows if row.origin_id is not None}
        mine = {each: found[each] for each in ids if each in found}
        return mine | {each: copies[each] for each in elsewhere if each in copies}

    async def _ids(self, connection: Connection, new: list[ArchivedMessage]) -> dict[MessageId, MessageId]:
        elsewhere = await placing.taken(connection, self.keys.tenant_id, [each.id for each in new])
        fresh = iter(await placing.new_ids(connection, self.keys.tenant_id, len(elsewhere)))
        return {each.id: next(fresh) if each.id in elsewhere else each.id for each in new}


def _placing(
    message: ArchivedMessage,
    at: ArchivedPlacement,
    target: MailboxId,
    ids: Mapping[MessageId, MessageId],
    known: Known | None,
    *,
    keeps_uids: bool,
) -> Placing | None:
    r"""None where the message stands already. One that stands elsewhere has the flags it has there, \Deleted apart."""
    if known is None:
        return Placing(
            target, ids[message.id], at.uid if keeps_uids else None, at.saved_at, at.flags, at.keywords, message.octets
        )
    standing = known.mailbox_ids or []
    if target in standing:
        return None
    flags, keywords = (known.flags or 0, known.keywords) if standing else (at.flags, at.keywords)
    uid = at.uid if keeps_uids else None
    return Placing(target, MessageId(known.id), uid, at.saved_at, flags, keywords, message.octets)


def _messages(archive: Archive) -> Iterator[list[ArchivedMessage]]:
    rows = map(_message, archive.rows(MESSAGES))
    while some := list(islice(rows, _MESSAGES_AT_ONCE)):
        yield some


def _message(row: Mapping[str, Any]) -> ArchivedMessage:
    return ArchivedMessage(
        row["message"],
        [BlobDigest(bytes.fromhex(each)) for each in row["blobs"]],
        [ArchivedPlacement(**each) for each in row["placements"]],
    )
