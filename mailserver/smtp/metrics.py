"""What the SMTP doors count; the label `door` is mx, submission, submissions or lmtp."""

from mailserver.observability.metrics import counter, gauge, histogram
from mailserver.smtp.config import Door

CONNECTIONS = gauge("smtp_connections", "Open connections.", "door")
MESSAGES = counter("smtp_messages_accepted", "Messages answered 250 after DATA.", "door")
RECIPIENTS = counter("smtp_recipients_accepted", "Recipients of the messages answered 250.", "door")
OCTETS = counter("smtp_octets_accepted", "Octets of the messages answered 250, with our trace fields.", "door")
REFUSED = counter("smtp_refused", "Commands, messages and connections refused, by reply code.", "door", "code")
SECONDS = histogram("smtp_data_seconds", "Seconds from the 354 to the reply after the message.", "door")


class DoorMetrics:
    """The numbers of one door. Made after the process has named its role."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._messages = MESSAGES.labels(door)
        self._recipients = RECIPIENTS.labels(door)
        self._octets = OCTETS.labels(door)
        self._seconds = SECONDS.labels(door)
        self._connections = CONNECTIONS.labels(door)

    def count_opened(self) -> None:
        self._connections.inc()

    def count_closed(self) -> None:
        self._connections.dec()

    def count_refused(self, code: int) -> None:
        REFUSED.labels(self._door, str(code)).inc()

    def count_accepted(self, *, recipients: int, octets: int) -> None:
        self._messages.inc()
        self._recipients.inc(recipients)
        self._octets.inc(octets)

    def observe_data(self, seconds: float) -> None:
        self._seconds.observe(seconds)
