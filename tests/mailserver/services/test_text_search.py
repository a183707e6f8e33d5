"""Mail in the index of words: what is found, what is new to it, what cannot be read, and what is gone."""

import asyncio
from dataclasses import replace

import pytest

from mailserver.services import recovering
from mailserver.services.indexing import Indexed, index_account, try_again
from mailserver.services.search import Searched
from mailserver.services.search_keys import BodyContains, NoneOf, SearchProgram, TextContains
from mailserver.services.searching import Searches
from mailserver.services.text_search import READ_MESSAGES, Where, find
from storage import message_text
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import TieredBlobs
from storage.store import MailStore
from storage.tiers.tiering import tier
from storage.types import MessageId
from tests.conftest import Company, plain_message
from tests.letters import attachment, lines_of, multipart, part
from tests.mailserver.services.test_search import ATTACHED, CHINESE, LARGE
from tests.someone import ADD, DELETED, Someone

REPORT = multipart(
    part(b"It did not arrive.", "Content-Type: text/plain"),
    part(b"Final-Recipient: rfc822; bob@elsewhere.test\r\nStatus: 5.1.1", "Content-Type: message/delivery-status"),
    part(b"Subject: Inner plan\r\nFrom: zoe@inner.test\r\n\r\ninner text", "Content-Type: message/rfc822"),
    subject="Undelivered",
)
HTML = multipart(
    part(
        b"<style>p{color:red}</style><p>Caf&eacute; <b>quar</b>terly&nbsp;review<br>tomorrow</p><td>cell</td>",
        "Content-Type: text/html",
    ),
    subject="Menu",
)
LETTERS = [plain_message(1, body="Dinner at\r\nEIGHT, in São Paulo"), CHINESE, ATTACHED, LARGE, REPORT, HTML]

TABLE = [
    ("a word", "dinner", [1]),
    ("the beginning of a word", "dinn", [1]),
    ("the middle of one", "inne", [1, 5]),
    ("the end of one, and the next", "inner at", [1]),
    ("the end of one, and not the next", "inner in", []),
    ("in the header only", "race", []),
    ("words over the end of a line", "at eight", [1]),
    ("words with other things between", "eight in", [1]),
    ("words in another order", "eight at", []),
    ("without the accent", "sao paulo", [1]),
    ("with accents that are not there", "dînner", [1]),
    ("two characters", "预算", [2, 3]),
    ("one character", "附", [2]),
    ("characters in a row", "季度的预算表", [2]),
    ("characters not in a row", "季度预算表", []),
    ("the name of an attachment", "quarterly budget.pdf", [3]),
    ("not what is no text", "secret", []),
    ("the end of a long part", "needle at the end", [4]),
    ("a report", "5.1.1", [5]),
    ("a message within", "inner text", [5]),
    ("who wrote a message within", "zoe@inner.test", [5]),
    ("HTML as it is read", "quarterly review", [6]),
    ("an entity", "café", [6]),
    ("no markup", "color", []),
    ("nothing", "nowhere", []),
]


async def filed(store: MailStore, company: Company, *letters: bytes) -> tuple[Someone, list[MessageId]]:
    someone = Someone(store, await company.person("ada"))
    return someone, [(await someone.append("INBOX", octets)).message_id for octets in letters]


async def index(ada: Someone) -> Indexed:
    return await index_account(ada.store, ada.who.tenant_id, ada.who.account_id)


async def uids(ada: Someone, program: SearchProgram) -> list[int]:
    shown = await ada.contents()
    searches = Searches(ada.store)
    try:
        view = Searched(shown.mailbox.id, shown.uids, shown.flags, shown.keywords)
        return [view.uids[position] for position in await searches.search(ada.who, view, program)]
    finally:
        await searches.close()


@pytest.fixture(scope="module")
def kept() -> dict[str, Someone]:
    return {}


@pytest.fixture
async def ada(store: MailStore, company: Company, kept: dict[str, Someone]) -> Someone:
    """With the letters above, which the index knows."""
    if not kept:
        someone, _ = await filed(store, company, *LETTERS)
        assert await index(someone) == Indexed(len(LETTERS), True)
        kept["ada"] = someone
    return kept["ada"]


@pytest.mark.parametrize(("text", "expected"), [row[1:] for row in TABLE], ids=[row[0] for row in TABLE])
async def test_the_index_finds_texts_in_bodies(ada: Someone, text: str, expected: list[int]) -> None:
    assert await uids(ada, BodyContains(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("grace", [1]),
        ("race", [1]),
        ("ace <grace", [1]),
        ("会议纪要：季度预算", [2]),
        ("王小明", [2]),
        ("ada@company.test", [1, 2]),
        ("attached", [3]),
    ],
)
async def test_subject_and_people_are_text_and_not_body(ada: Someone, text: str, expected: list[int]) -> None:
    assert await uids(ada, TextContains(text)) == expected
    assert await uids(ada, BodyContains(text)) == []
    assert await uids(ada, NoneOf(TextContains(text))) == [uid for uid in range(1, 7) if uid not in expected]


