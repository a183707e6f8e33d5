"""Limits of the POP3 door; seconds and octets."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pop3Config:
    autologout_s: float = field(default=600.0, metadata={"least": 600})
    """how long a signed-in connection may be silent (RFC 1939 §3: at least 10 minutes)"""
    sign_in_within_s: float = 60.0  # how long a connection may stay without signing in
    write_timeout_s: float = 120.0  # how long a client may read nothing while answers wait for it
    sign_in_failures: int = field(default=5, metadata={"least": 1})
    """failed sign-ins after which a connection is closed"""
    bad_commands: int = field(default=20, metadata={"least": 1})
    """lines in a row that are no command, after which a connection is closed"""
    connections: int = field(default=5_000, metadata={"least": 1})  # connections of one process
    connections_per_network: int = field(default=200, metadata={"least": 1})
    """connections of one process from one IPv4 address or IPv6 /64"""
    connections_before_sign_in: int = field(default=1_000, metadata={"least": 1})
    """connections of one process that have not signed in; for one more the oldest is closed"""
    line_octets: int = field(default=1_024, metadata={"least": 255})
    """length of a command (RFC 2449 §4: 255), passwords of many octets included"""
    buffered_octets: int = field(default=16_384, metadata={"least": 4096})
    """commands sent ahead that are held in memory; beyond it the connection is not read"""
