"""What ends everything that a person has open, as administrators do it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from tenants import app_passwords, sign_in_ends
from tenants import services as administration
from tenants.models import Account, AppPassword, BearerToken, Passkey, RecoveryCode, Totp, WebSession
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