@pytest.mark.parametrize(
    ("where", "text", "expected"),
    [
        (Where.TEXT, "dinner paulo", [1]),
        (Where.TEXT, "grace dinner", [1]),
        (Where.TEXT, '"dinner paulo"', []),
        (Where.TEXT, '"dinner at eight"', [1]),
        (Where.TEXT, '"dinner at eigh"', []),
        (Where.TEXT, "季度 附件", [2]),
        (Where.TEXT, "needle filler large", [4]),
        (Where.TEXT, '"needle at" "filler filler"', [4]),
        (Where.TEXT, "dinner needle", []),
        (Where.TEXT, "!!", None),
        (Where.SUBJECT, "large", [4]),
        (Where.SUBJECT, "needle", []),
        (Where.PEOPLE, "grace", [1]),
        (Where.PEOPLE, "dinner", []),
        (Where.BODY, "grace", []),
        (Where.BODY, "预算.png", [3]),
    ],
)
@pytest.mark.parametrize("is_indexed", [True, False], ids=["indexed", "new"])
async def test_words_and_phrases_of_a_filter_all_have_to_be_there(
    ada: Someone,
    store: MailStore,
    company: Company,
    where: Where,
    text: str,
    expected: list[int] | None,
    is_indexed: bool,
) -> None:
    someone = ada if is_indexed else (await filed(store, company, *LETTERS))[0]
    ids = {row.message_id: row.uid for row in await someone.rows()}
    found = await find(store, someone.who, where, text)
    assert (None if found is None else sorted(ids[each] for each in found)) == expected


async def test_what_came_after_is_found_at_once_and_in_other_ways_of_writing_too(
    store: MailStore, company: Company
) -> None:
    ada, _ = await filed(store, company, plain_message(1))
    await index(ada)
    await ada.receive(plain_message(2, body="something\r\nquite new"))
    assert await uids(ada, BodyContains("something quite new")) == [2]
    assert await uids(ada, BodyContains("omething")) == [2]  # while it is read
    await index(ada)
    assert await uids(ada, BodyContains("something quite new")) == [2]


async def test_more_new_mail_than_is_read_is_indexed_first(store: MailStore, company: Company) -> None:
    ada, _ = await filed(store, company, *[plain_message(number) for number in range(READ_MESSAGES + 1)])
    assert len(await uids(ada, BodyContains("noon"))) == READ_MESSAGES + 1
    async with store.database.read(ada.who.tenant_id) as connection:
        stands = await message_text.standing(connection, ada.who.tenant_id, ada.who.account_id)
    assert stands is not None
    assert stands.indexed == stands.account


async def test_a_text_without_any_word_is_read_for(ada: Someone) -> None:
    assert await uids(ada, BodyContains("。")) == [2]
    assert await uids(ada, TextContains("")) == [1, 2, 3, 4, 5, 6]


async def test_indexing_goes_on_where_it_stopped_and_twice_does_no_harm(store: MailStore, company: Company) -> None:
    ada, _ = await filed(store, company, *[plain_message(number) for number in range(5)])
    whose = (ada.who.tenant_id, ada.who.account_id)
    assert await index_account(store, *whose, most_messages=2) == Indexed(2, False)
    both = await asyncio.gather(index_account(store, *whose), index_account(store, *whose))
    assert all(each.is_complete for each in both)
    assert await index(ada) == Indexed(0, True)
    assert len(await find(store, ada.who, Where.TEXT, "noon") or ()) == 5


async def test_messages_copied_at_one_modseq_are_not_cut_apart(store: MailStore, company: Company) -> None:
    ada, _ = await filed(store, company, *[plain_message(number) for number in range(5)])
    await ada.copy("INBOX", [1, 2, 3, 4, 5], "INBOX")
    for _ in range(8):
        await index_account(store, ada.who.tenant_id, ada.who.account_id, most_messages=2)
    assert await uids(ada, BodyContains("noon")) == list(range(1, 11))


async def test_what_is_deleted_for_good_leaves_the_index_and_what_comes_back_is_found(
    store: MailStore, company: Company
) -> None:
    ada, (first, second) = await filed(store, company, plain_message(1), plain_message(2))
    await index(ada)
    await ada.flag("INBOX", [1], ADD, DELETED)
    await ada.expunge()
    assert await uids(ada, BodyContains("noon")) == [2]
    assert await find(store, ada.who, Where.TEXT, "noon") == {first, second}  # the bin can be searched
    await ada.empty_bin()
    assert await find(store, ada.who, Where.TEXT, "noon") == {second}


