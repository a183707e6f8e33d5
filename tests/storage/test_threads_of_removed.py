"""Every removal in the log names the thread of what was removed, whatever removed it: the message may be gone later."""

import re
from collections.abc import Awaitable, Callable
from typing import LiteralString

import pytest

from mailserver.services import mailboxes
from mailserver.services.appending import append_all, prepare
from mailserver.services.email_changing import EmailChange, change_emails
from mailserver.services.recovering import recover
from storage.epochs import Lost, start_epoch
from storage.keeping import Keepings
from storage.retention import apply_rules
from storage.store import MailStore
from storage.types import Flags, MessageId, Uid
from tenants.policies import Keeping
from tests.conftest import NOON, Company, RunningServices, owner_connection, plain_message
from tests.directory_rows import Directory
from tests.someone import ADD, DELETED, DRAFT, SEEN, Someone

Act = Callable[[Someone, Directory], Awaitable[object]]
ANSWER = plain_message(9, in_reply_to="<1@elsewhere.test>")
_REMOVED = """
SELECT message_id, thread_id FROM change WHERE account_id = %s AND modseq > %s AND kind = 3 ORDER BY modseq, seq
"""

KEEPINGS = {
    "kept for a while": Keeping(),
    "kept for no time": Keeping(recoverable_days=0),
    "under legal hold": Keeping(is_held=True),
}


async def message_ids(ada: Someone, box: str = "INBOX") -> list[MessageId]:
    return [row.message_id for row in await ada.rows(box)]


async def expunge(ada: Someone, box: str = "INBOX") -> None:
    await ada.flag(box, await ada.uids(box), ADD, DELETED)
    await ada.expunge(box)


async def expunge_some(ada: Someone, _: Directory) -> None:
    await ada.flag("INBOX", [1, 2, 3], ADD, DELETED)
    await ada.expunge("INBOX", [2, 3])


async def expunge_what_stands_elsewhere_too(ada: Someone, _: Directory) -> None:
    await ada.copy("INBOX", [2, 3], "Archive")
    await expunge(ada)


async def expunge_an_older_draft(ada: Someone, _: Directory) -> None:
    for _number in range(2):
        await ada.append("Drafts", ANSWER, DRAFT)
    await ada.flag("Drafts", [1], ADD, DELETED)
    await ada.expunge("Drafts")


async def move_to_where_it_stands(ada: Someone, _: Directory) -> None:
    await ada.copy("INBOX", [2], "Archive")
    await ada.move("INBOX", [2, 3], "Archive")


async def delete_a_mailbox(ada: Someone, _: Directory) -> None:
    await mailboxes.create(ada.store, ada.who, "Work")
    await ada.move("INBOX", [2], "Work")
    await ada.copy("INBOX", [3], "Work")
    await mailboxes.delete(ada.store, ada.who, "Work")


async def replace(ada: Someone, value: Flags) -> None:
    placed = await ada.append("Drafts", ANSWER, value.system)
    new = await prepare(ada.store, ada.who, ANSWER, NOON)
    await append_all(ada.store, ada.who, "Drafts", [(new, value)], replaced=(placed.mailbox_id, placed.uid))


async def destroy(ada: Someone, _: Directory) -> None:
    await ada.copy("INBOX", [2], "Archive")
    changes = [EmailChange(each, is_destroyed=True) for each in await message_ids(ada)]
    await change_emails(ada.store, ada.who, changes)


async def destroy_an_older_draft(ada: Someone, _: Directory) -> None:
    placed = await ada.append("Drafts", ANSWER, DRAFT)
    changes = [EmailChange(placed.message_id, is_destroyed=True)]
    await change_emails(ada.store, ada.who, changes, superseded=[placed.message_id])


async def rearrange(ada: Someone, _: Directory) -> None:
    wanted = frozenset({(await ada.box("Archive")).id, (await ada.box("Trash")).id})
    await change_emails(ada.store, ada.who, [EmailChange(each, mailboxes=wanted) for each in await message_ids(ada)])


async def apply_a_rule(ada: Someone, directory: Directory, action: str) -> None:
    directory.tenant(ada.who.tenant_id)
    directory.account(ada.who)
    directory.rule(ada.who.tenant_id, "INBOX", 30, action)
    directory.run(
        "UPDATE placement SET saved_at = now() - interval '40 days' WHERE account_id = %(account)s",
        account=ada.who.account_id,
    )
    await apply_rules(ada.store)


