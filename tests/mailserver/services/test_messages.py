"""STORE, COPY, MOVE, EXPUNGE, APPEND: what each does to flags, uids, modseqs, counts and quota."""

from dataclasses import replace

import pytest

from mailserver.services import mailboxes, messages
from mailserver.services.changes import changes_since
from storage import flags as stored_flags
from storage.errors import MailboxNotFound, MailboxNotSelectable, MessageGone, OverQuota, TooManyKeywords
from storage.rows import Columns
from storage.store import MailStore
from storage.types import FlagChange, FlagOperation, Modseq, Uid
from tests.conftest import NOON, Announcements, Company, plain_message
from tests.someone import ADD, ANSWERED, DELETED, DRAFT, FLAGGED, REMOVE, REPLACE, SEEN, Someone, flags


async def shared(ada: Someone) -> None:
    """One message that stands in INBOX and in Archive, uid 1 in both."""
    await ada.receive()
    await ada.copy("INBOX", [1], "Archive")


async def test_a_copied_message_is_the_same_message(ada: Someone) -> None:
    await shared(ada)
    (here,), (there,) = await ada.rows("INBOX"), await ada.rows("Archive")
    assert here.message_id == there.message_id
    assert (await ada.usage()).used_messages == 1


async def test_flags_are_equal_in_every_mailbox_but_deleted(ada: Someone) -> None:
    await shared(ada)
    await ada.flag("INBOX", [1], ADD, SEEN, FLAGGED, DELETED, "work")
    assert await ada.flags_of("INBOX") == {1: flags(SEEN, FLAGGED, DELETED, "work")}
    assert await ada.flags_of("Archive") == {1: flags(SEEN, FLAGGED, "work")}
    await ada.flag("Archive", [1], REPLACE, ANSWERED)
    assert await ada.flags_of("INBOX") == {1: flags(ANSWERED, DELETED)}
    assert await ada.flags_of("Archive") == {1: flags(ANSWERED)}
    await ada.flag("Archive", [1], REMOVE, ANSWERED, DELETED)
    assert await ada.flags_of("INBOX") == {1: flags(DELETED)}


async def test_both_mailboxes_of_a_message_count_what_is_unseen(ada: Someone) -> None:
    await shared(ada)
    assert [(await ada.box(name)).unseen for name in ("INBOX", "Archive")] == [1, 1]
    (stored,) = await ada.flag("INBOX", [1], ADD, SEEN)
    boxes = [await ada.box(name) for name in ("INBOX", "Archive")]
    assert [box.unseen for box in boxes] == [0, 0]
    assert [box.modseq for box in boxes] == [stored.modseq, stored.modseq]


async def test_what_does_not_change_keeps_its_modseq(ada: Someone) -> None:
    await ada.receive()
    (first,) = await ada.flag("INBOX", [1], ADD, SEEN)
    (second,) = await ada.flag("INBOX", [1], ADD, SEEN)
    assert (first.outcome, second.outcome) == ("changed", "same")
    assert second.modseq == first.modseq


async def test_nobody_is_told_of_a_store_that_changes_nothing(ada: Someone, announcements: Announcements) -> None:
    await ada.receive()
    await ada.flag("INBOX", [1], ADD, SEEN)
    announcements.heard.clear()
    await ada.flag("INBOX", [1], ADD, SEEN)
    assert announcements.heard == []


async def test_one_store_is_one_modseq(ada: Someone) -> None:
    for number in range(3):
        await ada.receive(plain_message(number))
    stored = await ada.flag("INBOX", [1, 2, 3], ADD, SEEN)
    assert len({each.modseq for each in stored}) == 1


async def test_uids_that_are_gone_are_absent_from_the_answer(ada: Someone) -> None:
    await ada.receive()
    assert [each.uid for each in await ada.flag("INBOX", [1, 2, 99], ADD, SEEN)] == [1]


