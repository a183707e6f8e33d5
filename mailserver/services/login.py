"""Signing in with a name and a password: who it is, or one of three refusals.

What keeps guessing slow: failures are counted per account and per network and lead to delays, then refusals
(`attempts`). What keeps guessing blind: an unknown person costs the same time as a wrong password, and whether an
account is suspended is told only to somebody who knows its password. What keeps it cheap: a right password is
remembered for an hour, here as a digest under a key that only this process's memory holds and in Redis as one under
the installation's key, and an app password is random enough for a fast digest. The directory is asked at every sign-in
and tells all that passwords are compared with, so a changed or revoked password and a suspension count at once,
whatever is remembered. Other passwords are checked in a bounded number of threads.
"""

import asyncio
import contextlib
import hashlib
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Literal

from mailserver.observability.logs import get_logger
from mailserver.sasl import SaslMalformed, prepare
from mailserver.services.app_password_uses import AppPasswordUses
from mailserver.services.attempts import SIGN_INS, Attempt, Attempts
from mailserver.services.connections import AccountConnections
from mailserver.services.errors import LoginFailed, LoginRefused, RefusalReason
from mailserver.services.failure_counts import FailureCounts
from mailserver.services.password_checks import PasswordChecks, RememberedPasswords, app_credential
from mailserver.services.scram_login import ScramSignIn
from mailserver.services.throttle import Standing, ThrottleConfig
from mailserver.services.tokens import Tokens
from storage.database import Database
from storage.errors import StoreUnavailable
from storage.sign_in import find_login
from tenants.addresses import parse_address
from tenants.directory import somebody_lacks_scram, store_scram, upgrade_password_hash
from tenants.errors import AddressInvalid
from tenants.passwords import needs_rehash
from tenants.scram_keys import ITERATIONS, LEAST_ITERATIONS, MOST_ITERATIONS, derive_keys, new_salting
from tenants.types import OWN_PASSWORD, Credential, LoginRecord, Principal, Scope, Status

LOOK_FOR_SCRAM_EVERY_S = 60.0
KEEP_FOR_SCRAM_EVERY_S = 1.0

log = get_logger()


@dataclass(frozen=True, slots=True)
class LoginConfig:
    check_threads: int = 2  # passwords checked at the same time; each takes 19 MiB and a core
    checks_waiting_limit: int = 200  # sign-ins that may wait for a thread; more are asked to try again
    check_wait_s: float = 10.0  # longest wait for a thread
    remembered_s: float = 3_600.0  # how long a right password is not checked anew
    remembered_limit: int = 10_000  # right passwords remembered at once, and as many wrong ones
    tarpits_limit: int = 1_000  # failed sign-ins whose answers are held back at once; more are answered at once
    connections_per_account: int = field(default=100, metadata={"least": 1})
    """connections of one person to one process, in all"""
    connections_per_account_and_network: int = field(default=50, metadata={"least": 1})
    """connections of one person to one process from one IPv4 address or IPv6 /64"""
    scram_iterations: int = field(default=ITERATIONS, metadata={"most": MOST_ITERATIONS})
    """rounds of hashing in what is kept of passwords for SCRAM-SHA-256; 0: nothing is kept and it is never offered"""
    scram_offered: Literal["ready", "always", "never"] = "ready"
    """whether SCRAM-SHA-256 is offered; ready: once something is kept for it of the password of everybody"""

    def __post_init__(self) -> None:
        if 0 < self.scram_iterations < LEAST_ITERATIONS:
            raise ValueError(f"scram_iterations is 0 or at least {LEAST_ITERATIONS}")


