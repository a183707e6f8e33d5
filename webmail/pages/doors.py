"""What a mail program must be told: server, port and encryption of each door.

From the listeners' variables; behind a load balancer, or where ports are mapped, WAYPOST_PUBLIC_DOORS says what people
reach from outside.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from django.core.exceptions import ImproperlyConfigured

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})
PUBLIC_DOORS = "WAYPOST_PUBLIC_DOORS"
HTTPS_PORT = 443

Reached = tuple[str, int]
"""Host and port."""


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
    ("imaps", "incoming", "IMAP", "tls", True),
    ("submissions", "outgoing", "SMTP", "tls", True),
    ("imap", "incoming", "IMAP", "starttls", False),
    ("submission", "outgoing", "SMTP", "starttls", False),
    ("pop3s", "incoming", "POP3", "tls", False),
    ("pop3", "incoming", "POP3", "starttls", False),
)
_NAMES = frozenset({"https", *(name for name, *_ in _DOORS)})


def doors(environment: Mapping[str, str]) -> tuple[Door, ...]:
    """The doors that are open, recommended ones first; a loopback listener is reached by its address, not our name."""
    hostname = environment.get("WAYPOST_HOSTNAME", "")
    public = public_doors(environment)
    found = []
    for name, purpose, protocol, encryption, is_recommended in _DOORS:
        reached = public.get(name) or _reached(environment.get(f"WAYPOST_{name.upper()}", ""), hostname)
        if reached is not None:
            found.append(Door(purpose, protocol, encryption, *reached, is_recommended))
    return tuple(found)


def web_door(environment: Mapping[str, str]) -> Reached:
    """Where browsers and JMAP clients come, over TLS."""
    return public_doors(environment).get("https") or (environment.get("WAYPOST_HOSTNAME", "localhost"), HTTPS_PORT)


def public_doors(environment: Mapping[str, str]) -> dict[str, Reached]:
    """What WAYPOST_PUBLIC_DOORS says, such as `imaps=mail.example.com:993, https=mail.example.com:443`.

    Raises ImproperlyConfigured.
    """
    found = {}
    for item in environment.get(PUBLIC_DOORS, "").split(","):
        if not item.strip():
            continue
        name, _, address = item.partition("=")
        reached = _listener(address.strip())
        if name.strip() not in _NAMES or reached is None or not reached[0]:
            known = ", ".join(sorted(_NAMES))
            raise ImproperlyConfigured(
                f"{PUBLIC_DOORS} has {item.strip()!r}; write name=host:port, with a name of {known}"
            )
        found[name.strip()] = reached
    return found


def _reached(listener: str, hostname: str) -> Reached | None:
    parsed = _listener(listener)
    if parsed is None:
        return None
    address, port = parsed
    return (address if address in LOOPBACK or not hostname else hostname), port


def _listener(text: str) -> Reached | None:
    """`host:port`, `[v6]:port`; None for one that is off or cannot be read (its own role refuses to start then)."""
    host, separator, port = text.rpartition(":")
    if not separator or not port.isascii() or not port.isdigit():
        return None
    return host.strip("[]"), int(port)
