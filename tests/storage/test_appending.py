"""APPEND: messages for one mailbox, all of them or none, in one transaction."""

import asyncio
import random
from dataclasses import replace

import pytest

from mailserver.services import appending
from storage.appending import Appended
from storage.errors import MailboxNotFound, MailboxNotSelectable, MessageGone, OverQuota, TooManyKeywords
from storage.placing import PreparedMessage
from storage.store import Joins, MailStore
from storage.types import Flags
from tests.conftest import NOON, Company, plain_message
from tests.letters import attachment, letters, lines_of, multipart
from tests.someone import DELETED, FLAGGED, SEEN, Someone, flags

LARGE = multipart(attachment(lines_of(random.Random(3).randbytes(2_000_000), 76, ends=True)))


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


async def prepared(ada: Someone, octets: bytes) -> PreparedMessage:
    return await appending.prepare(ada.store, ada.who, octets, NOON)


async def append(ada: Someone, box: str, *messages: bytes, marked: Flags | None = None) -> Appended:
    pairs = [(await prepared(ada, octets), marked or Flags()) for octets in messages]
    return await appending.append_all(ada.store, ada.who, box, pairs)


async def test_messages_come_in_their_order_and_octet_for_octet(ada: Someone) -> None:
    everything = [octets for name, octets in letters() if octets and len(octets) < 400_000]
    appended = await append(ada, "Archive", *everything)
    assert list(appended.uids) == list(range(1, len(everything) + 1))
    assert await ada.octets("Archive") == everything
    assert [row.message_id for row in await ada.rows("Archive")] == list(appended.message_ids)


async def test_flags_and_keywords_are_of_each(ada: Someone) -> None:
    first, second = await prepared(ada, plain_message(1)), await prepared(ada, plain_message(2))
    pairs = [(first, flags(SEEN, "work", "later")), (second, flags(DELETED, FLAGGED))]
    await appending.append_all(ada.store, ada.who, "INBOX", pairs)
    assert await ada.flags_of() == {1: flags(SEEN, "work", "later"), 2: flags(DELETED, FLAGGED)}
    box = await ada.box()
    assert (box.messages, box.unseen, box.deleted) == (2, 1, 1)
    assert box.octets == sum(row.octets for row in await ada.rows())


async def test_equal_contents_are_kept_once_and_a_thread_runs_through_a_batch(ada: Someone) -> None:
    one = plain_message(1)
    reply = plain_message(2, references="<1@elsewhere.test>")
    await append(ada, "INBOX", one, one, reply, plain_message(3))
    rows = await ada.rows()
    assert len({row.thread_id for row in rows[:3]}) == 1
    assert rows[3].thread_id not in {row.thread_id for row in rows[:3]}
    assert await ada.octets() == [one, one, reply, plain_message(3)]


async def test_a_reply_joins_the_thread_that_is_there(ada: Someone) -> None:
    await append(ada, "INBOX", plain_message(1))
    await append(ada, "Sent", plain_message(2, references="<1@elsewhere.test>"))
    assert (await ada.rows())[0].thread_id == (await ada.rows("Sent"))[0].thread_id


@pytest.mark.parametrize("last", [plain_message(3), LARGE], ids=["small", "large"])
async def test_over_quota_nothing_comes(store: MailStore, company: Company, last: bytes) -> None:
    messages = [plain_message(1), plain_message(2), last]
    ada = Someone(store, await company.person("ada", quota_octets=sum(map(len, messages)) - 1))
    with pytest.raises(OverQuota):
        await append(ada, "INBOX", *messages)
    assert await ada.uids() == []
    assert (await ada.usage()).used_octets == 0
    await append(ada, "INBOX", *messages[:2])
    assert await ada.octets() == messages[:2]


@pytest.mark.parametrize("octets", [plain_message(1), LARGE], ids=["small", "large"])
async def test_where_there_is_no_mailbox_nothing_comes(ada: Someone, octets: bytes) -> None:
    await append(ada, "INBOX", plain_message(9))
    before = await ada.usage(), (await ada.contents()).account_modseq
    with pytest.raises(MailboxNotFound):
        await append(ada, "Nowhere", octets)
    assert (await ada.usage(), (await ada.contents()).account_modseq) == before


async def test_a_name_that_only_holds_others_takes_no_messages(ada: Someone) -> None:
    from mailserver.services import mailboxes

    await mailboxes.create(ada.store, ada.who, "a/b")
    await mailboxes.delete(ada.store, ada.who, "a")
    with pytest.raises((MailboxNotSelectable, MailboxNotFound)):
        await append(ada, "a", plain_message(1))


async def test_appends_that_come_together_share_a_transaction_and_fail_alone(ada: Someone) -> None:
    too_many = Flags(keywords=frozenset(f"word{number}" for number in range(200)))
    results = await asyncio.gather(
        append(ada, "INBOX", plain_message(0)),
        append(ada, "Sent", plain_message(1)),
        append(ada, "Nowhere", plain_message(2)),
        append(ada, "INBOX", plain_message(3), marked=too_many),
        append(ada, "INBOX", LARGE),
        append(ada, "INBOX", plain_message(4), plain_message(5)),
        return_exceptions=True,
    )
    assert [type(result) for result in results] == [
        Appended, Appended, MailboxNotFound, TooManyKeywords, Appended, Appended
    ]  # fmt: skip
    assert sorted(await ada.octets()) == sorted([plain_message(0), LARGE, plain_message(4), plain_message(5)])


