"""Opening a mailbox: in one round trip, and without reading it again if this process has a picture of it.

Pictures are kept after their last session has left, since clients come back: to 100,000 messages in 0.2 ms instead of
30. Whether one is still right the database says, in the same statement that finds the mailbox.
"""

from collections import OrderedDict

from mailserver.services.mailboxes import canonical_name, find_selectable, is_storable
from mailserver.services.messages import Contents, contents_of
from storage import contents as stored
from storage import mailboxes as stored_mailboxes
from storage.contents import Picture
from storage.errors import MailboxNotFound, MailboxNotSelectable
from storage.store import MailStore
from storage.types import MailboxId
from tenants.types import AccountId, Principal, TenantId

PICTURES_OCTETS = 64 * 1024 * 1024
_ENTRY_OCTETS = 1000
_KEYWORD_OCTETS = 100  # of a dict's entry

_Key = tuple[TenantId, MailboxId]
_Name = tuple[TenantId, AccountId, str]


class Pictures:
    """The newest picture of each mailbox that was opened lately, in at most about `limit_octets`."""

    def __init__(self, limit_octets: int = PICTURES_OCTETS) -> None:
        self._limit_octets = limit_octets
        self._octets = 0
        self._pictures: OrderedDict[_Key, tuple[Picture, _Name | None, int]] = OrderedDict()
        self._names: dict[_Name, MailboxId] = {}

    def named(self, who: Principal, name: str) -> Picture | None:
        """That of the mailbox which last had this name; it may have another one by now."""
        mailbox_id = self._names.get((who.tenant_id, who.account_id, name))
        return None if mailbox_id is None else self.of(who.tenant_id, mailbox_id)

    def of(self, tenant_id: TenantId, mailbox_id: MailboxId) -> Picture | None:
        found = self._pictures.get((tenant_id, mailbox_id))
        if found is None:
            return None
        self._pictures.move_to_end((tenant_id, mailbox_id))
        return found[0]

    def keep(self, tenant_id: TenantId, picture: Picture, name: _Name | None = None) -> None:
        """In place of an older one."""
        key = (tenant_id, picture.mailbox_id)
        before = self._pictures.pop(key, None)
        if before is not None:
            self._octets -= before[2]
            if name is None:
                name = before[1]
            elif before[1] is not None and before[1] != name:
                self._names.pop(before[1], None)
        octets = _octets(picture)
        self._pictures[key] = picture, name, octets
        self._octets += octets
        if name is not None:
            self._names[name] = picture.mailbox_id
        while self._octets > self._limit_octets:
            (_, mailbox_id), (_, forgotten, octets) = self._pictures.popitem(last=False)
            self._octets -= octets
            if forgotten is not None and self._names.get(forgotten) == mailbox_id:
                del self._names[forgotten]


def _octets(picture: Picture) -> int:
    return _ENTRY_OCTETS + 5 * len(picture.uids) + _KEYWORD_OCTETS * len(picture.keywords)


async def open_mailbox(
    store: MailStore, pictures: Pictures, who: Principal, name: str, *, claim_recent: bool
) -> Contents:
    r"""Everything that SELECT or EXAMINE shows; only SELECT claims \Recent.

    Raises MailboxNotFound, MailboxNotSelectable.
    """
    name = canonical_name(name)
    loaded = await _load(store, pictures, who, name)
    if loaded is None:
        await find_selectable(store, who, name)  # makes the first folders of an account, or raises
        loaded = await _load(store, pictures, who, name)
        if loaded is None:
            raise MailboxNotFound(name)
    mailbox = loaded.mailbox
    if not mailbox.is_selectable:
        raise MailboxNotSelectable(mailbox.name)
    recent_from = mailbox.first_recent_uid
    if claim_recent and recent_from < mailbox.uidnext:
        async with store.database.read(who.tenant_id) as connection:
            claimed = await stored_mailboxes.claim_recent(connection, who.tenant_id, mailbox.id)
        recent_from = claimed if claimed is not None else mailbox.uidnext
    return contents_of(loaded, recent_from)


async def _load(store: MailStore, pictures: Pictures, who: Principal, name: str) -> stored.Contents | None:
    if not is_storable(name):
        return None
    known = pictures.named(who, name)
    async with store.database.read(who.tenant_id) as connection:
        loaded = await stored.open_named(connection, who.tenant_id, who.account_id, name, known)
    if loaded is not None:
        pictures.keep(who.tenant_id, loaded.picture(), (who.tenant_id, who.account_id, name))
    return loaded
