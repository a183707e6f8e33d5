"""How many connections a person may have."""

import pytest

from mailserver.services.connections import AccountConnections
from mailserver.services.errors import TooManyConnections
from tenants.types import AccountId, TokenBorne

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


def test_a_token_is_told_of_while_something_of_it_is_open() -> None:
    connections = AccountConnections(per_account=9, per_network=9)
    tokens = [TokenBorne(number, None, None) for number in (5, 5, 6)]
    seats = [connections.enter(ANN, "192.0.2.1", token=token) for token in tokens]
    connections.enter(ANN, "192.0.2.1")
    connections.enter(BOB, "192.0.2.1", token=TokenBorne(7, None, None))
    assert connections.tokens_of([ANN]) == [5, 6]
    connections.leave(seats[2])
    assert connections.tokens_of([ANN, BOB, AccountId(3)]) == [5, 7]
    assert [connections.end_of_tokens({5, 9}), connections.end_of_tokens({5, 9})] == [2, 0]
    assert connections.tokens_of([ANN]) == []
