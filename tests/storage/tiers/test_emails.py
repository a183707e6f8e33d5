"""Messages read by their ids, wherever their octets rest."""

from collections.abc import Mapping
from dataclasses import replace

from mailserver.services.email_reading import read_columns, read_whole
from storage.blobs.hot import HotBlobs
from storage.blobs.tiered import TieredBlobs
from storage.emails import EmailColumns, WholeEmail
from storage.types import MessageId
from tests.conftest import Company, plain_message
from tests.letters import TEXT, attachment, lines_of, multipart
from tests.someone import Someone
from tests.storage.tiers.conftest import Attic

LONG = multipart(TEXT, attachment(lines_of(bytes(range(256)) * 2000, 76, ends=True)))


async def read(one: Someone, sizes: Mapping[MessageId, int]) -> dict[MessageId, WholeEmail]:
    found: dict[MessageId, WholeEmail] = {}
    async for some in read_whole(one.store, one.who, sizes):
        found |= some
    return found


async def test_small_messages_come_whole_hot_or_cold(attic: Attic) -> None:
    one = attic.one
    cold = [plain_message(number, body="x" * 3000 + str(number)) for number in range(60)]
    ids = [(await one.receive(octets)).message_id for octets in cold]
    attic.age()
    await attic.tier()
    hot = plain_message(100)
    ids += [(await one.receive(octets)).message_id for octets in (hot, LONG)]
    sizes = dict(zip(ids, map(len, [*cold, hot, LONG]), strict=True))
    found = await read(one, {**sizes, MessageId(5): 10})
    assert [found[each].octets for each in ids] == [*cold, hot, None]
    assert MessageId(5) not in found
    away = replace(one, store=replace(one.store, blobs=TieredBlobs(HotBlobs())))
    unreachable = await read(away, sizes)
    assert [unreachable[each].octets for each in ids] == [None] * 60 + [hot, None]
    rows = await read_columns(away.store, one.who, ids, EmailColumns.HEADER | EmailColumns.PREVIEW)
    assert [rows[each].header for each in ids[:60]] == [octets.partition(b"x" * 10)[0] for octets in cold]
    assert rows[ids[-2]].preview == "Lunch at noon?"


async def test_messages_of_others_are_not_there(attic: Attic, company: Company) -> None:
    other = Someone(attic.one.store, await company.person("other"))
    theirs = (await other.receive()).message_id
    assert await read(attic.one, {theirs: 100}) == {}
    assert await read_columns(attic.one.store, attic.one.who, [theirs], EmailColumns.HEADER) == {}
