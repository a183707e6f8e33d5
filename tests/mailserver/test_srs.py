"""Rewritten reverse paths: they come back to us, to nobody's but the author's address, and not for ever."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.srs import NotOurs, is_rewritten, restore, rewrite

SECRET = b"k" * 32
NOW = datetime(2026, 12, 1, 10, 0, tzinfo=UTC)


def rewritten(reverse_path: str, secret: bytes = SECRET) -> str:
    result = rewrite(reverse_path, "demo.test", secret=secret, now=NOW)
    assert result is not None
    return result


def test_a_bounce_finds_the_author() -> None:
    path = rewritten("ann@author.test")
    assert path.startswith("SRS0=")
    assert path.endswith("=author.test=ann@demo.test")
    assert is_rewritten(path)
    assert restore(path, secret=SECRET, now=NOW) == "ann@author.test"


def test_a_system_between_may_fold_the_case() -> None:
    path = rewritten("Ann.Lee@Author.test")
    assert restore(path.upper(), secret=SECRET, now=NOW) == "ANN.LEE@AUTHOR.TEST"
    assert restore(path.lower(), secret=SECRET, now=NOW) == "ann.lee@author.test"


def test_it_is_good_for_three_weeks() -> None:
    path = rewritten("ann@author.test")
    assert restore(path, secret=SECRET, now=NOW + timedelta(days=21)) == "ann@author.test"
    with pytest.raises(NotOurs):
        restore(path, secret=SECRET, now=NOW + timedelta(days=22))
    with pytest.raises(NotOurs):
        restore(path, secret=SECRET, now=NOW - timedelta(days=1))


def test_nobody_else_can_make_one() -> None:
    path = rewritten("ann@author.test")
    for forged in (path.replace("ann@", "eve@"), path.replace("author", "victim"), rewritten("ann@author.test", b"x")):
        with pytest.raises(NotOurs):
            restore(forged, secret=SECRET, now=NOW)


@pytest.mark.parametrize("reverse_path", ["ann@author.test", "SRS0=HHH=TT=author.test=ann@other.test"])
def test_it_is_good_at_the_domain_it_was_made_for(reverse_path: str) -> None:
    path = rewritten(reverse_path)
    assert restore(path.replace("@demo.test", "@DEMO.test"), secret=SECRET, now=NOW) == reverse_path
    with pytest.raises(NotOurs):
        restore(path.replace("@demo.test", "@neighbour.test"), secret=SECRET, now=NOW)


@pytest.mark.parametrize(
    "local_part",
    [
        "SRS0=",
        "SRS0=a=b=c",
        "SRS1=aaaaaa=x",
        "ann",
        "SRS2=aaaaaa=aa=x.test=a",
        "",
        "SRS0=ſaaaaa=aa=x.test=a",  # a long s, which is an s to whoever ignores case beyond ASCII
        "SRS1=ſaaaaa=x.test==a",
    ],
)
def test_what_has_not_the_form_is_not_ours(local_part: str) -> None:
    with pytest.raises(NotOurs):
        restore(f"{local_part}@demo.test", secret=SECRET, now=NOW)


def test_what_another_forwarder_rewrote_goes_back_to_that_forwarder() -> None:
    path = rewritten("SRS0=HHH=TT=author.test=ann@other.test")
    assert path.startswith("SRS1=")
    assert restore(path, secret=SECRET, now=NOW) == "SRS0=HHH=TT=author.test=ann@other.test"


def test_a_third_forwarder_leaves_the_second_out() -> None:
    path = rewritten("SRS1=XXXX=other.test==HHH=TT=author.test=ann@second.test")
    assert restore(path, secret=SECRET, now=NOW) == "SRS0=HHH=TT=author.test=ann@other.test"


@pytest.mark.parametrize("reverse_path", ['"a b"@author.test', "a" * 60 + "@author.test", "ann@[192.0.2.1]"])
def test_what_no_address_can_hold_is_not_rewritten(reverse_path: str) -> None:
    assert rewrite(reverse_path, "demo.test", secret=SECRET, now=NOW) is None


@given(
    st.from_regex(r"[a-zA-Z0-9!#$%&'*+/=?^_`{|}~-]{1,15}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,10}\.[a-z]{2,5}", fullmatch=True),
)
def test_any_reverse_path_survives_two_forwarders(local_part: str, host: str) -> None:
    path = f"{local_part}@{host}"
    if is_rewritten(path):
        return
    once = rewrite(path, "one.test", secret=b"1", now=NOW)
    assert once is not None
    twice = rewrite(once, "two.test", secret=b"2", now=NOW)
    assert restore(once, secret=b"1", now=NOW) == path
    if twice is not None:
        assert restore(twice, secret=b"2", now=NOW) == once
