"""How failed sign-ins slow down the next ones: a pure decision over counts (the counts are kept in `failure_counts`).

Every failure counts against three things: the account, the network it came from (an IPv4 address or an IPv6 /64), the
wider network around it (IPv4 /24), and also against the pair of account and network. Each has a ladder: some failures
are free, the next ones delay the answer by a second more each, and from the last rung on attempts are refused unseen,
for a time that doubles with every further failure.

A pair from which this person has signed in before is judged by its own failures only. So nobody locks a person out of
their own desk by guessing at the account from elsewhere, or by guessing at other accounts from the same office.
"""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Failures:
    """How many sign-ins failed for one thing lately, and when the last one did (seconds of the caller's clock)."""

    count: int = 0
    last_at: float = 0.0


NONE = Failures()


@dataclass(frozen=True, slots=True)
class LadderConfig:
    """From which failure on answers are delayed, and from which on attempts are refused."""

    delay_from: int  # the first failure whose answer is delayed
    refuse_from: int  # with this many failures attempts are refused for a time


@dataclass(frozen=True, slots=True)
class ThrottleConfig:
    account: LadderConfig = LadderConfig(delay_from=2, refuse_from=10)
    network: LadderConfig = LadderConfig(delay_from=5, refuse_from=50)
    wide_network: LadderConfig = LadderConfig(delay_from=20, refuse_from=250)
    delay_step_s: float = 1.0  # each further failure delays the answer by this much more
    delay_most_s: float = 5.0  # the longest delay of an answer
    refuse_first_s: float = 30.0  # how long the first refusal lasts; it doubles with every further failure
    refuse_most_s: float = 900.0  # the longest refusal
    forget_after_s: float = 3600.0  # failures are forgotten this long after the last one
    known_for_s: float = 2_592_000.0  # how long a network stays known for an account that signed in from it
    counts_kept: int = field(default=50_000, metadata={"least": 100})  # counts one process keeps while Redis is away

    def __post_init__(self) -> None:
        if self.forget_after_s < self.refuse_most_s:
            raise ValueError("forget_after_s must not be less than refuse_most_s")


@dataclass(frozen=True, slots=True)
class Networks:
    """What failures of a peer are counted against; None where that would hit people who have nothing to do with it."""

    narrow: str | None
    wide: str | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What is known before or after an attempt."""

    pair: Failures = NONE
    account: Failures = NONE
    network: Failures = NONE
    wide_network: Failures = NONE
    is_known_pair: bool = False


@lru_cache(1_024)  # asked several times for each connection
def networks_of(peer: str) -> Networks:
    """The networks of a peer's address. Loopback has none: what stands there is a proxy or a program of ours."""
    try:
        address = ipaddress.ip_address(peer.partition("%")[0])
    except ValueError:
        return Networks(peer[:64] or None, None)
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is None:
            if address.is_loopback:
                return Networks(None, None)
            return Networks(str(ipaddress.ip_network((address, 64), strict=False)), None)
        address = address.ipv4_mapped
    if address.is_loopback:
        return Networks(None, None)
    return Networks(str(address), str(ipaddress.ip_network((address, 24), strict=False)))


def refused_for_s(standing: Standing, config: ThrottleConfig, now: float) -> float:
    """How long attempts are still refused unseen; 0 if this one may be tried."""
    return max(_refusal_s(failures, ladder, config, now) for failures, ladder in _judged(standing, config))


def delay_s(standing: Standing, config: ThrottleConfig) -> float:
    """How long the answer to an attempt that just failed is held back; `standing` counts it already."""
    return max(_delay_s(failures, ladder, config) for failures, ladder in _judged(standing, config))


def _judged(standing: Standing, config: ThrottleConfig) -> Iterator[tuple[Failures, LadderConfig]]:
    yield standing.pair, config.account
    if not standing.is_known_pair:
        yield standing.account, config.account
        yield standing.network, config.network
        yield standing.wide_network, config.wide_network


def _refusal_s(failures: Failures, ladder: LadderConfig, config: ThrottleConfig, now: float) -> float:
    if failures.count < ladder.refuse_from:
        return 0.0
    doublings = min(failures.count - ladder.refuse_from, 30)
    lasts_s = min(config.refuse_first_s * 2.0**doublings, config.refuse_most_s)
    return max(0.0, failures.last_at + lasts_s - now)


def _delay_s(failures: Failures, ladder: LadderConfig, config: ThrottleConfig) -> float:
    rungs = max(0, failures.count - ladder.delay_from + 1)
    return min(rungs * config.delay_step_s, config.delay_most_s)
