"""Mail for a domain goes to the hosts that its MX name, best first (RFC 5321 §5.1, RFC 7505)."""

from collections.abc import AsyncIterator

import pytest

from mailserver.listeners import Endpoint
from mailserver.outbound.config import AddressFamily, ResolverConfig, RoutingConfig
from mailserver.outbound.errors import (
    DnsTemporary,
    DomainInvalid,
    DomainUnknown,
    MailLoops,
    NoSite,
    NoUsableHost,
    NullMx,
)
from mailserver.outbound.outcomes import Deferred, Failed
from mailserver.outbound.resolver import Resolver
from mailserver.outbound.routing import Router
from mailserver.outbound.sites import Credentials, Security, Smarthost
from mailserver.settings import ConfigurationInvalid, from_environment
from tests.outbound_peers.dns_server import DnsServer, Fault

ZONE = {
    "demo.test": {"MX": ["20 backup.demo.test.", "10 mx.demo.test."]},
    "mx.demo.test": {"A": ["1.1.1.1"], "AAAA": ["2606:4700::1"]},
    "backup.demo.test": {"A": ["1.1.1.2"]},
    "twin.test": {"MX": ["5 mx.demo.test.", "6 backup.demo.test."]},
    "reversed.test": {"MX": ["6 mx.demo.test.", "5 backup.demo.test."]},
    "equal.test": {"MX": [f"10 eq{number}.test." for number in range(6)]},
    **{f"eq{number}.test": {"A": [f"1.1.2.{number}"]} for number in range(6)},
    "bare.test": {"A": ["1.1.1.3"], "AAAA": ["2606:4700::3"]},
    "alias.test": {"CNAME": ["demo.test."]},
    "null.test": {"MX": ["0 ."], "A": ["1.1.1.4"]},
    "half-null.test": {"MX": ["0 .", "10 mx.demo.test."]},
    "nothing.test": {},
    "no-address.test": {"MX": ["10 nothing.test.", "20 missing.test."], "A": ["1.1.1.5"]},
    "some-address.test": {"MX": ["10 nothing.test.", "20 mx.demo.test."]},
    "inward.test": {"MX": ["10 inside.test."]},
    "inside.test": {"A": ["10.0.0.1", "127.0.0.1", "169.254.169.254", "0.0.0.0"], "AAAA": ["::1", "::ffff:10.0.0.1"]},  # noqa: S104
    "mixed.test": {"MX": ["10 inside.test.", "20 mx.demo.test."]},
    "we.test": {"MX": ["10 mail.waypost.test."]},
    "mail.waypost.test": {"A": ["1.1.1.9"]},
    "relay.test": {"MX": ["5 mx.demo.test.", "10 mail.waypost.test.", "10 equal.test.", "20 backup.demo.test."]},
    "by-address.test": {"MX": ["10 other-name.test."]},
    "other-name.test": {"A": ["1.1.1.9"]},
    "silent.test": {"MX": ["10 mx.demo.test."]},
    "half-silent.test": {"MX": ["10 mute.test.", "20 mx.demo.test."]},
    "all-silent.test": {"MX": ["10 mute.test."]},
    "xn--fsqu00a.test": {"MX": ["10 mx.demo.test."]},
    "many.test": {"MX": [f"{1 + number} mx.demo.test." for number in range(300)] + ["0 eq1.test."]},
    "crowd.test": {"MX": [f"10 c{number}.test." for number in range(300)]},
    **{f"c{number}.test": {"A": [f"1.2.{number // 250}.{number % 250}"]} for number in range(300)},
    "homes.test": {"A": [f"1.3.0.{number}" for number in range(100)]},
    "odd.test": {"MX": ["10 a\\032b.test.", "20 a\\.b.test.", "30 mx.demo.test."]},
}


@pytest.fixture
async def dns() -> AsyncIterator[DnsServer]:
    async with DnsServer(ZONE) as server:
        yield server


@pytest.fixture
async def resolver(dns: DnsServer) -> AsyncIterator[Resolver]:
    resolver = Resolver(ResolverConfig(Endpoint(dns.host, dns.port), try_timeout_s=0.3, timeout_s=3.0))
    yield resolver
    await resolver.close()


@pytest.fixture
async def router(resolver: Resolver) -> Router:
    return Router("mail.waypost.test", RoutingConfig(own_addresses=("1.1.1.9",)), resolver)


def names(hosts: object) -> list[str]:
    return [host.name for host in hosts]  # type: ignore[attr-defined]


async def outcome_of(router: Router, domain: str) -> tuple[type[NoSite], type[Deferred | Failed], str]:
    with pytest.raises(NoSite) as caught:
        await router.find_site(domain)
    outcome = caught.value.outcome
    return caught.type, type(outcome), outcome.reply.enhanced


