"""What tests of sending look at and set up: aliases, and what the queue would send."""

import asyncio

from storage import outgoing_acts
from storage.outbox import find_lanes, lease
from storage.outgoing_content import read_chunk
from storage.outgoing_types import Lane, LeasedRecipient
from storage.store import MailStore
from tenants.types import Principal, TenantId
from tests.conftest import RunningServices, owner_connection


async def add_alias(services: RunningServices, who: Principal, local_part: str) -> str:
    """The address. (A process remembers the addresses of a person for some seconds: ask for them afterwards.)"""

    def write() -> None:
        with owner_connection(services) as owner:
            owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(who.tenant_id)])
            owner.execute(
                "INSERT INTO address (tenant_id, domain_id, local_part, account_id, is_primary)"
                " SELECT tenant_id, domain_id, %s, account_id, false FROM address WHERE account_id = %s AND is_primary",
                [local_part, who.account_id],
            )

    await asyncio.to_thread(write)
    return f"{local_part}@{who.address.domain}"


async def remove_alias(services: RunningServices, who: Principal, local_part: str) -> None:
    def write() -> None:
        with owner_connection(services) as owner:
            owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(who.tenant_id)])
            owner.execute("DELETE FROM address WHERE account_id = %s AND local_part = %s", [who.account_id, local_part])

    await asyncio.to_thread(write)


async def leaving(store: MailStore, tenant_id: TenantId) -> list[LeasedRecipient]:
    """What the queue would send if outbound were on, by address."""
    await outgoing_acts.release(store.database, outgoing_acts.Chosen(tenant_id=tenant_id))
    lanes = await find_lanes(store.database, Lane(tenant_id, ""), 100)
    rooms = {Lane(tenant_id, each.domain): 100 for each in lanes if each.tenant_id == tenant_id}
    found = await lease(store.database, rooms, lease_s=60) if rooms else []
    return sorted(found, key=lambda each: each.address)


async def octets_of(store: MailStore, recipient: LeasedRecipient) -> bytes:
    keys = await store.keys.of(recipient.message.tenant_id)
    return await read_chunk(store.database, keys, recipient.message, 0)
