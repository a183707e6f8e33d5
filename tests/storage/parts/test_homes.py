"""Large parts rest in objects of their own, once in a tenant, and messages come back octet for octet."""

import random

import pytest

from mailserver.services.delivery import Deliveries
from storage.blobs.breaker import BreakerState
from storage.errors import ColdTierUnavailable, StorageError
from storage.store import MailStore
from tests.conftest import NOON, Company, RunningServices, as_recipient, new_company, plain_message
from tests.letters import letters
from tests.parts_desk import DOOMED, LIVE, Desk, letter
from tests.someone import Someone
from tests.storage.blobs.faulty_proxy import Fault

SOME = random.Random(1).randbytes(300_000)
LARGE = random.Random(2).randbytes(9_000_000)


@pytest.mark.parametrize("message", [pytest.param(octets, id=name) for name, octets in letters() if octets])
async def test_whatever_arrives_comes_back_octet_for_octet(desk: Desk, message: bytes) -> None:
    await desk.one.receive(message)
    await desk.one.append("INBOX", message)
    assert await desk.one.octets() == [message, message]
    assert all(where == "hot" for octets, where in desk.blobs() if octets <= 64 * 1024)
    assert {where for _, where in desk.blobs()} <= {"hot", "part"}


async def test_a_large_part_is_an_object_and_the_rest_stays_in_postgres(desk: Desk) -> None:
    await desk.one.receive(letter(SOME))
    (_, skeleton), (octets, part) = desk.blobs()
    assert (skeleton, octets, part) == ("hot", len(SOME), "part")
    ((stored, sha256),) = desk.sql("SELECT octets, sha256 FROM object WHERE tenant_id = {t}")
    assert stored > len(SOME)
    assert len(sha256) == 32


async def test_a_part_of_many_megabytes_goes_in_several_chunks(desk: Desk) -> None:
    await desk.one.receive(letter(LARGE))
    assert desk.blobs()[1] == (len(LARGE), "part")
    assert await desk.one.octets() == [letter(LARGE)]


async def test_equal_attachments_are_stored_once_in_a_tenant(desk: Desk) -> None:
    await desk.one.receive(letter(SOME, number=1))
    desk.proxy.fault(Fault.REFUSE)  # nothing is uploaded again
    await desk.one.receive(letter(SOME, number=2))
    assert (desk.objects_in(LIVE), desk.objects_in(DOOMED)) == (1, 0)
    desk.proxy.heal()
    assert await desk.one.octets() == [letter(SOME, number=1), letter(SOME, number=2)]


async def test_three_equal_attachments_of_a_message_are_one_object(desk: Desk) -> None:
    message = dict(letters())["three equal attachments"]
    await desk.one.receive(message)
    assert desk.objects_in(LIVE) == 1
    assert await desk.one.octets() == [message]


async def test_another_tenant_stores_its_own(desk: Desk, services: RunningServices) -> None:
    await desk.one.receive(letter(SOME))
    stranger = await (await new_company(services, desk.store.database)).person()
    (placed,) = await Deliveries(desk.store).deliver(
        letter(SOME), [as_recipient(stranger)], reverse_path="", received_at=NOON
    )
    assert not isinstance(placed, StorageError)
    async with desk.store.database.read(stranger.tenant_id) as connection:
        cursor = await connection.execute("SELECT count(*) FROM object WHERE state = 1")
        assert await cursor.fetchone() == (1,)


async def test_what_nothing_uses_any_more_dooms_its_object(desk: Desk) -> None:
    await desk.one.receive(letter(SOME))
    await desk.throw_away()
    assert await desk.collect() == 2
    assert (desk.objects_in(LIVE), desk.objects_in(DOOMED)) == (0, 1)


@pytest.mark.parametrize("fault", [Fault.REFUSE, Fault.HANG, Fault.ERROR_503, Fault.ERROR_HTML, Fault.FLIP_REQUEST])
async def test_while_s3_has_a_bad_day_parts_wait_in_postgres(desk: Desk, fault: Fault) -> None:
    desk.proxy.fault(fault)
    await desk.one.receive(letter(SOME))
    await desk.one.append("INBOX", letter(LARGE))
    assert [where for _, where in desk.blobs()] == ["hot", "waiting", "waiting"]
    assert await desk.one.octets() == [letter(SOME), letter(LARGE)]
    assert desk.objects_in(LIVE) == 0


async def test_an_answer_that_is_lost_once_is_no_matter(desk: Desk) -> None:
    desk.proxy.fault(Fault.DROP_ANSWER, times=1)
    await desk.one.receive(letter(SOME))
    assert desk.blobs()[1] == (len(SOME), "part")
    assert await desk.one.octets() == [letter(SOME)]


