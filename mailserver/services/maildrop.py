"""The INBOX as a maildrop (RFC 1939): a list of messages that stays as it is, and one removal at the end.

It is not locked: RFC 1939 §4 asks for a lock because servers of its time rewrote one file. Here a message that somebody
else removes meanwhile is refused when it is asked for, and everything else goes on.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailserver.services.mailboxes import find_selectable
from storage import flags, maildrop_rows
from storage.flags import CHUNK_MESSAGES, FlagRequest
from storage.store import MailStore
from storage.types import (
    FlagChange,
    FlagOperation,
    Flags,
    MailboxId,
    MessageId,
    Modseq,
    SystemFlag,
    Uid,
    UidValidity,
)
from tenants.types import Principal

INBOX = "INBOX"


@dataclass(frozen=True, slots=True)
class MaildropMessage:
    """`octets` as RETR sends them, dots and all line ends as they are kept."""

    uid: Uid
    message_id: MessageId
    octets: int


class MaildropMessages:
    """Oldest first, from 0; packed, 24 octets for each, because a session holds them for as long as it lasts."""

    __slots__ = ("_message_ids", "_octets", "_uids")

    def __init__(self, found: Iterable[tuple[Uid, MessageId, int]]) -> None:
        self._uids, self._message_ids, self._octets = array("q"), array("q"), array("q")
        for uid, message_id, octets in found:
            self._uids.append(uid)
            self._message_ids.append(message_id)
            self._octets.append(octets)

    def __len__(self) -> int:
        return len(self._uids)

    def __getitem__(self, index: int) -> MaildropMessage:
        return MaildropMessage(Uid(self._uids[index]), MessageId(self._message_ids[index]), self._octets[index])

    def __iter__(self) -> Iterator[MaildropMessage]:
        return map(self.__getitem__, range(len(self)))


@dataclass(frozen=True, slots=True)
class Maildrop:
    """What was there when it was opened."""

    mailbox_id: MailboxId
    uidvalidity: UidValidity
    messages: MaildropMessages


async def open_maildrop(store: MailStore, who: Principal) -> Maildrop:
    """Raises MailboxNotFound, StoreUnavailable."""
    mailbox = await find_selectable(store, who, INBOX)
    async with store.database.read(who.tenant_id) as connection:
        found = await maildrop_rows.list_sizes(connection, who.tenant_id, mailbox.id)
    return Maildrop(mailbox.id, mailbox.uidvalidity, MaildropMessages(found))


async def remove(store: MailStore, who: Principal, maildrop: Maildrop, uids: Sequence[Uid]) -> None:
    """Take messages away as EXPUNGE does, a thousand in a transaction; those that are gone already do no harm.

    Raises StoreUnavailable: then what the last whole transaction held is gone, and the rest is as it was.
    """
    keeping = await store.keepings.of(store.database, who.tenant_id, who.account_id)
    mark = FlagChange(FlagOperation.ADD, Flags(SystemFlag.DELETED, frozenset()))
    for start in range(0, len(uids), CHUNK_MESSAGES):
        chunk = uids[start : start + CHUNK_MESSAGES]

        async def remove_chunk(chunk: Sequence[Uid] = chunk) -> Modseq | None:
            async with store.database.transaction(who.tenant_id) as connection:
                request = FlagRequest(maildrop.mailbox_id, chunk, mark)
                await flags.change_flags(connection, who.tenant_id, who.account_id, [request])
                _, modseq = await flags.expunge(
                    connection, who.tenant_id, who.account_id, maildrop.mailbox_id, chunk, keeping=keeping
                )
            return modseq

        modseq = await store.database.retried(remove_chunk)
        if modseq is not None:
            store.announce(who.tenant_id, who.account_id, modseq)
