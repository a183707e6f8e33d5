"""How far a client believes to be told, and how far it is (RFC 7162 §3.2, §6).

A client takes for its HIGHESTMODSEQ what the response code says; without one, the highest MODSEQ among the FETCH
responses to a command. When it comes back it asks for what happened after that. So it must never believe in more than
`safe`, up to which it was told of everything: what lies between it would miss for ever. FETCH responses may run ahead
of others' changes, and of expunges that are held back.
"""

from storage.types import Modseq


class SyncPoint:
    """`safe` only grows; `believed` and `heard` follow what is sent, the latter since the last command ended."""

    __slots__ = ("believed", "heard", "safe")

    def __init__(self, modseq: Modseq) -> None:
        self.safe = modseq
        self.believed = modseq
        self.heard = Modseq(0)

    def hear(self, modseq: Modseq) -> None:
        """A FETCH response with this MODSEQ is sent."""
        if modseq > self.heard:
            self.heard = modseq

    def correction(self, *, only_down: bool) -> Modseq | None:
        """The HIGHESTMODSEQ to send before the command ends; None if the client arrives at the right one itself.

        `only_down`: it is enough that it does not believe in too much.
        """
        believed = max(self.believed, self.heard)
        self.heard = Modseq(0)
        if believed == self.safe or (only_down and believed < self.safe):
            self.believed = believed
            return None
        self.believed = self.safe
        return self.safe

    def tell(self) -> Modseq:
        """HIGHESTMODSEQ as it is to be told now."""
        self.heard = Modseq(0)
        self.believed = self.safe
        return self.safe
