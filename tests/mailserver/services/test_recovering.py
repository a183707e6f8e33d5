"""What was expunged counts no more and is seen nowhere, and comes back as the same message at a new uid."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from mailserver.services import mailboxes, maildrop, messages
from mailserver.services.appending import append_all, prepare
from mailserver.services.recovering import Choice, list_recoverable, recover
from storage import flags as stored_flags
from storage import recoverable
from storage.errors import MessageGone, OverQuota
from storage.keeping import Keepings
from storage.store import MailStore
from storage.types import Flags, MessageId, Uid
from storage.usage import Usage
from tenants.policies import Keeping
from tenants.types import AccountId, TenantId
from tests.conftest import NOON, Announcements, Company, RunningServices, owner_connection, plain_message
from tests.someone import ADD, ANSWERED, DELETED, DRAFT, SEEN, Someone


@pytest.fixture
async def ada(store: MailStore, company: Company) -> Someone:
    return Someone(store, await company.person("ada"))


def keeping(store: MailStore, kept: Keeping) -> MailStore:
    """The store of a process that was told so."""

    class Told(Keepings):
        async def of(self, *_: object) -> Keeping:
            return kept

    return MailStore(store.database, store.keys, store.blobs, store.announce, keepings=Told())


async def binned(ada: Someone) -> list[recoverable.Recoverable]:
    return [each async for page in list_recoverable(ada.store, ada.who) for each in page]


async def delete(ada: Someone, box: str, *uids: int) -> None:
    await ada.flag(box, list(uids), ADD, DELETED)
    await ada.expunge(box, list(uids))


async def state(ada: Someone) -> tuple[int, int]:
    """Octets and messages in the bin, as the account counts them."""
    async with ada.store.database.system() as connection:
        found = {each.account_id: each for each in await recoverable.all_binned(connection)}
    mine = found.get(ada.who.account_id)
    return (mine.binned_octets, mine.binned_messages) if mine else (0, 0)


async def test_what_was_expunged_comes_back_at_a_new_uid(ada: Someone, announcements: Announcements) -> None:
    placed = await ada.receive(plain_message(1))
    await ada.receive(plain_message(2))
    await ada.flag("INBOX", [1], ADD, SEEN, ANSWERED, "work")
    before = (await ada.octets())[0]
    await delete(ada, "INBOX", 1)
    assert await ada.uids() == [2]
    assert (await ada.usage()).used_messages == 1
    [each] = await binned(ada)
    assert (each.message_id, each.mailbox, each.subject) == (placed.message_id, "INBOX", "Message 1")
    assert await state(ada) == (each.octets, 1)

    announcements.heard.clear()
    cursor = (await ada.contents()).account_modseq
    assert (await recover(ada.store, ada.who)).messages == {"INBOX": 1}
    assert await ada.uids() == [2, 3]
    assert [uid for uid, _, _ in (await ada.changes("INBOX", cursor)).arrived] == [3]
    shown = await ada.flags_of()
    assert shown[3] == Flags(SEEN | ANSWERED, frozenset({"work"}))
    assert (await ada.rows())[1].message_id == placed.message_id
    assert (await ada.octets())[1] == before
    assert (await ada.usage()).used_messages == 2
    assert (await binned(ada), await state(ada)) == ([], (0, 0))
    assert [heard[:2] for heard in announcements.heard] == [(ada.who.tenant_id, ada.who.account_id)]


async def test_a_message_that_stands_elsewhere_too_is_not_in_the_bin(ada: Someone) -> None:
    await ada.receive(plain_message(1))
    await ada.copy("INBOX", [1], "Archive")
    await delete(ada, "INBOX", 1)
    assert await binned(ada) == []
    await delete(ada, "Archive", 1)
    assert [each.mailbox for each in await binned(ada)] == ["Archive"]


async def test_nobody_reads_what_is_in_the_bin(ada: Someone) -> None:
    placed = await ada.receive(plain_message(1))
    await delete(ada, "INBOX", 1)
    with pytest.raises(MessageGone):
        await messages.open_content(ada.store, ada.who, placed.message_id)


async def test_a_deleted_mailbox_comes_back_with_its_messages(ada: Someone) -> None:
    await mailboxes.create(ada.store, ada.who, "Work/Plans")
    for number in range(3):
        await ada.append("Work/Plans", plain_message(number), SEEN)
    await mailboxes.delete(ada.store, ada.who, "Work/Plans")
    assert (await ada.usage()).used_messages == 0
    assert (await recover(ada.store, ada.who)).messages == {"Work/Plans": 3}
    assert await binned(ada) == []
    assert await ada.uids("Work/Plans") == [1, 2, 3]


async def test_messages_come_back_into_another_mailbox_or_one_of_many(ada: Someone) -> None:
    await ada.append("Sent", plain_message(1))
    await ada.receive(plain_message(2))
    await delete(ada, "Sent", 1)
    await delete(ada, "INBOX", 1)
    assert (await recover(ada.store, ada.who, Choice(mailbox="Sent"), into="Found")).messages == {"Found": 1}
    assert [each.subject for each in await binned(ada)] == ["Message 2"]
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert not (await recover(ada.store, ada.who, Choice(since=tomorrow))).messages
    assert (await recover(ada.store, ada.who, Choice(since=tomorrow - timedelta(days=2)))).messages == {"INBOX": 1}


async def test_a_renamed_mailbox_is_found_by_what_it_is_called_now(ada: Someone) -> None:
    await mailboxes.create(ada.store, ada.who, "Old")
    await ada.append("Old", plain_message(1))
    await delete(ada, "Old", 1)
    await mailboxes.rename(ada.store, ada.who, "Old", "New")
    assert (await recover(ada.store, ada.who)).messages == {"New": 1}


async def test_bringing_back_is_refused_over_quota_and_changes_nothing(store: MailStore, company: Company) -> None:
    octets = len(plain_message(1))
    ada = Someone(store, await company.person("ada", quota_octets=2 * octets))
    await ada.receive(plain_message(1))
    await delete(ada, "INBOX", 1)
    await ada.receive(plain_message(2))
    await ada.receive(plain_message(3))
    cursor = (await ada.contents()).account_modseq
    with pytest.raises(OverQuota):
        await recover(store, ada.who)
    assert len(await binned(ada)) == 1
    assert (await ada.contents()).account_modseq == cursor


async def test_a_tenant_that_keeps_nothing_has_no_bin(store: MailStore, company: Company) -> None:
    ada = Someone(keeping(store, Keeping(recoverable_days=0)), await company.person("ada"))
    placed = await ada.receive(plain_message(1))
    await delete(ada, "INBOX", 1)
    assert await binned(ada) == []
    with pytest.raises(MessageGone):
        await messages.open_content(ada.store, ada.who, placed.message_id)


async def test_older_versions_of_a_draft_are_not_kept(ada: Someone) -> None:
    for version in range(3):
        await ada.append("Drafts", plain_message(7, body=f"version {version}"), DRAFT)
    await ada.append("Drafts", plain_message(8), DRAFT)
    await delete(ada, "Drafts", 1, 2)
    assert await binned(ada) == []
    await delete(ada, "Drafts", 3, 4)
    assert len(await binned(ada)) == 2, "the last versions were thrown away by somebody"


async def test_under_legal_hold_older_versions_of_a_draft_are_kept_too(store: MailStore, company: Company) -> None:
    ada = Someone(keeping(store, Keeping(recoverable_days=0, is_held=True)), await company.person("ada"))
    for version in range(2):
        await ada.append("Drafts", plain_message(7, body=f"version {version}"), DRAFT)
    await delete(ada, "Drafts", 1, 2)
    assert len(await binned(ada)) == 2


@pytest.mark.parametrize(("value", "kept"), [(SEEN, 1), (DRAFT, 0)])
async def test_what_replace_replaces_is_kept_unless_it_is_a_draft(ada: Someone, value: object, kept: int) -> None:
    await ada.append("INBOX", plain_message(1), value)  # type: ignore[arg-type]
    box = await ada.box()
    new = await prepare(ada.store, ada.who, plain_message(2), NOON)
    await append_all(ada.store, ada.who, "INBOX", [(new, Flags())], replaced=(box.id, Uid(1)))
    assert len(await binned(ada)) == kept
    assert await ada.usage() == Usage(len(plain_message(2)), 1)


async def test_what_pop3_removes_is_in_the_bin(ada: Someone) -> None:
    await ada.receive(plain_message(1))
    drop = await maildrop.open_maildrop(ada.store, ada.who)
    await maildrop.remove(ada.store, ada.who, drop, [Uid(1)])
    assert (await recover(ada.store, ada.who)).messages == {"INBOX": 1}


async def test_others_see_nothing_of_it(ada: Someone, company: Company) -> None:
    bob = Someone(ada.store, await company.person("bob"))
    await ada.receive(plain_message(1))
    await delete(ada, "INBOX", 1)
    assert await binned(bob) == []
    [each] = await binned(ada)
    async with ada.store.database.transaction(ada.who.tenant_id) as connection:
        ids = [MessageId(each.message_id)]
        box = await bob.box()
        restored, modseq = await recoverable.restore(
            connection, bob.who.tenant_id, bob.who.account_id, ids, box.id, quota_octets=None
        )
        assert (restored, modseq) == ([], None)
        assert await recoverable.purge(connection, bob.who.tenant_id, bob.who.account_id, ids) == 0


def account_is_sound(services: RunningServices, tenant_id: TenantId, account_id: AccountId) -> bool:
    """Counts are what they count, and each message is either in a mailbox or in the bin."""
    with owner_connection(services) as owner:
        row = owner.execute(
            """
            SELECT a.used_octets, a.used_messages, a.binned_octets, a.binned_messages,
                   coalesce(sum(m.octets) FILTER (WHERE r.message_id IS NULL), 0)::bigint,
                   count(m.id) FILTER (WHERE r.message_id IS NULL), coalesce(sum(r.octets), 0)::bigint,
                   count(r.message_id),
                   count(*) FILTER (WHERE m.id IS NOT NULL AND (r.message_id IS NULL) <> EXISTS (
                       SELECT FROM placement p WHERE p.tenant_id = a.tenant_id AND p.message_id = m.id))
              FROM account_state a
              LEFT JOIN message m ON m.tenant_id = a.tenant_id AND m.account_id = a.account_id
              LEFT JOIN recoverable r ON r.tenant_id = a.tenant_id AND r.account_id = a.account_id
                                     AND r.message_id = m.id
             WHERE a.tenant_id = %s AND a.account_id = %s
             GROUP BY a.tenant_id, a.account_id
            """,
            (tenant_id, account_id),
        ).fetchone()
        blobs = owner.execute(
            """
            SELECT (SELECT count(*) FROM message_blob b WHERE b.tenant_id = %(tenant)s
                       AND NOT EXISTS (SELECT FROM message m WHERE m.tenant_id = b.tenant_id AND m.id = b.message_id)),
                   (SELECT count(*) FROM message m WHERE m.tenant_id = %(tenant)s
                       AND NOT EXISTS (SELECT FROM message_blob b WHERE b.tenant_id = m.tenant_id
                                          AND b.message_id = m.id))
            """,
            {"tenant": tenant_id},
        ).fetchone()
    assert row is not None
    return row[:4] == row[4:8] and row[8] == 0 and blobs == (0, 0)


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_happens_a_message_is_in_a_mailbox_or_in_the_bin_or_gone(
    ada: Someone, services: RunningServices, seed: int
) -> None:
    rng = random.Random(seed)
    boxes = ("INBOX", "Sent", "Archive")
    placed: dict[str, list[str]] = {box: [] for box in boxes}  # subjects in the order of uids
    bin_: dict[str, str] = {}  # subject: mailbox
    number = 0
    for _ in range(60):
        box = rng.choice(boxes)
        match rng.randrange(6):
            case 0 | 1:
                number += 1
                await ada.append(box, plain_message(number))
                placed[box].append(f"Message {number}")
            case 2 | 3 if placed[box]:
                places = rng.sample(range(len(placed[box])), rng.randint(1, len(placed[box])))
                uids = await ada.uids(box)
                await delete(ada, box, *(uids[place] for place in places))
                for place in sorted(places, reverse=True):
                    bin_[placed[box].pop(place)] = box
            case 4:
                recovered = await recover(ada.store, ada.who, Choice(mailbox=box))
                back = [subject for subject, was in bin_.items() if was == box]
                assert recovered.messages.total() == len(back)
                back.sort(key=lambda subject: int(subject.split()[1]))  # ids ascend as messages came
                placed[box] += back
                for subject in back:
                    del bin_[subject]
            case _ if bin_:
                [found] = [page async for page in list_recoverable(ada.store, ada.who)]
                gone = rng.sample(found, rng.randint(1, len(found)))
                ids = [MessageId(each.message_id) for each in gone]
                async with ada.store.database.transaction(ada.who.tenant_id) as connection:
                    count = await recoverable.purge(connection, ada.who.tenant_id, ada.who.account_id, ids)
                assert count == len(ids)
                for each in gone:
                    del bin_[each.subject]
            case _:
                pass
        assert {each.subject: each.mailbox for each in await binned(ada)} == bin_
        for name in boxes:
            assert await ada.octets(name) == [plain_message(int(each.split()[1])) for each in placed[name]]
    assert account_is_sound(services, ada.who.tenant_id, ada.who.account_id)


async def test_a_thousand_go_and_come_back_in_chunks(ada: Someone, services: RunningServices) -> None:
    some = [(await prepare(ada.store, ada.who, plain_message(n), NOON), Flags()) for n in range(1200)]
    await append_all(ada.store, ada.who, "INBOX", some[:600])
    await append_all(ada.store, ada.who, "INBOX", some[600:])
    await delete(ada, "INBOX", *range(1, 1201))
    assert len(await binned(ada)) == 1200 > stored_flags.CHUNK_MESSAGES
    assert (await recover(ada.store, ada.who)).messages == {"INBOX": 1200}
    assert await ada.uids() == list(range(1201, 2401))
    assert account_is_sound(services, ada.who.tenant_id, ada.who.account_id)
