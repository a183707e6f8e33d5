"""What the IMAP door counts."""

from mailserver.observability.door_metrics import DoorMetrics
from mailserver.observability.metrics import counter, histogram

COMMANDS = counter("imap_commands", "Commands answered, by name and how they ended.", "command", "outcome")
COMMAND_SECONDS = histogram("imap_command_seconds", "From a whole command to its last response.", "command")
REFUSALS = counter("imap_refusals", "Commands refused, by the error that refused them.", "error")
DOOR = DoorMetrics("imap")
