"""CSV files of people, as spreadsheets write them."""

from pathlib import Path

import pytest

from tenants.management.people_file import ColumnsWrong, NotText, read_people
from tenants.people import PersonRow


def read(directory: Path, octets: bytes) -> list[PersonRow]:
    file = directory / "people.csv"
    file.write_bytes(octets)
    return read_people(file)


def test_columns_are_found_by_name_and_lines_are_counted_as_in_the_file(tmp_path: Path) -> None:
    rows = read(tmp_path, b'Name,ADDRESS ,quota\r\n"Two\r\nlines",a@x.test,5GiB\r\n\r\nBob,b@x.test\r\n')
    assert rows == [PersonRow(2, "a@x.test", "", "Two\r\nlines", "5GiB"), PersonRow(5, "b@x.test", "", "Bob", "")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_what_excel_saves_in_china_is_read(tmp_path: Path, encoding: str) -> None:
    [row] = read(tmp_path, "address,name\nli@x.test,李雷\n".encode(encoding))
    assert row.name == "李雷"


def test_a_file_without_addresses_or_with_unknown_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ColumnsWrong) as refused:
        read(tmp_path, b"mail,name\n")
    assert (refused.value.missing, refused.value.unknown) == (["address"], ["mail"])
    with pytest.raises(ColumnsWrong):
        read(tmp_path, b"")


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    with pytest.raises(NotText):
        read(tmp_path, b"address\n\xff\xff\xff\n")
