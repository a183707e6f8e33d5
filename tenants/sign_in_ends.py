"""Ending everything that people have open: web sessions at once, mail connections within seconds.

The doors hear of it by the epoch (`mailserver.services.endings`). Each is called within the transaction of what it is
for, so that nobody is signed out of nothing. The epoch moves first, which holds the person's row: whoever is just
signing in, or making a way in, is done before or comes too late (`storage.sign_in_ends.hold_sign_ins`).
"""

from django.db import transaction
from django.db.models import F, QuerySet
from django.db.models.functions import Now

from tenants.models import (
    Account,
    AppPassword,
    BearerToken,
    OAuthGrant,
    Passkey,
    RecoveryCode,
    Tenant,
    Totp,
    WebSession,
)
from tenants.selectors import find_living_account


@transaction.atomic
def sign_out(address: str) -> Account:
    """Of everything, whatever password it was opened with. Raises AddressInvalid, AccountNotFound, AccountDeleted."""
    account = find_living_account(address)
    end_sign_ins(account)
    return account


@transaction.atomic
def revoke_programs(address: str) -> Account:
    """For an account in wrong hands: app passwords and tokens are good no more, programs have nobody's leave, and
    everything open ends. Raises AddressInvalid, AccountNotFound, AccountDeleted."""
    account = find_living_account(address)
    end_sign_ins(account)
    for kept in (AppPassword, BearerToken, OAuthGrant):
        kept.objects.filter(account=account).delete()
    return account


@transaction.atomic
def remove_second_factors(address: str) -> Account:
    """For who has lost theirs: authenticator app, recovery codes and passkeys are gone, and everything open ends.

    Raises AddressInvalid, AccountNotFound, AccountDeleted.
    """
    account = find_living_account(address)
    end_sign_ins(account)
    for kept in (Totp, RecoveryCode, Passkey):
        kept.objects.filter(account=account).delete()
    return account


def end_sign_ins(account: Account) -> None:
    _end(Account.objects.filter(pk=account.pk))


def end_connections(account: Account) -> None:
    """Web sessions stay."""
    _move_epoch(Account.objects.filter(pk=account.pk))


def end_sign_ins_of_tenant(tenant: Tenant) -> None:
    _end(Account.objects.filter(tenant=tenant))


def _end(accounts: "QuerySet[Account]") -> None:
    _move_epoch(accounts)
    WebSession.objects.filter(account__in=accounts).delete()


def _move_epoch(accounts: "QuerySet[Account]") -> None:
    """An authenticator app that waits to be confirmed goes too: somebody else may have seen its secret."""
    accounts.update(sign_in_epoch=F("sign_in_epoch") + 1, sign_ins_ended_at=Now())
    Totp.objects.filter(account__in=accounts, confirmed_at=None).delete()
