"""How many connections a person may have."""

import pytest

from mailserver.services.connections import AccountConnections
from mailserver.services.errors import TooManyConnections
from tenants.types import AccountId

ANN, BOB = AccountId(1), AccountId(2)


def test_connections_are_counted_for_each_person_and_network() -> None:
    connections = AccountConnections(per_account=3, per_network=2)
    first = connections.enter(ANN, "192.0.2.1")
    connections.enter(ANN, "192.0.2.1")
    with pytest.raises(TooManyConnections):
        connections.enter(ANN, "192.0.2.1")
    connections.enter(BOB, "192.0.2.1")
    connections.enter(ANN, "198.51.100.1")
    with pytest.raises(TooManyConnections):
        connections.enter(ANN, "203.0.113.1")
    connections.leave(first)
    connections.enter(ANN, "192.0.2.1")


def test_what_comes_from_this_host_is_limited_for_each_person_only() -> None:
    connections = AccountConnections(per_account=3, per_network=1)
    seats = [connections.enter(ANN, "127.0.0.1") for _ in range(3)]
    with pytest.raises(TooManyConnections):
        connections.enter(ANN, "::1")
    for seat in seats:
        connections.leave(seat)
    connections.enter(ANN, "192.0.2.1")
