"""A message while it arrives takes bounded memory and leaves nothing behind."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.services.spool import Spool, SpoolUnavailable


@given(st.lists(st.binary(max_size=40), max_size=20))
def test_what_was_written_comes_out(chunks: list[bytes]) -> None:
    with Spool(memory_limit_octets=100) as spool:
        for chunk in chunks:
            spool.write(chunk)
        assert spool.octets()[:] == b"".join(chunks)
        assert spool.octets_written == len(b"".join(chunks))


def test_a_large_message_goes_to_a_file_without_a_name(tmp_path: Path) -> None:
    with Spool(memory_limit_octets=10, directory=tmp_path) as spool:
        spool.write(b"0123456789")
        assert isinstance(spool.octets(), bytes)
    with Spool(memory_limit_octets=10, directory=tmp_path) as spool:
        spool.write(b"0123456789")
        spool.write(b"a")
        whole = spool.octets()
        assert not isinstance(whole, bytes)
        assert whole.find(b"9a") == 9
        assert list(tmp_path.iterdir()) == []
    with pytest.raises(ValueError, match="closed"):
        whole.find(b"9a")


def test_closing_while_somebody_looks_at_the_octets_is_harmless() -> None:
    spool = Spool(memory_limit_octets=0)
    spool.write(b"hello")
    view = memoryview(spool.octets())
    spool.close()
    assert bytes(view) == b"hello"
    view.release()


def test_nothing_is_added_once_it_was_taken() -> None:
    with Spool() as spool:
        spool.octets()
        with pytest.raises(RuntimeError):
            spool.write(b"late")


def test_a_disk_that_cannot_be_written_is_a_named_fact(tmp_path: Path) -> None:
    with Spool(memory_limit_octets=0, directory=tmp_path / "gone") as spool, pytest.raises(SpoolUnavailable):
        spool.write(b"x")
