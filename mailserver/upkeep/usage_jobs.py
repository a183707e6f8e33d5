"""What mail takes in each tier is written down every day, for the plots of the portal."""

from mailserver.observability.metrics import counter
from mailserver.upkeep.jobs import HOUR_S, Job
from storage.database import Database
from storage.usage_measuring import measure, thin
from storage.verification.tenancy import tenants_with_mail

MEASURED = counter("usage_measured_accounts", "Accounts whose use of the tiers was written down.")

MESSAGES_A_RUN = 2_000_000
"""After so many the accounts that are left wait for the next run, an hour later."""


def usage_jobs(database: Database, *, messages_a_run: int = MESSAGES_A_RUN) -> tuple[Job, ...]:
    async def note_usage() -> str:
        accounts = messages = thinned = 0
        async for tenant_id in tenants_with_mail(database):
            done = await measure(database, tenant_id, most_messages=max(0, messages_a_run - messages))
            accounts += done.accounts
            messages += done.messages
            thinned += await thin(database, tenant_id)
            MEASURED.labels().inc(done.accounts)
        return f"{accounts} accounts of {messages} messages; {thinned} old days forgotten"

    return (Job("note what tiers hold", HOUR_S, HOUR_S, note_usage),)
