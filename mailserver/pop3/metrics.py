"""What the POP3 door counts."""

from mailserver.observability.door_metrics import DoorMetrics

DOOR = DoorMetrics("pop3")
