"""As whom a person writes (RFC 8621 §6): one identity for each of their addresses, and more that they make.

Those of addresses are made when somebody looks and an address has none yet; with an address its identities go.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from mailserver.services.addresses import Recipients
from mailserver.services.errors import SenderNotOwned
from storage import identities as stored
from storage.identities import Identity
from storage.provisioning import provision_account
from storage.query import Connection
from storage.store import MailStore
from storage.type_states import begin_change
from storage.types import IdentityId, Modseq
from tenants.addresses import format_address, may_send_as, parse_address
from tenants.errors import AddressInvalid
from tenants.types import Address, Principal

MOST_IDENTITIES = 500


@dataclass(frozen=True, slots=True)
class IdentityChanges:
    """What to do, each whole or not at all. `create` by a name of the caller's; `change` has what they become."""

    create: Mapping[str, Identity] = field(default_factory=dict)
    change: Sequence[Identity] = ()
    destroy: Collection[IdentityId] = ()


async def identities(store: MailStore, recipients: Recipients, who: Principal) -> list[Identity]:
    """Those of today's addresses, oldest first. Raises StoreUnavailable."""
    addresses = await recipients.sender_addresses(who)
    async with store.database.read(who.tenant_id) as connection:
        there = await stored.identities(connection, who.tenant_id, who.account_id)
    if not _missing(who, addresses, there) and not _gone(addresses, there):
        return there
    await provision_account(store.database, who.tenant_id, who.account_id)
    async with store.database.transaction(who.tenant_id) as connection:
        modseq = await begin_change(connection, who.tenant_id, who.account_id, stored.TYPE_NAME)
        there = await stored.identities(connection, who.tenant_id, who.account_id)  # now nobody else writes
        await _follow_addresses(connection, who, addresses, there, modseq)
        there = await stored.identities(connection, who.tenant_id, who.account_id)
    store.announce(who.tenant_id, who.account_id, modseq)
    return there


async def change_identities(
    store: MailStore, who: Principal, changes: IdentityChanges
) -> tuple[Mapping[str, IdentityId], Modseq | None]:
    """In one transaction. The caller has looked that they exist and may be changed so. Returns what was made, and the
    modseq that all of it took."""
    if not changes.create and not changes.change and not changes.destroy:
        return {}, None
    made: dict[str, IdentityId] = {}
    async with store.database.transaction(who.tenant_id) as connection:
        modseq = await begin_change(connection, who.tenant_id, who.account_id, stored.TYPE_NAME)
        for name, identity in changes.create.items():
            made[name] = await stored.insert(connection, who.tenant_id, who.account_id, identity, modseq)
        for identity in changes.change:
            await stored.update(connection, who.tenant_id, who.account_id, identity, modseq)
        if changes.destroy:
            await stored.destroy(connection, who.tenant_id, who.account_id, list(changes.destroy), modseq)
    store.announce(who.tenant_id, who.account_id, modseq)
    return made, modseq


def new_identity(email: str, addresses: Collection[str], name: str = "") -> Identity:
    """One that a person makes. Raises AddressInvalid, SenderNotOwned."""
    address = parse_address(email)
    if not may_send_as(address, addresses):
        raise SenderNotOwned("email", email)
    return Identity(0, email, name, None, None, "", "", is_of_address=False)


def is_allowed_by(identity: Identity, address: str) -> bool:
    """Whether mail of this identity may come from the address: its own, or that with a detail."""
    try:
        return may_send_as(parse_address(address), {str(parse_address(identity.email))})
    except AddressInvalid:
        return False


async def _follow_addresses(
    connection: Connection, who: Principal, addresses: Collection[str], there: Sequence[Identity], modseq: Modseq
) -> None:
    for address in _missing(who, addresses, there):
        identity = Identity(0, _written(address), who.display_name, None, None, "", "", is_of_address=True)
        await stored.insert(connection, who.tenant_id, who.account_id, identity, modseq)
    gone = _gone(addresses, there)
    if gone:
        await stored.destroy(connection, who.tenant_id, who.account_id, gone, modseq)


def _missing(who: Principal, addresses: Collection[str], there: Sequence[Identity]) -> list[str]:
    """The address that they sign in with first."""
    known = {str(parse_address(each.email)) for each in there if each.is_of_address}
    return sorted(set(addresses) - known, key=lambda each: (each != str(who.address), each))


def _gone(addresses: Collection[str], there: Sequence[Identity]) -> list[int]:
    return [each.id for each in there if not may_send_as(parse_address(each.email), addresses)]


def _written(canonical: str) -> str:
    local_part, _, domain = canonical.rpartition("@")
    return format_address(Address(local_part, domain))
