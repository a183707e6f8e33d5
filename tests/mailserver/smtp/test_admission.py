"""No network and no crowd takes the server for itself."""

import pytest

from mailserver.smtp import replies
from mailserver.smtp.admission import LOCAL, Admission, network_of
from tests.mailserver.smtp.doors import config_with


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2:3::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("127.0.0.5", LOCAL),
        ("::1", LOCAL),
        ("", LOCAL),
    ],
)
def test_addresses_are_counted_by_network(address: str, network: str) -> None:
    assert network_of(address) == network


def test_one_network_has_a_limit_and_all_together_have_one() -> None:
    admission = Admission(config_with(connections_limit=4, connections_per_network_limit=2))
    for network in ("a", "a", "b"):
        assert admission.refusal(network) is None
        admission.enter(network)
    assert admission.refusal("a") == replies.TOO_MANY_FROM_NETWORK
    admission.enter("c")
    assert admission.refusal("d") == replies.TOO_MANY_CONNECTIONS
    admission.leave("a")
    assert admission.refusal("a") is None


def test_loopback_has_no_limit_of_its_own() -> None:
    admission = Admission(config_with(connections_per_network_limit=1))
    admission.enter(LOCAL)
    assert admission.refusal(LOCAL) is None
