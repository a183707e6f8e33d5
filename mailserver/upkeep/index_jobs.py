"""What upkeep does for the index of words: what was out of reach is tried again, and what has grown too far is built
anew."""

import time
from collections.abc import Callable

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter, gauge
from mailserver.services.indexing import try_again
from mailserver.upkeep.indexer import IndexingConfig
from mailserver.upkeep.jobs import HOUR_S, Job
from storage import message_text
from storage.message_text import IN_BIN, OUT_OF_REACH, IndexSize
from storage.store import MailStore
from storage.verification.tenancy import tenants_with_mail

INDEX_OCTETS = gauge("index_octets", "Octets of the index of words.", across="livemax")
WORDS_OCTETS = gauge("index_words_octets", "Octets of the words that it stands for.", across="livemax")
ROWS = gauge("index_rows_estimated", "Rows of words, as PostgreSQL estimates.", across="livemax")
REINDEXED = counter("index_built_anew", "How often the index of words was built anew.")

LOOSE = 2.0
"""An index so many times as large as its words has holes: new it takes less than its words do."""
WORTH_IT_OCTETS = 256 * 1024 * 1024
QUIET_HOURS = 3
REST_S = 7 * 24 * HOUR_S
"""What building anew did not help is left alone for so long."""

log = get_logger()


def index_jobs(store: MailStore, config: IndexingConfig, clock: Callable[[], float] = time.time) -> tuple[Job, ...]:
    done_at = -REST_S

    async def tend() -> str:
        nonlocal done_at
        now = await message_text.size(store.database)
        INDEX_OCTETS.labels().set(now.index_octets)
        WORDS_OCTETS.labels().set(now.table_octets)
        ROWS.labels().set(now.rows)
        hour = int(clock() // HOUR_S) % 24
        is_quiet = (hour - config.reindex_hour) % 24 < QUIET_HOURS
        if not is_loose(now) or not is_quiet or clock() - done_at < REST_S:
            return f"{now.index_octets} octets of index, {now.table_octets} of words"
        done_at = clock()
        if not await message_text.reindex(store.database):
            log.warning("the index of words has grown too far: manage.py search reindex", octets=now.index_octets)
            return "only the owner of the tables can build the index anew"
        REINDEXED.labels().inc()
        return f"built anew: {now.index_octets} octets before"

    async def again() -> str:
        read = 0
        async for tenant_id in tenants_with_mail(store.database):
            for problem in (OUT_OF_REACH, IN_BIN):
                for account_id in await message_text.accounts_with_problem(store.database, tenant_id, problem):
                    read += await try_again(store, tenant_id, account_id, problem)
        return f"{read} messages that had been out of reach"

    return (
        Job("tend the index of words", HOUR_S, QUIET_HOURS * HOUR_S, tend),
        Job("index what was out of reach", HOUR_S, HOUR_S, again),
    )


def is_loose(size: IndexSize) -> bool:
    return size.index_octets > max(WORTH_IT_OCTETS, LOOSE * size.table_octets)