async def test_hosts_come_by_preference(router: Router) -> None:
    site = await router.find_site("demo.test")
    assert names(site.hosts) == ["mx.demo.test", "backup.demo.test"]
    assert site.hosts[0].addresses == ("1.1.1.1", "2606:4700::1")
    assert site.port == 25


async def test_domains_with_the_same_hosts_in_the_same_order_are_one_site(router: Router) -> None:
    demo = await router.find_site("demo.test")
    assert demo.key == (await router.find_site("twin.test")).key == (await router.find_site("alias.test")).key
    assert demo.key == "mx.demo.test;backup.demo.test"
    assert demo.key != (await router.find_site("reversed.test")).key


async def test_hosts_of_equal_preference_come_in_any_order_and_keep_one_key(router: Router) -> None:
    sites = [await router.find_site("equal.test") for _ in range(40)]
    assert len({tuple(names(site.hosts)) for site in sites}) > 1
    assert len({site.key for site in sites}) == 1


async def test_without_mx_the_domain_is_its_own_host(router: Router) -> None:
    site = await router.find_site("bare.test")
    assert names(site.hosts) == ["bare.test"]


@pytest.mark.parametrize(
    ("family", "addresses"),
    [
        (AddressFamily.IPV4_FIRST, ("1.1.1.3", "2606:4700::3")),
        (AddressFamily.IPV6_FIRST, ("2606:4700::3", "1.1.1.3")),
        (AddressFamily.IPV4_ONLY, ("1.1.1.3",)),
        (AddressFamily.IPV6_ONLY, ("2606:4700::3",)),
    ],
)
async def test_the_family_to_try_first_is_a_setting(
    resolver: Resolver, family: AddressFamily, addresses: tuple[str, ...]
) -> None:
    router = Router("mail.waypost.test", RoutingConfig(family=family), resolver)
    assert (await router.find_site("bare.test")).hosts[0].addresses == addresses


async def test_a_null_mx_is_final_even_with_an_address(router: Router) -> None:
    assert await outcome_of(router, "null.test") == (NullMx, Failed, "5.1.10")


async def test_a_null_mx_beside_others_is_a_mistake_and_ignored(router: Router) -> None:
    assert names((await router.find_site("half-null.test")).hosts) == ["mx.demo.test"]


async def test_a_domain_that_is_not_there_is_final(router: Router) -> None:
    assert await outcome_of(router, "missing.test") == (DomainUnknown, Failed, "5.1.2")


@pytest.mark.parametrize("domain", ["nothing.test", "no-address.test"])
async def test_a_domain_without_any_address_is_final_and_mx_forbid_its_own(router: Router, domain: str) -> None:
    assert await outcome_of(router, domain) == (NoUsableHost, Failed, "5.4.4")


async def test_a_host_without_address_is_passed_over(router: Router) -> None:
    assert names((await router.find_site("some-address.test")).hosts) == ["mx.demo.test"]


@pytest.mark.parametrize(
    "domain", ["a..b", "", ".", "-a.test", "a b.test", "x" * 64 + ".test", "☃" * 80 + ".test", "1.2.3.4", "a@b.test"]
)
async def test_what_cannot_be_a_domain_is_final_and_never_asked_for(
    dns: DnsServer, router: Router, domain: str
) -> None:
    assert await outcome_of(router, domain) == (DomainInvalid, Failed, "5.1.2")
    assert not dns.asked


@pytest.mark.parametrize("fault", [Fault.SERVFAIL, Fault.SILENT, Fault.GARBAGE])
async def test_dns_that_fails_is_for_now(dns: DnsServer, router: Router, fault: Fault) -> None:
    dns.faults["silent.test"] = fault
    assert await outcome_of(router, "silent.test") == (DnsTemporary, Deferred, "4.4.3")


async def test_a_host_that_cannot_be_looked_up_leaves_the_others(dns: DnsServer, router: Router) -> None:
    dns.faults["mute.test"] = Fault.SERVFAIL
    assert names((await router.find_site("half-silent.test")).hosts) == ["mx.demo.test"]
    assert await outcome_of(router, "all-silent.test") == (DnsTemporary, Deferred, "4.4.3")


async def test_one_family_that_cannot_be_looked_up_leaves_the_other(router: Router, dns: DnsServer) -> None:
    dns.faults["mx.demo.test AAAA"] = Fault.SERVFAIL
    assert (await router.find_site("demo.test")).hosts[0].addresses == ("1.1.1.1",)


@pytest.mark.parametrize("domain", ["inward.test", "[127.0.0.1]", "[10.1.2.3]", "[IPv6:::1]", "[IPv6:::ffff:10.0.0.1]"])
async def test_mail_is_not_aimed_inwards(router: Router, domain: str) -> None:
    assert await outcome_of(router, domain) == (NoUsableHost, Failed, "5.4.4")


async def test_a_host_inside_is_passed_over(router: Router) -> None:
    assert names((await router.find_site("mixed.test")).hosts) == ["mx.demo.test"]


