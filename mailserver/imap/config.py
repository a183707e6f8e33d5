"""The settings of the IMAP door."""

from dataclasses import dataclass, field

from mailserver.imap.wire.framing_events import FramingLimits


@dataclass(frozen=True, slots=True)
class ImapConfig:
    """Limits of one process; listeners, certificate and the limit of a message come from elsewhere."""

    autologout_s: float = field(default=1800.0, metadata={"least": 1800})
    """how long a signed-in connection may be silent (RFC 3501 §5.4: at least 30 minutes)"""
    sign_in_within_s: float = 60.0  # how long a connection may stay without signing in
    write_timeout_s: float = 120.0  # how long a client may read nothing while answers wait for it
    sign_in_failures: int = field(default=5, metadata={"least": 1})
    """failed sign-ins after which a connection is closed"""
    connections: int = field(default=20_000, metadata={"least": 1})  # connections of one process
    connections_per_network: int = field(default=500, metadata={"least": 1})
    """connections of one process from one IPv4 address or IPv6 /64"""
    connections_before_sign_in: int = field(default=2_000, metadata={"least": 1})
    """connections of one process that have not signed in; for one more the oldest is closed"""
    line_octets: int = field(default=65_536, metadata={"least": 8192})
    """length of a command line, literals aside (RFC 7162 §4 asks for 8192 at least)"""
    literal_octets: int = 65_536  # all literals of one command together, the message of an APPEND aside
    literals: int = 256  # literals in one command
    line_octets_before_sign_in: int = field(default=8192, metadata={"least": 1024})
    """length of a command line before sign-in"""
    literal_octets_before_sign_in: int = 4096  # all literals of one command before sign-in
    buffered_octets: int = field(default=65_536, metadata={"least": 4096})
    """commands sent ahead that are held in memory; beyond it the connection is not read"""


def framing_limits(config: ImapConfig, *, message_limit_octets: int) -> FramingLimits:
    """What a client may send once it has signed in."""
    return FramingLimits(
        line_octets=config.line_octets,
        literal_octets=config.literal_octets,
        literals=config.literals,
        append_octets=message_limit_octets,
        skip_octets=4 * message_limit_octets,
    )


def framing_limits_before_sign_in(config: ImapConfig) -> FramingLimits:
    """What anybody may send."""
    return FramingLimits(
        line_octets=config.line_octets_before_sign_in,
        literal_octets=config.literal_octets_before_sign_in,
        literals=8,
        append_octets=0,
        skip_octets=1_048_576,
    )
