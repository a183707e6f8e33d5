"""Signing in with app passwords and by SCRAM, against the real directory."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator

import psycopg
import pytest

from mailserver.sasl import SaslMalformed
from mailserver.services.errors import LoginFailed, LoginRefused, LoginThrottled, RefusalReason
from mailserver.services.exchanges import begin_exchange, mechanisms
from mailserver.services.login import LoginConfig, Logins
from storage.database import Database
from tenants.app_password_text import app_password_digest
from tenants.scram_keys import derive_keys, new_salting
from tenants.types import OWN_PASSWORD, Principal, Salting, Scope
from tests.conftest import RunningServices
from tests.mailserver.services.test_login import (
    OFFICE,
    THROTTLE,
    Person,
    Time,
    change,
    local_counts,
    person,
    time,
)

__all__ = ["person", "time"]

APP_PASSWORD = "kdmw-3xvt-hhq5-zbnr"
FAST = LoginConfig(scram_iterations=4096)

TOKENS = ("OAUTHBEARER", "XOAUTH2")


@pytest.fixture
async def logins(database: Database, time: Time) -> AsyncIterator[Logins]:
    logins = Logins(database, local_counts(time), FAST, THROTTLE, clock=time.clock, sleep=time.sleep)
    yield logins
    await logins.settle()
    logins.close()


@pytest.fixture
def app_password(services: RunningServices, person: Person) -> int:
    """Good for IMAP and SMTP."""
    salting = new_salting(4096)
    keys = derive_keys(APP_PASSWORD, salting)
    assert keys is not None
    change(
        services,
        person,
        "UPDATE account SET scram_salt = %s, scram_iterations = 4096 WHERE id = %s",
        salting.salt,
        person.account_id,
    )
    with psycopg.connect(services.owner_url) as owner:
        found = owner.execute(
            "INSERT INTO app_password (tenant_id, account_id, name, scopes, digest, scram_stored_key, scram_server_key)"
            " VALUES (%s, %s, 'phone', 'imap smtp', %s, %s, %s) RETURNING id",
            [
                person.tenant_id,
                person.account_id,
                app_password_digest(salting.salt, APP_PASSWORD),
                keys.stored_key,
                keys.server_key,
            ],
        ).fetchone()
    assert found is not None
    return int(found[0])


async def scram(
    logins: Logins, name: str, password: str, *, scope: Scope = Scope.IMAP, network: str = OFFICE
) -> Principal:
    """A whole exchange, by a client that checks the server too (RFC 5802 §3)."""
    exchange = logins.scram(network=network, scope=scope)
    bare = f"n={name},r={secrets.token_hex(8)}"
    first = await exchange.respond(f"n,,{bare}".encode())
    assert isinstance(first, bytes)
    salting = salting_in(first)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salting.salt, salting.iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    without_proof = f"c=biws,{first.decode().split(',')[0]}"
    message = f"{bare},{first.decode()},{without_proof}".encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    proof = bytes(one ^ other for one, other in zip(client_key, signature, strict=True))
    final = await exchange.respond(f"{without_proof},p={base64.b64encode(proof).decode()}".encode())
    server_key = hmac.digest(salted, b"Server Key", "sha256")
    assert final == b"v=" + base64.b64encode(hmac.digest(server_key, message, "sha256"))
    principal = await exchange.respond(b"")
    assert isinstance(principal, Principal)
    return principal


def salting_in(server_first: bytes) -> Salting:
    parts = dict(part.split("=", 1) for part in server_first.decode().split(","))
    return Salting(base64.b64decode(parts["s"]), int(parts["i"]))


async def salting_for(logins: Logins, name: str) -> Salting:
    first = await logins.scram(network=OFFICE, scope=Scope.IMAP).respond(f"n,,n={name},r=x".encode())
    assert isinstance(first, bytes)
    return salting_in(first)


@pytest.mark.parametrize("typed", [APP_PASSWORD, "kdmw 3xvt hhq5 zbnr", "KDMW3XVTHHQ5ZBNR"])
async def test_an_app_password_signs_in_however_it_is_typed(
    logins: Logins, person: Person, app_password: int, typed: str
) -> None:
    for _ in range(2):  # checked, then remembered
        principal = await logins.sign_in(person.address, typed, network=OFFICE, scope=Scope.IMAP)
        assert principal.credential.app_password_id == app_password
        assert (principal.credential.name, principal.credential.scopes) == (
            "phone",
            frozenset({Scope.IMAP, Scope.SMTP}),
        )
    own = await logins.sign_in(person.address, person.password, network=OFFICE, scope=Scope.IMAP)
    assert own.credential == OWN_PASSWORD


@pytest.mark.parametrize("scope", [Scope.POP, None])
async def test_an_app_password_is_good_for_its_scope_only(
    logins: Logins, person: Person, app_password: int, scope: Scope | None
) -> None:
    await logins.sign_in(person.address, APP_PASSWORD, network=OFFICE, scope=Scope.IMAP)
    with pytest.raises(LoginRefused) as refusal:
        await logins.sign_in(person.address, APP_PASSWORD, network=OFFICE, scope=scope)
    assert refusal.value.reason is RefusalReason.OTHER_SCOPE


@pytest.mark.parametrize(
    "statement",
    ["DELETE FROM app_password WHERE id = %s", "UPDATE app_password SET expires_at = now() WHERE id = %s"],
)
async def test_a_revoked_or_expired_app_password_is_wrong_at_once(
    logins: Logins, person: Person, app_password: int, services: RunningServices, statement: str
) -> None:
    await logins.sign_in(person.address, APP_PASSWORD, network=OFFICE, scope=Scope.IMAP)
    change(services, person, statement, app_password)
    with pytest.raises(LoginFailed):
        await logins.sign_in(person.address, APP_PASSWORD, network=OFFICE, scope=Scope.IMAP)
    with pytest.raises(LoginFailed):
        await scram(logins, person.address, APP_PASSWORD)


async def test_mail_programs_may_be_asked_for_app_passwords(
    logins: Logins, person: Person, app_password: int, services: RunningServices
) -> None:
    change(services, person, "UPDATE account SET app_passwords_only = true WHERE id = %s", person.account_id)
    with pytest.raises(LoginRefused) as refusal:
        await logins.sign_in(person.address, person.password, network=OFFICE, scope=Scope.IMAP)
    assert refusal.value.reason is RefusalReason.APP_PASSWORD_NEEDED
    await logins.sign_in(person.address, person.password, network=OFFICE)  # in the browser
    await logins.sign_in(person.address, APP_PASSWORD, network=OFFICE, scope=Scope.IMAP)


async def test_the_last_use_is_written_once_for_each_network(
    logins: Logins, person: Person, app_password: int, services: RunningServices
) -> None:
    for network in (OFFICE, OFFICE, "198.51.100.9"):
        await logins.sign_in(person.address, APP_PASSWORD, network=network, scope=Scope.IMAP)
        await logins.settle()
    with psycopg.connect(services.owner_url) as owner:
        found = owner.execute(
            "SELECT last_used_network, last_used_at IS NOT NULL FROM app_password WHERE id = %s", [app_password]
        ).fetchone()
    assert found == ("198.51.100.9", True)


async def test_scram_is_ready_after_the_first_sign_in_with_the_password(
    logins: Logins, person: Person, app_password: int
) -> None:
    with pytest.raises(LoginFailed):
        await scram(logins, person.address, person.password)
    await logins.sign_in(person.address, person.password, network=OFFICE, scope=Scope.IMAP)
    await logins.settle()
    assert (await scram(logins, person.address, person.password)).credential == OWN_PASSWORD
    assert (await scram(logins, person.address, APP_PASSWORD)).credential.app_password_id == app_password


async def test_scram_without_any_salt_begins_one(logins: Logins, person: Person) -> None:
    await logins.sign_in(person.address, person.password, network=OFFICE, scope=Scope.IMAP)
    await logins.settle()
    assert (await scram(logins, person.address.upper(), person.password)).account_id == person.account_id


async def test_a_password_changed_by_somebody_who_knows_no_scram_ends_the_old_one(
    logins: Logins, person: Person, services: RunningServices
) -> None:
    await logins.sign_in(person.address, person.password, network=OFFICE, scope=Scope.IMAP)
    await logins.settle()
    change(services, person, "UPDATE account SET password_hash = password_hash || 'x' WHERE id = %s", person.account_id)
    with pytest.raises(LoginFailed):
        await scram(logins, person.address, person.password)


async def test_nobody_has_a_salt_that_stays(logins: Logins, person: Person) -> None:
    unknown = f"nobody@{person.domain}"
    assert await salting_for(logins, unknown) == await salting_for(logins, unknown.upper())
    assert await salting_for(logins, unknown) == await salting_for(logins, f'"nob\\ody"@{person.domain}')
    assert await salting_for(logins, unknown) != await salting_for(logins, f"other@{person.domain}")
    known = await salting_for(logins, person.address)
    assert (len(known.salt), known.iterations) == (len((await salting_for(logins, unknown)).salt), 4096)
    with pytest.raises(LoginFailed):
        await scram(logins, unknown, "x")


async def test_scram_is_offered_once_everybody_can_use_it(
    logins: Logins, person: Person, services: RunningServices
) -> None:
    for_all = "UPDATE account SET scram_made_for = password_hash WHERE id <> %s"
    with psycopg.connect(services.owner_url) as owner:
        owner.execute(for_all, [person.account_id])
    await logins.look_for_scram()
    assert mechanisms(logins, Scope.IMAP) == ("PLAIN", *TOKENS)
    await logins.sign_in(person.address, person.password, network=OFFICE, scope=Scope.IMAP)
    await logins.settle()
    await logins.look_for_scram()
    assert mechanisms(logins, Scope.IMAP) == ("SCRAM-SHA-256", "PLAIN", *TOKENS)
    assert mechanisms(logins, Scope.SMTP) == ("SCRAM-SHA-256", "PLAIN", "LOGIN", *TOKENS)


async def test_scram_can_be_switched_off(database: Database, time: Time, person: Person) -> None:
    config = LoginConfig(scram_iterations=0, scram_offered="always")
    logins = Logins(database, local_counts(time), config, THROTTLE, clock=time.clock, sleep=time.sleep)
    await logins.sign_in(person.address, person.password, network=OFFICE, scope=Scope.IMAP)
    assert mechanisms(logins, Scope.IMAP) == ("PLAIN", *TOKENS)
    assert begin_exchange(logins, "SCRAM-SHA-256", network=OFFICE, scope=Scope.IMAP) is None
    await logins.settle()
    logins.close()


async def test_scram_failures_are_counted(logins: Logins, person: Person, app_password: int) -> None:
    for number in range(4):
        with pytest.raises(LoginFailed):
            await scram(logins, person.address, f"wrong {number}")
    with pytest.raises(LoginThrottled):
        await scram(logins, person.address, APP_PASSWORD)


async def test_the_end_of_an_exchange_is_an_empty_response(logins: Logins, person: Person) -> None:
    exchange = logins.scram(network=OFFICE, scope=Scope.IMAP)
    await exchange.respond(f"n,,n={person.address},r=x".encode())
    with pytest.raises(SaslMalformed):
        await exchange.respond(b"")
