"""What another session, or a delivery, did to a mailbox since this one looked."""

from storage import changes as stored
from storage.changes import MailboxChanges
from storage.store import MailStore
from storage.types import MailboxId, Modseq
from tenants.types import Principal


async def changes_since(
    store: MailStore, who: Principal, mailbox_id: MailboxId, account_modseq: Modseq
) -> MailboxChanges:
    """Everything after the account's `account_modseq`, in one statement."""
    async with store.database.read(who.tenant_id) as connection:
        return await stored.changes_since(connection, who.tenant_id, who.account_id, mailbox_id, account_modseq)