async def test_what_is_replaced_goes_with_what_comes(ada: Someone) -> None:
    draft = await ada.append("Drafts", plain_message(1), SEEN)
    old = (draft.mailbox_id, draft.uid)
    message = await prepared(ada, plain_message(2))
    cursor = (await ada.contents("Drafts")).account_modseq
    appended = await appending.append_all(ada.store, ada.who, "Drafts", [(message, flags(SEEN))], replaced=old)
    assert await ada.uids("Drafts") == list(appended.uids) == [2]
    assert await ada.octets("Drafts") == [plain_message(2)]
    assert (await ada.usage()).used_octets == len(plain_message(2))
    changes = await ada.changes("Drafts", cursor)
    assert (list(changes.expunged), [uid for uid, _, _ in changes.arrived]) == ([1], [2])
    with pytest.raises(MessageGone):
        await appending.append_all(ada.store, ada.who, "Drafts", [(message, Flags())], replaced=old)
    assert await ada.uids("Drafts") == [2]


@pytest.mark.parametrize("octets", [plain_message(22), LARGE], ids=["small", "large"])
async def test_what_is_replaced_counts_no_more_for_the_quota(store: MailStore, company: Company, octets: bytes) -> None:
    ada = Someone(store, await company.person("ada", quota_octets=len(octets)))
    draft = await ada.append("Drafts", octets)
    message = await prepared(ada, octets)
    replaced = (draft.mailbox_id, draft.uid)
    await appending.append_all(ada.store, ada.who, "Drafts", [(message, Flags())], replaced=replaced)
    more = await prepared(ada, octets + b"more")
    with pytest.raises(OverQuota):
        await appending.append_all(
            ada.store,
            ada.who,
            "Drafts",
            [(more, Flags())],
            replaced=(draft.mailbox_id, (await ada.rows("Drafts"))[0].uid),
        )
    assert await ada.octets("Drafts") == [octets]


async def test_a_message_that_stands_elsewhere_too_stays_there(ada: Someone) -> None:
    draft = await ada.append("Drafts", plain_message(1))
    await ada.copy("Drafts", [1], "Archive")
    message = await prepared(ada, plain_message(2))
    replaced = (draft.mailbox_id, draft.uid)
    await appending.append_all(ada.store, ada.who, "Sent", [(message, Flags())], replaced=replaced)
    assert await ada.uids("Drafts") == []
    assert await ada.octets("Archive") == [plain_message(1)]
    assert await ada.octets("Sent") == [plain_message(2)]


async def test_accounts_of_a_tenant_share_a_transaction_and_each_has_its_own_answer(
    store: MailStore, company: Company
) -> None:
    everyone = [Someone(store, await company.person(f"p{number}")) for number in range(6)]
    poor = Someone(store, await company.person("poor", quota_octets=1))
    same = plain_message(7)
    wordy = flags(*(f"k{number}" for number in range(1000)))
    await asyncio.gather(*(append(each, "Archive", plain_message(1)) for each in everyone))
    results = await asyncio.gather(
        *(append(each, "Archive", same, plain_message(100 + number)) for number, each in enumerate(everyone)),
        append(everyone[0], "Archive", same),
        append(poor, "Archive", same),
        append(everyone[1], "Nowhere", same),
        append(everyone[2], "Archive", same, marked=wordy),
        return_exceptions=True,
    )
    assert [type(each) for each in results] == [Appended] * 7 + [OverQuota, MailboxNotFound, TooManyKeywords]
    assert await everyone[0].octets("Archive") == [plain_message(1), same, plain_message(100), same]
    assert await everyone[5].octets("Archive") == [plain_message(1), same, plain_message(105)]
    assert await poor.uids("Archive") == []
    async with store.database.read(everyone[0].who.tenant_id) as connection:
        cursor = await connection.execute("SELECT count(DISTINCT xmin::text) FROM placement WHERE uid > 1")
        assert await cursor.fetchone() == (1,)
    async with asyncio.timeout(5):
        while not store.joins.appends.is_quiet:  # noqa: ASYNC110 (it tells nobody)
            await asyncio.sleep(0)


async def test_processes_that_append_the_same_to_the_same_people_do_not_lock_each_other_out(
    store: MailStore, company: Company
) -> None:
    """Two stores, as in two processes; contents and accounts come in opposite orders."""
    everyone = [Someone(store, await company.person(f"p{number}")) for number in range(6)]
    others = [Someone(replace(store, joins=Joins()), each.who) for each in everyone]
    messages = [plain_message(number) for number in range(5)]
    await asyncio.gather(
        *(append(everyone[number % 6], "INBOX", messages[number % 5]) for number in range(60)),
        *(append(others[number % 6], "INBOX", messages[number % 5]) for number in reversed(range(60))),
    )
    assert [len(await each.uids()) for each in everyone] == [20] * 6
