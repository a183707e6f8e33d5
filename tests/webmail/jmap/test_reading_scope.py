"""Who asks, and how they came here, also behind load balancers."""

from typing import Any

import pytest

from mailserver.proxy_protocol import Network
from webmail.jmap.http.exchange import HttpRequest
from webmail.jmap.http.reading_scope import read_scope

PROXIES = (Network.from_text("10.0.0.0/8"), Network.from_text("2001:db8:1::/48"))


def read(peer: str, **headers: str) -> HttpRequest:
    async def receive() -> dict[str, Any]:
        raise AssertionError

    scope = {
        "method": "GET",
        "path": "/",
        "scheme": "http",
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "client": (peer, 1),
    }
    return read_scope(scope, receive, hostname="mail.company.test", proxies=PROXIES)


@pytest.mark.parametrize(
    ("peer", "named", "found"),
    [
        ("192.0.2.1", "", "192.0.2.1"),
        ("192.0.2.1", "203.0.113.5", "192.0.2.1"),  # anybody can write that
        ("10.0.0.1", "203.0.113.5", "203.0.113.5"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.5, 10.0.0.2", "203.0.113.5"),
        ("10.0.0.1", "10.0.0.3", "10.0.0.3"),
        ("10.0.0.1", "", "10.0.0.1"),
        ("10.0.0.1", " , ", "10.0.0.1"),
        ("10.0.0.1", "203.0.113.5:4711", "203.0.113.5"),
        ("2001:db8:1::1", "[2001:db8::7]:4711", "2001:db8::7"),
        ("2001:db8:1::1", "2001:db8::7", "2001:db8::7"),
        ("10.0.0.1", "nonsense", "nonsense"),
    ],
)
def test_the_client_is_whom_our_own_proxies_name(peer: str, named: str, found: str) -> None:
    assert read(peer, x_forwarded_for=named).peer == found


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"host": "jmap.example.com"}, "http://jmap.example.com"),
        ({"host": "jmap.example.com", "x_forwarded_proto": "https"}, "https://jmap.example.com"),
        ({"host": "jmap.example.com", "x_forwarded_proto": "gopher"}, "http://jmap.example.com"),
        ({}, "http://mail.company.test"),
        ({"host": "a b"}, "http://mail.company.test"),
        ({"host": "x" * 300}, "http://mail.company.test"),
        ({"host": "[2001:db8::7]:8443"}, "http://[2001:db8::7]:8443"),
    ],
)
def test_our_origin_is_as_the_client_wrote_it(headers: dict[str, str], origin: str) -> None:
    assert read("192.0.2.1", **headers).origin == origin