async def test_private_networks_can_be_permitted(resolver: Resolver) -> None:
    router = Router("mail.waypost.test", RoutingConfig(private_networks=True), resolver)
    assert "10.0.0.1" in (await router.find_site("inward.test")).hosts[0].addresses


@pytest.mark.parametrize("domain", ["we.test", "mail.waypost.test", "by-address.test", "[1.1.1.9]"])
async def test_mail_that_would_come_back_to_us_is_final(router: Router, domain: str) -> None:
    assert await outcome_of(router, domain) == (MailLoops, Failed, "5.4.6")


async def test_as_a_backup_we_use_only_better_hosts(router: Router) -> None:
    assert names((await router.find_site("relay.test")).hosts) == ["mx.demo.test"]


async def test_an_address_literal_is_connected_to_as_it_is(dns: DnsServer, router: Router) -> None:
    site = await router.find_site("[8.8.8.8]")
    assert (site.key, site.hosts[0].addresses) == ("[8.8.8.8]", ("8.8.8.8",))
    site = await router.find_site("[IPv6:2606:4700:0::8]")
    assert site.hosts[0].addresses == ("2606:4700::8",)
    assert not dns.asked


@pytest.mark.parametrize("literal", ["[]", "[1.2.3]", "[IPv6:1.2.3.4]", "[1.2.3.4", "[x400:a]", "[::1]"])
async def test_a_broken_literal_is_final(router: Router, literal: str) -> None:
    assert await outcome_of(router, literal) == (DomainInvalid, Failed, "5.1.2")


async def test_an_internationalised_domain_is_looked_up_by_its_a_label(router: Router) -> None:
    written = await router.find_site("例子.test")
    encoded = await router.find_site("XN--FSQU00A.test")
    assert written.key == encoded.key == "mx.demo.test"


async def test_of_many_mx_the_best_are_looked_at(dns: DnsServer, router: Router) -> None:
    assert names((await router.find_site("many.test")).hosts) == ["eq1.test", "mx.demo.test"]
    sites = [await router.find_site("crowd.test") for _ in range(5)]
    assert {len(site.hosts) for site in sites} == {10}
    assert len({site.key for site in sites}) == 1
    assert len(dns.asked) < 40


async def test_of_many_addresses_some_are_tried(router: Router) -> None:
    assert len((await router.find_site("homes.test")).hosts[0].addresses) == 6


async def test_names_that_no_host_has_are_passed_over(router: Router) -> None:
    assert names((await router.find_site("odd.test")).hosts) == ["mx.demo.test"]


async def test_a_smarthost_is_looked_up_without_mx_and_keeps_what_was_set(dns: DnsServer, router: Router) -> None:
    smarthost = Smarthost("mx.demo.test", 587, credentials=Credentials("us", "secret"))
    site = await router.find_smarthost(smarthost)
    assert site.key.endswith(":mx.demo.test:587")
    assert (site.port, site.security) == (587, smarthost.security)
    assert {kind for _, kind, _ in dns.asked} == {"A", "AAAA"}
    assert "secret" not in repr(site)


async def test_smarthosts_that_differ_in_anything_are_different_sites(router: Router) -> None:
    smarthosts = [
        Smarthost("mx.demo.test", 587, credentials=Credentials("us", "secret")),
        Smarthost("mx.demo.test", 587, credentials=Credentials("us", "guess")),
        Smarthost("mx.demo.test", 587, credentials=Credentials("them", "secret")),
        Smarthost("mx.demo.test", 587),
        Smarthost("mx.demo.test", 587, Security.NONE),
        Smarthost("mx.demo.test", 25),
        Smarthost("backup.demo.test", 587),
    ]
    assert len({(await router.find_smarthost(each)).key for each in smarthosts}) == len(smarthosts)
    assert (await router.find_smarthost(smarthosts[0])).key == (await router.find_smarthost(smarthosts[0])).key


async def test_a_tenants_smarthost_is_not_aimed_inwards_and_the_operators_may(router: Router) -> None:
    with pytest.raises(DnsTemporary):
        await router.find_smarthost(Smarthost("127.0.0.1"))
    site = await router.find_smarthost(Smarthost("127.0.0.1", may_be_private=True))
    assert site.hosts[0].addresses == ("127.0.0.1",)


def test_settings_that_must_be_addresses_say_so() -> None:
    with pytest.raises(ConfigurationInvalid, match=r"'mx\.example' is no IP address"):
        from_environment(RoutingConfig, "WAYPOST_ROUTING_", {"WAYPOST_ROUTING_OWN_ADDRESSES": "192.0.2.1,mx.example"})
    with pytest.raises(ConfigurationInvalid, match="'localhost' is no IP address"):
        from_environment(ResolverConfig, "WAYPOST_DNS_", {"WAYPOST_DNS": "localhost:53"})
    assert from_environment(ResolverConfig, "WAYPOST_DNS_", {"WAYPOST_DNS": "[::1]:53"}).server == Endpoint("::1", 53)
