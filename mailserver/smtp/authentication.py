"""One AUTH command: responses in, challenges and credentials out (RFC 4954 §4); mechanisms are in `mailserver.sasl`.

LOGIN is only a draft (draft-murchison-sasl-login), and Outlook speaks nothing else.
"""

from dataclasses import dataclass

from mailserver import sasl
from mailserver.smtp.errors import MechanismUnknown

MECHANISMS = ("PLAIN", "LOGIN")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What stands after 334, already base64."""

    base64: bytes


_EMPTY = Challenge(b"")
_USERNAME = Challenge(sasl.LOGIN_USERNAME_PROMPT)
_PASSWORD = Challenge(sasl.LOGIN_PASSWORD_PROMPT)


class Exchange:
    """`start` it, then `respond` to every line, until credentials come."""

    __slots__ = ("_mechanism", "_username")

    def __init__(self, mechanism: str) -> None:
        """Raises MechanismUnknown."""
        if mechanism not in MECHANISMS:
            raise MechanismUnknown
        self._mechanism = mechanism
        self._username: bytes | None = None

    def start(self, initial_response: bytes | None) -> Challenge | sasl.Credentials:
        """Raises SaslError."""
        if initial_response is not None:
            return self.respond(initial_response)
        return _EMPTY if self._mechanism == "PLAIN" else _USERNAME

    def respond(self, line: bytes) -> Challenge | sasl.Credentials:
        """Raises SaslCancelled, SaslMalformed, AuthorizationIdentityRefused."""
        response = sasl.decode_response(line)
        if self._mechanism == "PLAIN":
            return sasl.plain(response)
        if self._username is None:
            self._username = response
            return _PASSWORD
        return sasl.login(self._username, response)
