"""Uploads that wait for a message to take them in."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from storage import uploads
from storage.blobs.codec import CHUNK_OCTETS
from storage.errors import ContentDamaged
from storage.keys import TenantKeys
from storage.store import MailStore
from storage.types import UploadId
from storage.uploads import Upload, UploadGone, UploadRoom
from tenants.types import Principal
from tests.conftest import Company, RunningServices, owner_connection

ROOM = UploadRoom(octets=10 * CHUNK_OCTETS, uploads=20)


async def pieces(*octets: bytes) -> AsyncIterator[bytes]:
    for each in octets:
        yield each


class Desk:
    def __init__(self, store: MailStore, keys: TenantKeys, who: Principal) -> None:
        self.store, self.keys, self.who = store, keys, who

    async def put(self, *octets: bytes, room: UploadRoom = ROOM) -> Upload:
        return await uploads.receive(self.store.database, self.keys, self.who.account_id, pieces(*octets), room)

    async def read(self, upload: Upload, offset: int = 0, length: int | None = None) -> bytes:
        most = upload.octets if length is None else length
        return await uploads.read(self.store.database, self.keys, upload, offset, most)

    async def is_there(self, upload: Upload) -> bool:
        ids = [UploadId(upload.id)]
        return bool(await uploads.find(self.store.database, self.keys, self.who.account_id, ids))


@pytest.fixture
async def desk(store: MailStore, company: Company) -> Desk:
    return Desk(store, await store.keys.of(company.tenant_id), await company.person())


@pytest.mark.parametrize("octets", [0, 1, CHUNK_OCTETS - 1, CHUNK_OCTETS, CHUNK_OCTETS + 1, 3 * CHUNK_OCTETS])
async def test_an_upload_comes_back_as_it_was(desk: Desk, octets: int) -> None:
    content = bytes(range(256)) * (octets // 256) + bytes(octets % 256)
    upload = await desk.put(*(content[at : at + 300_000] for at in range(0, octets, 300_000)))
    assert upload.octets == octets
    assert await desk.read(upload) == content
    assert await desk.read(upload, octets // 2, 1000) == content[octets // 2 :][:1000]
    assert await desk.read(upload, octets, 10) == b""


async def test_what_is_cut_leaves_nothing(desk: Desk, services: RunningServices) -> None:
    async def cut() -> AsyncIterator[bytes]:
        yield bytes(2 * CHUNK_OCTETS)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        await uploads.receive(desk.store.database, desk.keys, desk.who.account_id, cut(), ROOM)
    assert await asyncio.to_thread(rows_left, services, desk) == (0, 0)


def rows_left(services: RunningServices, desk: Desk) -> tuple[int, ...]:
    """Of uploads, and of their chunks."""
    with owner_connection(services) as owner:
        rows = owner.execute(
            """
            SELECT (SELECT count(*) FROM upload u WHERE u.tenant_id = %(tenant)s),
                   (SELECT count(*) FROM upload_content c WHERE c.tenant_id = %(tenant)s)
            """,
            {"tenant": desk.who.tenant_id},
        ).fetchall()
    return tuple(int(str(each)) for each in rows[0])


async def test_what_comes_for_an_upload_that_is_gone_leaves_nothing(desk: Desk, services: RunningServices) -> None:
    def expire() -> None:
        with owner_connection(services) as owner:
            owner.execute("DELETE FROM upload WHERE tenant_id = %s", (desk.who.tenant_id,))

    async def slow() -> AsyncIterator[bytes]:
        yield bytes(2 * CHUNK_OCTETS)
        await asyncio.to_thread(expire)
        yield bytes(2 * CHUNK_OCTETS)

    with pytest.raises(UploadGone):
        await uploads.receive(desk.store.database, desk.keys, desk.who.account_id, slow(), ROOM)
    assert await asyncio.to_thread(rows_left, services, desk) == (0, 0)


async def test_the_oldest_make_room(desk: Desk) -> None:
    first, second = await desk.put(bytes(4 * CHUNK_OCTETS)), await desk.put(bytes(4 * CHUNK_OCTETS))
    third = await desk.put(bytes(4 * CHUNK_OCTETS))
    assert [await desk.is_there(each) for each in (first, second, third)] == [False, True, True]
    with pytest.raises(UploadGone):
        await desk.read(first)
    few = UploadRoom(octets=ROOM.octets, uploads=1)
    fourth = await desk.put(b"x", room=few)
    assert [await desk.is_there(each) for each in (second, third, fourth)] == [False, False, True]


async def test_one_larger_than_all_the_room_is_kept_alone(desk: Desk) -> None:
    small = await desk.put(b"x")
    large = await desk.put(bytes(2000), room=UploadRoom(octets=1000, uploads=20))
    assert [await desk.is_there(each) for each in (small, large)] == [False, True]


async def test_others_do_not_find_it(desk: Desk, company: Company) -> None:
    upload = await desk.put(b"mine")
    colleague = Desk(desk.store, desk.keys, await company.person("grace"))
    assert not await colleague.is_there(upload)


async def test_an_upload_is_gone_after_a_day(desk: Desk, services: RunningServices) -> None:
    old, new = await desk.put(bytes(100_000)), await desk.put(b"new")

    def age() -> None:
        with owner_connection(services) as owner:
            owner.execute("UPDATE upload SET uploaded_at = now() - interval '25 hours' WHERE id = %s", (old.id,))

    await asyncio.to_thread(age)
    assert await uploads.expire_uploads(desk.store.database) >= 1
    assert [await desk.is_there(each) for each in (old, new)] == [False, True]
    assert await asyncio.to_thread(rows_left, services, desk) == (1, 1)


async def test_uploads_go_with_their_account(desk: Desk, services: RunningServices) -> None:
    await desk.put(b"x")

    def forget() -> None:
        with owner_connection(services) as owner:
            owner.execute("DELETE FROM account_state WHERE account_id = %s", (desk.who.account_id,))

    await asyncio.to_thread(forget)
    assert await asyncio.to_thread(rows_left, services, desk) == (0, 0)


async def test_no_octet_is_kept_in_clear_and_what_was_altered_does_not_open(
    desk: Desk, services: RunningServices
) -> None:
    upload = await desk.put(b"top secret")

    def alter() -> bytes:
        with owner_connection(services) as owner:
            sealed = owner.execute("SELECT sealed FROM upload_content WHERE upload_id = %s", (upload.id,)).fetchall()
            owner.execute(
                "UPDATE upload_content SET sealed = set_byte(sealed, 20, get_byte(sealed, 20) # 1)"
                " WHERE upload_id = %s",
                (upload.id,),
            )
            assert isinstance(sealed[0][0], bytes)
            return sealed[0][0]

    assert b"secret" not in await asyncio.to_thread(alter)
    with pytest.raises(ContentDamaged):
        await desk.read(upload)
