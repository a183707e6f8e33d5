"""Signing in with a name and a password: who it is, or one of three refusals.

What keeps guessing slow: failures are counted per account and per network and lead to delays, then refusals
(`throttle`). What keeps guessing blind: an unknown person costs the same time as a wrong password, and whether an
account is suspended is told only to somebody who knows its password. What keeps it cheap: a right password is
remembered for a minute as a digest under a key that only this process's memory holds, and forgotten as soon as the
directory shows another hash. The directory is asked at every sign-in, so a changed password or a suspension counts at
once. Other passwords are checked in a bounded number of threads.
"""

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Self

from mailserver.observability.logs import get_logger
from mailserver.observability.metrics import counter
from mailserver.sasl import SaslMalformed, prepare
from mailserver.services.errors import LoginFailed, LoginRefused, LoginThrottled, RefusalReason
from mailserver.services.failure_counts import FailureCounts
from mailserver.services.password_checks import PasswordChecks, RememberedPasswords
from mailserver.services.throttle import (
    Failures,
    Networks,
    Standing,
    ThrottleConfig,
    delay_s,
    networks_of,
    refused_for_s,
)
from storage.database import Database
from storage.errors import StoreUnavailable
from tenants.addresses import parse_address
from tenants.directory import find_login, upgrade_password_hash
from tenants.errors import AddressInvalid
from tenants.passwords import needs_rehash
from tenants.types import LoginRecord, Principal, Status

SIGN_INS = counter("sign_ins", "Sign-ins by how they ended.", "outcome")
log = get_logger()


@dataclass(frozen=True, slots=True)
class LoginConfig:
    check_threads: int = 2  # passwords checked at the same time; each takes 19 MiB and a core
    checks_waiting_limit: int = 200  # sign-ins that may wait for a thread; more are asked to try again
    check_wait_s: float = 10.0  # longest wait for a thread
    remembered_s: float = 60.0  # how long a right password is not checked anew
    remembered_limit: int = 10_000  # right passwords remembered at once
    tarpits_limit: int = 1_000  # failed sign-ins whose answers are held back at once; more are answered at once


