"""Listening sockets."""

import socket

import pytest

from mailserver.listeners import CannotListen, Endpoint, bind


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_two_workers_share_a_port() -> None:
    endpoint = Endpoint("127.0.0.1", free_port())
    first, second = bind(endpoint), bind(endpoint)
    try:
        assert first[0].getsockname() == second[0].getsockname() == ("127.0.0.1", endpoint.port)
    finally:
        for each in (*first, *second):
            each.close()


def test_a_port_taken_by_another_program_is_a_clear_refusal() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        endpoint = Endpoint("127.0.0.1", other.getsockname()[1])
        with pytest.raises(CannotListen, match=rf":{endpoint.port}: Address already in use"):
            bind(endpoint)


def test_an_address_that_is_not_this_machines_is_a_clear_refusal() -> None:
    with pytest.raises(CannotListen, match=r"cannot listen at 192\.0\.2\.1:20143: Cannot assign requested address"):
        bind(Endpoint("192.0.2.1", 20143))


@pytest.mark.parametrize("text", ["127.0.0.1:143", "[::1]:143", "mail.example:993"])
def test_an_endpoint_reads_and_writes_the_same(text: str) -> None:
    assert str(Endpoint.from_text(text)) == text
