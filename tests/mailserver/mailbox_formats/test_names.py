"""Mailbox names and names of files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.mailbox_formats.names import file_name, from_file_name, from_maildir_folder, maildir_folder

LEVEL = st.text(st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="/"), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("name", "folder", "file"),
    [
        ("INBOX", "", "INBOX"),
        ("Archive/2026", ".Archive.2026", "Archive.2026"),
        ("v1.2", ".v1&AC4-2", "v1%2E2"),
        ("项目/计划", ".&mHl27g-.&i6FSEg-", "项目.计划"),
        ("A&B", ".A&-B", "A&B"),
        ("100%", ".100%", "100%25"),
        ("..", ".&AC4-&AC4-", "%2E%2E"),
    ],
)
def test_names_are_written_as_other_programs_read_them(name: str, folder: str, file: str) -> None:
    assert maildir_folder(name) == folder
    assert file_name(name) == file


@given(st.lists(LEVEL, min_size=1, max_size=4).map("/".join))
def test_names_come_back(name: str) -> None:
    folder = maildir_folder(name)
    if folder:
        assert from_maildir_folder(folder) == name
        assert "/" not in folder
    file = file_name(name)
    assert "/" not in file
    assert not file.startswith(".")
    if "~" not in file:
        assert from_file_name(file) == name


def test_long_names_differ_where_names_do() -> None:
    one, other = "汉" * 300 + "一", "汉" * 300 + "二"
    assert file_name(one) != file_name(other)
    assert max(len(file_name(one).encode()), len(file_name(other).encode())) <= 200
    assert maildir_folder(one) is None


def test_folders_in_utf8_or_in_nothing_are_read_too() -> None:
    assert from_maildir_folder(".项目.计划") == "项目/计划"
    assert from_maildir_folder(".a&b.c&!!-") == "a&b/c&!!-"
