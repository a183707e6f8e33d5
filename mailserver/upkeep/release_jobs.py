"""What upkeep does for what people send: mail whose time has come leaves, and records of what left long ago go."""

from mailserver.services.addresses import Recipients
from mailserver.services.arrivals import Arrivals
from mailserver.services.queueing import Queueing
from mailserver.services.releasing import Releases
from mailserver.services.submission_fates import write_fates_down
from mailserver.services.vacation import PERIOD_S
from mailserver.upkeep.jobs import HOUR_S, MINUTE_S, Job
from storage import identities, submission_closing, vacations
from storage.store import MailStore

LOOK_EVERY_S = 5.0
KEPT_S = 60 * 24 * HOUR_S
"""Records of what was sent or canceled are kept so long."""


def release_jobs(store: MailStore, recipients: Recipients, arrivals: Arrivals, queueing: Queueing) -> tuple[Job, ...]:
    releases = Releases(store, recipients, arrivals, queueing)

    async def forget() -> str:
        accounts = await submission_closing.destroy_old(store.database, kept_s=KEPT_S)
        async with store.database.system() as connection:
            records = await submission_closing.forget_destroyed(connection)
            others = await identities.forget_destroyed(connection)
            answers = await vacations.forget_old_answers(connection, period_s=PERIOD_S)
        return f"records of {accounts} accounts, {records + others} that were destroyed, {answers} answers"

    return (
        Job("send what waited for its time", LOOK_EVERY_S, 10 * MINUTE_S, releases.release_due),
        Job("write down what became of mail", MINUTE_S, 30 * MINUTE_S, lambda: write_fates_down(store)),
        Job("forget what was sent", 6 * HOUR_S, HOUR_S, forget),
    )
