"""Submission: someone who signed in sends a message to people of this installation.

The door has checked that the addresses the message claims are the sender's own. Clients keep the copy in Sent
themselves, by APPEND. Recipients elsewhere are refused at RCPT until there is a queue that brings mail to them.
"""

from collections.abc import Sequence
from datetime import datetime
from mmap import mmap

from mailserver.services.delivery import Deliveries
from storage.errors import StorageError
from storage.types import Placed
from tenants.types import Principal, Recipient


class Submissions:
    """One per process."""

    def __init__(self, deliveries: Deliveries) -> None:
        self._deliveries = deliveries

    async def submit(
        self,
        who: Principal,
        octets: bytes | mmap,
        recipients: Sequence[Recipient],
        *,
        reverse_path: str,
        received_at: datetime,
    ) -> list[Placed | StorageError | None]:
        """Deliver to local recipients with one answer, as `Deliveries.deliver`. Raises StoreUnavailable."""
        del who  # the queue to other systems will count what each person sends
        return await self._deliveries.deliver(octets, recipients, reverse_path=reverse_path, received_at=received_at)
