"""A mailbox or an account comes back from its archive: the same octets, flags, ids; and clients can tell."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from mailserver.services import mailboxes
from storage import steps
from storage.archive.files import Archive
from storage.archive.format import ArchiveUnusable
from storage.errors import MailboxNotFound
from storage.store import MailStore
from tests.conftest import Company, RunningServices, plain_message
from tests.people import new_person
from tests.someone import ADD, DELETED, FLAGGED, Someone
from tests.storage.archive.conftest import Join, Office
from tests.storage.archive.pictures import Picture, pictures
from tests.storage.tiers.conftest import Interrupted, Steps


async def empty(one: Someone) -> None:
    for name in await one.names():
        if name not in ("INBOX", "项目"):
            await mailboxes.delete(one.store, one.who, name)
    await one.flag("INBOX", await one.uids(), ADD, DELETED)
    await one.expunge("INBOX")
    assert (await one.usage()).used_messages == 0


def told_anew(before: dict[str, Picture], after: dict[str, Picture]) -> None:
    """The same messages under the same uids, and a uidvalidity that no client knows."""
    for name, picture in before.items():
        if picture.messages:
            assert after[name].messages == picture.messages, name
            assert after[name].uidvalidity > max(each.uidvalidity for each in before.values()), name
            assert after[name].uidnext >= picture.uidnext, name


async def test_an_emptied_account_is_rebuilt_with_its_uids_in_a_new_epoch(filled: Office) -> None:
    before, used = await pictures(filled.one), await filled.one.usage()
    ((epoch, modseq),) = filled.attic.sql("SELECT epoch, modseq FROM account_state WHERE tenant_id = {t}")
    archive = await filled.archive()
    await empty(filled.one)
    told = await filled.restore(archive)
    assert (told.is_rebuilt, told.added, told.present, told.lost) == (True, 31, 0, 0)
    told_anew(before, await pictures(filled.one))
    assert await filled.one.usage() == used
    ((later, modseq_now),) = filled.attic.sql("SELECT epoch, modseq FROM account_state WHERE tenant_id = {t}")
    assert later == epoch + 1
    assert modseq_now > modseq + 2**40


async def test_an_account_whose_rows_are_all_gone_is_rebuilt(filled: Office) -> None:
    before = await pictures(filled.one)
    archive = await filled.archive()
    for table in ("placement", "message_blob", "message", "mailbox", "account_state", "change", "thread_reference",
                  "recoverable", "blob_content", "blob", "search_page"):  # fmt: skip
        filled.attic.sql(f"DELETE FROM {table} WHERE tenant_id = {{t}}")  # noqa: S608
    told = await filled.restore(archive)
    assert (told.is_rebuilt, told.added) == (True, 31)
    after = await pictures(filled.one)
    for name, picture in before.items():
        assert after[name].messages == picture.messages


async def test_a_mailbox_that_was_deleted_comes_back(filled: Office) -> None:
    before = await pictures(filled.one)
    archive = await filled.archive(mailbox="项目/计划")
    await mailboxes.delete(filled.one.store, filled.one.who, "项目/计划")
    await filled.one.append("INBOX", plain_message(500))
    told = await filled.restore(archive)
    assert (told.is_rebuilt, told.added) == (False, 9)
    after = await pictures(filled.one)
    assert after["项目/计划"].contents == before["项目/计划"].contents
    assert [each[0] for each in after["项目/计划"].messages.values()] == [
        each[0] for each in before["项目/计划"].messages.values()
    ]
    assert after["INBOX"].messages.items() >= before["INBOX"].messages.items()


async def test_messages_that_were_deleted_come_back_with_new_uids_and_clients_are_told(filled: Office) -> None:
    before = await pictures(filled.one)
    archive = await filled.archive()
    uids = await filled.one.uids("Archive")
    await filled.one.flag("Archive", uids[:4], ADD, DELETED)
    await filled.one.expunge("Archive")
    shown = await filled.one.contents("Archive")
    told = await filled.restore(archive)
    assert (told.added, told.present) == (4, 27)
    changes = await filled.one.changes("Archive", shown.account_modseq)
    assert [uid for uid, _, _ in changes.arrived] == list(
        range(before["Archive"].uidnext, before["Archive"].uidnext + 4)
    )
    after = await pictures(filled.one)
    assert after["Archive"].contents == before["Archive"].contents
    assert after["Archive"].uidvalidity == before["Archive"].uidvalidity
    told = await filled.restore(archive)
    assert (told.added, told.present) == (0, 31)
    assert await pictures(filled.one) == after


async def test_what_stands_elsewhere_now_is_placed_with_the_flags_it_has_there(filled: Office) -> None:
    archive = await filled.archive(mailbox="项目/计划")
    uids = await filled.one.uids("项目/计划")
    used = await filled.one.usage()
    moved = await filled.one.move("项目/计划", uids[:1], "Trash")
    await filled.one.flag("Trash", list(moved.target_uids), ADD, FLAGGED, "later")
    told = await filled.restore(archive)
    assert (told.added, told.present) == (1, len(uids) - 1)
    assert (
        list((await filled.one.flags_of("项目/计划")).values())[-1]
        == list((await filled.one.flags_of("Trash")).values())[-1]
    )
    assert await filled.one.usage() == used


async def test_a_mailbox_that_was_renamed_is_the_same(filled: Office) -> None:
    archive = await filled.archive(mailbox="项目/计划")
    await mailboxes.rename(filled.one.store, filled.one.who, "项目/计划", "Plans")
    told = await filled.restore(archive)
    assert (told.added, told.present) == (0, 9)


@pytest.mark.parametrize("is_emptied", [False, True])
async def test_two_mailboxes_of_which_one_has_the_others_name_now(filled: Office, is_emptied: bool) -> None:
    one = filled.one
    for name in ("Alpha", "Work"):
        await mailboxes.create(one.store, one.who, name)
    await one.append("Alpha", plain_message(700))
    await one.copy("Alpha", await one.uids("Alpha"), "Work")
    archive = await filled.archive()
    await mailboxes.delete(one.store, one.who, "Alpha")
    await mailboxes.rename(one.store, one.who, "Work", "Alpha")
    if is_emptied:
        for uid_box in ("INBOX", "Alpha"):
            await one.flag(uid_box, await one.uids(uid_box), ADD, DELETED)
            await one.expunge(uid_box)
    told = await filled.restore(archive)
    assert told.lost == 0
    assert await one.octets("Alpha") == [plain_message(700)]
    assert (await filled.restore(archive)).added == 0


async def test_it_goes_into_another_account_of_the_company(filled: Office, colleague: Join) -> None:
    archive = await filled.archive()
    bob = await colleague()
    told = await filled.restore(archive, bob)
    assert (told.added, told.lost) == (31, 0)
    hers, his = await pictures(filled.one), await pictures(bob)
    for name, picture in hers.items():
        assert his[name].contents == picture.contents
    told = await filled.restore(archive, bob)
    assert told.added == 0
    assert await pictures(filled.one) == hers


async def test_it_goes_into_no_other_company(filled: Office, store: MailStore, services: RunningServices) -> None:
    archive = await filled.archive()
    stranger = await asyncio.to_thread(new_person, services)
    keys = await store.keys.of(stranger.principal.tenant_id)
    office = Office(stranger, Someone(store, stranger.principal), filled.attic.with_keys(keys), services, Path())
    with pytest.raises(ArchiveUnusable, match="into accounts of that one only"):
        await office.restore(archive)


async def test_mail_that_comes_while_it_is_archived_is_whole_in_it_or_not_at_all(filled: Office) -> None:
    stop = asyncio.Event()
    sent = 0

    async def keep_coming() -> None:
        nonlocal sent
        while not stop.is_set():
            await filled.one.append("INBOX", plain_message(1000 + sent))
            uids = await filled.one.uids("INBOX")
            await filled.one.flag("INBOX", uids[-2:-1], ADD, DELETED)
            await filled.one.expunge("INBOX")
            sent += 1

    coming = asyncio.create_task(keep_coming())
    archives = [await filled.archive(name=f"archive{number}") for number in range(3)]
    stop.set()
    await coming
    assert sent
    for archive in archives:
        rows = list(archive.rows("messages.ndjson.zst"))
        (inbox,) = [row for row in archive.rows("mailboxes.ndjson.zst") if row["name"] == "INBOX"]
        placed = [at for row in rows for at in row["placements"] if at["mailbox_id"] == inbox["id"]]
        assert len(placed) == inbox["messages"]
        assert sum(row["message"]["octets"] for row in rows for at in row["placements"]
                   if at["mailbox_id"] == inbox["id"]) == inbox["octets"]  # fmt: skip
        needed = {digest for row in rows for digest in row["blobs"]}
        assert needed == {head.digest.hex() for head, _ in archive.blobs()}


@pytest.mark.parametrize("step", ["archive: some content is there", "archive: some messages are there"])
async def test_who_is_interrupted_begins_anew(filled: Office, step: str) -> None:
    before = await pictures(filled.one)
    archive = await filled.archive()
    await mailboxes.delete(filled.one.store, filled.one.who, "Archive")
    steps.listener = Steps([], ends_at=step)
    try:
        with pytest.raises(Interrupted):
            await filled.restore(archive)
    finally:
        steps.listener = None
    await filled.restore(archive)
    after = await pictures(filled.one)
    assert {name: each.contents for name, each in after.items()} == {
        name: each.contents for name, each in before.items()
    }


async def test_a_rebuilding_that_is_interrupted_leaves_nothing(filled: Office) -> None:
    before = await pictures(filled.one)
    archive = await filled.archive()
    await empty(filled.one)
    steps.listener = Steps([], ends_at="archive: account is rebuilt")
    try:
        with pytest.raises(Interrupted):
            await filled.restore(archive)
    finally:
        steps.listener = None
    assert (await filled.one.usage()).used_messages == 0
    assert (await filled.restore(archive)).is_rebuilt
    told_anew(before, await pictures(filled.one))


async def test_damage_is_told_and_the_rest_is_there(filled: Office) -> None:
    damaged = await filled.attic.flip_a_bit_in_the_first_live_blob()
    taken = await filled.take()
    assert taken.damaged == [damaged]
    archive = Archive(filled.directory / "archive")
    assert archive.manifest.damaged == [damaged.hex()]
    filled.attic.sql("DELETE FROM blob WHERE tenant_id = {t} AND digest = %s", damaged)
    await mailboxes.delete(filled.one.store, filled.one.who, "项目/计划")
    await mailboxes.delete(filled.one.store, filled.one.who, "Archive")
    filled.attic.sql("DELETE FROM recoverable WHERE tenant_id = {t}")
    told = await filled.restore(archive)
    assert told.lost == 1


async def test_a_copy_that_postgres_still_has_is_taken_for_one_that_is_damaged(office: Office) -> None:
    await office.one.append("INBOX", plain_message(1))
    office.attic.age()
    await office.attic.tier()
    await office.attic.flip_a_bit_in_the_first_live_blob()
    taken = await office.take()
    assert taken.damaged == []


async def test_a_key_that_was_given_up_since_is_in_the_archive(filled: Office) -> None:
    before = await pictures(filled.one)
    archive = await filled.archive()
    keys = await filled.attic.with_new_key()
    old = min(keys.data_keys)
    for table in ("blob_content", "blob", "message_blob", "placement", "message", "recoverable", "account_state",
                  "mailbox"):  # fmt: skip
        filled.attic.sql(f"DELETE FROM {table} WHERE tenant_id = {{t}}")  # noqa: S608
    filled.attic.sql("DELETE FROM data_key WHERE tenant_id = {t} AND id = %s", old)
    filled.one.store.keys.forget(keys.tenant_id)
    office = replace(filled, attic=filled.attic.with_keys(await filled.one.store.keys.of(keys.tenant_id)))
    assert old not in office.attic.keys.data_keys
    assert (await office.restore(archive)).is_rebuilt
    after = await pictures(filled.one)
    assert {name: each.messages for name, each in after.items()} == {
        name: each.messages for name, each in before.items()
    }


async def test_a_mailbox_that_is_not_there_leaves_nothing(filled: Office) -> None:
    with pytest.raises(MailboxNotFound):
        await filled.archive(mailbox="Nowhere")
    assert list(filled.directory.iterdir()) == []


@pytest.mark.parametrize("how", ["cut", "altered", "missing", "manifest", "unfinished"])
async def test_an_archive_that_is_not_whole_is_told_before_anything_is_written(filled: Office, how: str) -> None:
    await filled.take()
    root = filled.directory / "archive"
    content = root / "content" / "0001"
    octets = bytearray(content.read_bytes())
    if how == "cut":
        content.write_bytes(octets[:-1])
    elif how == "altered":
        octets[len(octets) // 2] ^= 1
        content.write_bytes(octets)
    elif how == "missing":
        content.unlink()
    elif how == "manifest":
        manifest = root / "manifest.json"
        manifest.write_text(manifest.read_text().replace("messages", "massages"))
    else:
        (root / "manifest.json").unlink()
    with pytest.raises(ArchiveUnusable):
        Archive(root)


async def test_what_is_at_the_place_already_stays(filled: Office) -> None:
    (filled.directory / "archive").mkdir()
    (filled.directory / "archive" / "mine").touch()
    with pytest.raises(FileExistsError):
        await filled.take()
    assert (filled.directory / "archive" / "mine").exists()


async def test_an_empty_account_is_archived_and_comes_back(company: Company, office: Office) -> None:
    archive = await office.archive()
    told = await office.restore(archive)
    assert (told.added, told.is_rebuilt) == (0, True)
