"""A load generator for IMAP, SMTP and LMTP servers: it knows protocols, not servers.

    python -m tests.bench.load --imaps HOST:PORT --smtp HOST:PORT [--server-pids PID,PID] WORKLOAD [WORKLOAD ...]

Each workload prints one JSON line for each thing it measured. The client is kept cheap: octets are built before the
clock starts, answers are searched for the tagged line only.
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable

import uvloop

from tests.bench.load.delivery import append, lmtp_deliver, smtp_deliver
from tests.bench.load.fetching import (
    body_ranges,
    check_fetch,
    fetch_body,
    fetch_envelope,
    fetch_flags,
    fetch_flags_huge,
    fetch_headers_list,
    fetch_page,
)
from tests.bench.load.flagging import store_flags
from tests.bench.load.idling import idle_memory, idle_memory_tls, idle_push, idle_push_lmtp
from tests.bench.load.imap_client import Failed
from tests.bench.load.meter import tell
from tests.bench.load.mixed import mixed
from tests.bench.load.options import parse_options
from tests.bench.load.rig import Rig
from tests.bench.load.searching import search
from tests.bench.load.seeding import seed
from tests.bench.load.sending import queued, sending
from tests.bench.load.signing_in import login_select, login_select_tls

Workload = Callable[[Rig], Awaitable[None]]

_WORKLOADS: tuple[Workload, ...] = (
    seed,
    check_fetch,
    fetch_envelope,
    fetch_headers_list,
    fetch_flags,
    fetch_flags_huge,
    fetch_page,
    fetch_body,
    body_ranges,
    search,
    store_flags,
    append,
    lmtp_deliver,
    smtp_deliver,
    sending,
    queued,
    login_select,
    login_select_tls,
    idle_push,
    idle_push_lmtp,
    mixed,
    idle_memory,
    idle_memory_tls,
)
_BY_NAME = {workload.__name__: workload for workload in _WORKLOADS}


async def run(rig: Rig, names: list[str]) -> int:
    status = 0
    for name in names:
        try:
            if name == "seed":
                await seed(rig)
            else:
                await asyncio.wait_for(_BY_NAME[name](rig), rig.options.timeout_s * 2)
        except (Failed, OSError, TimeoutError) as error:
            tell(target=rig.options.name, workload=name, failed=str(error) or type(error).__name__)
            status = 1
    return status


def main(arguments: list[str]) -> int:
    options, names = parse_options(arguments)
    if unknown := [name for name in names if name not in _BY_NAME]:
        print(f"no such workload: {', '.join(unknown)}; there are {', '.join(_BY_NAME)}", file=sys.stderr)
        return 2
    return uvloop.run(run(Rig(options), names))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
