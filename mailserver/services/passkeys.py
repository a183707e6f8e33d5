"""Passkeys (WebAuthn Level 3): made here, and shown to sign in, instead of a password or beside one.

    options, as JSON for the browser's script  ──▶  navigator.credentials  ──▶  its answer, as JSON, to be checked

A challenge needs no place to be kept: it holds when and what for it was made, and a code over that under a key of the
installation. It is good for CHALLENGE_WITHIN, and for a passkey only once: the passkey notes the challenge of its last
use and takes none that was made no later. Only the web role loads this: the library is large.
"""

import hmac
import json
import secrets
import struct
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import webauthn
from webauthn.helpers.exceptions import WebAuthnException
from webauthn.helpers.parse_authentication_credential_json import parse_authentication_credential_json
from webauthn.helpers.parse_client_data_json import parse_client_data_json
from webauthn.helpers.parse_registration_credential_json import parse_registration_credential_json
from webauthn.helpers.structs import (
    AuthenticationCredential,
    AuthenticatorSelectionCriteria,
    AuthenticatorTransport,
    PublicKeyCredentialDescriptor,
    ResidentKeyRequirement,
    UserVerificationRequirement,
)

from mailserver.services.audit import note_act
from mailserver.services.endings import Endings, demand_signed_in
from mailserver.services.second_factors import first_codes, forget_codes_of_nothing
from mailserver.services.sign_in_errors import FactorMissing, PasskeyProblem, PasskeyRefused, TooMany
from mailserver.services.web_sessions import end_everything_else
from storage.own_credentials import find_person
from storage.passkeys import (
    KeptPasskey,
    NewPasskey,
    delete_passkey,
    insert_passkey,
    list_passkeys,
    owner_of_passkey,
    rename_passkey,
    use_passkey,
)
from storage.sealed_secrets import user_handle
from storage.sign_in_ends import end_sign_ins
from storage.store import MailStore
from storage.web_sessions import FoundSession, delete_other_sessions
from tenants.checks import clean_name
from tenants.types import AccountId, Principal, TenantId

