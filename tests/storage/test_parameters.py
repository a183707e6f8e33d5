"""What Postgres reads from our parameters is what was meant, for each type that has a form of ours."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage.parameters import DUMPS
from tests.conftest import RunningServices

INT8, INT4, INT2 = (st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (64, 32, 16))
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)
BYTES = st.binary(max_size=40)
MOMENTS = st.datetimes(
    datetime(1, 1, 2),  # noqa: DTZ001 (hypothesis adds the zone)
    datetime(9999, 12, 30),  # noqa: DTZ001
    timezones=st.just(UTC) | st.just(timezone(timedelta(hours=5, minutes=45))),
)
VALUES: dict[str, st.SearchStrategy[Any]] = {
    "int8": INT8,
    "int4": INT4,
    "int2": INT2,
    "float8": st.floats(allow_nan=False),
    "bool": st.booleans(),
    "text": TEXT,
    "varchar": TEXT,
    "bytea": BYTES,
    "date": st.dates(date(1, 1, 1), date(9999, 12, 31)),
    "timestamptz": MOMENTS,
    "int8[]": st.lists(INT8, max_size=30) | st.lists(INT8 | st.none(), max_size=30),
    "int4[]": st.lists(INT4 | st.none(), max_size=12),
    "int2[]": st.lists(INT2, max_size=12),
    "text[]": st.lists(TEXT | st.none(), max_size=6),
    "date[]": st.lists(st.dates(date(1, 1, 1), date(9999, 12, 31)), max_size=6),
    "timestamptz[]": st.lists(MOMENTS, max_size=6),
    "bool[]": st.lists(st.booleans(), max_size=6),
    "bytea[]": st.lists(BYTES, max_size=6),
}


@pytest.fixture(scope="module")
def connection(services: RunningServices) -> Iterator["psycopg.Connection[Any]"]:
    with psycopg.connect(services.app_url, autocommit=True) as opened:
        yield opened


def oid_of(connection: "psycopg.Connection[Any]", type_name: str) -> int:
    found = connection.execute("SELECT %s::regtype::oid::int", (type_name,)).fetchone()
    assert found is not None
    return int(found[0])


def read_back(connection: "psycopg.Connection[Any]", type_name: str, value: Any) -> Any:
    oid = oid_of(connection, type_name)
    result = connection.pgconn.exec_params(b"SELECT $1", [DUMPS[oid](value)], [oid], [1], result_format=1)
    assert not result.error_message, result.error_message
    transformer = psycopg.adapt.Transformer(connection)
    transformer.set_pgresult(result)
    return transformer.load_row(0, tuple)[0]


@pytest.mark.parametrize("type_name", VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(data=st.data())
def test_a_value_comes_back_as_it_was(
    connection: "psycopg.Connection[Any]", type_name: str, data: st.DataObject
) -> None:
    value = data.draw(VALUES[type_name])
    assert read_back(connection, type_name, value) == value


def test_every_form_is_tried_here(services: RunningServices) -> None:
    with psycopg.connect(services.app_url) as connection:
        tried = {oid_of(connection, name) for name in VALUES}
    assert tried == set(DUMPS)


def test_thousands_of_uids_are_one_array(connection: "psycopg.Connection[Any]") -> None:
    uids = [*range(1, 10_000), 2**32 - 1, 2**63 - 1]
    assert read_back(connection, "int8[]", uids) == uids
