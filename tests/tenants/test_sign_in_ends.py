"""What ends everything that a person has open, as administrators do it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from django.db import connections

from tenants import app_passwords, sign_in_ends
from tenants import services as administration
from tenants.errors import TooManyAppPasswords
from tenants.models import (
    Account,
    AppPassword,
    BearerToken,
    OAuthClient,
    OAuthGrant,
    Passkey,
    RecoveryCode,
    Totp,
    WebSession,
)
from tenants.oauth_clients import remove_client
from tests.conftest import RunningServices
from tests.tenants.conftest import PASSWORD

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@pytest.fixture
def session(ann: Account) -> WebSession:
    return WebSession.objects.create(
        tenant=ann.tenant,
        account=ann,
        digest=ann.pk.to_bytes(32, "big"),
        stage="open",
        expires_at=datetime.now(UTC) + timedelta(days=1),
        network="192.0.2.1",
        client="Firefox",
    )


def address_of(account: Account) -> str:
    return str(account.addresses.get())


ENDS: dict[str, Callable[[Account], object]] = {
    "a new password": lambda ann: administration.set_account(
        address_of(ann), administration.AccountChange(password="another horse battery")
    ),
    "app passwords only": lambda ann: administration.set_account(
        address_of(ann), administration.AccountChange(app_passwords_only=True)
    ),
    "suspension": lambda ann: administration.suspend_account(address_of(ann)),
    "deletion": lambda ann: administration.delete_account(address_of(ann)),
    "suspension of the company": lambda ann: administration.suspend_tenant(ann.tenant.slug),
    "deletion of the company": lambda ann: administration.delete_tenant(ann.tenant.slug),
    "revocation of programs": lambda ann: sign_in_ends.revoke_programs(address_of(ann)),
    "signing out": lambda ann: sign_in_ends.sign_out(address_of(ann)),
    "removal of second factors": lambda ann: sign_in_ends.remove_second_factors(address_of(ann)),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_it_ends_web_sessions_and_begins_a_new_epoch(
    ann: Account, session: WebSession, end: Callable[[Account], object]
) -> None:
    end(ann)
    ann.refresh_from_db()
    assert ann.sign_in_epoch == 1
    assert ann.sign_ins_ended_at is not None
    assert not WebSession.objects.filter(pk=session.pk).exists()


def test_another_name_or_quota_ends_nothing(ann: Account, session: WebSession) -> None:
    administration.set_account(address_of(ann), administration.AccountChange(name="Ann B. Lee"))
    ann.refresh_from_db()
    assert ann.sign_in_epoch == 0
    assert WebSession.objects.filter(pk=session.pk).exists()


def test_colleagues_stay_signed_in(ann: Account, session: WebSession, domain: str) -> None:
    bob = administration.add_account(f"bob@{domain}", password=PASSWORD)
    sign_in_ends.sign_out(address_of(bob))
    ann.refresh_from_db()
    assert ann.sign_in_epoch == 0
    assert WebSession.objects.filter(pk=session.pk).exists()


def test_a_revoked_app_password_ends_connections_and_leaves_browsers_alone(ann: Account, session: WebSession) -> None:
    app_passwords.add_app_password(address_of(ann), "Phone", now=NOW)
    app_passwords.revoke_app_password(address_of(ann), "Phone")
    ann.refresh_from_db()
    assert ann.sign_in_epoch == 1
    assert WebSession.objects.filter(pk=session.pk).exists()


def test_of_an_account_in_wrong_hands_programs_are_revoked(ann: Account, session: WebSession) -> None:
    app_passwords.add_app_password(address_of(ann), "Phone", now=NOW)
    BearerToken.objects.create(
        tenant=ann.tenant, account=ann, name="Script", scopes="jmap", digest=ann.pk.to_bytes(32, "big")
    )
    sign_in_ends.revoke_programs(address_of(ann))
    assert [kept.objects.filter(account=ann).count() for kept in (AppPassword, BearerToken, WebSession)] == [0, 0, 0]
    ann.refresh_from_db()
    assert ann.sign_in_epoch == 1


def test_second_factors_that_are_lost_can_be_removed(ann: Account) -> None:
    of_ann = {"tenant": ann.tenant, "account": ann}
    Totp.objects.create(sealed=b"sealed", confirmed_at=NOW, **of_ann)
    RecoveryCode.objects.create(digest=b"digest", **of_ann)
    Passkey.objects.create(
        credential_id=ann.pk.to_bytes(16, "big"),
        public_key=b"key",
        sign_count=0,
        rp_id="localhost",
        is_backed_up=False,
        name="Laptop",
        **of_ann,
    )
    sign_in_ends.remove_second_factors(address_of(ann))
    assert [kept.objects.filter(account=ann).count() for kept in (Totp, RecoveryCode, Passkey)] == [0, 0, 0]


# -- who is just signing in

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
MADE = (
    "INSERT INTO web_session (tenant_id, account_id, digest, stage, expires_at, network, client)"
    " VALUES (%(tenant)s, %(account)s, %(digest)s, 'open', now() + interval '1 day', '', '')",
    "INSERT INTO bearer_token (tenant_id, account_id, name, scopes, digest)"
    " VALUES (%(tenant)s, %(account)s, 'late', 'jmap', %(digest)s)",
    "INSERT INTO oauth_grant (tenant_id, account_id, client_id, scopes, code_digest, code_challenge, code_expires_at,"
    " redirect_uri) VALUES (%(tenant)s, %(account)s, 'late', 'jmap', %(digest)s, '', now(), '')",
    "INSERT INTO app_password (tenant_id, account_id, name, scopes, digest, scram_stored_key, scram_server_key)"
    " VALUES (%(tenant)s, %(account)s, 'late', 'imap', %(digest)s, '', '')",
    "INSERT INTO totp (tenant_id, account_id, sealed) VALUES (%(tenant)s, %(account)s, '')",
)


def meanwhile(act: Callable[[Account], object], ann: Account) -> None:
    """In another thread, on a connection of its own."""
    try:
        act(ann)
    finally:
        connections.close_all()


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS.keys())
def test_what_is_made_at_that_moment_ends_too(
    ann: Account, services: RunningServices, end: Callable[[Account], object]
) -> None:
    """The application holds the person's row while it makes a way in; the end waits for that, and then sees it."""
    facts = {"tenant": ann.tenant.pk, "account": ann.pk, "digest": ann.pk.to_bytes(32, "big")}
    with psycopg.connect(services.app_url) as making, ThreadPoolExecutor(1) as threads:
        making.execute("SELECT set_config('waypost.tenant', %s, false)", [str(ann.tenant.pk)])
        making.execute("SELECT directory_hold_sign_ins_v1(%(tenant)s, %(account)s)", facts)
        for statement in MADE:
            making.execute(statement.encode(), facts)
        ending = threads.submit(meanwhile, end, ann)
        while making.execute(WAITING).fetchone() == (0,):
            making.execute("SELECT pg_stat_clear_snapshot()")
        making.commit()
        ending.result()
    assert not WebSession.objects.filter(account=ann).exists()
    assert not Totp.objects.filter(account=ann).exists()
    if end is ENDS["revocation of programs"]:
        left = [kept.objects.filter(account=ann).count() for kept in (BearerToken, OAuthGrant, AppPassword)]
        assert left == [0, 0, 0]


