"""Files of people: CSV with a first line that names its columns, in UTF-8 or, as Excel in China writes it, GB18030."""

import csv
import io
import os
from collections.abc import Iterable
from pathlib import Path

from tenants.people import ImportedPerson, PersonRow

COLUMNS = ("address", "password", "name", "quota")


class ColumnsWrong(Exception):
    def __init__(self, *, missing: list[str], unknown: list[str]) -> None:
        super().__init__(f"missing {missing}, unknown {unknown}")
        self.missing = missing
        self.unknown = unknown


class NotText(Exception):
    """Neither UTF-8 nor GB18030."""


def read_people(path: Path) -> list[PersonRow]:
    """Raises OSError, NotText, ColumnsWrong. Only `address` must be there. Line numbers are those of the file."""
    reader = csv.reader(io.StringIO(_decoded(path.read_bytes()), newline=""), strict=False)
    heading = [cell.strip().lower() for cell in next(reader, [])]
    unknown = [name for name in heading if name not in COLUMNS]
    if "address" not in heading or unknown:
        raise ColumnsWrong(missing=[] if "address" in heading else ["address"], unknown=unknown)
    rows = []
    line = reader.line_num + 1
    for cells in reader:
        if any(cell.strip() for cell in cells):
            fields = dict(zip(heading, cells, strict=False))
            rows.append(PersonRow(line, *(fields.get(name, "") for name in COLUMNS)))
        line = reader.line_num + 1
    return rows


def write_passwords(path: Path, people: Iterable[ImportedPerson]) -> None:
    """A new file that only its owner reads; one that exists is not overwritten. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["address", "password"])
        writer.writerows([p.address, p.generated_password] for p in people if p.generated_password is not None)


def _decoded(octets: bytes) -> str:
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return octets.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise NotText