class Logins:
    """Signs people in. One per process; `close` ends its threads.

    `secret` is the installation's: what keeps guesses in the counts, and salts of nobody, from being foreseen.
    `connections` counts what people who signed in have open, which the doors see to. `attempts` counts what failed.
    `tokens` knows who bears one.
    """

    def __init__(
        self,
        database: Database,
        counts: FailureCounts,
        config: LoginConfig,
        throttle: ThrottleConfig,
        *,
        secret: bytes | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._database = database
        self._counts = counts
        self._config = config
        self._secret = secret or secrets.token_bytes(32)
        self._checks = PasswordChecks(
            threads=config.check_threads, waiting_limit=config.checks_waiting_limit, wait_s=config.check_wait_s
        )
        self._remembered = RememberedPasswords(
            right_for_s=config.remembered_s,
            wrong_for_s=throttle.forget_after_s,
            limit=config.remembered_limit,
            clock=clock,
        )
        self.attempts = Attempts(
            counts, throttle, guess_key=self._secret, tarpits_limit=config.tarpits_limit, clock=clock, sleep=sleep
        )
        self.tokens = Tokens(database)
        self.connections = AccountConnections(
            per_account=config.connections_per_account, per_network=config.connections_per_account_and_network
        )
        self._clock = clock
        self._is_scram_ready = False
        self._looked_for_scram_at = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._kept_at = float("-inf")
        self._keeping: asyncio.Task[None] | None = None
        self._least_delay_s = throttle.delay_step_s
        self._uses = AppPasswordUses(database, clock=clock)

    @property
    def offers_scram(self) -> bool:
        """Programs that see it offered use it, and tell people that their password is wrong where nothing is kept for
        SCRAM yet: so it is offered once nobody is left of whom that is true."""
        return self.knows_scram and (self._config.scram_offered == "always" or self._is_scram_ready)

    @property
    def knows_scram(self) -> bool:
        """Whether somebody who asks for it unasked gets it."""
        return self._config.scram_iterations > 0 and self._config.scram_offered != "never"

    async def look_for_scram(self) -> None:
        """Find out whether SCRAM can be offered. Raises StoreUnavailable."""
        self._looked_for_scram_at = self._clock()
        async with self._database.directory() as connection:
            self._is_scram_ready = not await somebody_lacks_scram(connection)

    async def sign_in(self, address: str, password: str, *, network: str, scope: Scope | None = None) -> Principal:
        """Who signs in. `network` is the peer's IP address; without `scope` only a person's own password is good.

        Raises LoginFailed (unknown or wrong), LoginThrottled, LoginRefused (right password, but suspended or not good
        for this), StoreUnavailable.
        """
        record = await self._find(address)
        if record is not None and (credential := self._remembered.right(record, password)) is not None:
            SIGN_INS.labels("remembered").inc()
            return self._admitted(record, credential, network, scope)
        attempt = Attempt.of(record, address, network)
        found, delay = await self._try(attempt, password)
        if record is None or found is None:
            await self._failed(attempt, delay)
            raise LoginFailed
        SIGN_INS.labels("checked").inc()
        return self._admitted(record, found, network, scope)

    def scram(self, *, network: str, scope: Scope) -> ScramSignIn:
        """A SCRAM-SHA-256 exchange that is to begin."""
        return ScramSignIn(
            find=self._find,
            attempts=self.attempts,
            admit=lambda record, credential: self._admitted(record, credential, network, scope),
            failed=self._failed,
            secret=self._secret,
            iterations=self._config.scram_iterations,
            network=network,
        )

    async def settle(self) -> None:
        """Wait for what goes on beside sign-ins."""
        beside = [task for task in (self._looking, self._keeping) if task is not None]
        await asyncio.gather(*beside, return_exceptions=True)
        await self._uses.settle()

    def close(self) -> None:
        self._checks.close()
        for task in (self._looking, self._keeping):
            if task is not None:
                task.cancel()
        self._uses.close()

    async def _find(self, address: str) -> LoginRecord | None:
        if self._clock() - self._looked_for_scram_at > LOOK_FOR_SCRAM_EVERY_S:
            self._looked_for_scram_at = self._clock()
            self._looking = asyncio.get_running_loop().create_task(self._look_again())
        try:
            canonical = parse_address(prepare(address))
        except (AddressInvalid, SaslMalformed):
            return None
        async with self._database.directory() as connection:
            record = await find_login(connection, canonical)
        if record is None or Status.DELETED in (record.tenant_status, record.account_status):
            return None
        return record

    async def _look_again(self) -> None:
        with contextlib.suppress(StoreUnavailable):
            await self.look_for_scram()

    async def _try(self, attempt: Attempt, password: str) -> tuple[Credential | None, float]:
        """Which password it is, or None and how long to hold the answer back."""
        record = attempt.record
        standing = await self.attempts.demand_leave(attempt)
        if record is not None and (credential := app_credential(record, password)) is not None:
            self._remembered.add_right(record, credential, password)
            await self.attempts.note_success(attempt, standing)
            return credential, 0.0
        if self._remembered.is_wrong(record, attempt.account, password):
            delay = await self.attempts.note_failure(attempt, password)
            return None, max(delay, self._least_delay_s)
        if record is not None and await self._counts.remembers(self._token(record, password)):
            self._remembered.add_right(record, OWN_PASSWORD, password)
            await self.attempts.note_success(attempt, standing)
            return OWN_PASSWORD, 0.0
        async with self._checks.turn():
            if record is not None and (credential := self._remembered.right(record, password)) is not None:
                return credential, 0.0
            await self.attempts.demand_leave(attempt)  # others may have failed while this one waited
            if not await self._checks.is_right(record, password):
                self._remembered.add_wrong(record, attempt.account, password)
                return None, await self.attempts.note_failure(attempt, password)
            await self._note_success(attempt, standing, password)
            return OWN_PASSWORD, 0.0

    async def _note_success(self, attempt: Attempt, standing: Standing, password: str) -> None:
        await self.attempts.note_success(attempt, standing)
        if (record := attempt.record) is None:
            return
        self._remembered.add_right(record, OWN_PASSWORD, password)
        await self._counts.remember(self._token(record, password), self._config.remembered_s)
        with contextlib.suppress(StoreUnavailable):  # what is there is right as well; the next sign-in tries again
            password_hash = record.password_hash
            if needs_rehash(password_hash):
                new_hash = await self._checks.hash(password)
                async with self._database.directory() as connection:
                    if await upgrade_password_hash(connection, record, new_hash):
                        password_hash = new_hash
            if record.scram is None or password_hash != record.password_hash:
                self._begin_keeping(record, password_hash, password)

    def _token(self, record: LoginRecord, password: str) -> str:
        """What other processes recognise a right password by; another hash, or another installation, has others."""
        digest = hashlib.blake2b(f"{record.account_id}\0{record.password_hash}\0".encode(), key=self._secret)
        digest.update(password.encode(errors="surrogatepass"))
        return digest.hexdigest()[:48]

    def _begin_keeping(self, record: LoginRecord, password_hash: str, password: str) -> None:
        """One at a time, with a pause: after an update nobody's sign-in waits for everybody's keys. Whoever is passed
        over has another turn when their password is checked again."""
        is_due = self._clock() - self._kept_at >= KEEP_FOR_SCRAM_EVERY_S
        if self._config.scram_iterations and is_due and (self._keeping is None or self._keeping.done()):
            self._kept_at = self._clock()
            work = self._keep_for_scram(record, password_hash, password)
            self._keeping = asyncio.get_running_loop().create_task(work)

    async def _keep_for_scram(self, record: LoginRecord, password_hash: str, password: str) -> None:
        salting = record.salting or new_salting(self._config.scram_iterations)
        keys = await self._checks.in_thread(derive_keys, password, salting)
        if keys is not None:
            with contextlib.suppress(StoreUnavailable):
                async with self._database.directory() as connection:
                    await store_scram(connection, record, password_hash, salting, keys)

    async def _failed(self, attempt: Attempt, delay: float) -> None:
        SIGN_INS.labels("failed").inc()
        record = attempt.record
        log.info("sign-in failed", account=record and record.account_id, network=attempt.networks.narrow)
        await self.attempts.hold_back(delay)

    def _admitted(self, record: LoginRecord, credential: Credential, network: str, scope: Scope | None) -> Principal:
        """The person, if they may sign in now with this. Raises LoginRefused."""
        if record.tenant_status is not Status.ACTIVE:
            raise LoginRefused(RefusalReason.TENANT_SUSPENDED)
        if record.account_status is not Status.ACTIVE:
            raise LoginRefused(RefusalReason.ACCOUNT_SUSPENDED)
        if credential.app_password_id is not None:
            if scope is None or scope not in credential.scopes:
                raise LoginRefused(RefusalReason.OTHER_SCOPE)
            self._uses.note(credential.app_password_id, network)
        elif scope is not None and record.app_passwords_only:
            raise LoginRefused(RefusalReason.APP_PASSWORD_NEEDED)
        return Principal(
            tenant_id=record.tenant_id,
            account_id=record.account_id,
            address=record.address,
            display_name=record.display_name,
            language=record.language,
            time_zone=record.time_zone,
            quota_octets=record.quota_octets,
            is_administrator=record.is_administrator,
            credential=credential,
            sign_in_epoch=record.sign_in_epoch,
        )
