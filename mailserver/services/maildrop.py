"""The INBOX as a maildrop (RFC 1939): a list of messages that stays as it is, and one removal at the end.

It is not locked: RFC 1939 §4 asks for a lock because servers of its time rewrote one file. Here a message that somebody
else removes meanwhile is refused when it is asked for, and everything else goes on.
"""

from collections.abc import Sequence
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


@dataclass(frozen=True, slots=True)
class Maildrop:
    """What was there when it was opened, oldest first."""

    mailbox_id: MailboxId
    uidvalidity: UidValidity
    messages: Sequence[MaildropMessage]


async def open_maildrop(store: MailStore, who: Principal) -> Maildrop:
    """Raises MailboxNotFound, StoreUnavailable."""
    mailbox = await find_selectable(store, who, INBOX)
    async with store.database.read(who.tenant_id) as connection:
        found = await maildrop_rows.list_sizes(connection, who.tenant_id, mailbox.id)
    return Maildrop(mailbox.id, mailbox.uidvalidity, [MaildropMessage(*each) for each in found])


async def remove(store: MailStore, who: Principal, maildrop: Maildrop, uids: Sequence[Uid]) -> None:
    """Take messages away for good, a thousand in a transaction; those that are gone already do no harm.

    Raises StoreUnavailable: then what the last whole transaction held is gone, and the rest is as it was.
    """
    mark = FlagChange(FlagOperation.ADD, Flags(SystemFlag.DELETED, frozenset()))
    for start in range(0, len(uids), CHUNK_MESSAGES):
        chunk = uids[start : start + CHUNK_MESSAGES]

        async def remove_chunk(chunk: Sequence[Uid] = chunk) -> Modseq | None:
            async with store.database.transaction(who.tenant_id) as connection:
                request = FlagRequest(maildrop.mailbox_id, chunk, mark)
                await flags.change_flags(connection, who.tenant_id, who.account_id, [request])
                _, modseq = await flags.expunge(connection, who.tenant_id, who.account_id, maildrop.mailbox_id, chunk)
            return modseq

        modseq = await store.database.retried(remove_chunk)
        if modseq is not None:
            store.announce(who.tenant_id, who.account_id, modseq)
