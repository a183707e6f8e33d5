"""DNS is asked as seldom as possible, and believed no more than it deserves."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from mailserver.listeners import Endpoint
from mailserver.outbound.config import ResolverConfig
from mailserver.outbound.dns_answers import Answer, MxRecord, RecordKind
from mailserver.outbound.resolver import LookupFailed, Resolver
from tests.outbound_peers.dns_server import DnsServer, Fault

ZONE = {
    "demo.test": {"MX": ["10 mx1.demo.test.", "20 mx2.demo.test."]},
    "mx1.demo.test": {"A": ["192.0.2.1"], "AAAA": ["2001:db8::1"]},
    "alias.test": {"CNAME": ["demo.test."]},
    "circle.test": {"CNAME": ["round.test."]},
    "round.test": {"CNAME": ["circle.test."]},
    "empty.test": {},
    "many.test": {"MX": [f"{number} mx{number}.many.test." for number in range(1_500)]},
    **{f"link{number}.test": {"CNAME": [f"link{number + 1}.test."]} for number in range(40)},
}


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer(ZONE) as server:
        yield server


@pytest.fixture
async def clock() -> Clock:
    return Clock()


@pytest.fixture
async def resolver(dns: DnsServer, clock: Clock) -> AsyncIterator[Resolver]:
    config = ResolverConfig(Endpoint(dns.host, dns.port), try_timeout_s=0.1, timeout_s=2.0, cache_entries=50)
    resolver = Resolver(config, clock=clock)
    yield resolver
    await resolver.close()


async def test_mx_and_addresses_are_found(resolver: Resolver) -> None:
    found = await resolver.lookup("demo.test", RecordKind.MX)
    assert set(found.records) == {MxRecord(10, "mx1.demo.test"), MxRecord(20, "mx2.demo.test")}
    assert (await resolver.lookup("mx1.demo.test", RecordKind.A)).records == ("192.0.2.1",)
    assert (await resolver.lookup("mx1.demo.test", RecordKind.AAAA)).records == ("2001:db8::1",)


async def test_a_name_without_such_records_is_told_from_a_name_that_is_not_there(resolver: Resolver) -> None:
    assert await resolver.lookup("empty.test", RecordKind.MX) == Answer((), exists=True)
    assert await resolver.lookup("missing.test", RecordKind.MX) == Answer((), exists=False)


async def test_an_answer_is_remembered_for_its_ttl(dns: DnsServer, resolver: Resolver, clock: Clock) -> None:
    for _ in range(3):
        await resolver.lookup("demo.test", RecordKind.MX)
        await resolver.lookup("missing.test", RecordKind.MX)
    assert len(dns.asked) == 2
    clock.now += 59
    await resolver.lookup("demo.test", RecordKind.MX)
    assert len(dns.asked) == 2
    clock.now += 2
    await resolver.lookup("demo.test", RecordKind.MX)
    await resolver.lookup("missing.test", RecordKind.MX)
    assert len(dns.asked) == 4


async def test_what_is_asked_already_is_not_asked_again(dns: DnsServer, resolver: Resolver) -> None:
    answers = await asyncio.gather(*(resolver.lookup("demo.test", RecordKind.MX) for _ in range(50)))
    assert len(dns.asked) == 1
    assert len(set(answers)) == 1


async def test_one_who_gives_up_waiting_does_not_take_the_answer_from_the_others(resolver: Resolver) -> None:
    impatient = asyncio.create_task(resolver.lookup("demo.test", RecordKind.MX))
    patient = asyncio.create_task(resolver.lookup("demo.test", RecordKind.MX))
    await asyncio.sleep(0)
    impatient.cancel()
    assert (await patient).exists


async def test_memory_is_bounded(dns: DnsServer, resolver: Resolver) -> None:
    for number in range(120):
        await resolver.lookup(f"name{number}.test", RecordKind.A)
    asked = len(dns.asked)
    await resolver.lookup("name119.test", RecordKind.A)
    assert len(dns.asked) == asked
    await resolver.lookup("name0.test", RecordKind.A)
    assert len(dns.asked) == asked + 1


async def test_a_truncated_answer_is_asked_for_again_by_tcp(dns: DnsServer, resolver: Resolver) -> None:
    dns.faults["demo.test"] = Fault.TRUNCATED
    assert len((await resolver.lookup("demo.test", RecordKind.MX)).records) == 2
    assert [how for _, _, how in dns.asked] == ["udp", "tcp"]


async def test_an_answer_of_thousands_comes_by_tcp(dns: DnsServer) -> None:
    resolver = Resolver(ResolverConfig(Endpoint(dns.host, dns.port), try_timeout_s=20, timeout_s=30))
    assert len((await resolver.lookup("many.test", RecordKind.MX)).records) == 1_500


@pytest.mark.parametrize(
    "fault", [Fault.SERVFAIL, Fault.REFUSED, Fault.SILENT, Fault.GARBAGE, Fault.WRONG_ID, Fault.TRUNCATED_AND_SILENT]
)
async def test_a_resolver_that_fails_is_a_failure_for_now(dns: DnsServer, resolver: Resolver, fault: Fault) -> None:
    dns.faults["demo.test"] = fault
    with pytest.raises(LookupFailed):
        await resolver.lookup("demo.test", RecordKind.MX)
    assert len(dns.asked) <= 6
    assert (await resolver.lookup("mx1.demo.test", RecordKind.A)).records == ("192.0.2.1",)


async def test_a_failure_is_not_asked_for_again_at_once(dns: DnsServer, resolver: Resolver, clock: Clock) -> None:
    dns.faults["demo.test"] = Fault.SERVFAIL
    for _ in range(5):
        with pytest.raises(LookupFailed):
            await resolver.lookup("demo.test", RecordKind.MX)
    assert len(dns.asked) == 1
    del dns.faults["demo.test"]
    clock.now += 6
    assert (await resolver.lookup("demo.test", RecordKind.MX)).exists


async def test_a_server_from_before_edns_is_asked_without(dns: DnsServer, resolver: Resolver) -> None:
    dns.faults["demo.test"] = Fault.FORMERR_WITH_EDNS
    assert (await resolver.lookup("demo.test", RecordKind.MX)).records


async def test_an_alias_is_followed_also_when_the_resolver_does_not(dns: DnsServer, resolver: Resolver) -> None:
    assert len((await resolver.lookup("alias.test", RecordKind.MX)).records) == 2
    dns.faults["link0.test"] = dns.faults["link1.test"] = Fault.LEAVES_ALIASES_OPEN
    dns.zone["link2.test"] = {"A": ["192.0.2.7"]}
    assert (await resolver.lookup("link0.test", RecordKind.A)).records == ("192.0.2.7",)


@pytest.mark.parametrize("name", ["circle.test", "link0.test"])
@pytest.mark.parametrize("fault", [None, Fault.LEAVES_ALIASES_OPEN])
async def test_aliases_without_end_are_given_up(
    dns: DnsServer, resolver: Resolver, name: str, fault: Fault | None
) -> None:
    if fault is not None:
        dns.faults[""] = fault
    with pytest.raises(LookupFailed, match="aliases"):
        await resolver.lookup(name, RecordKind.MX)
    assert len(dns.asked) < 15


async def test_no_resolver_listening_is_a_failure_for_now() -> None:
    resolver = Resolver(ResolverConfig(Endpoint("127.0.0.1", 9), try_timeout_s=0.05, timeout_s=0.5))
    with pytest.raises(LookupFailed):
        await resolver.lookup("demo.test", RecordKind.MX)
    await resolver.close()
