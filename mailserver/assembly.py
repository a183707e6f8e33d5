"""Builds what the roles of a process share, once, from its configuration: no global is reached for anywhere else."""

import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from redis.asyncio import Redis

from mailserver.config import Config
from mailserver.outward_http import OutwardHttp
from mailserver.queue_hints import QueueHintSender
from mailserver.reading_notes import NoteWriter, tell_of_damage
from mailserver.redis_client import connect_redis
from mailserver.services.account_views import AccountViews
from mailserver.services.addresses import Recipients
from mailserver.services.arrivals import Arrivals
from mailserver.services.delivery import Deliveries
from mailserver.services.dispositions import Dispositions
from mailserver.services.endings import Endings
from mailserver.services.failure_counts import FailureCounts, LocalFailureCounts, SharedFailureCounts
from mailserver.services.login import Logins
from mailserver.services.oauth import OAuth
from mailserver.services.open_streams import OpenStreams
from mailserver.services.push_posting import PushPosting
from mailserver.services.queueing import Queueing, Wake
from mailserver.services.returns import Writer
from mailserver.services.searching import Searches
from mailserver.services.state_changes import StateChanges
from mailserver.services.submissions import SubmissionLimits, Submissions
from mailserver.services.vacation import VacationAnswers
from mailserver.services.watching import Watchers
from mailserver.services.web_push import WebPush
from mailserver.services.web_sessions import WebSessions
from mailserver.tls import ServerCertificate
from storage.blobs.hot import HotBlobs
from storage.blobs.objects import ObjectStore
from storage.blobs.tiered import TieredBlobs
from storage.database import Database
from storage.keys import KeyRing
from storage.parts.homes import PartStore
from storage.store import MailStore

COUNT_TIMEOUT_S = 0.25  # a sign-in waits at most this long for Redis


@dataclass(frozen=True, slots=True)
class Parts:
    """What doors and upkeep are given to work with."""

    config: Config
    store: MailStore
    watchers: Watchers
    logins: Logins
    endings: Endings
    web_sessions: WebSessions
    oauth: OAuth
    searches: Searches
    account_views: AccountViews
    state_changes: StateChanges
    open_streams: OpenStreams
    outward: OutwardHttp
    web_push: WebPush
    recipients: Recipients
    deliveries: Deliveries
    queueing: Queueing
    arrivals: Arrivals
    submissions: Submissions
    dispositions: Dispositions
    wake_queue: Wake
    redis: Redis | None
    objects: ObjectStore | None
    certificate: ServerCertificate | None


@asynccontextmanager
async def assemble(
    config: Config,
    database: Database,
    keys: KeyRing,
    certificate: ServerCertificate | None,
    redis: Redis | None,
    objects: ObjectStore | None,
) -> AsyncIterator[Parts]:
    """The parts, at work until the end of the block; then they end in the order opposite to their beginning."""
    async with AsyncExitStack() as ending:
        watchers = Watchers(database, redis, config.watching)
        watchers.start()
        ending.push_async_callback(watchers.close)
        blobs = TieredBlobs(HotBlobs(), objects, on_damage=tell_of_damage())
        notes = NoteWriter(database, blobs.notes)
        notes.start()
        ending.push_async_callback(notes.close)
        parts = PartStore(database, objects, waiting_octets=config.objects.waiting_octets) if objects else None
        if parts is not None:
            ending.push_async_callback(parts.close)
        store = MailStore(database, keys, blobs, watchers.announce, parts=parts)
        logins = Logins(
            database, _failure_counts(config, redis), config.login, config.throttle, secret=keys.sign_in_key
        )
        ending.callback(logins.close)
        ending.push_async_callback(logins.settle)
        await logins.look_for_scram()
        oauth = OAuth(database, logins.tokens)
        endings = Endings(database, logins.connections)
        endings.start()
        ending.push_async_callback(endings.close)
        searches = Searches(store, config.search)
        ending.push_async_callback(searches.close)
        account_views = AccountViews(store)
        ending.push_async_callback(account_views.close)
        state_changes = StateChanges(database, watchers, store.pools)
        ending.push_async_callback(state_changes.close)
        outward = OutwardHttp(config.outward)
        ending.push_async_callback(outward.close)
        posting = PushPosting(keys, outward, contact=f"mailto:postmaster@{config.hostname}")
        web_push = WebPush(database, keys, state_changes, posting)
        ending.push_async_callback(web_push.close)
        deliveries = Deliveries(store, config.delivery)
        ending.push_async_callback(deliveries.settle)
        wake_queue = _queue_wake(redis, ending)
        queueing = Queueing(store, config.queue, is_outbound_on=config.is_outbound_on, wake=wake_queue)
        recipients = Recipients(store)
        answers = VacationAnswers(
            store,
            recipients,
            resolve=lambda path: arrivals.resolve(path, reverse_path=""),
            take=lambda mail: arrivals.take(mail),
            monotonic=time.monotonic,
        )
        arrivals = Arrivals(
            database,
            recipients,
            deliveries,
            queueing,
            Writer(config.hostname),
            signing_keys=keys.forwarding_keys,
            after_delivery=answers.heard,
        )
        answers.start()
        ending.push_async_callback(answers.close)
        yield Parts(
            config=config,
            store=store,
            watchers=watchers,
            logins=logins,
            endings=endings,
            web_sessions=WebSessions(database, endings),
            oauth=oauth,
            searches=searches,
            account_views=account_views,
            state_changes=state_changes,
            open_streams=OpenStreams(logins.connections),
            outward=outward,
            web_push=web_push,
            recipients=recipients,
            deliveries=deliveries,
            queueing=queueing,
            arrivals=arrivals,
            submissions=Submissions(
                store, recipients, arrivals, hostname=config.hostname, limits=_submission_limits(config)
            ),
            dispositions=Dispositions(store, recipients, arrivals, hostname=config.hostname),
            wake_queue=wake_queue,
            redis=redis,
            objects=objects,
            certificate=certificate,
        )


def _submission_limits(config: Config) -> SubmissionLimits:
    """As for who submits by SMTP."""
    smtp = config.smtp
    return SubmissionLimits(
        config.message_limit_octets,
        smtp.header_limit_octets,
        smtp.received_limit,
        smtp.recipients_limit,
        smtp.reached_limit,
    )


def _queue_wake(redis: Redis | None, ending: AsyncExitStack) -> Wake:
    """How the role outbound hears of new mail; without Redis it looks once a second."""
    if redis is None:
        return lambda _lanes: None
    hints = QueueHintSender(redis)
    hints.start()
    ending.push_async_callback(hints.close)
    return hints.publish


def redis_of(config: Config) -> Redis | None:
    """Raises ValueError for a URL that is none."""
    return connect_redis(config.redis_url) if config.redis_url else None


def certificate_of(config: Config) -> ServerCertificate | None:
    """Raises CertificateUnusable."""
    if config.tls.certificate is None or config.tls.key is None:
        return None
    return ServerCertificate(config.tls.certificate, config.tls.key)


def _failure_counts(config: Config, redis: Redis | None) -> FailureCounts:
    throttle = config.throttle
    local = LocalFailureCounts(
        forget_after_s=throttle.forget_after_s,
        known_for_s=throttle.known_for_s,
        limit=throttle.counts_kept,
        clock=time.monotonic,
    )
    if redis is None:
        return local
    return SharedFailureCounts(
        redis,
        local,
        forget_after_s=throttle.forget_after_s,
        known_for_s=throttle.known_for_s,
        timeout_s=COUNT_TIMEOUT_S,
        clock=time.monotonic,
    )
