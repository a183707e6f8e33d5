"""What the exchange needs of a message and its recipients. The queue's own values fit: QueuedMessage, LeasedRecipient.

Only the octets are not here: they are opened anew for each host that asks for them.
"""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from storage.outgoing_types import BodyKind, Notify, ReturnContent

OpenOctets = Callable[[], AsyncIterator[bytes]]
"""The whole message in pieces of any size, from the beginning at each call."""


class Letter(Protocol):
    """`reverse_path` "" is the null sender; `octets` is how many there are; `envelope_id` is ENVID, decoded."""

    @property
    def reverse_path(self) -> str: ...
    @property
    def octets(self) -> int: ...
    @property
    def envelope_id(self) -> str | None: ...
    @property
    def return_content(self) -> ReturnContent | None: ...
    @property
    def needs_utf8(self) -> bool: ...
    @property
    def body(self) -> BodyKind: ...


class Addressee(Protocol):
    """`address` as it stands in RCPT; `original_recipient` is ORCPT, decoded."""

    @property
    def address(self) -> str: ...
    @property
    def original_recipient(self) -> str | None: ...
    @property
    def notify(self) -> Notify | None: ...
