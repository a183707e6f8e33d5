"""Authenticator apps (TOTP, RFC 6238) and recovery codes: what a person shows beside their password.

A code is good for the half minute before its own, its own and the one after, once: whoever looked over a shoulder comes
too late. Guessing is counted apart from passwords (`Attempt.at_second_factor`). As soon as there is a second factor,
the password alone opens no mail program either (`directory_login_v3`), so what it has open ends then.
"""

import hmac
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyotp

from mailserver.services.attempts import Attempt, Attempts
from mailserver.services.audit import note_act
from mailserver.services.endings import Endings, demand_signed_in
from mailserver.services.sign_in_errors import CodeWrong, FactorExists, FactorMissing
from mailserver.services.web_sessions import end_everything_else
from storage.keys import TenantKeys
from storage.query import Connection
from storage.sealed_secrets import open_totp, recovery_digest, seal_totp
from storage.second_factors import (
    Factors,
    confirm_totp,
    delete_totp,
    factors_of,
    find_totp,
    keep_totp,
    replace_codes,
    use_code,
    use_totp_step,
)
from storage.sign_in_ends import end_sign_ins
from storage.store import MailStore
from storage.web_sessions import FoundSession, delete_other_sessions
from tenants.passwords import GENERATED_ALPHABET
from tenants.types import Principal

ISSUER = "Waypost"
TOTP_DIGITS = 6
STEP_S = 30
STEPS_AROUND = (-1, 0, 1)
RECOVERY_CODES = 10
CODE_GROUPS, CODE_GROUP_CHARACTERS = 2, 5  # ten characters of 24: 45 bits, which nobody tries through under a throttle
_SECRET_CHARACTERS = 32  # of base 32: 160 bits (RFC 4226 §4)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """What an authenticator app is to be told, until `confirm`: as text to type, and as the address of a QR code."""

    secret: str
    address: str


