"""Who is let in."""

from mailserver.admission import Admission, Limit


def test_a_process_takes_so_many_connections() -> None:
    admission = Admission(connections=2, per_network=9)
    assert admission.enter("192.0.2.1") is None
    assert admission.enter("192.0.2.2") is None
    assert admission.enter("192.0.2.3") is Limit.PROCESS
    admission.leave("192.0.2.3")
    admission.leave("192.0.2.1")
    assert admission.enter("192.0.2.3") is None


def test_a_network_has_so_many_and_others_are_not_touched() -> None:
    admission = Admission(connections=9, per_network=1)
    assert admission.enter("192.0.2.1") is None
    assert admission.enter("192.0.2.1") is Limit.NETWORK
    assert admission.enter("::ffff:192.0.2.1") is Limit.NETWORK
    assert admission.enter("192.0.2.2") is None


def test_an_ipv6_network_is_a_64() -> None:
    admission = Admission(connections=9, per_network=1)
    assert admission.enter("2001:db8::1") is None
    assert admission.enter("2001:db8::2") is Limit.NETWORK
    assert admission.enter("2001:db8:0:1::1") is None


def test_proxies_and_programs_of_this_host_are_not_one_person() -> None:
    admission = Admission(connections=9, per_network=1)
    assert admission.enter("127.0.0.1") is None
    assert admission.enter("::1") is None
