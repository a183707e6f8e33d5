"""A person with mail, so that an example of storage or services fits on a few lines."""

from dataclasses import dataclass
from datetime import datetime
from mmap import mmap

from mailserver.services import mailboxes, messages
from mailserver.services.changes import changes_since
from mailserver.services.delivery import Deliveries
from storage import recoverable
from storage.changes import MailboxChanges
from storage.errors import StorageError
from storage.flags import StoredFlags
from storage.rows import Columns, FetchRow
from storage.store import MailStore
from storage.types import FlagChange, FlagOperation, Flags, Mailbox, Modseq, Placed, SystemFlag, Uid
from storage.usage import Usage, usage
from tenants.types import Principal
from tests.conftest import NOON, as_recipient, plain_message

REPLACE, ADD, REMOVE = FlagOperation.REPLACE, FlagOperation.ADD, FlagOperation.REMOVE
SEEN, ANSWERED, FLAGGED, DELETED, DRAFT = SystemFlag


def flags(*values: SystemFlag | str) -> Flags:
    """flags(SEEN, "work")"""
    system = SystemFlag(0)
    for value in values:
        if isinstance(value, SystemFlag):
            system |= value
    return Flags(system, frozenset(value for value in values if not isinstance(value, SystemFlag)))


@dataclass(frozen=True, slots=True)
class Someone:
    store: MailStore
    who: Principal

    async def receive(self, octets: bytes | mmap | None = None, *, received_at: datetime = NOON) -> Placed:
        """By delivery to one recipient. Raises what delivery refuses with."""
        (placed,) = await Deliveries(self.store).deliver(
            plain_message() if octets is None else octets,
            [as_recipient(self.who)],
            reverse_path="",
            received_at=received_at,
        )
        if isinstance(placed, StorageError):
            raise placed
        assert placed is not None
        return placed

    async def append(self, box: str, octets: bytes, *values: SystemFlag | str, received_at: datetime = NOON) -> Placed:
        return await messages.append(self.store, self.who, box, octets, flags=flags(*values), received_at=received_at)

    async def box(self, name: str = "INBOX") -> Mailbox:
        return await mailboxes.find(self.store, self.who, name)

    async def names(self) -> list[str]:
        return [box.name for box in await mailboxes.list_mailboxes(self.store, self.who) if not box.is_deleted]

    async def contents(self, name: str = "INBOX") -> messages.Contents:
        box = await self.box(name)
        return await messages.load_contents(self.store, self.who, box.id)

    async def uids(self, name: str = "INBOX") -> list[int]:
        return list((await self.contents(name)).uids)

    async def flags_of(self, name: str = "INBOX") -> dict[int, Flags]:
        shown = await self.contents(name)
        return {
            uid: Flags(SystemFlag(bits), shown.keywords.get(uid, frozenset()))
            for uid, bits in zip(shown.uids, shown.flags, strict=True)
        }

    async def rows(self, name: str = "INBOX", columns: Columns = Columns.FACTS) -> list[FetchRow]:
        shown = await self.contents(name)
        found: list[FetchRow] = []
        uids = [Uid(uid) for uid in shown.uids]
        async for chunk in messages.fetch_rows(self.store, self.who, shown.mailbox.id, uids, columns):
            found += chunk
        return found

    async def octets(self, name: str = "INBOX") -> list[bytes]:
        """Every message of a mailbox, whole, by uid."""
        return [await self.read(row) for row in await self.rows(name)]

    async def read(self, row: FetchRow) -> bytes:
        content = await messages.open_content(self.store, self.who, row.message_id)
        return await content.read(0, content.octets)

    async def flag(
        self,
        name: str,
        uids: list[int],
        operation: FlagOperation,
        *values: SystemFlag | str,
        unchanged_since: int | None = None,
    ) -> list[StoredFlags]:
        return await messages.change_flags(
            self.store,
            self.who,
            (await self.box(name)).id,
            [Uid(uid) for uid in uids],
            FlagChange(operation, flags(*values)),
            unchanged_since=None if unchanged_since is None else Modseq(unchanged_since),
        )

    async def copy(self, source: str, uids: list[int], target: str) -> messages.Copied:
        box = await self.box(source)
        return await messages.copy(self.store, self.who, box.id, [Uid(uid) for uid in uids], target)

    async def move(self, source: str, uids: list[int], target: str) -> messages.Copied:
        box = await self.box(source)
        return await messages.move(self.store, self.who, box.id, [Uid(uid) for uid in uids], target)

    async def expunge(self, name: str = "INBOX", uids: list[int] | None = None) -> messages.Expunged:
        box = await self.box(name)
        chosen = None if uids is None else [Uid(uid) for uid in uids]
        return await messages.expunge(self.store, self.who, box.id, chosen)

    async def empty_bin(self) -> int:
        """What was expunged is deleted for good."""
        whose = (self.who.tenant_id, self.who.account_id)
        async with self.store.database.transaction(self.who.tenant_id) as connection:
            found = [message_id for message_id, _ in await recoverable.oldest(connection, *whose, limit=10_000)]
            return await recoverable.purge(connection, *whose, found)

    async def changes(self, name: str, cursor: Modseq) -> MailboxChanges:
        return await changes_since(self.store, self.who, (await self.box(name)).id, cursor)

    async def usage(self) -> Usage:
        async with self.store.database.read(self.who.tenant_id) as connection:
            return await usage(connection, self.who.tenant_id, self.who.account_id)
