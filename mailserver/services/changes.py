"""What another session, or a delivery, did to a mailbox since this one looked."""

from datetime import date

from storage import changes as stored
from storage.changes import FIRST_DAY, LAST_MODSEQ, FlagsAt, MailboxChanges
from storage.store import MailStore
from storage.types import MailboxId, Modseq
from tenants.types import Principal


async def changes_since(
    store: MailStore,
    who: Principal,
    mailbox_id: MailboxId,
    account_modseq: Modseq,
    *,
    since_day: date = FIRST_DAY,
    up_to: Modseq = LAST_MODSEQ,
) -> MailboxChanges:
    """Everything after the account's `account_modseq`, in one statement. `since_day`: when that modseq was read."""
    async with store.database.read(who.tenant_id) as connection:
        return await stored.changes_since(
            connection, who.tenant_id, who.account_id, mailbox_id, account_modseq, since_day=since_day, up_to=up_to
        )


async def flags_since(store: MailStore, who: Principal, mailbox_id: MailboxId, modseq: Modseq) -> list[FlagsAt]:
    """As above where the log no longer reaches back: what came or changed, read from all messages there are."""
    async with store.database.read(who.tenant_id) as connection:
        return await stored.flags_since(connection, who.tenant_id, who.account_id, mailbox_id, modseq)
