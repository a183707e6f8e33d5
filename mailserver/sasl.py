"""SASL exchanges as far as the doors share them: PLAIN (RFC 4616), the old LOGIN, OAUTHBEARER (RFC 7628) and XOAUTH2,
from base64 to values.

What is prepared as RFC 4616 §2 asks (SASLprep, RFC 4013) are names; a password is only checked here and handed on as it
was sent, because the hash it is compared with may have been made elsewhere of the unprepared text: the sign-in service
tries both.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass, field

from tenants.saslprep import CharacterProhibited, saslprep

RESPONSE_LIMIT_OCTETS = 12_288  # RFC 4954 §4: a base64 response of up to 12,288 octets must be accepted
FIELD_LIMIT_OCTETS = 1_024


class SaslError(Exception):
    """The exchange cannot be understood; it says nothing of whether the password is right."""


class SaslCancelled(SaslError):
    """The client sent `*` (RFC 3501 §6.2.2, RFC 4954 §4)."""

    def __init__(self) -> None:
        super().__init__("the client cancelled the exchange")


class SaslMalformed(SaslError):
    """Not base64, not UTF-8, too long, or not of the mechanism's form."""


class AuthorizationIdentityRefused(SaslError):
    """The client asks to act as somebody else than the one it authenticates as."""

    def __init__(self) -> None:
        super().__init__("acting as somebody else is not possible")


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the client claims. The password never shows in a repr."""

    username: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bearer:
    """A token, and whose the client says it is; empty: it does not say. The token never shows in a repr."""

    username: str
    token: str = field(repr=False)


def decode_response(line: bytes) -> bytes:
    """One base64 response of the client; `=` is the empty initial response (RFC 4954 §4, RFC 4959 §3).

    Raises SaslCancelled, SaslMalformed.
    """
    if line == b"*":
        raise SaslCancelled
    if line == b"=":
        return b""
    if len(line) > RESPONSE_LIMIT_OCTETS:
        raise SaslMalformed("the response is too long")
    try:
        return base64.b64decode(line, validate=True)
    except binascii.Error:
        raise SaslMalformed("the response is not base64") from None


def plain(response: bytes) -> Credentials:
    """`[authzid] NUL authcid NUL passwd` (RFC 4616 §2), decoded. The authzid must be empty or the authcid.

    Raises SaslMalformed, AuthorizationIdentityRefused.
    """
    parts = response.split(b"\0")
    if len(parts) != 3:
        raise SaslMalformed("PLAIN needs exactly two NULs")
    authorization, username, password = (_text(part) for part in parts)
    if authorization and prepare(authorization) != prepare(username):
        raise AuthorizationIdentityRefused
    return _credentials(username, password)


def login(username: bytes, password: bytes) -> Credentials:
    """The two decoded responses of LOGIN, which has no RFC (draft-murchison-sasl-login). Raises SaslMalformed."""
    if b"\0" in username or b"\0" in password:
        raise SaslMalformed("a NUL is not allowed")
    return _credentials(_text(username), _text(password))


def oauth_bearer(response: bytes) -> Bearer:
    """`n,a=NAME,^Akey=value^A…^A^A` with a key `auth` (RFC 7628 §3.1). Raises SaslMalformed."""
    header, *pairs = _text(response, limit=RESPONSE_LIMIT_OCTETS).split("\1")
    binding, comma, name = header.partition(",")
    name, other_comma, rest = name.partition(",")
    if binding not in ("n", "y") or not (comma and other_comma) or rest or (name and not name.startswith("a=")):
        raise SaslMalformed("OAUTHBEARER begins with n,a=NAME,")
    if pairs[-2:] != ["", ""]:
        raise SaslMalformed("OAUTHBEARER ends with two ^A")
    username = name.removeprefix("a=").replace("=2C", ",").replace("=3D", "=")
    return _bearer(username, pairs[:-2])


def xoauth2(response: bytes) -> Bearer:
    """`user=NAME^Aauth=Bearer TOKEN^A^A`, as Gmail and Outlook taught clients; it has no RFC. Raises SaslMalformed."""
    first, *pairs = _text(response, limit=RESPONSE_LIMIT_OCTETS).split("\1")
    if not first.startswith("user=") or pairs[-2:] != ["", ""]:
        raise SaslMalformed("XOAUTH2 is user=NAME^Aauth=Bearer TOKEN^A^A")
    return _bearer(first.removeprefix("user="), pairs[:-2])


def _bearer(username: str, pairs: Sequence[str]) -> Bearer:
    found = dict(pair.partition("=")[::2] for pair in pairs)
    scheme, _, token = found.get("auth", "").partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise SaslMalformed("auth=Bearer TOKEN is missing")
    return Bearer(prepare(username), token.strip())


def prepare(text: str) -> str:
    """`tenants.saslprep`. Raises SaslMalformed for what it prohibits."""
    try:
        return saslprep(text)
    except CharacterProhibited:
        raise SaslMalformed("a control character is not allowed") from None


def _credentials(username: str, password: str) -> Credentials:
    name = prepare(username)
    if not name:
        raise SaslMalformed("the user name is empty")
    if not prepare(password):
        raise SaslMalformed("the password is empty")
    return Credentials(name, password)


def _text(octets: bytes, *, limit: int = FIELD_LIMIT_OCTETS) -> str:
    if len(octets) > limit:
        raise SaslMalformed("a name or password is too long")
    try:
        return octets.decode()
    except UnicodeDecodeError:
        raise SaslMalformed("the response is not UTF-8") from None
