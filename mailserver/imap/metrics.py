"""What the IMAP door counts."""

from mailserver.observability.metrics import counter, gauge, histogram

COMMANDS = counter("imap_commands", "Commands answered, by name and how they ended.", "command", "outcome")
COMMAND_SECONDS = histogram("imap_command_seconds", "From a whole command to its last response.", "command")
REFUSALS = counter("imap_refusals", "Commands refused, by the error that refused them.", "error")
CONNECTIONS = gauge("imap_connections", "Connections that are open.")
TURNED_AWAY = counter("imap_connections_turned_away", "Connections not served, by the limit they met.", "limit")
EXPIRED = counter("imap_connections_expired", "Connections closed by us, by reason.", "reason")
