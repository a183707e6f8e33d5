"""What a process is told of S3."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

PART_OCTETS_LEAST = 5 * 1024 * 1024  # what S3 takes as a part that is not the last

_BUCKET = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class ObjectsConfig:
    """Where S3 is and how patient we are with it."""

    url: str = field(default="", metadata={"is_secret": False, "example": "https://s3.example.com:9000"})
    """where the S3 server is; empty: none, and all content rests in Postgres"""
    access_key: str = field(default="", metadata={"is_secret": False})  # the name we sign in to S3 with
    secret_key: str = field(default="", repr=False)  # and the secret to it
    bucket: str = "waypost"  # which bucket is ours
    region: str = "us-east-1"  # the region that requests are signed for
    ca_file: Path | None = field(default=None, metadata={"example": "/etc/waypost/s3-ca.pem"})
    """PEM: the authority that signed the certificate of S3; empty: those that the system trusts"""
    connections: int = field(default=8, metadata={"least": 1})  # requests of one process under way at once
    connect_timeout_s: float = field(default=2.0, metadata={"least": 0.01})
    """longest wait for a connection, and for 256 KiB of an upload to leave"""
    read_timeout_s: float = field(default=10.0, metadata={"least": 0.01})
    """longest wait for an answer, and for the next octets of it"""
    turn_timeout_s: float = field(default=10.0, metadata={"least": 0.01})
    """longest wait for one of the connections to be free"""
    attempts: int = field(default=3, metadata={"least": 1})  # how often a request is sent before it is given up
    breaker_failures: int = field(default=5, metadata={"least": 1})
    """after as many failures in a row nothing is sent for a while"""
    breaker_rest_s: float = field(default=5.0, metadata={"least": 0.01})  # that while; then one request tries
    part_octets: int = field(default=8 * 1024 * 1024, metadata={"least": PART_OCTETS_LEAST})
    """uploads larger than this go in parts of it, one in memory at a time"""
    object_lock: bool = True
    """whether a bucket that Waypost makes has Object Lock, which legal holds need and which cannot be added later"""
    waiting_octets: int = field(default=2 * 1024**3, metadata={"least": 0})
    """how much of large parts may wait in Postgres while S3 is away, in all; beyond it mail with large parts is put off
    (451), and small mail still comes"""
    keep_doomed_days: int = field(default=14, metadata={"least": 1})
    """how long replaced objects stay: restoring Postgres to a point in time finds its objects that many days back"""

    def __post_init__(self) -> None:
        if not self.url:
            return
        parts = urlsplit(self.url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path not in ("", "/") or parts.query:
            raise ValueError("the URL of S3 is http://host:port or https://host:port, without a path")
        if not (self.access_key and self.secret_key):
            raise ValueError("with an S3 URL, an access key and a secret key are needed")
        if not _BUCKET.fullmatch(self.bucket):
            raise ValueError("the name of a bucket is 3 to 63 of a-z, 0-9, dot and hyphen")

    @property
    def is_on(self) -> bool:
        return bool(self.url)
