"""The octets of BDAT: counted, not delimited (RFC 3030 §2)."""

from mailserver.smtp.wire.message_text import Fault, MessageLimits, TextCheck


class ChunkReader:
    """Reads the chunks of one message. `begin` says how long the next one is; `read` takes no more than is left."""

    __slots__ = ("_check", "_held", "left")

    def __init__(self, limits: MessageLimits) -> None:
        self._check = TextCheck(limits)
        self._held = b""  # a CR whose LF may come with the next octets
        self.left = 0

    @property
    def fault(self) -> Fault | None:
        return self._check.fault

    @property
    def is_endless(self) -> bool:
        return self._check.is_endless

    def begin(self, octets: int) -> None:
        self.left = octets

    def read(self, data: bytes) -> bytes:
        """Octets of the message, perhaps none; after a fault no more are given out."""
        self.left -= len(data)
        octets = self._held + data
        self._held = b"\r" if octets.endswith(b"\r") else b""
        octets = octets[: len(octets) - len(self._held)]
        self._check.look(octets)
        return octets if self._check.fault is None else b""

    def end(self) -> Fault | None:
        """The message is whole: a CR that is still held never gets its LF."""
        if self._held:
            self._check.look(self._held)
        return self._check.fault
