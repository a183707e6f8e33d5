"""Upkeep goes from tenant to tenant: what ends one turn, what ends the round, and whose mail makes room."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from secrets import token_hex

import pytest

from deploy.local.objects import ObjectAccess
from storage.blobs.objects import ObjectStore
from storage.key_files import tenant_key_path
from storage.provisioning import provision_account
from storage.store import MailStore
from storage.tiers import rounds, tiering
from storage.tiers.rounds import Round, TieringConfig, Tiers
from storage.tiers.turns import Turns
from tenants.types import TenantId
from tests.conftest import RunningServices, objects_config, owner_connection, plain_message
from tests.people import new_person
from tests.someone import Someone
from tests.storage.blobs.faulty_proxy import Fault, FaultyProxy
from tests.storage.tiers.conftest import Attic


@pytest.fixture
async def attics(
    services: RunningServices, tiered_store: MailStore, objects: ObjectStore
) -> AsyncIterator[list[Attic]]:
    """Of three companies of the directory, each with ten old messages; those of other tests have nothing old."""
    with owner_connection(services) as owner:
        owner.autocommit = True
        found = []
        for _ in range(3):
            who = (await asyncio.to_thread(new_person, services)).principal
            await provision_account(tiered_store.database, who.tenant_id, who.account_id)
            keys = await tiered_store.keys.of(who.tenant_id)
            attic = Attic(Someone(tiered_store, who), objects, keys, owner, services.secrets)
            for number in range(10):
                await attic.one.receive(plain_message(number, body=token_hex(500)))
            attic.age(200)
            found.append(attic)
        yield found
        for attic in found:
            attic.sql("DELETE FROM blob WHERE tenant_id = {t}")


def refused(done: Round, attics: list[Attic]) -> list[TenantId]:
    """Those of ours; other tests leave tenants without keys in the directory."""
    return [attic.keys.tenant_id for attic in attics if attic.keys.tenant_id in done.refused]


def tiers(attic: Attic, objects: ObjectStore, *, hot_limit_octets: int = 0) -> Tiers:
    store = attic.one.store
    return Tiers(store.database, objects, store.keys, TieringConfig(hot_limit_octets))


async def test_every_tenant_has_its_turn(attics: list[Attic]) -> None:
    before = [await attic.one.octets() for attic in attics]
    done = await tiers(attics[0], attics[0].objects).tier()
    assert refused(done, attics) == []
    assert [attic.hot_and_cold() for attic in attics] == [(0, 10)] * 3
    assert [await attic.one.octets() for attic in attics] == before


async def test_a_tenant_without_key_and_content_has_nothing_to_refuse(attics: list[Attic]) -> None:
    """As one that was shredded."""
    gone = attics[0]
    gone.sql("DELETE FROM blob WHERE tenant_id = {t}")
    path = tenant_key_path(gone.secrets, gone.keys.tenant_id)
    key = path.read_text()
    path.unlink()
    gone.one.store.keys.forget(gone.keys.tenant_id)
    try:
        done = await tiers(gone, gone.objects).tier()
    finally:
        path.write_text(key)
    assert refused(done, attics) == []
    assert [attic.hot_and_cold() for attic in attics[1:]] == [(0, 10)] * 2


async def test_a_tenant_whose_key_is_gone_does_not_keep_others_waiting(attics: list[Attic]) -> None:
    first = attics[0]
    path = tenant_key_path(first.secrets, first.keys.tenant_id)
    key = path.read_text()
    path.unlink()
    first.one.store.keys.forget(first.keys.tenant_id)
    done = await tiers(first, first.objects).tier()
    path.write_text(key)
    assert refused(done, attics) == [first.keys.tenant_id]
    assert [attic.hot_and_cold() for attic in attics] == [(10, 0), (0, 10), (0, 10)]


async def test_while_s3_is_away_the_round_ends_and_no_tenant_begins_an_object_for_nothing(
    attics: list[Attic], s3: ObjectAccess
) -> None:
    proxy = FaultyProxy(s3.url)
    config = objects_config(replace(s3, url=proxy.url), attempts=1, breaker_failures=1, breaker_rest_s=600)
    objects = ObjectStore(config)
    try:
        proxy.fault(Fault.REFUSE)
        done = await tiers(attics[0], objects).tier()
    finally:
        proxy.close()
        await objects.close()
    assert len(refused(done, attics)) == 1
    begun = [attic.sql("SELECT count(*) FROM object WHERE tenant_id = {t}")[0][0] for attic in attics]
    assert sorted(begun) == [0, 0, 1]
    assert [attic.hot_and_cold() for attic in attics] == [(10, 0)] * 3


async def test_when_postgres_holds_too_much_everybody_gives_the_same_share(attics: list[Attic]) -> None:
    """Whatever the policies say: here that nothing goes cold by age."""
    first = attics[0]
    ids = [int(attic.keys.tenant_id) for attic in attics]
    first.sql("UPDATE tenant SET cold_after_days = NULL WHERE id = ANY (%s)", ids)
    ((hot,),) = first.sql(
        "SELECT sum(b.stored_octets) FROM blob b JOIN tenant t ON t.id = b.tenant_id WHERE b.object_id IS NULL"
    )
    await tiers(first, first.objects, hot_limit_octets=int(hot) // 2).tier()
    cold = [attic.hot_and_cold()[1] for attic in attics]
    assert all(4 <= count <= 6 for count in cold), cold


async def no_rest(_seconds: float) -> None:
    pass


async def test_who_has_much_to_move_keeps_nobody_waiting(attics: list[Attic], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiering, "_PACK_BLOBS", 3)
    monkeypatch.setattr(rounds, "VISIT_PACKS", 1)
    halfway: list[list[int]] = []
    await tiers(attics[0], attics[0].objects).tier(
        lambda _: halfway.append([attic.hot_and_cold()[1] for attic in attics]), turns=Turns(0.5, wait=no_rest)
    )
    ours = [cold for n, cold in enumerate(halfway) if n == 0 or cold != halfway[n - 1]]
    assert ours[:4] == [[3, 0, 0], [3, 3, 0], [3, 3, 3], [6, 3, 3]]
    assert ours[-1] == [10, 10, 10]


async def test_a_round_ends_when_its_time_is_over(attics: list[Attic], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiering, "_PACK_BLOBS", 5)
    monkeypatch.setattr(rounds, "VISIT_PACKS", 1)
    now_s = 0.0

    async def wait(_seconds: float) -> None:
        nonlocal now_s
        now_s += 1000

    first = attics[0]
    turns = Turns(0.5, clock=lambda: now_s, wait=wait)
    await tiers(first, first.objects).tier(turns=turns, lasts_s=1)
    assert sum(attic.hot_and_cold()[1] for attic in attics) <= 5


async def test_once_in_an_hour_policies_are_read_anew(attics: list[Attic], monkeypatch: pytest.MonkeyPatch) -> None:
    """Here nothing is to go cold any more, when the first pack of each was made."""
    monkeypatch.setattr(tiering, "_PACK_BLOBS", 5)
    monkeypatch.setattr(rounds, "VISIT_PACKS", 1)
    ids = [int(attic.keys.tenant_id) for attic in attics]
    now_s = 0.0

    def progress(_: object) -> None:
        nonlocal now_s
        if [attic.hot_and_cold()[1] for attic in attics] == [5, 5, 5]:
            attics[0].sql("UPDATE tenant SET cold_after_days = NULL WHERE id = ANY (%s)", ids)
            now_s += rounds.LOOK_EVERY_S

    turns = Turns(0.5, clock=lambda: now_s, wait=no_rest)
    await tiers(attics[0], attics[0].objects).tier(progress, turns=turns)
    assert [attic.hot_and_cold()[1] for attic in attics] == [5, 5, 5]


@pytest.mark.parametrize(("share", "presses"), [(0.9, False), (0.5, True)])
async def test_when_far_too_much_is_hot_there_are_no_rests(attics: list[Attic], share: float, presses: bool) -> None:
    first = attics[0]
    ((hot,),) = first.sql(
        "SELECT sum(b.stored_octets) FROM blob b JOIN tenant t ON t.id = b.tenant_id WHERE b.object_id IS NULL"
    )
    pressing: list[int] = []
    rests: list[float] = []

    async def wait(seconds: float) -> None:
        rests.append(seconds)

    work = tiers(first, first.objects, hot_limit_octets=int(float(hot) * share))
    await work.tier(turns=Turns(0.5, wait=wait), pressing=pressing.append)
    assert (pressing[0] > 0, not rests) == (presses, presses)


async def test_a_tenant_far_over_its_budget_is_served_first_and_without_rests(attics: list[Attic]) -> None:
    first, second, third = attics
    third.sql("UPDATE tenant SET hot_budget_octets = 1000 WHERE id = {t}")
    pressing: list[int] = []
    seen: list[list[int]] = []

    async def wait(_seconds: float) -> None:
        seen.append([attic.hot_and_cold()[1] for attic in attics])

    await tiers(first, first.objects).tier(turns=Turns(0.5, wait=wait), pressing=pressing.append)
    assert pressing == [1]
    assert seen[0][2] == 10
    assert second.hot_and_cold() == (0, 10)