class SecondFactors:
    """Every method raises StoreUnavailable, KeyUnusable; those that change something SessionEnded. With `ends_others`
    everything that the person has open ends in the same act, but the session in which it is done."""

    def __init__(
        self, store: MailStore, attempts: Attempts, endings: Endings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._store = store
        self._attempts = attempts
        self._endings = endings
        self._clock = clock

    async def of(self, who: Principal) -> Factors:
        async with self._store.database.read(who.tenant_id) as connection:
            return await factors_of(connection, who)

    async def enrol(self, who: Principal) -> Enrolment:
        """The secret that waits to be confirmed; a new one if none does. Raises FactorExists, SessionEnded."""
        keys = await self._store.keys.of(who.tenant_id)
        fresh = pyotp.random_base32(_SECRET_CHARACTERS)
        async with self._store.database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            await keep_totp(connection, who, seal_totp(keys, who.account_id, fresh.encode()))
            kept = await find_totp(connection, who)
        if kept is None or kept.confirmed_at is not None:
            raise FactorExists
        secret = open_totp(keys, who.account_id, kept.sealed).decode()
        address = pyotp.TOTP(secret).provisioning_uri(name=str(who.address), issuer_name=ISSUER)
        return Enrolment(secret, address)

    async def confirm(self, session: FoundSession, code: str, *, ends_others: bool, network: str) -> Sequence[str]:
        """The app is set up: from now on it is asked for. Returns recovery codes, to be shown once; none if the person
        has them already. Mail connections end in any case. Raises CodeWrong, FactorExists, LoginThrottled."""
        who = session.who
        keys = await self._store.keys.of(who.tenant_id)
        attempt = Attempt.at_second_factor(who.account_id, network)
        await self._attempts.demand_leave(attempt)
        async with self._store.database.read(who.tenant_id) as connection:
            kept = await find_totp(connection, who)
        if kept is None or kept.confirmed_at is not None:
            raise FactorExists
        step = self._step_of(open_totp(keys, who.account_id, kept.sealed).decode(), code)
        if step is None:
            await self._attempts.note_failure(attempt, None)
            raise CodeWrong
        async with self._store.database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            if not await confirm_totp(connection, who, kept.sealed, step):
                raise FactorExists
            codes = await first_codes(connection, keys, who)
            epoch = await end_sign_ins(connection, who.tenant_id, who.account_id)
            if ends_others:
                await delete_other_sessions(connection, who, session.id)
        self._endings.ended(who.account_id, epoch)
        note_act(who, "set up an authenticator app", network=network, ended_others=ends_others)
        return codes

    async def demand_code(self, who: Principal, code: str, *, network: str) -> None:
        """A code of the app, or one for recovery. Raises CodeWrong, after a while if there were several, and
        LoginThrottled."""
        attempt = Attempt.at_second_factor(who.account_id, network)
        async with self._attempts.in_turn(attempt):
            standing = await self._attempts.demand_leave(attempt)
            if await self._is_good(who, code, network):
                await self._attempts.note_success(attempt, standing)
                return
            delay_s = await self._attempts.note_failure(attempt, None)
        note_act(who, "showed a wrong code", network=network)
        await self._attempts.hold_back(delay_s)
        raise CodeWrong

    async def remove_totp(self, session: FoundSession, *, ends_others: bool, network: str) -> None:
        """Raises FactorMissing."""
        who = session.who
        async with self._store.database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            if not await delete_totp(connection, who):
                raise FactorMissing
            await forget_codes_of_nothing(connection, who)
            epoch = await end_everything_else(connection, session) if ends_others else who.sign_in_epoch
        self._endings.ended(who.account_id, epoch)
        note_act(who, "removed the authenticator app", network=network, ended_others=ends_others)

    async def renew_codes(self, session: FoundSession, *, ends_others: bool, network: str) -> Sequence[str]:
        """Ten others; those of before are good no more. Raises FactorMissing where there is nothing they stand in
        for."""
        who = session.who
        keys = await self._store.keys.of(who.tenant_id)
        async with self._store.database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            if not (await factors_of(connection, who)).are_any:
                raise FactorMissing
            codes = await _new_codes(connection, keys, who)
            epoch = await end_everything_else(connection, session) if ends_others else who.sign_in_epoch
        self._endings.ended(who.account_id, epoch)
        note_act(who, "made new recovery codes", network=network, ended_others=ends_others)
        return codes

    async def _is_good(self, who: Principal, code: str, network: str) -> bool:
        plain = plain_code(code)
        keys = await self._store.keys.of(who.tenant_id)
        async with self._store.database.read(who.tenant_id) as connection:
            if len(plain) == TOTP_DIGITS and plain.isdecimal():
                kept = await find_totp(connection, who)
                if kept is None or kept.confirmed_at is None:
                    return False
                step = self._step_of(open_totp(keys, who.account_id, kept.sealed).decode(), plain)
                return step is not None and await use_totp_step(connection, who, step)
            is_good = await use_code(connection, who, recovery_digest(keys, who.account_id, plain))
        if is_good:
            note_act(who, "used a recovery code", network=network)
        return is_good

    def _step_of(self, secret: str, code: str) -> int | None:
        """Which half minute's code it is; all are compared."""
        now = int(self._clock()) // STEP_S
        made = pyotp.TOTP(secret)
        plain = plain_code(code).encode()
        matching = [
            now + away for away in STEPS_AROUND if hmac.compare_digest(made.at((now + away) * STEP_S).encode(), plain)
        ]
        return matching[-1] if matching else None


async def first_codes(connection: Connection, keys: TenantKeys, who: Principal) -> Sequence[str]:
    """For who has none left; none for who has. In the transaction that makes what they stand in for: after it, somebody
    whose session has ended since would get codes, for nothing to stand in for."""
    return () if (await factors_of(connection, who)).codes_left else await _new_codes(connection, keys, who)


async def _new_codes(connection: Connection, keys: TenantKeys, who: Principal) -> Sequence[str]:
    codes = [_new_code() for _ in range(RECOVERY_CODES)]
    await replace_codes(connection, who, [recovery_digest(keys, who.account_id, plain_code(code)) for code in codes])
    return codes


async def forget_codes_of_nothing(connection: Connection, who: Principal) -> None:
    """Recovery codes stand in for a second factor: without one there are none."""
    if not (await factors_of(connection, who)).are_any:
        await replace_codes(connection, who, ())


def plain_code(text: str) -> str:
    """As it was made: people type codes with spaces, with or without hyphens, and in capitals."""
    return "".join(text.split()).replace("-", "").lower()[:100]


def _new_code() -> str:
    groups = (
        "".join(secrets.choice(GENERATED_ALPHABET) for _ in range(CODE_GROUP_CHARACTERS)) for _ in range(CODE_GROUPS)
    )
    return "-".join(groups)
