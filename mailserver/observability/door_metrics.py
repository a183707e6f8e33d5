"""What every door counts of its connections."""

from mailserver.observability.metrics import counter, gauge


class DoorMetrics:
    """What a door counts, under its protocol's name."""

    def __init__(self, protocol: str) -> None:
        self.connections = gauge(f"{protocol}_connections", "Connections that are open.")
        self.turned_away = counter(
            f"{protocol}_connections_turned_away", "Connections not served, by the limit they met.", "limit"
        )
        self.expired = counter(f"{protocol}_connections_expired", "Connections closed by us, by reason.", "reason")
