"""Shredding a tenant whose objects are in a bucket with Object Lock: all versions go, unless one is held."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from storage import shredding, steps
from storage.blobs.objects import ObjectStore
from storage.blobs.objects_config import ObjectsConfig
from storage.key_files import tenant_key_path
from storage.shredding import UnderLegalHold
from storage.shredding_certificate import Certificate
from tenants.types import TenantId
from tests.conftest import RunningServices
from tests.people import new_person


@dataclass(frozen=True, slots=True)
class Vault:
    """A suspended company with two objects of which no row knows."""

    services: RunningServices
    store: ObjectStore
    tenant_id: TenantId

    @property
    def names(self) -> list[str]:
        return [f"{self.tenant_id}/{number:016x}" for number in (1, 2)]

    async def shred(self) -> Certificate:
        return await shredding.shred(
            self.services.owner_url,
            self.services.secrets,
            self.store,
            self.tenant_id,
            administrator="ann",
            backups_kept_days=30,
            settle_s=0,
        )

    async def left(self) -> list[str]:
        return [each.name async for page in self.store.list(f"{self.tenant_id}/") for each in page]

    def has_key(self) -> bool:
        return tenant_key_path(self.services.secrets, self.tenant_id).exists()


@pytest.fixture
async def vault(services: RunningServices, locked: ObjectsConfig) -> AsyncIterator[Vault]:
    store = ObjectStore(locked)
    person = await asyncio.to_thread(new_person, services)
    vault = Vault(services, store, person.principal.tenant_id)
    suspended = await asyncio.to_thread(services.manage, "tenant", "suspend", person.principal.address.domain)
    assert suspended.returncode == 0, suspended.stderr
    for name in vault.names:
        await store.put(name, b"sealed")
    yield vault
    steps.listener = None
    for name in vault.names:
        if await store.facts(name) is not None:
            await store.hold(name, on=False)
    await store.close()


async def test_an_object_that_s3_holds_refuses_it_and_nothing_changes(vault: Vault) -> None:
    await vault.store.hold(vault.names[1], on=True)
    with pytest.raises(UnderLegalHold) as refusal:
        await vault.shred()
    assert (refusal.value.what, refusal.value.count) == ("objects", 1)
    assert vault.has_key()
    assert await vault.left() == vault.names
    await vault.store.hold(vault.names[1], on=False)
    await vault.shred()
    assert await vault.left() == []


async def test_a_hold_that_comes_after_the_key_is_gone_keeps_that_object_until_it_ends(vault: Vault) -> None:
    loop = asyncio.get_running_loop()
    held: list[asyncio.Task[None]] = []

    def hold(step: str) -> None:
        if step == "shredding: key said to be destroyed":
            steps.listener = None
            held.append(loop.create_task(vault.store.hold(vault.names[0], on=True)))
            raise InterruptedError

    steps.listener = hold
    with pytest.raises(InterruptedError):
        await vault.shred()
    await held[0]
    with pytest.raises(UnderLegalHold):
        await vault.shred()
    assert not vault.has_key()
    assert await vault.left() == vault.names[:1]
    await vault.store.hold(vault.names[0], on=False)
    certificate = await vault.shred()
    assert await vault.left() == []
    assert certificate.tenant_key is not None
