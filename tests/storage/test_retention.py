"""Retention rules take what lies in a folder for long, as a person would, and nothing that is under legal hold."""

import pytest

from mailserver.services import mailboxes
from mailserver.services.recovering import recover
from storage.retention import apply_rules, rule_of
from storage.store import MailStore
from tenants.policies import RetentionAction, Rule
from tenants.types import AccountId
from tests.conftest import Announcements, Company, RunningServices, plain_message
from tests.directory_rows import Directory
from tests.someone import SEEN, Someone


@pytest.fixture
def directory(services: RunningServices, company: Company) -> Directory:
    made = Directory(services)
    made.tenant(company.tenant_id)
    return made


@pytest.fixture
async def ada(store: MailStore, company: Company, directory: Directory) -> Someone:
    person = await company.person("ada")
    directory.account(person)
    return Someone(store, person)


async def filled(ada: Someone, box: str, old: int, new: int, directory: Directory) -> None:
    for number in range(old + new):
        await ada.append(box, plain_message(number), SEEN)
    directory.run(
        """
        UPDATE placement SET saved_at = now() - interval '40 days'
         WHERE account_id = %(account)s AND mailbox_id = %(mailbox)s AND uid <= %(old)s
        """,
        account=ada.who.account_id,
        mailbox=(await ada.box(box)).id,
        old=old,
    )


async def test_what_is_old_goes_to_the_bin_and_clients_are_told(
    ada: Someone, directory: Directory, announcements: Announcements
) -> None:
    await filled(ada, "Junk", 3, 2, directory)
    directory.rule(ada.who.tenant_id, "\\Junk", 30, "remove")
    cursor = (await ada.contents("Junk")).account_modseq
    announcements.heard.clear()
    await apply_rules(ada.store)
    assert await ada.uids("Junk") == [4, 5]
    assert list((await ada.changes("Junk", cursor)).expunged) == [1, 2, 3]
    assert announcements.heard
    assert (await recover(ada.store, ada.who)).messages == {"Junk": 3}
    assert {flags.system for flags in (await ada.flags_of("Junk")).values()} == {SEEN}
    await apply_rules(ada.store)
    assert len(await ada.uids("Junk")) == 5, "what was brought back is new in the folder"


async def test_what_is_old_goes_to_the_trash(ada: Someone, directory: Directory) -> None:
    await mailboxes.create(ada.store, ada.who, "Lists")
    await filled(ada, "Lists", 2, 1, directory)
    directory.rule(ada.who.tenant_id, "Lists", 30, "trash")
    await apply_rules(ada.store)
    assert await ada.uids("Lists") == [3]
    assert len(await ada.uids("Trash")) == 2


async def test_the_trash_is_not_moved_to_itself(ada: Someone, directory: Directory) -> None:
    await filled(ada, "Trash", 2, 0, directory)
    directory.rule(ada.who.tenant_id, "\\Trash", 30, "trash")
    await apply_rules(ada.store)
    assert await ada.uids("Trash") == [1, 2]


async def test_a_thousand_go_in_chunks(ada: Someone, directory: Directory) -> None:
    await filled(ada, "Junk", 1, 0, directory)
    directory.run(
        """
        WITH more AS (
            INSERT INTO message (tenant_id, account_id, id, thread_id, created_modseq, octets, received_at,
                                 header_octets, wire_version, differs_in_utf8, has_attachment, subject, base_subject,
                                 sender, recipients, preview, header, segments, structure, envelope, bodystructure)
            SELECT m.tenant_id, m.account_id, nextval('mail_id'), m.thread_id, m.created_modseq, m.octets,
                   m.received_at, m.header_octets, m.wire_version, m.differs_in_utf8, m.has_attachment, m.subject,
                   m.base_subject, m.sender, m.recipients, m.preview, m.header, m.segments, m.structure, m.envelope,
                   m.bodystructure
              FROM message m, generate_series(2, 1100) WHERE m.account_id = %(account)s
            RETURNING tenant_id, account_id, id, octets
        ), placed AS (
            INSERT INTO placement (tenant_id, mailbox_id, uid, account_id, message_id, modseq, saved_at, flags)
            SELECT tenant_id, %(mailbox)s, 1 + row_number() OVER (), account_id, id, 1, now() - interval '40 days', 0
              FROM more RETURNING 1
        ), counted AS (
            UPDATE mailbox SET messages = 1100, unseen = 1099, uidnext = 1101,
                   octets = octets * 1100 WHERE id = %(mailbox)s AND EXISTS (SELECT FROM placed)
        )
        UPDATE account_state SET used_messages = 1100, used_octets = used_octets * 1100
         WHERE account_id = %(account)s
        """,
        account=ada.who.account_id,
        mailbox=(await ada.box("Junk")).id,
    )
    directory.rule(ada.who.tenant_id, "\\Junk", 30, "remove")
    assert await apply_rules(ada.store) >= 1100
    assert (await ada.box("Junk")).messages == 0
    assert (await ada.usage()).used_octets == 0


@pytest.mark.parametrize("whose", ["tenant", "account"])
async def test_under_legal_hold_nothing_moves(ada: Someone, directory: Directory, whose: str) -> None:
    await filled(ada, "Junk", 2, 0, directory)
    directory.rule(ada.who.tenant_id, "\\Junk", 30, "remove")
    if whose == "tenant":
        directory.tenant(ada.who.tenant_id, is_held=True)
    else:
        directory.account(ada.who, is_held=True)
    await apply_rules(ada.store)
    assert await ada.uids("Junk") == [1, 2]


ADA = AccountId(7)


def rule(folder: str, days: int, account_id: AccountId | None = None) -> Rule:
    return Rule(account_id, folder, days, RetentionAction.REMOVE)


@pytest.mark.parametrize(
    ("rules", "days"),
    [
        ([], None),
        ([rule("Other", 1)], None),
        ([rule("\\Junk", 30)], 30),
        ([rule("\\Junk", 30), rule("Spam", 60)], 60),
        ([rule("\\Junk", 30), rule("\\Junk", 90, ADA)], 90),
        ([rule("Spam", 10), rule("\\Junk", 90, ADA)], 90),
        ([rule("Spam", 10, AccountId(8))], None),
        ([rule("\\Junk", 30), rule("\\Archive", 20)], 20),
    ],
)
def test_the_nearest_rule_counts(rules: list[Rule], days: int | None) -> None:
    found = rule_of(rules, ADA, "Spam", "\\Junk \\Archive")
    assert (found.days if found else None) == days
