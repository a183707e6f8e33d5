"""Messages with large parts by every way in: spooled, appended, put in another's place, brought together, by LMTP."""

import gc
import random
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from deploy.local.objects import ObjectAccess
from mailserver.services import appending
from mailserver.services.delivery import Deliveries
from mailserver.services.spool import Spool
from storage.blobs.objects import ObjectStore
from storage.errors import ColdTierUnavailable, OverQuota, StorageError
from storage.store import MailStore
from storage.types import Flags, Placed, Uid
from tests.conftest import NOON, Company, RunningServices, as_recipient, new_company, plain_message
from tests.letters import letters
from tests.parts_desk import LIVE, Desk, letter, open_desk
from tests.storage.blobs.faulty_proxy import Fault

SOME = random.Random(1).randbytes(300_000)
LARGE = random.Random(2).randbytes(3_000_000)
SPOOLED = [
    "base64 in lines of 76, a CRLF at its end",
    "base64 in lines of 60, no CRLF at its end",
    "base64 in odd lines",
    "base64 with stray bits",
    "base64 as the whole body",
    "of many megabytes",
    "three equal large attachments",
    "a binary part",
    "nested",
    "cut within base64",
    "long text",
]


@pytest.fixture
async def desk(
    services: RunningServices, company: Company, store: MailStore, s3: ObjectAccess, objects: ObjectStore
) -> AsyncIterator[Desk]:
    del objects  # the bucket is ready
    async with open_desk(services, company, store, s3) as opened:
        yield opened


@pytest.mark.parametrize("name", SPOOLED)
async def test_a_message_in_a_mapped_file_is_read_where_it_lies(desk: Desk, name: str) -> None:
    message = dict(letters())[name]
    with Spool(memory_limit_octets=0) as spool:
        spool.write(message)
        await desk.one.receive(spool.octets())
    assert await desk.one.octets() == [message]


async def test_the_file_is_let_go_when_its_message_is_placed_also_while_s3_is_away(desk: Desk) -> None:
    desk.proxy.fault(Fault.REFUSE)
    gc.disable()
    try:
        for number in range(2):
            spool = Spool(memory_limit_octets=0)
            spool.write(letter(SOME[number:], number=number))
            mapped = spool.octets()
            await desk.one.receive(mapped)
            spool.close()
            with pytest.raises(ValueError, match="closed"):
                len(mapped)  # which a view that somebody holds would have kept open
    finally:
        gc.enable()


async def test_messages_that_are_appended_together_are_placed_together(desk: Desk) -> None:
    one, octets = desk.one, [letter(SOME, number=1), plain_message(), letter(LARGE, number=2), letter(SOME, number=3)]
    messages = [(await appending.prepare(one.store, one.who, each, NOON), Flags()) for each in octets]
    appended = await appending.append_all(one.store, one.who, "INBOX", messages)
    assert list(appended.uids) == [1, 2, 3, 4]
    assert await one.octets() == octets
    assert desk.objects_in(LIVE) == 2


async def test_a_draft_with_an_attachment_is_replaced(desk: Desk) -> None:
    one = desk.one
    await one.append("Drafts", letter(SOME, number=1))
    new = await appending.prepare(one.store, one.who, letter(SOME, number=2), NOON)
    old = ((await one.box("Drafts")).id, Uid(1))
    await appending.append_all(one.store, one.who, "Drafts", [(new, Flags())], replaced=old)
    assert await one.octets("Drafts") == [letter(SOME, number=2)]
    assert desk.objects_in(LIVE) == 1


async def test_by_lmtp_each_tenant_has_its_own_answer_and_its_own_copy(desk: Desk, services: RunningServices) -> None:
    stranger = await (await new_company(services, desk.store.database)).person()
    full = replace(desk.one.who, quota_octets=1000)
    outcomes = await Deliveries(desk.store).deliver_each(
        letter(SOME), [as_recipient(stranger), as_recipient(full)], reverse_path="", received_at=NOON
    )
    assert isinstance(outcomes[0], Placed)
    assert isinstance(outcomes[1], OverQuota)
    assert await replace(desk.one, who=stranger).octets() == [letter(SOME)]


async def test_by_lmtp_all_are_put_off_when_nothing_more_may_wait(desk: Desk) -> None:
    full = await desk.with_room(0)
    desk.proxy.fault(Fault.REFUSE)
    (outcome,) = await Deliveries(full.store).deliver_each(
        letter(SOME), [as_recipient(desk.one.who)], reverse_path="", received_at=NOON
    )
    assert isinstance(outcome, ColdTierUnavailable)


async def test_a_hundred_people_of_a_tenant_share_the_object(desk: Desk, company: Company) -> None:
    people = [await company.person() for _ in range(5)]
    outcomes = await Deliveries(desk.store).deliver(
        letter(SOME), [as_recipient(each) for each in people], reverse_path="", received_at=NOON
    )
    assert not [each for each in outcomes if isinstance(each, StorageError)]
    assert desk.objects_in(LIVE) == 1
    for each in people:
        assert await replace(desk.one, who=each).octets() == [letter(SOME)]
