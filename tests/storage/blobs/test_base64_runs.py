"""base64 kept decoded: what encodes again to the same octets, and nothing else."""

import base64
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.blobs.base64_runs import fold, unfold
from storage.errors import ContentDamaged

TEXT = ("请查收附件，谢谢！" * 20).encode()
LIMIT = 1024 * 1024


def lines(octets: bytes, columns: int = 76) -> bytes:
    encoded = base64.b64encode(octets)
    return b"\r\n".join(encoded[at : at + columns] for at in range(0, len(encoded), columns))


def part(encoded: bytes) -> bytes:
    return b"--b\r\nContent-Transfer-Encoding: base64\r\n\r\n" + encoded


KEPT_DECODED = {
    "a whole body": lines(TEXT),
    "one that ends in a line end": lines(TEXT) + b"\r\n",
    "one that ends in several": lines(TEXT) + b"\r\n\r\n\r\n",
    "one line": lines(TEXT[:50]),
    "lines that are all full": lines(TEXT[:171]),
    "padding of one": lines(TEXT[:200]),
    "padding of two": lines(TEXT[:199]),
    "short columns": lines(TEXT, 60),
    "long columns": lines(TEXT, 1000),
    "a part": part(lines(TEXT)) + b"\r\n--b--\r\n",
    "two parts": part(lines(TEXT)) + b"\r\n" + part(lines(TEXT[:90])) + b"\r\n--b--\r\n",
    "a part below another that is not": part(b"no base64 at all, this")
    + b"\r\n"
    + part(lines(TEXT))
    + b"\r\n--b--\r\n",
    "more parts than are noted": b"".join(part(lines(TEXT[:60])) + b"\r\n" for _ in range(300)) + b"--b--\r\n",
}
LEFT_AS_IT_IS = {
    "nothing": b"",
    "text": b"to as haloba this which with as\r\n" * 9,
    "text that speaks of base64": b"Content-Transfer-Encoding: base64\r\n\r\nis what a field says\r\n",
    "a line cut in the middle": lines(TEXT)[:-1],
    "a line that is too long": lines(TEXT[:171]) + b"AAAA",
    "lines of several lengths": lines(TEXT[:57]) + b"\r\n" + lines(TEXT[57:], 60),
    "line ends without CR": lines(TEXT).replace(b"\r\n", b"\n"),
    "a footer below": lines(TEXT) + b"\r\n____\r\na mailing list\r\n",
    "other octets among them": lines(TEXT[:57]) + b"\r\n*" + lines(TEXT[57:])[1:],
    "bits that decoding drops": lines(TEXT[:199])[:-3] + b"/==",
    "padding in the middle": lines(TEXT[:55]) + b"\r\n" + lines(TEXT),
    "too short": lines(TEXT[:20]),
    "columns that are more than are noted": lines(TEXT * 9, 1024),
}


@pytest.mark.parametrize("octets", KEPT_DECODED.values(), ids=KEPT_DECODED)
def test_base64_is_kept_decoded_and_comes_back_as_it_was(octets: bytes) -> None:
    unfolded = unfold(octets)
    assert unfolded is not None
    assert len(unfolded) < len(octets)
    assert TEXT[:50] in unfolded
    assert fold(unfolded, limit_octets=LIMIT) == octets


@pytest.mark.parametrize("octets", LEFT_AS_IT_IS.values(), ids=LEFT_AS_IT_IS)
def test_what_would_not_come_back_the_same_is_left(octets: bytes) -> None:
    assert unfold(octets) is None


@given(
    st.lists(
        st.tuples(st.binary(max_size=300), st.integers(1, 40), st.sampled_from([b"", b"\r\n", b"\n", b"=", b"--b"]))
    ),
    st.binary(max_size=40),
)
def test_whatever_mail_holds_comes_back(parts: list[tuple[bytes, int, bytes]], after: bytes) -> None:
    octets = b"".join(part(lines(octets, 4 * quarter)) + end for octets, quarter, end in parts) + after
    unfolded = unfold(octets)
    assert unfolded is None or fold(unfolded, limit_octets=LIMIT) == octets


DAMAGED = {
    "nothing": b"",
    "no runs": b"\0octets",
    "fewer runs than it says": b"\x02" + struct.pack(">IIB", 0, 1, 19) + b"a",
    "a run past its end": b"\x01" + struct.pack(">IIB", 0, 9, 19) + b"a",
    "a run that begins past its end": b"\x01" + struct.pack(">IIB", 9, 0, 19) + b"a",
    "no columns": b"\x01" + struct.pack(">IIB", 0, 1, 0) + b"a",
}


@pytest.mark.parametrize("unfolded", DAMAGED.values(), ids=DAMAGED)
def test_what_was_not_made_by_unfolding_is_damaged(unfolded: bytes) -> None:
    with pytest.raises(ContentDamaged):
        fold(unfolded, limit_octets=LIMIT)


def test_more_octets_than_the_limit_are_damaged() -> None:
    unfolded = unfold(lines(TEXT))
    assert unfolded is not None
    with pytest.raises(ContentDamaged):
        fold(unfolded, limit_octets=len(lines(TEXT)) - 1)