async def test_keywords_are_one_whatever_their_case_and_keep_their_first_spelling(ada: Someone) -> None:
    await ada.receive()
    await ada.flag("INBOX", [1], ADD, "Work")
    (again,) = await ada.flag("INBOX", [1], ADD, "WORK", "work", "Home")
    assert again.flags == flags("Work", "Home")
    (replaced,) = await ada.flag("INBOX", [1], REPLACE, "wORK", "home")
    assert (replaced.outcome, replaced.flags) == ("same", flags("Work", "Home"))
    (removed,) = await ada.flag("INBOX", [1], REMOVE, "WORK")
    assert removed.flags == flags("Home")
    (none,) = await ada.flag("INBOX", [1], REMOVE, "hOME")
    assert none.flags == flags()


@pytest.mark.parametrize("operation", [ADD, REPLACE])
async def test_a_store_that_names_one_keyword_twice_sets_one(ada: Someone, operation: FlagOperation) -> None:
    await ada.receive()
    (stored,) = await ada.flag("INBOX", [1], operation, "Work", "work")
    assert len(stored.flags.keywords) == 1


async def test_an_appended_message_has_each_keyword_once(ada: Someone) -> None:
    await ada.append("INBOX", plain_message(), "Work", "work", SEEN)
    (only,) = (await ada.flags_of()).values()
    assert (only.system, len(only.keywords)) == (SEEN, 1)


async def test_a_message_has_so_many_keywords_and_no_more(ada: Someone) -> None:
    limit = stored_flags.KEYWORDS_PER_MESSAGE
    await ada.receive()
    full = [f"k{number}" for number in range(limit)]
    await ada.flag("INBOX", [1], ADD, *full)
    with pytest.raises(TooManyKeywords):
        await ada.flag("INBOX", [1], ADD, "more")
    await ada.flag("INBOX", [1], ADD, "K1")
    with pytest.raises(TooManyKeywords):
        await ada.flag("INBOX", [1], REPLACE, *full, "more")
    with pytest.raises(TooManyKeywords):
        await ada.append("INBOX", plain_message(), *full, "more")
    assert await ada.flags_of() == {1: flags(*full)}


async def test_unchangedsince_spares_what_is_newer(ada: Someone) -> None:
    for number in range(2):
        await ada.receive(plain_message(number))
    (first,) = await ada.flag("INBOX", [1], ADD, FLAGGED)
    before = first.modseq - 1
    stored = await ada.flag("INBOX", [1, 2], ADD, SEEN, unchanged_since=before)
    assert [(each.uid, each.outcome) for each in stored] == [(1, "newer"), (2, "changed")]
    assert stored[0].modseq == first.modseq
    assert await ada.flags_of() == {1: flags(FLAGGED), 2: flags(SEEN)}
    (equal,) = await ada.flag("INBOX", [1], ADD, SEEN, unchanged_since=first.modseq)
    assert equal.outcome == "changed"


async def test_unchangedsince_of_zero_changes_nothing(ada: Someone) -> None:
    await ada.receive()
    (stored,) = await ada.flag("INBOX", [1], ADD, SEEN, unchanged_since=0)
    assert stored.outcome == "newer"


async def test_a_copy_keeps_flags_keywords_dates_and_thread(ada: Someone) -> None:
    await ada.append("INBOX", plain_message(), SEEN, DRAFT, "work")
    copied = await ada.copy("INBOX", [1], "Archive")
    target = await ada.box("Archive")
    assert (copied.uidvalidity, copied.source_uids, copied.target_uids) == (target.uidvalidity, [1], [1])
    assert await ada.flags_of("Archive") == {1: flags(SEEN, DRAFT, "work")}
    (row,) = await ada.rows("Archive")
    assert row.received_at == NOON


