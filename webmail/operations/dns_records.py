"""What the DNS of a mail domain has to say, so that mail comes here and programs find their settings. Pure.

MX (RFC 5321 §5), SPF (RFC 7208), DMARC (RFC 7489), services by SRV (RFC 6186, RFC 8314 §5.1, RFC 8620 §2.2), and the
names under which Thunderbird and Outlook look for their files.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from webmail.pages.doors import LOOPBACK, Door, Reached

TTL_S = 3600
TEXT_OCTETS = 255  # of one string of a TXT record (RFC 1035 §3.3.14)

Why = Literal["mail", "senders", "reports", "programs", "closed", "jmap", "thunderbird", "outlook"]

_SERVICES = (
    ("_imaps", "IMAP", "tls"),
    ("_submissions", "SMTP", "tls"),
    ("_imap", "IMAP", "starttls"),
    ("_submission", "SMTP", "starttls"),
    ("_pop3s", "POP3", "tls"),
    ("_pop3", "POP3", "starttls"),
)


@dataclass(frozen=True, slots=True)
class Record:
    """One line of the zone: an absolute name without its dot, the value in presentation form."""

    name: str
    type: Literal["MX", "TXT", "SRV", "CNAME"]
    value: str
    why: Why

    def line(self) -> str:
        return f"{self.name}. {TTL_S} IN {self.type} {self.value}"


def records(
    domain: str, hostname: str, doors: Sequence[Door], web: Reached, *, relay: str | None = None
) -> tuple[Record, ...]:
    """Those of `domain` (an A-label). `relay`: the host through which all its mail leaves, if it is not our own."""
    senders = "v=spf1 mx -all" if relay is None else f"v=spf1 mx a:{relay} ~all"
    found = [
        Record(domain, "MX", f"10 {hostname}.", "mail"),
        Record(domain, "TXT", _text(senders), "senders"),
        Record(f"_dmarc.{domain}", "TXT", _text("v=DMARC1; p=none"), "reports"),
    ]
    found += [_service(domain, hostname, doors, *service) for service in _SERVICES]
    host, port = web
    found += [
        Record(f"_jmap._tcp.{domain}", "SRV", f"0 1 {port} {host}.", "jmap"),
        Record(f"autoconfig.{domain}", "CNAME", f"{host}.", "thunderbird"),
        Record(f"autodiscover.{domain}", "CNAME", f"{host}.", "outlook"),
        Record(f"_autodiscover._tcp.{domain}", "SRV", f"0 1 {port} {host}.", "outlook"),
    ]
    return tuple(found)


def _service(domain: str, hostname: str, doors: Sequence[Door], name: str, protocol: str, encryption: str) -> Record:
    """A door that is shut says so, or programs try it in vain; programs that can do both take IMAP (RFC 6186 §3.4)."""
    for door in doors:
        if (door.protocol, door.encryption) == (protocol, encryption):
            host = hostname if door.host in LOOPBACK else door.host
            priority = (0 if encryption == "tls" else 10) + (20 if protocol == "POP3" else 0)
            return Record(f"{name}._tcp.{domain}", "SRV", f"{priority} 1 {door.port} {host}.", "programs")
    return Record(f"{name}._tcp.{domain}", "SRV", "0 0 0 .", "closed")


def _text(value: str) -> str:
    pieces = [value[start : start + TEXT_OCTETS] for start in range(0, len(value), TEXT_OCTETS)]
    return " ".join(f'"{piece}"' for piece in pieces)
