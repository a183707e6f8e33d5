"""SMTP and LMTP commands as typed values (RFC 5321 §4.1.1, RFC 2033, RFC 3207, RFC 4954)."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from storage.outgoing_types import Notify, ReturnContent


@dataclass(frozen=True, slots=True)
class Helo:
    client: str


@dataclass(frozen=True, slots=True)
class Ehlo:
    client: str


@dataclass(frozen=True, slots=True)
class Lhlo:
    client: str


@dataclass(frozen=True, slots=True)
class Mail:
    """`reverse_path` without brackets, empty for the null path; `size_octets` is what it declares (RFC 1870).

    `envelope_id` is ENVID, decoded, and `return_content` RET (RFC 3461). `is_utf8` says SMTPUTF8; `holds_utf8`, that
    there are octets over 127 in the command. `hold` is HOLDFOR, or the moment of HOLDUNTIL (RFC 4865), and
    `future_release` is how notifications have it.
    """

    reverse_path: str
    size_octets: int | None = None
    envelope_id: str | None = None
    return_content: ReturnContent | None = None
    is_utf8: bool = False
    holds_utf8: bool = False
    hold: timedelta | datetime | None = None
    future_release: str | None = None


@dataclass(frozen=True, slots=True)
class Rcpt:
    """`forward_path` without brackets and source route; `postmaster` may stand without a domain (RFC 5321 §4.5.1).

    `original_recipient` is ORCPT, decoded (`rfc822;ann@demo.test`).
    """

    forward_path: str
    notify: Notify | None = None
    original_recipient: str | None = None
    holds_utf8: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    pass


@dataclass(frozen=True, slots=True)
class Bdat:
    """A chunk of so many octets follows at once (RFC 3030 §2)."""

    octets: int
    is_last: bool


@dataclass(frozen=True, slots=True)
class Rset:
    pass


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Quit:
    pass


@dataclass(frozen=True, slots=True)
class Vrfy:
    pass


@dataclass(frozen=True, slots=True)
class Expn:
    pass


@dataclass(frozen=True, slots=True)
class Help:
    pass


@dataclass(frozen=True, slots=True)
class StartTls:
    pass


@dataclass(frozen=True, slots=True)
class Auth:
    """`initial_response` is still base64, with `=` for an empty one; None if there is none (RFC 4954 §4)."""

    mechanism: str
    initial_response: bytes | None


Command = Helo | Ehlo | Lhlo | Mail | Rcpt | Data | Bdat | Rset | Noop | Quit | Vrfy | Expn | Help | StartTls | Auth
