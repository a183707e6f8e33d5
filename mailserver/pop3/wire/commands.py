"""What a POP3 client can ask: one frozen value for each command (RFC 1939 §5 to §7, extensions named beside them)."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Capa:
    """CAPA (RFC 2449 §5)."""


@dataclass(frozen=True, slots=True)
class Stls:
    """STLS (RFC 2595 §4)."""


@dataclass(frozen=True, slots=True)
class User:
    name: str


@dataclass(frozen=True, slots=True)
class Pass:
    """PASS; a password may hold spaces (RFC 1939 §7)."""

    password: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Auth:
    """AUTH (RFC 5034), perhaps with a base64 initial response; without a mechanism it asks which there are."""

    mechanism: str | None
    initial_response: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Utf8:
    """UTF8 (RFC 6856 §2.1)."""


@dataclass(frozen=True, slots=True)
class Quit:
    pass


@dataclass(frozen=True, slots=True)
class Noop:
    pass


@dataclass(frozen=True, slots=True)
class Stat:
    pass


@dataclass(frozen=True, slots=True)
class List:
    """LIST: of one message, or of all."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Uidl:
    """UIDL: of one message, or of all."""

    number: int | None


@dataclass(frozen=True, slots=True)
class Retr:
    number: int


@dataclass(frozen=True, slots=True)
class Top:
    """TOP: the header, and so many lines of the body."""

    number: int
    lines: int


@dataclass(frozen=True, slots=True)
class Dele:
    number: int


@dataclass(frozen=True, slots=True)
class Rset:
    pass


Command = Capa | Stls | User | Pass | Auth | Utf8 | Quit | Noop | Stat | List | Uidl | Retr | Top | Dele | Rset
