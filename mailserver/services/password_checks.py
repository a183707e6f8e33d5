"""Checking passwords in a bounded number of threads, and remembering what was right or wrong for a while."""

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
from tenants.app_password_text import app_password_digest
from tenants.passwords import hash_password, needs_rehash, verify_password
from tenants.types import OWN_PASSWORD, Credential, LoginRecord

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
        is_right = await self.in_thread(_matches, password_hash, password) and record is not None
        if not is_right and needs_rehash(password_hash):
            await self.in_thread(_matches, self._nobodys_hash, password)
        return is_right

    async def hash(self, password: str) -> str:
        return await self.in_thread(hash_password, password)

    async def in_thread(self, work: Callable[..., Result], *arguments: object) -> Result:
        with CHECK_SECONDS.labels().time():
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True, slots=True)
class _Right:
    basis: str | bytes
    until: float


class RememberedPasswords:
    """Right and wrong passwords of the last while, as digests under a key that only this object holds.

    What is remembered counts only as long as the directory shows what it was checked against: for a right one its own
    hash or digest, for a wrong one all of the account's.
    """

    def __init__(self, *, right_for_s: float, wrong_for_s: float, limit: int, clock: Callable[[], float]) -> None:
        self._right_for_s = right_for_s
        self._wrong_for_s = wrong_for_s
        self._limit = limit
        self._clock = clock
        self._key = secrets.token_bytes(32)
        self._right: OrderedDict[bytes, _Right] = OrderedDict()
        self._wrong: OrderedDict[bytes, float] = OrderedDict()

    def right(self, record: LoginRecord, password: str) -> Credential | None:
        """Which of the account's passwords this is, if it was right lately."""
        key = self._digest(str(record.account_id), password)
        remembered = self._right.get(key)
        if remembered is None:
            return None
        if remembered.until > self._clock():
            if remembered.basis == record.password_hash:
                return OWN_PASSWORD
            for each in record.app_passwords:
                if remembered.basis == each.digest:
                    return each.credential
        del self._right[key]
        return None

    def add_right(self, record: LoginRecord, credential: Credential, password: str) -> None:
        basis: str | bytes = record.password_hash
        for each in record.app_passwords:
            if each.credential == credential:
                basis = each.digest
        key = self._digest(str(record.account_id), password)
        self._right[key] = _Right(basis, self._clock() + self._right_for_s)
        self._right.move_to_end(key)
        if len(self._right) > self._limit:
            self._right.popitem(last=False)

    def is_wrong(self, record: LoginRecord | None, account: str, password: str) -> bool:
        return self._clock() < self._wrong.get(self._wrong_key(record, account, password), 0.0)

    def add_wrong(self, record: LoginRecord | None, account: str, password: str) -> None:
        key = self._wrong_key(record, account, password)
        self._wrong[key] = self._clock() + self._wrong_for_s
        self._wrong.move_to_end(key)
        if len(self._wrong) > self._limit:
            self._wrong.popitem(last=False)

    def _wrong_key(self, record: LoginRecord | None, account: str, password: str) -> bytes:
        basis = account
        if record is not None:
            basis += f"\0{record.password_hash}\0" + "".join(each.digest.hex() for each in record.app_passwords)
        return self._digest(basis, password)

    def _digest(self, basis: str, password: str) -> bytes:
        """Of digests, so that no name can run into the password behind it."""
        digest = hashlib.blake2b(basis.encode(errors="surrogatepass"), key=self._key)
        inner = hashlib.blake2b(password.encode(errors="surrogatepass"), key=self._key).digest()
        digest.update(inner)
        return digest.digest()


def app_credential(record: LoginRecord, password: str) -> Credential | None:
    """Which of the account's app passwords this is; all are compared."""
    if record.salting is None or not record.app_passwords:
        return None
    digest = app_password_digest(record.salting.salt, password)
    found = [each.credential for each in record.app_passwords if hmac.compare_digest(each.digest, digest)]
    return found[0] if found else None


def _matches(password_hash: str, password: str) -> bool:
    """As it was sent, else as SASLprep has it; both are the same unless it holds unusual characters."""
    if verify_password(password_hash, password):
        return True
    try:
        prepared = prepare(password)
    except SaslMalformed:
        return False
    return prepared != password and verify_password(password_hash, prepared)
