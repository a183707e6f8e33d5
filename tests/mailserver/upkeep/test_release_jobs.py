"""What upkeep does for what people send: each job runs, again and again, also where there is nothing to do."""

from mailserver.services.addresses import Recipients
from mailserver.services.arrivals import Arrivals
from mailserver.services.delivery import Deliveries
from mailserver.services.queueing import QueueConfig, Queueing
from mailserver.services.returns import Writer
from mailserver.upkeep.release_jobs import release_jobs
from storage.store import MailStore


async def test_every_job_runs_twice(store: MailStore) -> None:
    recipients = Recipients(store)
    queueing = Queueing(store, QueueConfig(), is_outbound_on=True, wake=lambda _: None)
    arrivals = Arrivals(
        store.database,
        recipients,
        Deliveries(store),
        queueing,
        Writer("mail.demo.test"),
        signing_keys=store.keys.forwarding_keys,
    )
    jobs = release_jobs(store, recipients, arrivals, queueing)
    assert len({job.name for job in jobs}) == 3
    for job in (*jobs, *jobs):
        await job.run()