async def expunge_what_was_brought_back(ada: Someone, _: Directory) -> None:
    await expunge(ada)
    await recover(ada.store, ada.who)
    await ada.receive(ANSWER)
    await expunge(ada)
    await ada.empty_bin()


async def renumber(ada: Someone, _: Directory) -> None:
    box = await ada.box()
    async with ada.store.database.read(ada.who.tenant_id) as connection:
        lost = Lost([(box.id, Uid(2)), (box.id, Uid(3))])
        await start_epoch(connection, ada.who.tenant_id, ada.who.account_id, lost)


async def as_before(ada: Someone, statement: LiteralString) -> None:
    """By what only older processes call."""
    box = await ada.box()
    await ada.flag("INBOX", [1, 2, 3], ADD, DELETED)
    async with ada.store.database.transaction(ada.who.tenant_id) as connection:
        await connection.execute(statement, (ada.who.tenant_id, ada.who.account_id, box.id))


ACTS: dict[str, Act] = {
    "EXPUNGE": lambda ada, _: expunge(ada),
    "UID EXPUNGE": expunge_some,
    "EXPUNGE of what stands elsewhere too": expunge_what_stands_elsewhere_too,
    "EXPUNGE of an older draft": expunge_an_older_draft,
    "MOVE": lambda ada, _: ada.move("INBOX", [2, 3], "Archive"),
    "MOVE to where it stands": move_to_where_it_stands,
    "a mailbox deleted": delete_a_mailbox,
    "REPLACE": lambda ada, _: replace(ada, Flags(SEEN, frozenset({"work"}))),
    "REPLACE of a draft": lambda ada, _: replace(ada, Flags(DRAFT, frozenset())),
    "Email destroyed": destroy,
    "an older draft destroyed": destroy_an_older_draft,
    "Email put elsewhere": rearrange,
    "a retention rule removes": lambda ada, directory: apply_a_rule(ada, directory, "remove"),
    "a retention rule moves to the trash": lambda ada, directory: apply_a_rule(ada, directory, "trash"),
    "brought back from the bin, and expunged again": expunge_what_was_brought_back,
    "a new epoch": renumber,
    "expunge_v1": lambda ada, _: as_before(ada, "SELECT expunge_v1(%s, %s, %s, NULL, false, 100)"),
    "remove_v1": lambda ada, _: as_before(ada, "SELECT remove_v1(%s, %s, %s, 2)"),
}


@pytest.mark.parametrize("kept", KEEPINGS)
@pytest.mark.parametrize("act", ACTS)
async def test_a_removal_names_its_thread(
    services: RunningServices, store: MailStore, company: Company, act: str, kept: str
) -> None:
    class Told(Keepings):
        async def of(self, *_: object) -> Keeping:
            return KEEPINGS[kept]

    store = MailStore(store.database, store.keys, store.blobs, store.announce, keepings=Told())
    ada, directory = Someone(store, await company.person("ada")), Directory(services)
    for octets in (plain_message(1), plain_message(2, in_reply_to="<1@elsewhere.test>"), plain_message(3)):
        await ada.receive(octets)
    threads = {row.message_id: row.thread_id for row in await ada.rows()}
    first, *_ = threads.values()
    assert len(set(threads.values())) == 2
    before = (await ada.contents()).account_modseq
    await ACTS[act](ada, directory)
    with owner_connection(services) as owner:
        removed = owner.execute(_REMOVED, (ada.who.account_id, before)).fetchall()
    assert removed
    assert removed == [(message, threads.get(message, first)) for message, _ in removed]


def test_whatever_logs_a_removal_does_so_with_a_thread(services: RunningServices) -> None:
    with owner_connection(services) as owner:
        functions = owner.execute("SELECT proname, prosrc FROM pg_proc WHERE prosrc ~ 'INSERT INTO change'").fetchall()
        triggers = owner.execute("SELECT tgname FROM pg_trigger WHERE tgrelid = 'change'::regclass").fetchall()
    listed = [
        (name, columns) for name, source in functions for columns in re.findall(r"INTO change \(([^)]*)\)", str(source))
    ]
    removals = {name: columns for name, columns in listed if "flags_before" in columns and "flags_after" not in columns}
    assert {"expunge_v2", "remove_v2", "copy_v1", "rearrange_v1"} <= removals.keys()
    assert [name for name, columns in removals.items() if "thread_id" not in columns] == []
    assert triggers == []