class Logins:
    """Signs people in. One per process; `close` ends its threads."""

    def __init__(
        self,
        database: Database,
        counts: FailureCounts,
        config: LoginConfig,
        throttle: ThrottleConfig,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._counts = counts
        self._config = config
        self._throttle = throttle
        self._clock = clock
        self._sleep = sleep
        self._checks = PasswordChecks(
            threads=config.check_threads, waiting_limit=config.checks_waiting_limit, wait_s=config.check_wait_s
        )
        self._remembered = RememberedPasswords(
            lifetime_s=config.remembered_s, limit=config.remembered_limit, clock=clock
        )
        self._tarpits = 0

    async def sign_in(self, address: str, password: str, *, network: str) -> Principal:
        """Who signs in. `network` is the peer's IP address.

        Raises LoginFailed (unknown or wrong), LoginThrottled, LoginRefused (right password, suspended),
        StoreUnavailable.
        """
        record = await self._find(address)
        if record is not None and self._remembered.holds(record, password):
            SIGN_INS.labels("remembered").inc()
            return _admitted(record)
        attempt = _Attempt.of(record, address, networks_of(network))
        is_right, delay = await self._try(attempt, password)
        if record is None or not is_right:
            SIGN_INS.labels("failed").inc()
            log.info("sign-in failed", account=record and record.account_id, network=attempt.networks.narrow)
            await self._hold_back(delay)
            raise LoginFailed
        SIGN_INS.labels("checked").inc()
        return _admitted(record)

    def close(self) -> None:
        self._checks.close()

    async def _find(self, address: str) -> LoginRecord | None:
        try:
            canonical = parse_address(prepare(address))
        except (AddressInvalid, SaslMalformed):
            return None
        async with self._database.directory() as connection:
            record = await find_login(connection, canonical)
        if record is None or Status.DELETED in (record.tenant_status, record.account_status):
            return None
        return record

    async def _try(self, attempt: "_Attempt", password: str) -> tuple[bool, float]:
        """Whether the password is right, and how long to hold the answer back if not."""
        await self._refuse_if_throttled(attempt)
        async with self._checks.turn():
            record = attempt.record
            if record is not None and self._remembered.holds(record, password):
                return True, 0.0
            await self._refuse_if_throttled(attempt)  # others may have failed while this one waited
            if not await self._checks.is_right(record, password):
                return False, await self._note_failure(attempt)
            await self._note_success(attempt, password)
            return True, 0.0

    async def _refuse_if_throttled(self, attempt: "_Attempt") -> None:
        standing = await self._standing(attempt, await self._counts.look(attempt.counted))
        retry_after_s = refused_for_s(standing, self._throttle, self._clock())
        if retry_after_s > 0:
            SIGN_INS.labels("throttled").inc()
            raise LoginThrottled(retry_after_s)

    async def _note_failure(self, attempt: "_Attempt") -> float:
        """Count it before anything is answered, so that hanging up early hides nothing."""
        standing = await self._standing(attempt, await self._counts.add(attempt.counted))
        return delay_s(standing, self._throttle)

    async def _note_success(self, attempt: "_Attempt", password: str) -> None:
        await self._counts.clear(attempt.pair)
        await self._counts.make_known(attempt.pair)
        if (record := attempt.record) is None:
            return
        self._remembered.add(record, password)
        if needs_rehash(record.password_hash):
            new_hash = await self._checks.hash(password)
            with contextlib.suppress(StoreUnavailable):  # the old hash is right as well; the next sign-in tries again
                async with self._database.directory() as connection:
                    await upgrade_password_hash(connection, record, new_hash)

    async def _standing(self, attempt: "_Attempt", counts: list[Failures]) -> Standing:
        failures = dict(zip(attempt.counted, counts, strict=True))
        return Standing(
            pair=failures[attempt.pair],
            account=failures[attempt.account],
            network=failures.get(f"network {attempt.networks.narrow}", Failures()),
            wide_network=failures.get(f"network {attempt.networks.wide}", Failures()),
            is_known_pair=await self._counts.is_known(attempt.pair),
        )

    async def _hold_back(self, seconds: float) -> None:
        if seconds <= 0 or self._tarpits >= self._config.tarpits_limit:
            return
        self._tarpits += 1
        try:
            await self._sleep(seconds)
        finally:
            self._tarpits -= 1


@dataclass(frozen=True, slots=True)
class _Attempt:
    """One try, and the names of the counts it is judged by."""

    record: LoginRecord | None
    networks: Networks
    account: str
    pair: str
    counted: tuple[str, ...]

    @classmethod
    def of(cls, record: LoginRecord | None, address: str, networks: Networks) -> Self:
        account = f"account {record.account_id}" if record is not None else f"address {address.casefold()[:320]}"
        pair = f"pair {account} {networks.narrow}"
        counted_networks = [f"network {network}" for network in (networks.narrow, networks.wide) if network]
        return cls(record, networks, account, pair, (pair, account, *counted_networks))


def _admitted(record: LoginRecord) -> Principal:
    """The person, if they may sign in now. Raises LoginRefused."""
    if record.tenant_status is not Status.ACTIVE:
        raise LoginRefused(RefusalReason.TENANT_SUSPENDED)
    if record.account_status is not Status.ACTIVE:
        raise LoginRefused(RefusalReason.ACCOUNT_SUSPENDED)
    return Principal(
        tenant_id=record.tenant_id,
        account_id=record.account_id,
        address=record.address,
        display_name=record.display_name,
        language=record.language,
        time_zone=record.time_zone,
        quota_octets=record.quota_octets,
        is_administrator=record.is_administrator,
    )