async def test_copying_again_makes_a_message_of_its_own(ada: Someone) -> None:
    """JMAP has one set of flags for each Email, and one of it in a mailbox."""
    await shared(ada)
    octets = (await ada.usage()).used_octets
    await ada.copy("INBOX", [1], "Archive")
    first, second = await ada.rows("Archive")
    assert first.message_id != second.message_id
    assert first.thread_id == second.thread_id
    assert await ada.octets("Archive") == [plain_message()] * 2
    assert (await ada.usage()).used_octets == 2 * octets
    await ada.flag("Archive", [2], ADD, SEEN)
    assert await ada.flags_of("INBOX") == {1: flags()}


async def test_copying_into_the_same_mailbox_makes_a_second_message(ada: Someone) -> None:
    await ada.receive()
    copied = await ada.copy("INBOX", [1], "INBOX")
    assert copied.target_uids == [2]
    assert await ada.octets() == [plain_message()] * 2
    assert (await ada.usage()).used_messages == 2


async def test_a_copy_over_quota_changes_nothing(ada: Someone) -> None:
    await ada.receive()
    used = await ada.usage()
    small = Someone(ada.store, replace(ada.who, quota_octets=used.used_octets + 10))
    await small.copy("INBOX", [1], "Archive")  # shares the message, so that nothing more is used
    before = await small.box("Archive")
    with pytest.raises(OverQuota) as refusal:
        await small.copy("INBOX", [1], "Archive")
    assert (refusal.value.used_octets, refusal.value.limit_octets) == (used.used_octets, used.used_octets + 10)
    assert await small.box("Archive") == before
    assert await small.usage() == used


async def test_copying_what_is_gone_copies_the_rest(ada: Someone) -> None:
    await ada.receive()
    assert (await ada.copy("INBOX", [1, 5], "Archive")).source_uids == [1]
    assert (await ada.copy("INBOX", [7], "Archive")).source_uids == []


async def test_there_is_no_copy_to_where_nothing_is(ada: Someone) -> None:
    await ada.receive()
    await mailboxes.create(ada.store, ada.who, "a/b")
    await mailboxes.delete(ada.store, ada.who, "a")
    for act in (ada.copy, ada.move):
        with pytest.raises(MailboxNotFound) as refusal:
            await act("INBOX", [1], "Nowhere")
        assert refusal.value.name == "Nowhere"
        with pytest.raises(MailboxNotSelectable):
            await act("INBOX", [1], "a")
    assert await ada.uids() == [1]


async def test_a_move_takes_away_and_brings_at_one_modseq(ada: Someone) -> None:
    await ada.receive()
    await ada.append("INBOX", plain_message(2), SEEN)
    cursor = (await ada.contents()).account_modseq
    moved = await ada.move("INBOX", [1, 2], "Archive")
    assert (moved.source_uids, moved.target_uids) == ([1, 2], [1, 2])
    left, arrived = await ada.changes("INBOX", cursor), await ada.changes("Archive", cursor)
    assert left.expunged == [1, 2]
    assert {modseq for _, _, modseq in arrived.arrived} == {left.highest_modseq}
    assert arrived.highest_modseq == left.highest_modseq
    counts = [(box.messages, box.unseen) for box in (await ada.box("INBOX"), await ada.box("Archive"))]
    assert counts == [(0, 0), (2, 1)]
    assert (await ada.usage()).used_messages == 2


async def test_a_moved_message_stays_the_same_message(ada: Someone) -> None:
    placed = await ada.receive()
    await ada.move("INBOX", [1], "Archive")
    (row,) = await ada.rows("Archive")
    assert row.message_id == placed.message_id


async def test_a_move_within_a_mailbox_gives_a_fresh_uid(ada: Someone) -> None:
    placed = await ada.receive()
    moved = await ada.move("INBOX", [1], "INBOX")
    assert (moved.source_uids, moved.target_uids) == ([1], [2])
    (row,) = await ada.rows()
    assert (row.uid, row.message_id) == (2, placed.message_id)
    box = await ada.box()
    assert (box.messages, box.unseen, box.uidnext) == (1, 1, 3)


