"""App passwords: one for each program of a person, made here, shown once, revoked by name."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from tenants.app_password_text import APP_PASSWORDS_LIMIT, app_password_digest
from tenants.checks import clean_name
from tenants.errors import (
    AccountDeleted,
    AppPasswordExists,
    AppPasswordNotFound,
    ExpiryInvalid,
    ScopesInvalid,
    TooManyAppPasswords,
)
from tenants.models import Account, AppPassword
from tenants.passwords import generate_password
from tenants.scram_keys import ITERATIONS, derive_keys, new_salting
from tenants.selectors import find_account
from tenants.sign_in_ends import end_connections
from tenants.types import Salting, Scope, Status

MAIL_SCOPES = (Scope.IMAP, Scope.POP, Scope.SMTP)


@dataclass(frozen=True, slots=True)
class NewAppPassword:
    """`password` is known now and never again."""

    row: AppPassword
    password: str


@transaction.atomic
def add_app_password(
    address: str,
    name: str,
    *,
    scopes: Collection[Scope] = MAIL_SCOPES,
    expires_at: datetime | None = None,
    now: datetime,
) -> NewAppPassword:
    """Raises AddressInvalid, AccountNotFound, AccountDeleted, NameInvalid, ScopesInvalid, ExpiryInvalid,
    AppPasswordExists, TooManyAppPasswords."""
    account = Account.objects.select_for_update().get(pk=find_account(address).pk)
    if account.status == Status.DELETED:
        raise AccountDeleted(address)
    if not scopes:
        raise ScopesInvalid
    if expires_at is not None and expires_at <= now:
        raise ExpiryInvalid(expires_at.date().isoformat())
    if account.app_passwords.count() >= APP_PASSWORDS_LIMIT:
        raise TooManyAppPasswords(address, APP_PASSWORDS_LIMIT)
    salting = salting_of(account)
    password = generate_password()
    keys = derive_keys(password, salting)
    assert keys is not None  # letters and digits
    row = AppPassword(
        tenant=account.tenant,
        account=account,
        name=clean_name(name),
        scopes=" ".join(scope for scope in Scope if scope in scopes),
        digest=app_password_digest(salting.salt, password),
        scram_stored_key=keys.stored_key,
        scram_server_key=keys.server_key,
        expires_at=expires_at,
    )
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError:
        raise AppPasswordExists(address, row.name) from None
    return NewAppPassword(row, password)


def list_app_passwords(address: str) -> Sequence[AppPassword]:
    """The oldest first. Raises AddressInvalid, AccountNotFound."""
    return list(find_account(address).app_passwords.order_by("id"))


@transaction.atomic
def revoke_app_password(address: str, name: str) -> None:
    """Nobody signs in with it any more, and what it opened ends: everything that the person has open does, and comes
    back by itself where another password is good. Raises AddressInvalid, AccountNotFound, AppPasswordNotFound."""
    account = find_account(address)
    end_connections(account)
    removed, _ = account.app_passwords.filter(name=clean_name(name)).delete()
    if not removed:
        raise AppPasswordNotFound(address, name)


def salting_of(account: Account) -> Salting:
    """That of the account, made now if it has none. It stays for good: app passwords could not be made anew."""
    if account.scram_salt is None or account.scram_iterations is None:
        salting = new_salting(settings.WAYPOST_SCRAM_ITERATIONS or ITERATIONS)
        account.scram_salt, account.scram_iterations = salting.salt, salting.iterations
        account.save(update_fields=["scram_salt", "scram_iterations"])
    return Salting(bytes(account.scram_salt), account.scram_iterations)
