"""One canonical form for every way to write an address (RFC 5321 §4.1.2, RFC 6531, RFC 5890)."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.addresses import (
    DOMAIN_LIMIT_OCTETS,
    LOCAL_PART_LIMIT_OCTETS,
    display_domain,
    format_address,
    may_send_as,
    parse_address,
    parse_domain,
    split_detail,
)
from tenants.errors import AddressInvalid, DomainInvalid
from tenants.types import Address

LABELS = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,10}[a-z0-9])?", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=2, max_size=4).map(".".join)
ATOMS = st.text("abcXYZ0123456789!#$%&'*+-/=?^_`{|}~éßÜ张三", min_size=1, max_size=8)
DOT_STRINGS = st.lists(ATOMS, min_size=1, max_size=3).map(".".join)


@pytest.mark.parametrize(
    ("written", "canonical"),
    [
        ("Ann.Lee@Demo.TEST", "ann.lee@demo.test"),
        ('"ann.lee"@demo.test', "ann.lee@demo.test"),
        ('"ann\\.lee"@demo.test', "ann.lee@demo.test"),
        ('"John Smith"@demo.test', "john smith@demo.test"),
        ('"a@b"@demo.test', "a@b@demo.test"),
        ("straße@demo.test", "strasse@demo.test"),
        ("Re\u0301ne@demo.test", "réne@demo.test"),
        ("张三@例子.测试", "张三@xn--fsqu00a.xn--0zwm56d"),
        ("ann@例子。测试", "ann@xn--fsqu00a.xn--0zwm56d"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        ("ann@XN--BCHER-KVA.example", "ann@xn--bcher-kva.example"),
        ("ann+Lists@demo.test", "ann+lists@demo.test"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[IPv6:2001:DB8:0::1]", "ann@[ipv6:2001:db8::1]"),
        ("o'hara!#$%&*/=?^_`{|}~-@demo.test", "o'hara!#$%&*/=?^_`{|}~-@demo.test"),
    ],
)
def test_every_spelling_of_an_address_has_one_form(written: str, canonical: str) -> None:
    assert str(parse_address(written)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@demo.test",
        "ann@",
        ".ann@demo.test",
        "ann.@demo.test",
        "a..n@demo.test",
        "a n@demo.test",
        "a@b@demo.test",
        "a,b@demo.test",
        '"ann@demo.test',
        '""@demo.test',
        '"ann"x@demo.test',
        '"ann\\"@demo.test',
        "ann@-demo.test",
        "ann@demo..test",
        "ann@demo.test.",
        "ann@de_mo.test",
        "ann@demo test",
        "ann@[192.0.2.300]",
        "ann@[192.0.2.1",
        "ann@[IPv6:zz]",
        "a\u200bnn@demo.test",
        "a\x00nn@demo.test",
        '"a\r\nb"@demo.test',
        '"a\u2028b"@demo.test',
        "ann\u202e@demo.test",
        "ann@de\u0000mo.测试",
        "ann\ud800@demo.test",
        "ann@\ud800.test",
    ],
)
def test_what_is_no_address_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(AddressInvalid) as refused:
        parse_address(text)
    assert refused.value.reason


def test_the_limits_of_rfc_5321_count_octets() -> None:
    fits = "张" * (LOCAL_PART_LIMIT_OCTETS // 3) + "a"
    assert parse_address(f"{fits}@demo.test").local_part == fits
    with pytest.raises(AddressInvalid, match="64 octets"):
        parse_address(f"{fits}a@demo.test")
    label = "a" * 63
    assert len(parse_address(f"ann@{label}.{label}.{label}.{label}").domain) == DOMAIN_LIMIT_OCTETS
    with pytest.raises(AddressInvalid, match="255 octets"):
        parse_address(f"ann@a.{label}.{label}.{label}.{label}")
    with pytest.raises(AddressInvalid, match="63 octets"):
        parse_address(f"ann@{label}a.test")


@given(DOT_STRINGS, DOMAINS)
def test_the_canonical_form_is_a_fixed_point(local_part: str, domain: str) -> None:
    once = parse_address(f"{local_part}@{domain}")
    assert parse_address(str(once)) == once
    assert unicodedata.is_normalized("NFC", once.local_part)


@given(st.text(min_size=1, max_size=12), DOMAINS)
def test_quoting_any_local_part_gives_it_back(local_part: str, domain: str) -> None:
    """Whatever characters a local part has: either it is refused, or its formatted form parses to the same address."""
    escaped = local_part.replace("\\", "\\\\").replace('"', '\\"')
    try:
        address = parse_address(f'"{escaped}"@{domain}')
    except AddressInvalid:
        return
    assert parse_address(format_address(address)) == address


@given(st.text(max_size=700))
def test_no_text_makes_parsing_fail_otherwise(text: str) -> None:
    try:
        address = parse_address(text)
    except AddressInvalid:
        return
    assert len(address.local_part.encode()) <= LOCAL_PART_LIMIT_OCTETS
    assert len(address.domain) <= DOMAIN_LIMIT_OCTETS
    assert address.domain == address.domain.lower()


@given(st.text(max_size=300))
def test_no_text_makes_parsing_a_domain_fail_otherwise(text: str) -> None:
    try:
        name = parse_domain(text)
    except DomainInvalid:
        return
    assert parse_domain(name) == name


@pytest.mark.parametrize("text", ["localhost", "192.0.2.1", "", ".", "demo.test.", "-a.test", "a.test/b"])
def test_only_names_that_could_be_ours_are_domains(text: str) -> None:
    with pytest.raises(DomainInvalid):
        parse_domain(text)


def test_a_domain_is_shown_in_its_own_script() -> None:
    assert display_domain("xn--fsqu00a.xn--0zwm56d") == "例子.测试"
    assert display_domain("demo.test") == "demo.test"
    assert display_domain("xn--a.test") == "xn--a.test"


def test_a_detail_is_what_stands_after_the_first_plus() -> None:
    ann = Address("ann", "demo.test")
    assert split_detail(parse_address("ann+a+b@demo.test")) == (ann, "a+b")
    assert split_detail(parse_address("ann+@demo.test")) == (ann, "")
    assert split_detail(ann) == (ann, "")
    assert split_detail(Address("+ann", "demo.test")) == (Address("+ann", "demo.test"), "")


def test_people_send_as_their_addresses_and_details_of_them_and_as_nobody_else() -> None:
    own = frozenset({"ann@demo.test", "office@demo.test"})
    assert may_send_as(parse_address("Ann@demo.test"), own)
    assert may_send_as(parse_address("office+bills@demo.test"), own)
    assert not may_send_as(parse_address("bob@demo.test"), own)
    assert not may_send_as(parse_address("ann@other.test"), own)
    assert not may_send_as(parse_address("bob+ann@demo.test"), own)
