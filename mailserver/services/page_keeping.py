"""Search pages on their way to the database and back: columns packed, written, and opened again."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from mailserver.services.search_columns import (
    AddressColumns,
    SortColumns,
    pack_columns,
    pack_facts,
    pack_threading,
    stamp_of,
    unpack_columns,
    unpack_threading,
)
from mailserver.services.search_page import Page
from storage import search_pages as stored
from storage import zstd
from storage.errors import ContentDamaged
from storage.search_pages import RUN_BITS, Column, Run
from storage.store import MailStore
from storage.types import MailboxId
from tenants.types import Principal

_COLUMN_LIMIT_OCTETS = 64 * 1024 * 1024
_ADDRESS_FIELDS, _SORT_FIELDS = 4, 6

Unpacked = TypeVar("Unpacked")


class PageKeeping:
    """Writes pages of one mailbox to the database."""

    def __init__(self, store: MailStore, who: Principal, mailbox_id: MailboxId) -> None:
        self._store = store
        self._who = who
        self._mailbox_id = mailbox_id

    async def keep(self, page: Page) -> bool:
        """False: it holds messages that are gone, and cannot be kept."""
        uids = page.facts.uids
        number = uids[0] >> RUN_BITS
        run = Run(self._who.tenant_id, self._who.account_id, self._mailbox_id, uids[0], uids[-1])
        if page.stamp is None:
            stamp = stamp_of(uids)
            packed = await asyncio.to_thread(lambda: zstd.pack(pack_facts(page.facts)))
            async with self._store.database.read(run.tenant_id) as connection:
                if not await stored.keep(
                    connection, run, number=number, stamp=stamp, messages=len(uids), packed_facts=packed
                ):
                    return False
            page.stamp = stamp
        for column in Column:
            if page.has(column) and column not in page.kept:
                await self._keep_column(run, number, page, column)
                page.kept.add(column)
        return True

    async def _keep_column(self, run: Run, number: int, page: Page, column: Column) -> None:
        packed = await asyncio.to_thread(_packed, page, column)
        assert page.stamp is not None
        async with self._store.database.read(run.tenant_id) as connection:
            await stored.keep_column(connection, run, number=number, stamp=page.stamp, column=column, packed=packed)


def _packed(page: Page, column: Column) -> bytes:
    match column:
        case Column.SUBJECTS:
            octets = page.subjects or b""
        case Column.ADDRESSES:
            assert page.addresses is not None
            octets = pack_columns(_values(page.addresses))
        case Column.SORTING:
            assert page.sorting is not None
            octets = pack_columns(_values(page.sorting))
        case Column.THREADING:
            octets = pack_threading(page.threading or [])
    return zstd.pack(octets)


def _values(columns: AddressColumns | SortColumns) -> list[bytes]:
    return [getattr(columns, name) for name in columns.__slots__]


def opened(packed: bytes, unpack: Callable[[bytes], Unpacked]) -> Unpacked | None:
    """What a kept column holds; None: it is not readable, so it is made anew."""
    try:
        return unpack(zstd.unpack(packed, limit_octets=_COLUMN_LIMIT_OCTETS))
    except (ContentDamaged, ValueError):
        return None


def set_packed(page: Page, column: Column, packed: bytes) -> None:
    match column:
        case Column.SUBJECTS:
            page.subjects = opened(packed, bytes)
        case Column.ADDRESSES:
            addresses = opened(packed, lambda octets: unpack_columns(octets, _ADDRESS_FIELDS))
            page.addresses = None if addresses is None else AddressColumns(*addresses)
        case Column.SORTING:
            keys = opened(packed, lambda octets: unpack_columns(octets, _SORT_FIELDS))
            page.sorting = None if keys is None else SortColumns(*keys)
        case Column.THREADING:
            threading = opened(packed, unpack_threading)
            page.threading = threading if threading and len(threading) == len(page.facts.uids) else None
