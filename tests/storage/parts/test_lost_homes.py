"""Whatever collection and sweeps do while a part is on its way, its message is placed whole, or not at all."""

import asyncio
import contextlib
import os
import random
import subprocess
import sys
from collections.abc import Iterator

import psycopg
import pytest

from storage import steps
from storage.errors import ColdTierUnavailable, StorageError
from tests.conftest import ROOT, RunningServices
from tests.parts_desk import Desk, letter
from tests.storage.blobs.faulty_proxy import Fault

SOME = random.Random(1).randbytes(300_000)
STEPS = ["parts: touched", "parts: begun", "parts: sent", "parts: uploaded"]


class Meddling:
    """Does something each of the first times that a step is reached."""

    def __init__(self, step: str, does: "list[object]", *, times: int) -> None:
        self.step, self.does, self.left = step, does, times
        self.reached = 0

    def __call__(self, step: str) -> None:
        if step != self.step:
            return
        self.reached += 1
        if self.left:
            self.left -= 1
            for act in self.does:
                assert callable(act)
                act()


@pytest.fixture(autouse=True)
def no_listener() -> Iterator[None]:
    yield
    steps.listener = None


def meddle(desk: Desk, step: str, act: str, *, times: int = 1) -> Meddling:
    acts = {"collect": [desk.collect_now], "sweep": [desk.give_up_uploads_now]}
    acts["both"] = [*acts["collect"], *acts["sweep"]]
    steps.listener = meddling = Meddling(step, list(acts[act]), times=times)
    return meddling


@pytest.mark.parametrize("act", ["collect", "sweep", "both"])
@pytest.mark.parametrize("step", STEPS)
async def test_a_new_part_finds_a_home_whatever_happens_meanwhile(desk: Desk, step: str, act: str) -> None:
    meddling = meddle(desk, step, act, times=2)
    await desk.one.receive(letter(SOME))
    assert meddling.reached
    assert desk.blobs()[1] == (len(SOME), "part")
    assert await desk.one.octets() == [letter(SOME)]


@pytest.mark.parametrize("is_appended", [False, True])
async def test_a_part_that_was_here_and_was_collected_meanwhile_is_uploaded_again(
    desk: Desk, is_appended: bool
) -> None:
    await desk.one.receive(letter(SOME, number=1))
    await desk.throw_away()
    meddling = meddle(desk, "parts: touched", "collect")
    if is_appended:
        await desk.one.append("INBOX", letter(SOME, number=2))
    else:
        await desk.one.receive(letter(SOME, number=2))
    assert meddling.reached == 2, "the message was placed at the second attempt"
    assert await desk.one.octets() == [letter(SOME, number=2)]
    assert desk.blobs()[1] == (len(SOME), "part")


async def test_lost_again_and_again_it_is_put_off_and_nothing_is_placed(desk: Desk) -> None:
    meddle(desk, "parts: uploaded", "sweep", times=1000)
    with pytest.raises(StorageError):
        await desk.one.receive(letter(SOME))
    steps.listener = None
    assert await desk.one.uids() == []
    await desk.one.receive(letter(SOME))
    assert await desk.one.octets() == [letter(SOME)]


async def test_lost_while_s3_goes_away_it_waits_in_postgres(desk: Desk) -> None:
    await desk.one.receive(letter(SOME, number=1))
    await desk.throw_away()
    desk.proxy.fault(Fault.REFUSE)
    meddle(desk, "parts: touched", "collect")
    await desk.one.receive(letter(SOME, number=2))
    assert desk.blobs()[1] == (len(SOME), "waiting")
    assert await desk.one.octets() == [letter(SOME, number=2)]


async def test_a_waiting_part_that_is_collected_while_it_moves_is_no_loss(desk: Desk) -> None:
    desk.proxy.fault(Fault.REFUSE)
    await desk.one.receive(letter(SOME))
    await desk.throw_away()
    await desk.until_s3_answers()
    meddle(desk, "waiting parts: uploaded", "collect")
    assert await desk.move_waiting() == []
    assert desk.blobs() == []
    await desk.one.receive(letter(SOME))
    assert await desk.one.octets() == [letter(SOME)]


async def test_used_while_collection_waits_for_it_a_blob_stays_whatever_the_clock_says(
    desk: Desk, services: RunningServices
) -> None:
    await desk.one.receive(letter(SOME))
    await desk.throw_away()
    ((digest,),) = desk.sql("SELECT digest FROM blob WHERE tenant_id = {t} AND octets = %s", len(SOME))
    async with await psycopg.AsyncConnection.connect(services.app_url) as delivery:
        await delivery.execute("SELECT set_config('waypost.tenant', %s, false)", (str(desk.keys.tenant_id),))
        await delivery.execute("UPDATE blob SET touched_at = now() WHERE digest = %s", (digest,))
        collecting = asyncio.create_task(desk.collect())
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
        while await (await delivery.execute(waiting)).fetchone() == (0,):
            pass
        await delivery.execute(
            "INSERT INTO message_blob (tenant_id, message_id, ordinal, digest) VALUES (%s, 1, 0, %s)",
            (desk.keys.tenant_id, digest),
        )
    assert await collecting == 1, "only the rest of the message went"
    assert desk.blobs() == [(len(SOME), "part")]


