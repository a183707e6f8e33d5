"""Quotas as people write and read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tenants.errors import QuotaInvalid
from tenants.quota import QUOTA_LIMIT_OCTETS, format_octets, parse_quota


@pytest.mark.parametrize(
    ("written", "octets"),
    [
        ("5GiB", 5 * 2**30),
        ("5 gib", 5 * 2**30),
        ("5G", 5 * 2**30),
        ("5GB", 5_000_000_000),
        ("1.5TiB", 3 * 2**39),
        ("500mb", 500_000_000),
        ("1048576", 2**20),
        ("100B", 100),
        ("none", None),
        ("不限", None),
    ],
)
def test_a_quota_is_read_in_the_units_people_write(written: str, octets: int | None) -> None:
    assert parse_quota(written) == octets


@pytest.mark.parametrize("text", ["", "0", "-5GiB", "5XB", "GiB", "5,5GiB", "9999PiB", "1e9", "٥GiB", "0.4B"])
def test_what_is_no_quota_is_refused(text: str) -> None:
    with pytest.raises(QuotaInvalid):
        parse_quota(text)


@given(st.integers(min_value=1, max_value=QUOTA_LIMIT_OCTETS))
def test_what_is_shown_means_about_what_it_was(octets: int) -> None:
    shown = parse_quota(format_octets(octets))
    assert shown is not None
    assert abs(shown - octets) <= octets * 0.05


def test_whole_units_are_shown_exactly() -> None:
    assert format_octets(5 * 2**30) == "5 GiB"
    assert format_octets(3 * 2**29) == "1.5 GiB"
    assert format_octets(300) == "300 B"
