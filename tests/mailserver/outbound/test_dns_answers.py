"""Whatever a DNS response holds, reading it ends, soon, in an answer or a named refusal."""

import dns.exception
import dns.message
import dns.rcode
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mailserver.outbound.dns_answers import (
    Alias,
    Answer,
    AnswerUnusable,
    MxRecord,
    RecordKind,
    is_host_name,
    read_response,
)
from mailserver.outbound.mx import better_than_ours, is_null_mx, shuffled, site_key, usable
from mailserver.public_addresses import is_public

NAME = "demo.test"


def response(*answer: str, authority: str = "", rcode: str = "NOERROR") -> dns.message.Message:
    head = ("id 1", "opcode QUERY", f"rcode {rcode}", "flags QR RD RA", ";QUESTION", f"{NAME}. IN MX")
    return dns.message.from_text("\n".join([*head, ";ANSWER", *answer, ";AUTHORITY", authority]))


def test_records_and_the_least_ttl_on_the_way() -> None:
    found, ttl_s = read_response(
        response("demo.test. 300 IN CNAME other.test.", "other.test. 100 IN MX 5 MX.other.test."), NAME, RecordKind.MX
    )
    assert found == Answer((MxRecord(5, "mx.other.test"),), exists=True)
    assert ttl_s == 100


def test_what_is_missing_is_missing_for_as_long_as_the_soa_says() -> None:
    soa = "test. 900 IN SOA ns.test. admin.test. 1 2 3 4 60"
    assert read_response(response(authority=soa), NAME, RecordKind.MX) == (Answer((), exists=True), 60)
    nothing = read_response(response(authority=soa, rcode="NXDOMAIN"), NAME, RecordKind.MX)
    assert nothing == (Answer((), exists=False), 60)


def test_records_of_other_names_are_not_believed() -> None:
    found, _ = read_response(response("evil.test. 300 IN MX 5 mx.evil.test."), NAME, RecordKind.MX)
    assert found == Answer((), exists=True)


def test_an_alias_alone_is_to_be_followed() -> None:
    found, _ = read_response(response("demo.test. 300 IN CNAME other.test."), NAME, RecordKind.MX)
    assert found == Alias("other.test")


@pytest.mark.parametrize("rcode", ["SERVFAIL", "REFUSED", "NOTIMP"])
def test_a_failure_is_no_answer(rcode: str) -> None:
    with pytest.raises(AnswerUnusable, match=rcode):
        read_response(response(rcode=rcode), NAME, RecordKind.MX)


WIRE = response("demo.test. 300 IN CNAME a.test.", "a.test. 9 IN MX 1 b.test.", "b.test. 9 IN A 192.0.2.1").to_wire()


@given(st.lists(st.tuples(st.integers(0, len(WIRE) - 1), st.integers(0, 255)), max_size=12), st.integers(0, len(WIRE)))
@example([], len(WIRE))
def test_a_damaged_response_is_read_or_refused(damage: list[tuple[int, int]], length: int) -> None:
    octets = bytearray(WIRE)
    for at, octet in damage:
        octets[at] = octet
    try:
        message = dns.message.from_wire(bytes(octets[:length]))
    except (dns.exception.DNSException, ValueError):
        return
    for kind in RecordKind:
        try:
            found, _ = read_response(message, NAME, kind)
        except AnswerUnusable:
            continue
        assert isinstance(found, Answer | Alias)


@given(st.binary(max_size=200))
def test_octets_that_are_no_response_are_refused_by_name(octets: bytes) -> None:
    """What `resolver` catches is all that the library raises."""
    try:
        dns.message.from_wire(octets)
    except (dns.exception.DNSException, ValueError):
        return


@pytest.mark.parametrize(
    "name", ["a.test", "xn--fsqu00a.test", "_dmarc.test", "a_b.test", "1.2.test", "x" * 63 + ".test"]
)
def test_names_that_hosts_have(name: str) -> None:
    assert is_host_name(name)


@pytest.mark.parametrize(
    "name", ["", ".", "a..b", "A.test", "-a.test", "a-.test", "a b", "a.", "x" * 64, "é.test", "a." * 127]
)
def test_names_that_no_host_has(name: str) -> None:
    assert not is_host_name(name)


RECORDS = st.lists(st.builds(MxRecord, st.integers(0, 5), st.sampled_from(["", *"abcdef", "not a host"])), max_size=12)


@given(RECORDS, st.randoms(), st.integers(1, 5))
def test_hosts_come_by_preference_and_the_key_does_not_depend_on_chance(
    records: list[MxRecord], random: object, limit: int
) -> None:
    best = usable(records, limit)
    mixed = shuffled(best, random.shuffle)  # type: ignore[attr-defined]
    assert [each.preference for each in mixed] == sorted(each.preference for each in best)
    assert sorted(mixed) == sorted(best)
    assert site_key(mixed) == site_key(best)
    assert len({each.host for each in best}) == len(best) <= limit
    assert all(is_host_name(each.host) for each in best)


@given(RECORDS, st.sets(st.sampled_from("abcdef")))
def test_what_is_left_is_better_than_we_are(records: list[MxRecord], ours: set[str]) -> None:
    left = better_than_ours(records, ours)
    assert not ours & {record.host for record in left}
    own = [record.preference for record in records if record.host in ours]
    assert all(record.preference < min(own) for record in left if own)


def test_a_null_mx_stands_alone() -> None:
    assert is_null_mx([MxRecord(0, "")])
    assert not is_null_mx([MxRecord(0, ""), MxRecord(10, "a")])
    assert not is_null_mx([])


def test_a_long_key_is_shortened_and_still_its_own() -> None:
    first = [MxRecord(1, f"{'x' * 40}{number}.test") for number in range(10)]
    second = [*first[:-1], MxRecord(1, "other.test")]
    assert len(site_key(first)) <= 255
    assert site_key(first) != site_key(second)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "0.0.0.0",  # noqa: S104
        "255.255.255.255",
        "224.0.0.1",
        "100.64.0.1",
        "192.0.2.1",
        "198.18.0.1",
        "240.0.0.1",
        "::1",
        "::",
        "fe80::1",
        "fc00::1",
        "fec0::1",
        "ff02::1",
        "2001:db8::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "::127.0.0.1",
        "2002:a00:1::",
    ],
)
def test_addresses_that_mail_is_not_brought_to(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_of_the_internet(address: str) -> None:
    assert is_public(address)