async def test_when_s3_is_back_what_waited_goes_to_objects(desk: Desk) -> None:
    desk.proxy.fault(Fault.REFUSE)
    await desk.one.receive(letter(SOME))
    await desk.one.receive(letter(LARGE))
    with pytest.raises(ColdTierUnavailable):
        await desk.move_waiting()
    await desk.until_s3_answers()
    assert await desk.move_waiting() == []
    assert [where for _, where in desk.blobs()] == ["hot", "part", "part"]
    desk.forget_hot_copies()
    assert await desk.one.octets() == [letter(SOME), letter(LARGE)]
    before = desk.proxy.requests
    await desk.move_waiting()
    assert desk.proxy.requests == before, "nothing waits any more"


async def test_a_waiting_part_that_is_damaged_stays_and_is_told_of_once(desk: Desk) -> None:
    desk.proxy.fault(Fault.REFUSE)
    await desk.one.receive(letter(SOME))
    await desk.until_s3_answers()
    desk.sql(
        """
        UPDATE blob_content SET sealed = set_byte(sealed, 5000, get_byte(sealed, 5000) # 1)
         WHERE tenant_id = {t} AND length(sealed) > 100000
        """
    )
    assert len(await desk.move_waiting()) == 1
    assert await desk.move_waiting() == []
    assert desk.objects_in(LIVE) == 0


async def test_beyond_the_room_for_waiting_large_mail_is_refused_and_small_mail_comes(desk: Desk) -> None:
    full = await desk.with_room(400_000)
    desk.proxy.fault(Fault.REFUSE)
    await full.one.receive(letter(SOME))
    with pytest.raises(ColdTierUnavailable):
        await full.one.receive(letter(LARGE))
    with pytest.raises(ColdTierUnavailable):
        await full.one.append("INBOX", letter(LARGE))
    await full.one.receive(plain_message())
    await full.one.receive(letter(SOME, number=2))  # of which nothing is new
    assert len(await full.one.uids()) == 3
    assert len(LARGE) not in [octets for octets, _ in desk.blobs()]
    await desk.until_s3_answers()
    await full.one.receive(letter(LARGE))


async def test_what_waits_is_counted_across_processes(desk: Desk) -> None:
    desk.proxy.fault(Fault.REFUSE)
    first, second = await desk.with_room(10**9), await desk.with_room(400_000)
    await first.one.receive(letter(SOME))
    with pytest.raises(ColdTierUnavailable):
        await second.one.receive(letter(random.Random(3).randbytes(300_000)))


async def test_a_message_for_people_of_several_tenants_has_its_parts_in_each(
    desk: Desk, services: RunningServices
) -> None:
    strangers = await new_company(services, desk.store.database)
    other = await strangers.person()
    deliveries = Deliveries(desk.store)
    outcomes = await deliveries.deliver(
        letter(LARGE), [as_recipient(desk.one.who), as_recipient(other)], reverse_path="", received_at=NOON
    )
    assert outcomes == [None, None]
    await deliveries.settle()
    assert await desk.one.octets() == [letter(LARGE)]
    assert desk.blobs()[1] == (len(LARGE), "part")


async def test_mail_for_several_tenants_is_refused_when_nothing_more_may_wait(
    desk: Desk, services: RunningServices
) -> None:
    other = await (await new_company(services, desk.store.database)).person()
    full = await desk.with_room(0)
    desk.proxy.fault(Fault.REFUSE)
    with pytest.raises(ColdTierUnavailable):
        await full.one.receive(letter(SOME))  # and the breaker is open
    while desk.objects.breaker is not BreakerState.OPEN:
        with pytest.raises(ColdTierUnavailable):
            await desk.objects.look()
    with pytest.raises(ColdTierUnavailable):
        await Deliveries(full.store).deliver(
            letter(SOME), [as_recipient(desk.one.who), as_recipient(other)], reverse_path="", received_at=NOON
        )


async def test_copies_share_the_object(desk: Desk, company: Company) -> None:
    await desk.one.receive(letter(SOME))
    await desk.one.copy("INBOX", [1], "Archive")
    assert await desk.one.octets("Archive") == [letter(SOME)]
    assert desk.objects_in(LIVE) == 1


async def test_without_an_object_store_everything_rests_in_postgres(desk: Desk, store: MailStore) -> None:
    await Someone(store, desk.one.who).receive(letter(LARGE))
    assert {where for _, where in desk.blobs()} == {"hot"}