@pytest.mark.parametrize("end", ["suspension", "deletion"])
def test_nobody_signs_in_to_an_account_that_ends(ann: Account, services: RunningServices, end: str) -> None:
    ENDS[end](ann)
    with psycopg.connect(services.app_url) as making:
        row = making.execute("SELECT directory_hold_sign_ins_v1(%s, %s)", (ann.tenant.pk, ann.pk)).fetchone()
    assert row == (None,)


def test_people_who_gave_a_forgotten_program_leave_are_found_and_their_sessions_stay(
    ann: Account, session: WebSession
) -> None:
    client = OAuthClient.objects.create(client_id=f"c{ann.pk}", name=f"Mailer {ann.pk}", redirect_uris=[])
    OAuthGrant.objects.create(
        tenant=ann.tenant,
        account=ann,
        client=client,
        scopes="imap",
        code_digest=ann.pk.to_bytes(32, "big"),
        code_expires_at=NOW,
    )
    remove_client(client.name)
    ann.refresh_from_db()
    assert (ann.sign_in_epoch, ann.sign_ins_ended_at is None) == (0, False)
    assert WebSession.objects.filter(pk=session.pk).exists()


def test_a_person_has_fifty_app_passwords_at_most(ann: Account) -> None:
    for number in range(50):
        app_passwords.add_app_password(address_of(ann), f"Phone {number}", now=NOW)
    with pytest.raises(TooManyAppPasswords):
        app_passwords.add_app_password(address_of(ann), "One more", now=NOW)