async def test_a_move_to_where_the_message_stands_already_keeps_both(ada: Someone) -> None:
    await shared(ada)
    await ada.move("INBOX", [1], "Archive")
    assert await ada.uids("INBOX") == []
    assert await ada.octets("Archive") == [plain_message()] * 2
    assert (await ada.usage()).used_messages == 2


async def test_expunge_takes_what_is_marked_and_nothing_else(ada: Someone) -> None:
    for number in range(4):
        await ada.receive(plain_message(number))
    await ada.flag("INBOX", [1, 3], ADD, DELETED)
    assert (await ada.expunge("INBOX", [2, 3, 4])).uids == [3]
    assert (await ada.expunge()).uids == [1]
    assert (await ada.expunge()).uids == []
    assert await ada.uids() == [2, 4]


async def test_expunge_gives_back_counts_and_quota(ada: Someone) -> None:
    await ada.receive()
    await ada.append("INBOX", plain_message(2, body="x" * 1000), SEEN, DELETED)
    await ada.expunge()
    box, used = await ada.box(), await ada.usage()
    assert (box.messages, box.unseen) == (1, 1)
    assert (used.used_octets, used.used_messages) == (len(plain_message()), 1)


async def test_a_message_goes_with_its_last_placement(ada: Someone) -> None:
    await shared(ada)
    (row,) = await ada.rows()
    await ada.flag("INBOX", [1], ADD, DELETED)
    await ada.expunge("INBOX")
    assert await ada.octets("Archive") == [plain_message()]
    assert (await ada.usage()).used_messages == 1
    await ada.flag("Archive", [1], ADD, DELETED)
    await ada.expunge("Archive")
    used = await ada.usage()
    assert (used.used_octets, used.used_messages) == (0, 0)
    with pytest.raises(MessageGone):
        await messages.open_content(ada.store, ada.who, row.message_id)


async def test_uids_are_never_given_out_again(ada: Someone) -> None:
    await ada.append("INBOX", plain_message(), DELETED)
    await ada.expunge()
    assert (await ada.receive()).uid == 2


