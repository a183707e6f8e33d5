"""What the exchange counts."""

from mailserver.observability.metrics import counter, gauge, histogram

QUESTIONS = counter("outbound_dns_questions", "DNS questions that were not answered from memory.", "outcome")
CONNECTIONS = counter("outbound_connections", "Connections to other hosts, by how opening them ended.", "outcome")
OPEN = gauge("outbound_open_connections", "Open connections to other hosts.")
TRANSACTIONS = counter("outbound_transactions", "Mail transactions, on a new connection or one in use before.", "kind")
RECIPIENTS = counter("outbound_recipients", "Recipients tried at other hosts, by what became of them.", "outcome")
SECONDS = histogram("outbound_exchange_seconds", "Seconds from choosing a host to the last reply.")