async def test_a_long_message_that_was_in_the_bin_is_indexed_when_it_is_back(
    store: MailStore, company: Company
) -> None:
    ada, _ = await filed(store, company, LARGE)
    await ada.flag("INBOX", [1], ADD, DELETED)
    await ada.expunge()
    await index(ada)
    whose = (ada.who.tenant_id, ada.who.account_id)
    assert await try_again(store, *whose, message_text.IN_BIN) == 0
    await recovering.recover(store, ada.who)
    assert await try_again(store, *whose, message_text.IN_BIN) == 1
    assert await uids(ada, BodyContains("needle")) == [2]


async def test_nobody_finds_the_words_of_others(store: MailStore, company: Company) -> None:
    ada, _ = await filed(store, company, plain_message(1))
    bob = Someone(store, await company.person("bob"))
    await index(ada)
    await index(bob)
    assert await find(store, bob.who, Where.TEXT, "noon") == set()
    key = message_text.index_key(ada.who.tenant_id, ada.who.account_id)
    async with store.database.read(ada.who.tenant_id) as connection:
        found = await message_text.find(connection, ada.who.tenant_id, bob.who.account_id, f"'{key}noon'", None)
    assert list(found) == []


async def test_a_cold_message_is_indexed_and_one_out_of_reach_later(
    tiered_store: MailStore, objects: ObjectStore, company: Company
) -> None:
    ada, _ = await filed(
        tiered_store, company, *[plain_message(number, body=f"{number} " + "x" * 3000) for number in range(3)]
    )
    who, database = ada.who, tiered_store.database
    await move_everything(ada, objects)
    away = replace(tiered_store, blobs=TieredBlobs(HotBlobs()))
    assert await index_account(away, who.tenant_id, who.account_id) == Indexed(3, True)
    assert await find(away, who, Where.SUBJECT, "message") == set()
    assert await message_text.accounts_with_problem(database, who.tenant_id, message_text.OUT_OF_REACH) == [
        who.account_id
    ]
    assert len(await find(tiered_store, who, Where.SUBJECT, "message") or ()) == 3  # what is in reach again is read
    assert await try_again(tiered_store, who.tenant_id, who.account_id, message_text.OUT_OF_REACH) == 3
    assert len(await find(away, who, Where.SUBJECT, "message") or ()) == 3


async def move_everything(ada: Someone, objects: ObjectStore) -> None:
    async with ada.store.database.transaction(ada.who.tenant_id) as connection:
        await connection.execute("UPDATE blob SET content_on = content_on - 9, touched_at = now() - interval '9 days'")
        await connection.execute("UPDATE blob_content SET content_on = content_on - 9")
    keys = await ada.store.keys.of(ada.who.tenant_id)
    moved = await tier(ada.store.database, objects, keys, cold_after_days=0, hot_budget_octets=None)
    assert moved.blobs == 3


async def test_a_damaged_message_is_noted_and_keeps_nobody_from_the_others(store: MailStore, company: Company) -> None:
    ada, _ = await filed(store, company, plain_message(1), plain_message(2, body="y" * 5000), plain_message(3))
    rows = await ada.rows()
    async with store.database.transaction(ada.who.tenant_id) as connection:
        await connection.execute(
            "UPDATE blob_content SET sealed = overlay(sealed PLACING '\\xff00ff' FROM 20) WHERE digest ="
            " (SELECT digest FROM message_blob WHERE message_id = %s)",
            (rows[1].message_id,),
        )
    assert await index(ada) == Indexed(3, True)
    assert await uids(ada, TextContains("grace")) == [1, 3]


async def test_a_message_whose_blobs_are_not_known_is_noted_as_damaged(store: MailStore, company: Company) -> None:
    ada, _ = await filed(store, company, plain_message(1), plain_message(2, body="y" * 5000), plain_message(3))
    lost = (await ada.rows())[1].message_id
    async with store.database.transaction(ada.who.tenant_id) as connection:
        await connection.execute("DELETE FROM message_blob WHERE message_id = %s", (lost,))
    assert await index(ada) == Indexed(3, True)
    assert await uids(ada, TextContains("grace")) == [1, 3]


async def test_a_message_of_thousands_of_parts_and_one_of_many_folded_lines_are_indexed(
    store: MailStore, company: Company
) -> None:
    crowded = multipart(*[part(b"piece %d" % n, "Content-Type: text/plain") for n in range(3000)], subject="Many")
    folded = b"Subject: " + b"a\r\n " * 100_000 + b"tail\r\n\r\nbody\r\n"
    huge = multipart(attachment(lines_of(b"x" * 200_000, 76, ends=True)), part(b"w " * 900_000 + b"last", "A: b"))
    ada, _ = await filed(store, company, crowded, folded, huge)
    await index(ada)
    assert await uids(ada, BodyContains("piece 2999")) == [1]
    assert await uids(ada, TextContains("tail")) == [2]
    assert await uids(ada, BodyContains("w w w")) == [3]