PASSKEYS_LIMIT = 20
CHALLENGE_WITHIN = timedelta(minutes=15)
ANSWER_LIMIT_CHARACTERS = 20_000
NAME = "Waypost"
_TIMEOUT_MS = 300_000
_RANDOM_OCTETS, _CODE_OCTETS = 16, 32


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page stands that asks: the host's name, which passkeys are bound to, and the page's origin."""

    rp_id: str
    origin: str

    @property
    def has_name(self) -> bool:
        """An address of digits is no place for a passkey (WebAuthn §5.1.3)."""
        return not (self.rp_id.startswith("[") or self.rp_id.replace(".", "").isdecimal())


class Passkeys:
    """Every method that is awaited raises StoreUnavailable, KeyUnusable. With `ends_others` everything that the person
    has open ends in the same act, but the session in which it is done."""

    def __init__(
        self,
        store: MailStore,
        endings: Endings,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._endings = endings
        self._now = now

    async def list(self, who: Principal) -> Sequence[KeptPasskey]:
        return await self._of(who.tenant_id, who.account_id)

    # -- making one

    async def options_to_make(self, who: Principal, place: Place) -> str | None:
        """None where there can be none."""
        if not place.has_name:
            return None
        keys = await self._store.keys.of(who.tenant_id)
        kept = await self.list(who)
        return webauthn.options_to_json(
            webauthn.generate_registration_options(
                rp_id=place.rp_id,
                rp_name=NAME,
                user_id=user_handle(keys, who.account_id),
                user_name=str(who.address),
                user_display_name=who.display_name,
                challenge=self._challenge("make", who.account_id),
                timeout=_TIMEOUT_MS,
                authenticator_selection=AuthenticatorSelectionCriteria(
                    resident_key=ResidentKeyRequirement.PREFERRED,
                    user_verification=UserVerificationRequirement.PREFERRED,
                ),
                exclude_credentials=_descriptors(each for each in kept if each.rp_id == place.rp_id),
            )
        )

    async def make(
        self, session: FoundSession, place: Place, *, name: str, answer: str, ends_others: bool, network: str
    ) -> Sequence[str]:
        """Keep what the browser made. Mail connections end in any case. Returns recovery codes, to be shown once; none
        if the person has them already. Raises PasskeyRefused, NameInvalid, PasskeyTaken, TooMany, SessionEnded."""
        who = session.who
        keys = await self._store.keys.of(who.tenant_id)
        clean = clean_name(name)
        try:
            parsed = parse_registration_credential_json(_read(answer))
            challenge = parse_client_data_json(parsed.response.client_data_json).challenge
            self._demand_ours(challenge, "make", who.account_id)
            verified = webauthn.verify_registration_response(
                credential=parsed,
                expected_challenge=challenge,
                expected_rp_id=place.rp_id,
                expected_origin=place.origin,
            )
        except WebAuthnException:
            raise PasskeyRefused(PasskeyProblem.WRONG) from None
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise PasskeyRefused(PasskeyProblem.UNREADABLE) from None
        new = NewPasskey(
            credential_id=verified.credential_id,
            public_key=verified.credential_public_key,
            sign_count=verified.sign_count,
            rp_id=place.rp_id,
            transports=" ".join(each.value for each in parsed.response.transports or ())[:100],
            is_backed_up=verified.credential_backed_up,
            name=clean,
        )
        async with self._store.database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            if len(await list_passkeys(connection, who.tenant_id, who.account_id)) >= PASSKEYS_LIMIT:
                raise TooMany(PASSKEYS_LIMIT)
            await insert_passkey(connection, who, new)
            codes = await first_codes(connection, keys, who)
            epoch = await end_sign_ins(connection, who.tenant_id, who.account_id)
            if ends_others:
                await delete_other_sessions(connection, who, session.id)
        self._endings.ended(who.account_id, epoch)
        note_act(who, "made a passkey", network=network, is_backed_up=new.is_backed_up, ended_others=ends_others)
        return codes

    async def rename(self, who: Principal, passkey_id: int, name: str, *, network: str) -> None:
        """Raises FactorMissing, NameInvalid, PasskeyTaken."""
        async with self._store.database.read(who.tenant_id) as connection:
            if not await rename_passkey(connection, who, passkey_id, clean_name(name)):
                raise FactorMissing
        note_act(who, "renamed a passkey", network=network, passkey=passkey_id)

    async def remove(self, session: FoundSession, passkey_id: int, *, ends_others: bool, network: str) -> None:
        """Raises FactorMissing, SessionEnded."""
        who = session.who
        async with self._store.database.transaction(who.tenant_id) as connection:
            await demand_signed_in(connection, who)
            if not await delete_passkey(connection, who, passkey_id):
                raise FactorMissing
            await forget_codes_of_nothing(connection, who)
            epoch = await end_everything_else(connection, session) if ends_others else who.sign_in_epoch
        self._endings.ended(who.account_id, epoch)
        note_act(who, "removed a passkey", network=network, passkey=passkey_id, ended_others=ends_others)

    # -- showing one

    def options_to_sign_in(self, place: Place) -> str | None:
        """Of anybody: the authenticator offers what it has for this place, and asks who is there. None where there can
        be none."""
        if not place.has_name:
            return None
        return self._options(place, "sign in", None, (), UserVerificationRequirement.REQUIRED)

    async def options_beside(self, who: Principal, place: Place) -> str | None:
        """One of the person's, beside their password or to confirm who they are; None if none is good here."""
        kept = [each for each in await self.list(who) if each.rp_id == place.rp_id]
        if not kept or not place.has_name:
            return None
        return self._options(place, "beside", who.account_id, kept, UserVerificationRequirement.PREFERRED)

    async def sign_in(self, place: Place, answer: str, *, network: str) -> Principal:
        """Whose passkey it is, if the authenticator asked who is there. Raises PasskeyRefused."""
        parsed = _parsed(answer)
        async with self._store.database.directory() as connection:
            owner = await owner_of_passkey(connection, parsed.raw_id)
        if owner is None:
            raise PasskeyRefused(PasskeyProblem.UNKNOWN)
        tenant_id, account_id = owner
        challenge_at = self._challenge_of(parsed, "sign in", None)
        async with self._store.database.read(tenant_id) as connection:
            who = await find_person(connection, tenant_id, account_id)
        if who is None:
            raise PasskeyRefused(PasskeyProblem.UNKNOWN)
        if not await self._check(parsed, tenant_id, account_id, place, challenge_at):
            raise PasskeyRefused(PasskeyProblem.UNVERIFIED)
        note_act(who, "showed a passkey", network=network)
        return who

    async def demand_beside(self, who: Principal, place: Place, answer: str, *, network: str) -> None:
        """It is one of the person's. Raises PasskeyRefused."""
        parsed = _parsed(answer)
        challenge_at = self._challenge_of(parsed, "beside", who.account_id)
        await self._check(parsed, who.tenant_id, who.account_id, place, challenge_at)
        note_act(who, "showed a passkey", network=network)

    async def _check(
        self,
        parsed: AuthenticationCredential,
        tenant_id: TenantId,
        account_id: AccountId,
        place: Place,
        challenge_at: datetime,
    ) -> bool:
        """Whether the authenticator asked who is there. Notes the use. Raises PasskeyRefused."""
        keys = await self._store.keys.of(tenant_id)
        handle = parsed.response.user_handle
        if handle and not hmac.compare_digest(handle, user_handle(keys, account_id)):
            raise PasskeyRefused(PasskeyProblem.UNKNOWN)
        kept = next(
            (each for each in await self._of(tenant_id, account_id) if each.credential_id == parsed.raw_id), None
        )
        if kept is None:
            raise PasskeyRefused(PasskeyProblem.UNKNOWN)
        try:
            verified = webauthn.verify_authentication_response(
                credential=parsed,
                expected_challenge=parse_client_data_json(parsed.response.client_data_json).challenge,
                expected_rp_id=kept.rp_id,
                expected_origin=place.origin,
                credential_public_key=kept.public_key,
                credential_current_sign_count=kept.sign_count,
            )
        except (WebAuthnException, ValueError):
            raise PasskeyRefused(PasskeyProblem.WRONG) from None
        async with self._store.database.read(tenant_id) as connection:
            is_first = await use_passkey(
                connection, tenant_id, kept, sign_count=verified.new_sign_count, challenge_at=challenge_at
            )
        if not is_first:
            raise PasskeyRefused(PasskeyProblem.TOO_LATE)
        return verified.user_verified

    async def _of(self, tenant_id: TenantId, account_id: AccountId) -> Sequence[KeptPasskey]:
        async with self._store.database.read(tenant_id) as connection:
            return await list_passkeys(connection, tenant_id, account_id)

    def _options(
        self,
        place: Place,
        purpose: str,
        account_id: AccountId | None,
        kept: Sequence[KeptPasskey],
        verification: UserVerificationRequirement,
    ) -> str:
        return webauthn.options_to_json(
            webauthn.generate_authentication_options(
                rp_id=place.rp_id,
                challenge=self._challenge(purpose, account_id),
                timeout=_TIMEOUT_MS,
                allow_credentials=_descriptors(kept) or None,
                user_verification=verification,
            )
        )

    # -- challenges: microseconds since 1970, random octets, a code over these and what for

    def _challenge(self, purpose: str, account_id: AccountId | None) -> bytes:
        made_at = int(self._now().timestamp() * 1_000_000)
        plain = struct.pack(">Q", made_at) + secrets.token_bytes(_RANDOM_OCTETS)
        return plain + self._code(plain, purpose, account_id)

    def _challenge_of(self, parsed: AuthenticationCredential, purpose: str, account_id: AccountId | None) -> datetime:
        try:
            challenge = parse_client_data_json(parsed.response.client_data_json).challenge
        except (WebAuthnException, ValueError, KeyError):
            raise PasskeyRefused(PasskeyProblem.UNREADABLE) from None
        return self._demand_ours(challenge, purpose, account_id)

    def _demand_ours(self, challenge: bytes, purpose: str, account_id: AccountId | None) -> datetime:
        """When it was made. Raises PasskeyRefused for one that is not ours, for something else, or too old."""
        plain, code = challenge[:-_CODE_OCTETS], challenge[-_CODE_OCTETS:]
        if len(plain) != 8 + _RANDOM_OCTETS or not hmac.compare_digest(code, self._code(plain, purpose, account_id)):
            raise PasskeyRefused(PasskeyProblem.WRONG)
        made_at = datetime.fromtimestamp(struct.unpack(">Q", plain[:8])[0] / 1_000_000, UTC)
        if self._now() - made_at > CHALLENGE_WITHIN:
            raise PasskeyRefused(PasskeyProblem.TOO_LATE)
        return made_at

    def _code(self, plain: bytes, purpose: str, account_id: AccountId | None) -> bytes:
        text = f"passkey\0{purpose}\0{account_id or 0}\0".encode()
        return hmac.digest(self._store.keys.sign_in_key, text + plain, "sha256")


def _descriptors(kept: Iterable[KeptPasskey]) -> list[PublicKeyCredentialDescriptor]:
    known = {each.value: each for each in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=each.credential_id,
            transports=[known[word] for word in each.transports.split() if word in known] or None,
        )
        for each in kept
    ]


def _read(answer: str) -> dict[str, Any]:
    """Raises ValueError."""
    if len(answer) > ANSWER_LIMIT_CHARACTERS:
        raise ValueError("too long")
    found = json.loads(answer)
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found


def _parsed(answer: str) -> AuthenticationCredential:
    """Raises PasskeyRefused."""
    try:
        return parse_authentication_credential_json(_read(answer))
    except (WebAuthnException, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise PasskeyRefused(PasskeyProblem.UNREADABLE) from None
