"""Programs that may ask people for leave: made known and forgotten by administrators (RFC 6749 §2)."""

import re
import secrets
from collections.abc import Sequence
from urllib.parse import urlsplit

from django.db import connection, transaction

from tenants.errors import NameInvalid, NameTaken, ProgramNotFound, RedirectInvalid
from tenants.models import OAuthClient

_LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
_PRIVATE_SCHEME = re.compile(r"[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+", re.ASCII)  # a reversed domain name (RFC 8252 §7.1)
_LONGEST_NAME, _LONGEST_URI = 200, 1_000


@transaction.atomic
def add_client(name: str, redirect_uris: Sequence[str]) -> OAuthClient:
    """Raises NameInvalid, NameTaken, RedirectInvalid."""
    name = name.strip()
    if not name or len(name) > _LONGEST_NAME or not name.isprintable():
        raise NameInvalid("it must have 1 to 200 printable characters")
    for uri in redirect_uris:
        _demand_redirect(uri)
    if OAuthClient.objects.filter(name=name).exists():
        raise NameTaken(name)
    return OAuthClient.objects.create(
        client_id=secrets.token_urlsafe(16), name=name, redirect_uris=list(dict.fromkeys(redirect_uris))
    )


@transaction.atomic
def remove_client(name: str) -> None:
    """With every leave that people gave it, all its tokens, and what they opened. Raises ProgramNotFound."""
    client = OAuthClient.objects.filter(name=name).first() or OAuthClient.objects.filter(client_id=name).first()
    if client is None:
        raise ProgramNotFound(name)
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE account SET sign_ins_ended_at = clock_timestamp()"
            " WHERE id IN (SELECT account_id FROM oauth_grant WHERE client_id = %s)",
            [client.client_id],
        )
        cursor.execute(
            "DELETE FROM bearer_token WHERE grant_id IN (SELECT id FROM oauth_grant WHERE client_id = %s)",
            [client.client_id],
        )
        cursor.execute("DELETE FROM oauth_grant WHERE client_id = %s", [client.client_id])
    client.delete()


def list_clients() -> Sequence[OAuthClient]:
    return list(OAuthClient.objects.order_by("name"))


def _demand_redirect(uri: str) -> None:
    """Answers go where only the program is: https, a scheme of its own domain, or this machine (RFC 8252 §7)."""
    try:
        where = urlsplit(uri)
        host = where.hostname or ""
    except ValueError:
        raise RedirectInvalid(uri) from None
    is_own_scheme = bool(_PRIVATE_SCHEME.fullmatch(where.scheme)) and not where.netloc
    is_here = where.scheme == "http" and host in _LOOPBACK
    is_web = where.scheme == "https" and bool(host)
    is_whole = len(uri) <= _LONGEST_URI and uri.isprintable() and " " not in uri and "#" not in uri
    if not is_whole or "@" in where.netloc or not (is_own_scheme or is_here or is_web):
        raise RedirectInvalid(uri)
