"""The jobs of retention, each run once as upkeep does."""

import asyncio

from mailserver.services.delivery import Deliveries
from mailserver.services.recovering import recover
from mailserver.upkeep.retention_jobs import retention_jobs
from storage.purging import purge_due
from storage.store import MailStore
from tests.conftest import Company, RunningServices, plain_message
from tests.directory_rows import Directory
from tests.someone import ADD, DELETED, Someone


async def test_every_job_does_its_part_and_leaves_the_rest(
    store: MailStore, company: Company, services: RunningServices
) -> None:
    directory = Directory(services)
    directory.tenant(company.tenant_id)
    directory.rule(company.tenant_id, "\\Junk", 30, "remove")
    ada = Someone(store, await company.person("ada", quota_octets=1000))
    directory.account(ada.who)
    directory.address(ada.who)
    for box in ("INBOX", "Junk", "Sent"):
        await ada.append(box, plain_message(1, body=box))
    await ada.flag("Sent", [1], ADD, DELETED)
    await ada.expunge("Sent")
    directory.run(
        "UPDATE placement SET saved_at = now() - interval '31 days' WHERE account_id = %(account)s",
        account=ada.who.account_id,
    )
    directory.run(
        "UPDATE recoverable SET expunged_at = now() - interval '31 days' WHERE account_id = %(account)s",
        account=ada.who.account_id,
    )
    for job in retention_jobs(store, Deliveries(store), hostname="mail.test"):
        assert await job.run() is not None, job.name
    assert await ada.uids("Junk") == []
    assert len(await ada.uids("INBOX")) == 1
    assert (await recover(store, ada.who)).messages == {"Junk": 1}, "what lay in the bin for long is gone"


async def test_purging_and_bringing_back_at_once_lose_nothing_that_was_brought_back(
    store: MailStore, company: Company, services: RunningServices
) -> None:
    """Two processes purge while the person brings back: each message ends in one way, and the counts are right."""
    directory = Directory(services)
    ada = Someone(store, await company.person("ada"))
    for number in range(60):
        await ada.append("INBOX", plain_message(number))
    await ada.flag("INBOX", await ada.uids(), ADD, DELETED)
    await ada.expunge()
    directory.run(
        "UPDATE recoverable SET expunged_at = now() - interval '31 days' * (message_id %% 2)"
        " WHERE account_id = %(account)s",
        account=ada.who.account_id,
    )
    recovered, *_purged = await asyncio.gather(
        recover(store, ada.who), purge_due(store.database), purge_due(store.database)
    )
    came_back = recovered.messages.total()
    assert 30 <= came_back <= 60
    assert len(await ada.octets()) == came_back
    [(messages, used, binned)] = directory.run(
        """
        SELECT (SELECT count(*) FROM message m WHERE m.account_id = a.account_id), used_messages, binned_messages
          FROM account_state a WHERE account_id = %(account)s
        """,
        account=ada.who.account_id,
    )
    assert (messages, used, binned) == (came_back, came_back, 0)
