"""The embedded services without the roles: for tests and for work on one role.

    python -m deploy.local.services --directory DIR [--objects] [--throwaway]

starts Postgres and Redis (and S3) in DIR, prints their URLs as one JSON object, and stops on SIGTERM or Ctrl-C.
`--throwaway` leaves out every wait for the disk; such a cluster does not survive a crash of the machine.
"""

import argparse
import json
import signal
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from deploy.local.child import ServiceFailed
from deploy.local.objects import ObjectPorts, Objects, free_ports
from deploy.local.places import make_places
from deploy.local.postgres import Postgres
from deploy.local.redis import Redis


@dataclass(frozen=True, slots=True)
class Services:
    """The running services; `objects` is None when it was not asked for."""

    postgres: Postgres
    redis: Redis
    objects: Objects | None

    def stop(self) -> None:
        """Redis and S3 first, Postgres last."""
        self.redis.stop()
        if self.objects is not None:
            self.objects.stop()
        self.postgres.stop()

    def environment(self) -> dict[str, str]:
        """The WAYPOST_* variables by which roles and management commands find them."""
        urls = self.postgres.urls()
        found = {
            "WAYPOST_DATABASE_URL": urls.app,
            "WAYPOST_SYSTEM_DATABASE_URL": urls.system,
            "WAYPOST_OWNER_DATABASE_URL": urls.owner,
            "WAYPOST_BACKUP_DATABASE_URL": self.postgres.backup_url(),
            "WAYPOST_REDIS_URL": self.redis.url(),
        }
        if self.objects is not None:
            access = self.objects.access()
            found["WAYPOST_S3_URL"] = access.url
            found["WAYPOST_S3_ACCESS_KEY"] = access.access_key
            found["WAYPOST_S3_SECRET_KEY"] = access.secret_key
            found["WAYPOST_S3_BUCKET"] = access.bucket
        return found


def start_services(
    directory: Path, *, durable: bool = True, objects: bool = False, ports: ObjectPorts | None = None
) -> Services:
    """Start them side by side. Call it from a thread that lives on: the services end with it.

    Raises ServiceFailed; nothing is left running then.
    """
    places = make_places(directory)
    store = Objects(places, ports or free_ports()) if objects else None
    services = Services(Postgres(places, durable=durable), Redis(places), store)
    try:
        services.redis.prepare()
        services.redis.launch()
        if store is not None:
            store.prepare()
            store.launch()
        services.postgres.start()
        waits: list[Callable[[], None]] = [services.redis.wait_ready]
        if store is not None:
            waits.append(store.wait_ready)
        with ThreadPoolExecutor(len(waits)) as pool:
            for done in [pool.submit(wait) for wait in waits]:
                done.result()
    except BaseException:
        services.stop()
        raise
    return services


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--directory", type=Path, required=True)
    parser.add_argument("--objects", action="store_true", help="start S3 too")
    parser.add_argument("--throwaway", action="store_true", help="do not wait for the disk")
    options = parser.parse_args(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    try:
        services = start_services(options.directory, durable=not options.throwaway, objects=options.objects)
    except ServiceFailed as failure:
        print(failure, file=sys.stderr)
        return 1
    try:
        print(json.dumps(services.environment(), indent=2), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
    finally:
        services.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
