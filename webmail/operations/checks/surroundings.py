"""What stands around Waypost: Redis, the limit of open files, and who can reach which door."""

import ipaddress
import resource
from collections.abc import Iterator

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from mailserver.listeners import Endpoint
from webmail.operations.findings import Finding, Patient, fine, problem, warning

ENOUGH_FILES = 4096
REDIS_TIMEOUT_S = 3.0


def check_redis(patient: Patient) -> Iterator[Finding]:
    """Never more than a warning: nothing is lost without it."""
    url = patient.config.redis_url
    if not url:
        yield warning("There is no Redis (WAYPOST_REDIS_URL): new mail is seen up to 5 s later")
        return
    try:
        with redis.Redis.from_url(url, socket_timeout=REDIS_TIMEOUT_S, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()
    except (redis.RedisError, ValueError) as error:
        yield warning("Redis cannot be reached ({reason}): new mail is seen up to 5 s later", reason=error)
    else:
        yield fine("Redis answers")


def check_limits(_patient: Patient) -> Iterator[Finding]:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < ENOUGH_FILES:
        yield warning("Processes may open {limit} files only, one for each connection", limit=hard)


def check_reach(patient: Patient) -> Iterator[Finding]:
    """Doors that believe whoever comes must not be reachable from everywhere."""
    listeners = patient.config.listeners
    for variable, endpoint in (("WAYPOST_LMTP", listeners.lmtp), ("WAYPOST_METRICS", listeners.metrics)):
        if endpoint is not None and _is_public(endpoint):
            yield problem("{variable} is {endpoint}: everybody can reach it", variable=variable, endpoint=endpoint)
    if patient.config.outward.reach == "loopback":
        yield problem("WAYPOST_OUTWARD_REACH is loopback: who names a push service or a picture reaches this machine")


def _is_public(endpoint: Endpoint) -> bool:
    try:
        address = ipaddress.ip_address(endpoint.host)
    except ValueError:
        return False
    return address.is_unspecified or address.is_global
