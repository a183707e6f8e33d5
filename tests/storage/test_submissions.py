"""Records of what was sent go when nobody asks for them any more, and all of it with its account."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from storage import held_mail, identities, outgoing_acts, submission_closing, submissions, vacations
from storage.database import Database
from storage.held_mail import HeldMessage
from storage.identities import Identity
from storage.keys import KeyRing
from storage.outgoing_types import BodyKind
from storage.submissions import NewSubmission, UndoStatus
from storage.type_states import begin_change
from storage.types import IdentityId, MessageId, Modseq, SubmissionId, ThreadId
from tenants.types import Principal
from tests.conftest import Company, RunningServices, owner_connection

NOW = datetime.now(UTC)


@dataclass(frozen=True)
class Desk:
    services: RunningServices
    database: Database
    who: Principal

    async def sent(self, status: UndoStatus, *, days_ago: int = 0, is_held: bool = False) -> SubmissionId:
        tenant_id, account_id = self.who.tenant_id, self.who.account_id
        new = NewSubmission(IdentityId(1), MessageId(1), ThreadId(1), "{}", NOW - timedelta(days=days_ago), status)
        keys = await KeyRing(self.services.secrets, self.database).of(tenant_id)
        async with self.database.transaction(tenant_id) as connection:
            submission_id = await submissions.next_id(connection)
            modseq = await begin_change(connection, tenant_id, account_id, submissions.TYPE_NAME)
            await submissions.insert(connection, tenant_id, account_id, submission_id, new, modseq)
            if is_held:
                octets = memoryview(b"Subject: x\r\n\r\nhi\r\n")
                message = HeldMessage(octets, "a@x.test", None, None, False, BodyKind.SEVENBIT, NOW)
                await held_mail.hold(connection, keys, account_id, submission_id, message, NOW)
        return submission_id

    async def there(self) -> list[int]:
        async with self.database.read(self.who.tenant_id) as connection:
            found = await submissions.facts(connection, self.who.tenant_id, self.who.account_id)
        return [each.id for each in found]

    def rows(self) -> dict[str, int]:
        tables = ("identity", "email_submission", "held_submission", "vacation", "vacation_answer", "outgoing_content")
        with owner_connection(self.services) as owner:
            counts = {}
            for table in tables:
                statement = f"SELECT count(*) FROM {table} WHERE tenant_id = %s"  # noqa: S608 - our own names
                row = owner.execute(statement.encode(), [self.who.tenant_id]).fetchone()
                assert row is not None
                counts[table] = int(str(row[0]))
        return counts

    def execute(self, statement: str) -> None:
        with owner_connection(self.services) as owner:
            owner.execute(statement.encode(), [self.who.tenant_id])


@pytest.fixture
async def desk(services: RunningServices, database: Database, company: Company) -> Desk:
    return Desk(services, database, await company.person())


async def test_old_records_go_and_leave_no_trace_when_no_state_reaches_back(desk: Desk) -> None:
    await desk.sent(UndoStatus.FINAL, days_ago=61)
    await desk.sent(UndoStatus.CANCELED, days_ago=61)
    kept = [await desk.sent(UndoStatus.FINAL, days_ago=59), await desk.sent(UndoStatus.PENDING, days_ago=61)]
    assert await submission_closing.destroy_old(desk.database, kept_s=60 * 86_400) == 1
    assert await desk.there() == kept
    async with desk.database.read(desk.who.tenant_id) as connection:
        changed = await submissions.changed(connection, desk.who.tenant_id, desk.who.account_id, Modseq(1))
    assert sum(each.is_destroyed for each in changed) == 2, "clients hear of it"
    async with desk.database.system() as connection:
        await submission_closing.forget_destroyed(connection)
    assert desk.rows()["email_submission"] == 4
    desk.execute("UPDATE account_state SET oldest_modseq = modseq + 1 WHERE tenant_id = %s")
    async with desk.database.system() as connection:
        await submission_closing.forget_destroyed(connection)
    assert desk.rows()["email_submission"] == 2


async def test_a_record_that_was_destroyed_while_its_mail_waits_stays_until_it_has_gone(desk: Desk) -> None:
    waiting = await desk.sent(UndoStatus.PENDING, is_held=True)
    async with desk.database.transaction(desk.who.tenant_id) as connection:
        modseq = await begin_change(connection, desk.who.tenant_id, desk.who.account_id, submissions.TYPE_NAME)
        assert await submissions.destroy(connection, desk.who.tenant_id, desk.who.account_id, [waiting], modseq) == {
            waiting
        }
    desk.execute("UPDATE account_state SET oldest_modseq = modseq + 1 WHERE tenant_id = %s")
    async with desk.database.system() as connection:
        await submission_closing.forget_destroyed(connection)
    assert desk.rows()["email_submission"] == 1
    assert await desk.there() == []


async def test_all_of_it_goes_with_the_account(desk: Desk) -> None:
    tenant_id, account_id = desk.who.tenant_id, desk.who.account_id
    await desk.sent(UndoStatus.PENDING, is_held=True)
    async with desk.database.transaction(tenant_id) as connection:
        modseq = await begin_change(connection, tenant_id, account_id, identities.TYPE_NAME)
        identity = Identity(0, "a@x.test", "A", None, None, "", "", is_of_address=False)
        await identities.insert(connection, tenant_id, account_id, identity, modseq)
        await vacations.put(connection, tenant_id, account_id, vacations.Vacation())
    assert await vacations.claim_answer(desk.database, tenant_id, account_id, "b@x.test", period_s=60)
    assert set(desk.rows().values()) == {1}
    desk.execute("DELETE FROM account_state WHERE tenant_id = %s")
    await outgoing_acts.forget_orphans(desk.database)
    assert set(desk.rows().values()) == {0}


async def test_one_sender_is_claimed_once_in_a_while(desk: Desk) -> None:
    tenant_id, account_id = desk.who.tenant_id, desk.who.account_id

    async def claim(period_s: float = 60) -> bool:
        return await vacations.claim_answer(desk.database, tenant_id, account_id, "b@x.test", period_s=period_s)

    assert [await claim(), await claim(), await claim(0), await claim()] == [True, False, True, False]
    async with desk.database.system() as connection:
        await vacations.forget_old_answers(connection, period_s=0)
    assert await claim()
