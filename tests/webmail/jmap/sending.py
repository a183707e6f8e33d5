"""What tests of sending look at and set up: aliases, and what the queue would send."""

import asyncio
from dataclasses import replace
from typing import Any

from storage import outgoing_acts
from storage.outbox import find_lanes, lease
from storage.outgoing_content import last_chunk, read_chunk
from storage.outgoing_types import Lane, LeasedRecipient
from storage.store import MailStore
from tenants.types import AccountId, Principal, TenantId
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


async def forward(services: RunningServices, who: Principal, local_part: str, domain: str) -> None:
    """They pass their mail on from now on, and keep a copy."""

    def write() -> None:
        with owner_connection(services) as owner:
            owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(who.tenant_id)])
            owner.execute(
                "INSERT INTO forwarding (tenant_id, account_id, written, local_part, domain)"
                " VALUES (%s, %s, %s, %s, %s)",
                [who.tenant_id, who.account_id, f"{local_part}@{domain}", local_part, domain],
            )

    await asyncio.to_thread(write)


async def add_colleague(services: RunningServices, who: Principal, local_part: str) -> Principal:
    """Another person of the same company."""

    def write() -> int:
        with owner_connection(services) as owner:
            owner.execute("SELECT set_config('waypost.tenant', %s, false)", [str(who.tenant_id)])
            row: Any = owner.execute(
                "INSERT INTO account (tenant_id, display_name, password_hash, is_administrator, language, time_zone,"
                " status) SELECT tenant_id, %s, password_hash, false, language, time_zone, status FROM account"
                " WHERE id = %s RETURNING id",
                [local_part.title(), who.account_id],
            ).fetchone()
            owner.execute(
                "INSERT INTO address (tenant_id, domain_id, local_part, account_id, is_primary)"
                " SELECT tenant_id, domain_id, %s, %s, true FROM address WHERE account_id = %s AND is_primary",
                [local_part, row[0], who.account_id],
            )
            return int(row[0])

    account_id = AccountId(await asyncio.to_thread(write))
    return replace(who, account_id=account_id, address=replace(who.address, local_part=local_part))


async def let_go(services: RunningServices, who: Principal) -> None:
    """Wait until a transaction that was killed holds nothing of theirs any more that waits for its time: Postgres
    notices a moment after its client went, and who releases passes over what is locked."""

    def wait() -> None:
        with owner_connection(services) as owner:
            owner.execute("SELECT FROM held_submission WHERE tenant_id = %s FOR UPDATE", [who.tenant_id])

    await asyncio.to_thread(wait)


async def leaving(store: MailStore, tenant_id: TenantId) -> list[LeasedRecipient]:
    """What the queue would send if outbound were on, by address."""
    await outgoing_acts.release(store.database, outgoing_acts.Chosen(tenant_id=tenant_id))
    lanes = await find_lanes(store.database, Lane(tenant_id, ""), 100)
    rooms = {Lane(tenant_id, each.domain): 100 for each in lanes if each.tenant_id == tenant_id}
    found = await lease(store.database, rooms, lease_s=60) if rooms else []
    return sorted(found, key=lambda each: each.address)


async def octets_of(store: MailStore, recipient: LeasedRecipient) -> bytes:
    """All that the other system gets."""
    message = recipient.message
    keys = await store.keys.of(message.tenant_id)
    chunks = range(last_chunk(message.octets) + 1)
    return b"".join([await read_chunk(store.database, keys, message, chunk) for chunk in chunks])
