"""Checking passwords in a bounded number of threads, and remembering the right ones for a short while."""

import asyncio
import contextlib
import hashlib
import hmac
import secrets
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from mailserver.observability.metrics import histogram
from mailserver.sasl import SaslMalformed, prepare
from mailserver.services.errors import LoginThrottled
from tenants.passwords import hash_password, needs_rehash, verify_password
from tenants.types import AccountId, LoginRecord

CHECK_SECONDS = histogram("password_check_seconds", "How long the check of one password took in its thread.")

Result = TypeVar("Result")

BUSY_RETRY_S = 1.0


class PasswordChecks:
    """Threads for argon2. At most `threads` checks run and `waiting_limit` wait; each check needs a `turn`."""

    def __init__(self, *, threads: int, waiting_limit: int, wait_s: float) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="password")
        self._turns = asyncio.Semaphore(threads)
        self._waiting = 0
        self._waiting_limit = waiting_limit
        self._wait_s = wait_s
        self._nobodys_hash = hash_password(secrets.token_urlsafe())

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a thread to be free. Raises LoginThrottled if too many wait already, or for too long."""
        if self._waiting >= self._waiting_limit:
            raise LoginThrottled(BUSY_RETRY_S)
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._turns.acquire()
        except TimeoutError:
            raise LoginThrottled(BUSY_RETRY_S) from None
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()

    async def is_right(self, record: LoginRecord | None, password: str) -> bool:
        """Whether the password is the account's. Takes as long if there is no account, or one with a cheaper hash."""
        password_hash = record.password_hash if record is not None else self._nobodys_hash
        is_right = await self._in_thread(_matches, password_hash, password) and record is not None
        if not is_right and needs_rehash(password_hash):
            await self._in_thread(_matches, self._nobodys_hash, password)
        return is_right

    async def hash(self, password: str) -> str:
        return await self._in_thread(hash_password, password)

    async def _in_thread(self, work: Callable[..., Result], *arguments: str) -> Result:
        with CHECK_SECONDS.labels().time():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Remembered:
    password_hash: str
    digest: bytes
    until: float


class RememberedPasswords:
    """Right passwords of the last while, as digests under a key that only this object holds.

    What is remembered counts only as long as the directory shows the hash it was checked against.
    """

    def __init__(self, *, lifetime_s: float, limit: int, clock: Callable[[], float]) -> None:
        self._lifetime_s = lifetime_s
        self._limit = limit
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._remembered: OrderedDict[AccountId, _Remembered] = OrderedDict()

    def holds(self, record: LoginRecord, password: str) -> bool:
        remembered = self._remembered.get(record.account_id)
        if remembered is None:
            return False
        if remembered.until <= self._clock() or remembered.password_hash != record.password_hash:
            del self._remembered[record.account_id]
            return False
        return hmac.compare_digest(remembered.digest, self._digest(record, password))

    def add(self, record: LoginRecord, password: str) -> None:
        until = self._clock() + self._lifetime_s
        self._remembered[record.account_id] = _Remembered(record.password_hash, self._digest(record, password), until)
        self._remembered.move_to_end(record.account_id)
        while len(self._remembered) > self._limit:
            self._remembered.popitem(last=False)

    def _digest(self, record: LoginRecord, password: str) -> bytes:
        salt = record.account_id.to_bytes(16, "big", signed=True)
        return hashlib.blake2b(password.encode(errors="surrogatepass"), key=self._key, salt=salt).digest()


def _matches(password_hash: str, password: str) -> bool:
    """As it was sent, else as SASLprep has it; both are the same unless it holds unusual characters."""
    if verify_password(password_hash, password):
        return True
    try:
        prepared = prepare(password)
    except SaslMalformed:
        return False
    return prepared != password and verify_password(password_hash, prepared)