async def test_more_than_a_chunk_is_flagged_moved_and_expunged(ada: Someone, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (messages, stored_flags):
        monkeypatch.setattr(module, "CHUNK_MESSAGES", 2)
    monkeypatch.setattr(messages, "FETCH_CHUNK_MESSAGES", 2)
    for number in range(5):
        await ada.receive(plain_message(number))
    everything = [1, 2, 3, 4, 5]
    stored = await ada.flag("INBOX", everything, ADD, DELETED)
    assert [each.uid for each in stored] == everything
    assert len({each.modseq for each in stored}) == 3
    assert (await ada.copy("INBOX", everything, "Archive")).target_uids == everything
    assert (await ada.move("Archive", everything, "Trash")).target_uids == everything
    assert len(await ada.octets("Trash")) == 5
    assert (await ada.expunge("INBOX", [1, 2, 3])).uids == [1, 2, 3]
    assert (await ada.expunge("INBOX")).uids == [4, 5]
    assert (await ada.usage()).used_messages == 5


async def test_an_append_goes_where_it_should(ada: Someone) -> None:
    placed = await ada.append("Sent", plain_message(3), SEEN, "work")
    box = await ada.box("Sent")
    assert (placed.mailbox_id, placed.uid, placed.uidvalidity) == (box.id, 1, box.uidvalidity)
    assert (box.messages, box.unseen, box.modseq) == (1, 0, placed.modseq)
    with pytest.raises(MailboxNotFound):
        await ada.append("Nowhere", plain_message())


async def test_an_append_over_quota_is_refused(ada: Someone) -> None:
    small = Someone(ada.store, replace(ada.who, quota_octets=10))
    with pytest.raises(OverQuota):
        await small.append("Sent", plain_message())
    assert (await ada.usage()).used_octets == 0


async def test_what_is_recent_is_claimed_once(ada: Someone) -> None:
    for number in (1, 2):
        await ada.receive(plain_message(number))
        assert (await ada.contents()).recent_from == number
        assert await messages.claim_recent(ada.store, ada.who, (await ada.box()).id) == number
        assert await messages.claim_recent(ada.store, ada.who, (await ada.box()).id) is None


async def test_fetch_reads_the_columns_that_were_asked_for(ada: Someone) -> None:
    await ada.receive()
    (facts,) = await ada.rows("INBOX", Columns.FACTS)
    (everything,) = await ada.rows("INBOX", Columns.WIRE | Columns.HEADER | Columns.STRUCTURE)
    header = plain_message()[: facts.header_octets]
    assert (facts.envelope, facts.bodystructure, facts.header, facts.structure) == (b"", b"", b"", b"")
    assert everything.header == header
    assert everything.envelope.startswith(b'("Mon, 02 Nov 2026')
    assert everything.bodystructure.startswith(b'("text" "plain"')
    assert everything.structure


async def test_messages_with_long_headers_come_one_by_one(ada: Someone) -> None:
    """A chunk of hundreds of them would not fit into memory."""
    long = b"".join([b"X-Trace: %d\r\n" % number for number in range(2_000)]) + plain_message(2)
    for message in (plain_message(1), long, long, plain_message(3)):
        await ada.receive(message)
    shown = await ada.contents()
    columns = Columns.HEADER | Columns.WIRE
    chunks = [
        chunk async for chunk in messages.fetch_rows(ada.store, ada.who, shown.mailbox.id, list(shown.uids), columns)
    ]
    assert [[row.uid for row in chunk] for chunk in chunks if chunk] == [[1], [2], [3], [4]]
    assert [len(row.header) == row.header_octets for chunk in chunks for row in chunk] == [True] * 4
    assert all(row.envelope and row.bodystructure for chunk in chunks for row in chunk)


async def test_uids_beyond_31_bits_keep_their_order(ada: Someone) -> None:
    """They travel as signed integers of four octets."""
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        await connection.execute(
            "UPDATE mailbox SET uidnext = 2147483647 WHERE tenant_id = %s AND account_id = %s AND name = 'INBOX'",
            (ada.who.tenant_id, ada.who.account_id),
        )
    for number in range(3):
        await ada.receive(plain_message(number))
    assert await ada.uids() == [2147483647, 2147483648, 2147483649]


async def test_one_person_never_reaches_the_mail_of_another(ada: Someone, company: Company, store: MailStore) -> None:
    bob = Someone(store, await company.person("bob"))
    placed = await ada.receive()
    with pytest.raises(MailboxNotFound):
        await messages.load_contents(store, bob.who, placed.mailbox_id)
    with pytest.raises(MessageGone):
        await messages.open_content(store, bob.who, placed.message_id)
    rows = [row async for row in messages.fetch_rows(store, bob.who, placed.mailbox_id, [Uid(1)], Columns.HEADER)]
    assert rows == [[]]
    change = FlagChange(ADD, flags(DELETED))
    assert await messages.change_flags(store, bob.who, placed.mailbox_id, [Uid(1)], change) == []
    assert (await messages.expunge(store, bob.who, placed.mailbox_id, None)).uids == []
    copied = await messages.copy(store, bob.who, placed.mailbox_id, [Uid(1)], "INBOX")
    moved = await messages.move(store, bob.who, placed.mailbox_id, [Uid(1)], "INBOX")
    assert (copied.source_uids, moved.source_uids) == ([], [])
    assert await ada.flags_of() == {1: flags()}
    seen = await changes_since(store, bob.who, placed.mailbox_id, Modseq(0))
    assert (seen.arrived, seen.changed, seen.expunged) == ([], [], [])
