"""Messages: their rows, segments and lists of blobs; and, if asked for, every octet put together."""

import asyncio
from collections.abc import AsyncIterator

from storage.errors import ColdTierUnavailable, ContentDamaged, MessageGone
from storage.keys import TenantKeys
from storage.verification.findings import Finding, Kind
from storage.verification.ground import Ground, fresh_keys
from storage.verification.message_rows import Flaw, MessageRow, flaws_of, message_rows
from storage.verification.pace import one_ahead
from storage.verification.rebuilding import rebuild
from storage.verification.single_blob import unreachable
from tenants.types import AccountId

_PAGE_MESSAGES = 500


async def verify_messages(ground: Ground, keys: TenantKeys, account_id: AccountId, after: int) -> AsyncIterator[int]:
    """Those of an account with ids above `after`. Gives, after each page, the last id."""
    async for rows in one_ahead(_pages(ground, keys, account_id, after)):
        flawed = await asyncio.to_thread(_flawed, rows)
        ground.report.tally.messages += len(rows)
        for row, flaws in flawed:
            for flaw in flaws:
                _report(ground, keys, account_id, row.id, flaw)
        if ground.choice.rebuilds:
            spoilt = {row.id for row, _ in flawed}
            for row in rows:
                if row.id not in spoilt:
                    await _rebuild(ground, keys, account_id, row)
        yield rows[-1].id


async def _pages(
    ground: Ground, keys: TenantKeys, account_id: AccountId, after: int
) -> AsyncIterator[list[MessageRow]]:
    while True:
        async with ground.database.read(keys.tenant_id) as connection:
            rows = await message_rows(connection, keys.tenant_id, account_id, after, _PAGE_MESSAGES)
        if rows:
            await ground.pace.spend(sum(len(row.header) for row in rows))
            yield rows
        if len(rows) < _PAGE_MESSAGES:
            return
        after = rows[-1].id


def _flawed(rows: list[MessageRow]) -> list[tuple[MessageRow, list[Flaw]]]:
    return [(row, flaws) for row in rows if (flaws := list(flaws_of(row)))]


def _report(ground: Ground, keys: TenantKeys, account_id: AccountId, message_id: int, flaw: Flaw) -> None:
    values = {"message": message_id, "reason": flaw.reason}
    ground.report.add(Finding(flaw.kind, keys.tenant_id, values, account_id))


async def _rebuild(ground: Ground, keys: TenantKeys, account_id: AccountId, row: MessageRow) -> None:
    try:
        try:
            ground.report.tally.octets += await rebuild(ground, keys, account_id, row.id)
        except ContentDamaged:  # or it was expunged, and its content collected, between two of its ranges
            keys = await fresh_keys(ground, keys.tenant_id)
            ground.report.tally.octets += await rebuild(ground, keys, account_id, row.id)
    except MessageGone:
        return
    except ContentDamaged as damage:
        _report(ground, keys, account_id, row.id, Flaw(Kind.MESSAGE_UNREADABLE, damage.what))
    except ColdTierUnavailable as away:
        ground.report.add(unreachable(keys, f"message {row.id}", away))
