"""Every limit and wait of the SMTP and LMTP doors, as named settings."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Door(StrEnum):
    """What a listener is for. `SUBMISSIONS` is submission with TLS from the first octet (RFC 8314 §3.3)."""

    MX = "mx"
    SUBMISSION = "submission"
    SUBMISSIONS = "submissions"
    LMTP = "lmtp"


@dataclass(frozen=True, slots=True)
class SmtpConfig:
    """Counts are per message unless the name says otherwise; `_s` are seconds."""

    hostname: str  # the name this server greets with and writes into Received
    postmaster_domain: str | None = None  # whose postmaster gets mail to `postmaster` alone; default the host name's
    message_limit_octets: int = 52_428_800  # the largest message that is accepted; announced as SIZE
    header_limit_octets: int = 524_288  # the largest header section
    text_line_limit_octets: int = 1_048_576  # the longest line within a message; RFC 5321 has 1,000, real mail more
    swallow_limit_octets: int = 104_857_600  # a message that is refused already is read up to here, then cut off
    received_limit: int = 100  # more Received fields than this: the message goes in circles
    recipients_limit: int = 1_000  # RCPT commands accepted for one message
    reached_limit: int = 20_000  # people and addresses elsewhere that its recipients come to, groups followed
    command_line_limit_octets: int = 2_048  # one command with its CRLF; RFC 5321 has 512 and what extensions add
    auth_line_limit_octets: int = 12_288  # the AUTH command and its responses (RFC 4954 §4)
    commands_per_connection_limit: int = 200_000  # then 421
    errors_per_connection_limit: int = 20  # refused commands, then 421
    auth_failures_limit: int = 3  # failed sign-ins on one connection, then 421
    auth_failure_delay_s: float = 1.0  # wait before a failed sign-in is answered, once more for each earlier failure
    connections_limit: int = 2_000  # open connections of one process
    connections_per_network_limit: int = 100  # open connections from one IPv4 /24 or IPv6 /64, loopback excepted
    command_timeout_s: float = 300.0  # from one command to the end of the next; RFC 5321 §4.5.3.2.7: at least that
    data_timeout_s: float = 180.0  # between two pieces of a message
    message_timeout_s: float = 3_600.0  # from DATA to its end
    command_work_timeout_s: float = 60.0  # looking up an address, checking a password; then 451
    delivery_timeout_s: float = 300.0  # storing one message; clients wait ten minutes
    tls_handshake_timeout_s: float = 30.0  # from the first octet of a TLS handshake to its end
    lmtp_beyond_loopback: bool = False  # LMTP trusts its clients; only a closed network may reach it
    spool_memory_limit_octets: int = 262_144  # a larger message goes to a temporary file while it arrives
    spool_directory: Path | None = None  # where those files are; empty: where the system keeps temporary files
