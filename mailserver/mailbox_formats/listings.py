"""The lists beside exported mail, one JSON object a line: of mailboxes, and of the letters of one mailbox (pure).

A line that is cut or is none is passed over: an export that was killed may leave its last line half written.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from mailserver.mailbox_formats.letters import usable_keywords
from storage.types import Flags, SystemFlag

MAILBOXES_FILE = "waypost-mailboxes.ndjson"
LETTERS_FILE = "waypost-index.ndjson"
_FLAGS = {flag.name.lower(): flag for flag in SystemFlag if flag.name}


@dataclass(frozen=True, slots=True)
class ListedMailbox:
    """`place` is its file or directory, relative to the list; `account` tells accounts apart, not who they are."""

    account: str
    name: str
    place: str
    format: str
    uidvalidity: int
    special_use: str | None
    is_subscribed: bool


@dataclass(frozen=True, slots=True)
class ListedLetter:
    file: str
    octets: int
    sha256: str
    received_at: datetime
    flags: Flags


def mailbox_line(mailbox: ListedMailbox) -> str:
    return _line(
        account=mailbox.account, name=mailbox.name, place=mailbox.place, format=mailbox.format,
        uidvalidity=mailbox.uidvalidity, special_use=mailbox.special_use, subscribed=mailbox.is_subscribed,
    )  # fmt: skip


def read_mailboxes(lines: Iterable[str]) -> list[ListedMailbox]:
    found: dict[str, ListedMailbox] = {}
    for each in _objects(lines):
        name, place, form = each.get("name"), each.get("place"), each.get("format")
        if isinstance(name, str) and isinstance(place, str) and isinstance(form, str) and name:
            use = each.get("special_use")
            found[name] = ListedMailbox(
                account=str(each.get("account", "")), name=name, place=place, format=form,
                uidvalidity=_number(each.get("uidvalidity")), special_use=use if isinstance(use, str) else None,
                is_subscribed=each.get("subscribed") is True,
            )  # fmt: skip
    return list(found.values())


def letter_line(letter: ListedLetter) -> str:
    return _line(
        file=letter.file, octets=letter.octets, sha256=letter.sha256,
        received_at=letter.received_at.astimezone(UTC).isoformat(), flags=flag_names(letter.flags.system),
        keywords=sorted(letter.flags.keywords),
    )  # fmt: skip


def read_letters(lines: Iterable[str]) -> dict[str, ListedLetter]:
    """By file; of several lines for one file the last counts."""
    found: dict[str, ListedLetter] = {}
    for each in _objects(lines):
        file, digest, moment = each.get("file"), each.get("sha256"), each.get("received_at")
        if not (isinstance(file, str) and isinstance(digest, str) and isinstance(moment, str)):
            continue
        try:
            received_at = datetime.fromisoformat(moment)
            received_at = received_at.astimezone(UTC)
        except (ValueError, OverflowError):
            continue
        system = SystemFlag(0)
        for name in _strings(each.get("flags")):
            system |= _FLAGS.get(name, SystemFlag(0))
        flags = Flags(system, usable_keywords(_strings(each.get("keywords"))))
        found[file] = ListedLetter(file, _number(each.get("octets")), digest, received_at, flags)
    return found


def flag_names(system: SystemFlag) -> list[str]:
    return [name for name, flag in _FLAGS.items() if system & flag]


def _line(**values: object) -> str:
    return json.dumps(values, ensure_ascii=True) + "\n"


def _objects(lines: Iterable[str]) -> "Iterable[Mapping[str, Any]]":
    for line in lines:
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(found, dict):
            yield found


def _number(value: object) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**53 else 0


def _strings(value: object) -> list[str]:
    return [each for each in value if isinstance(each, str)] if isinstance(value, list) else []
