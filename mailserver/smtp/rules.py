"""What differs between the doors; each is one small class that `Session` asks."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from mmap import mmap
from typing import Protocol

from mailserver.smtp.config import Door
from mailserver.smtp.replies import Reply
from mailserver.smtp.transaction import Client, Transaction
from tenants.types import Resolution


class Rules(Protocol):
    """`offers_auth`: AUTH exists here. `is_lmtp`: LHLO, and one reply for each recipient (RFC 2033).

    `longest_hold`: how long mail may wait before it is sent (RFC 4865); None where it may not.
    """

    @property
    def door(self) -> Door: ...
    @property
    def is_lmtp(self) -> bool: ...
    @property
    def offers_auth(self) -> bool: ...
    @property
    def longest_hold(self) -> timedelta | None: ...

    async def check_sender(self, client: Client, reverse_path: str, *, is_to_wait: bool) -> Reply | None:
        """The refusal of MAIL, or None. What `complete_header` has to know is learnt here: it cannot wait.

        Raises what the table of `replies` knows.
        """

    async def resolve(self, client: Client, transaction: Transaction, forward_path: str) -> Resolution | None:
        """None for another system's address. Raises what the table of `replies` knows."""

    def complete_header(self, client: Client, transaction: Transaction, header: bytes, received_at: datetime) -> bytes:
        """The header as it is stored, trace fields first. Raises the refusals of this door."""

    async def finish(
        self, client: Client, transaction: Transaction, octets: bytes | mmap, received_at: datetime
    ) -> Sequence[Reply]:
        """Hand the message over: one reply, or with LMTP one for each accepted recipient. Raises StoreUnavailable."""