async def test_several_messages_bring_the_same_part_at_the_same_moment(desk: Desk) -> None:
    count = 8
    await asyncio.gather(*(desk.one.receive(letter(SOME, number=number)) for number in range(count)))
    assert sorted(await desk.one.octets()) == sorted(letter(SOME, number=number) for number in range(count))
    assert desk.blobs()[-1] == (len(SOME), "part")
    assert desk.sql("SELECT count(*) FROM object WHERE tenant_id = {t} AND state = 1") == [(1,)]


@pytest.mark.parametrize("seed", range(60 if os.environ.get("WAYPOST_SOAK") == "1" else 4))
async def test_whatever_happens_at_once_nothing_is_lost(desk: Desk, seed: int) -> None:
    """Three attachments come again and again while everything unused is collected at once, every upload is swept, S3
    goes and comes back (in every other run), and what waits for it moves."""
    chance = random.Random(seed)
    attachments = [chance.randbytes(70_000 + number) for number in range(3)]
    expected: list[bytes] = []
    is_over = False

    async def deliver(number: int) -> None:
        for turn in range(6):
            octets = letter(chance.choice(attachments), number=number * 100 + turn)
            try:
                if chance.random() < 0.5:
                    await desk.one.receive(octets)
                else:
                    await desk.one.append("INBOX", octets)
            except StorageError:
                continue
            expected.append(octets)
            if chance.random() < 0.3:
                await desk.one.copy("INBOX", [(await desk.one.uids())[-1]], "Archive")

    async def collect() -> None:
        while not is_over:
            await desk.collect()
            await asyncio.sleep(chance.random() / 100)

    async def sweep() -> None:
        while not is_over:
            await desk.give_up_uploads()
            await asyncio.sleep(chance.random() / 5)

    async def storm() -> None:
        while seed % 2 and not is_over:
            desk.proxy.fault(Fault.REFUSE)
            await asyncio.sleep(chance.random() / 10)
            desk.proxy.heal()
            await asyncio.sleep(chance.random() / 5)

    async def move() -> None:
        while not is_over:
            with contextlib.suppress(ColdTierUnavailable):
                await desk.move_waiting()
            await asyncio.sleep(chance.random() / 20)

    busy = [asyncio.create_task(each()) for each in (collect, sweep, storm, move)]
    await asyncio.gather(*(deliver(number) for number in range(4)))
    is_over = True
    await asyncio.gather(*busy)
    assert len(expected) > 10
    await desk.until_s3_answers()
    assert sorted(await desk.one.octets()) == sorted(expected)
    await desk.move_waiting()
    assert {where for _, where in desk.blobs()} <= {"hot", "part"}
    desk.forget_hot_copies()
    assert sorted(await desk.one.octets()) == sorted(expected)


_DELIVER_AND_DIE = """
import asyncio, os, signal, sys
from dataclasses import replace
from pathlib import Path
from storage import steps
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectsConfig, ObjectStore
from storage.blobs.tiered import TieredBlobs
from storage.database import Database, DatabaseConfig
from storage.keys import KeyRing
from storage.parts.homes import PartStore
from storage.store import MailStore
from mailserver.services.delivery import Deliveries
from tenants.types import AccountId, Address, Recipient, TenantId
from tests.conftest import NOON

step, tenant, account, url, access, secret, bucket, secrets = sys.argv[1:]
message = sys.stdin.buffer.read()

def die(reached):
    if reached == step:
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    database = Database(DatabaseConfig(os.environ["WAYPOST_DATABASE_URL"], os.environ["WAYPOST_SYSTEM_DATABASE_URL"]))
    objects = ObjectStore(ObjectsConfig(url=url, access_key=access, secret_key=secret, bucket=bucket))
    parts = PartStore(database, objects, waiting_octets=10**9)
    store = MailStore(
        database, KeyRing(Path(secrets), database), TieredBlobs(HotBlobs(), objects), lambda *_: None, parts=parts
    )
    steps.listener = die
    who = Recipient(TenantId(int(tenant)), AccountId(int(account)), Address("ada", "company.test"), "", None)
    print(await Deliveries(store).deliver(message, [who], reverse_path="", received_at=NOON))

asyncio.run(main())
"""


@pytest.mark.parametrize("step", STEPS)
async def test_killed_on_the_way_nothing_is_placed_and_the_object_is_given_up(
    desk: Desk, services: RunningServices, step: str
) -> None:
    config = desk.objects_config
    who = desk.one.who
    arguments = [
        sys.executable, "-c", _DELIVER_AND_DIE, step, str(who.tenant_id), str(who.account_id), config.url,
        config.access_key, config.secret_key, config.bucket, str(services.secrets),
    ]  # fmt: skip
    killed = await asyncio.to_thread(
        subprocess.run, arguments, cwd=ROOT, env={**services.environment(), "PYTHONPATH": os.fspath(ROOT)},
        input=letter(SOME), capture_output=True, check=False,
    )  # fmt: skip
    assert killed.returncode == -9, killed.stderr.decode()
    assert await desk.one.uids() == []
    begun = desk.sql("SELECT count(*) FROM object WHERE tenant_id = {t} AND state = 0")
    assert begun == [(0 if step == "parts: touched" else 1,)]
    await desk.give_up_uploads()
    await desk.one.receive(letter(SOME))
    assert await desk.one.octets() == [letter(SOME)]
