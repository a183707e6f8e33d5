"""What a mail program must be told: server, port and encryption of each door, from the listeners' variables."""

from collections.abc import Mapping
from dataclasses import dataclass

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


@dataclass(frozen=True, slots=True)
class Door:
    """One row of the table on the start page. `purpose` and `encryption` are words of the catalogue."""

    purpose: str
    protocol: str
    encryption: str
    host: str
    port: int
    is_recommended: bool


# Implicit TLS is preferred to STARTTLS (RFC 8314 §3).
_DOORS = (
    ("WAYPOST_IMAPS", "incoming", "IMAP", "tls", True),
    ("WAYPOST_SUBMISSIONS", "outgoing", "SMTP", "tls", True),
    ("WAYPOST_IMAP", "incoming", "IMAP", "starttls", False),
    ("WAYPOST_SUBMISSION", "outgoing", "SMTP", "starttls", False),
    ("WAYPOST_POP3S", "incoming", "POP3", "tls", False),
    ("WAYPOST_POP3", "incoming", "POP3", "starttls", False),
)


def doors(environment: Mapping[str, str]) -> tuple[Door, ...]:
    """The doors that are open, recommended ones first; a loopback listener is reached by its address, not our name."""
    hostname = environment.get("WAYPOST_HOSTNAME", "")
    found = []
    for variable, purpose, protocol, encryption, is_recommended in _DOORS:
        listener = _listener(environment.get(variable, ""))
        if listener is not None:
            address, port = listener
            host = address if address in LOOPBACK or not hostname else hostname
            found.append(Door(purpose, protocol, encryption, host, port, is_recommended))
    return tuple(found)


def _listener(text: str) -> tuple[str, int] | None:
    """`host:port`, `[v6]:port`; None for one that is off or cannot be read (its own role refuses to start then)."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit():
        return None
    return host.strip("[]"), int(port)
