r"""Names of the files in a Maildir, and the list that gives letters to keywords, as Dovecot has them (pure).

A name is `TIME.MuP<uidvalidity>U<uid>.waypost,S=<octets on disk>,W=<octets with CRLF>:2,<letters>`; everything before
`:2,` stays as long as the message. Files have LF. A message that would not come back the same from that (bare LF,
CR CR LF) is there as it is, and its host is `waypost-raw`.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from storage.types import Uid

KEYWORDS_FILE = "dovecot-keywords"
SUBFOLDER_FILE = "maildirfolder"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_OURS = re.compile(r"\d+\.M\d+P(\d+)U(\d+)\.waypost(-raw)?,S=(\d+),W=\d+")
_INFO = re.compile(r"[:;!]2,([A-Za-z]*)")


@dataclass(frozen=True, slots=True)
class Exported:
    """What one of our own names says; `octets` are those on disk."""

    uidvalidity: int
    uid: int
    is_raw: bool
    octets: int


def unique_name(uidvalidity: int, uid: Uid, received_at: datetime, *, on_disk: int, octets: int, is_raw: bool) -> str:
    host = "waypost-raw" if is_raw else "waypost"
    second, microsecond = int(received_at.timestamp()), received_at.microsecond
    return f"{max(0, second)}.M{microsecond}P{uidvalidity}U{uid}.{host},S={on_disk},W={octets}"


def parse_unique_name(name: str) -> Exported | None:
    found = _OURS.match(name)
    if found is None:
        return None
    return Exported(int(found[1]), int(found[2]), found[3] is not None, int(found[4]))


def letters_of(name: str) -> str:
    found = _INFO.search(name)
    return found[1] if found else ""


def keyword_letters(words: Iterable[str], before: Mapping[str, str]) -> dict[str, str]:
    """A letter for each keyword, as far as there are letters; those of `before` stay."""
    letters = dict(before)
    free = [letter for letter in _LETTERS if letter not in letters.values()]
    new = sorted(set(words) - letters.keys())
    return letters | dict(zip(new, free, strict=False))


def keywords_file(letters: Mapping[str, str]) -> str:
    return "".join(f"{_LETTERS.index(letter)} {word}\n" for word, letter in letters.items())


def read_keywords_file(text: str) -> dict[str, str]:
    """Keywords by letter; lines that are none are passed over."""
    found: dict[str, str] = {}
    for line in text.splitlines()[:1000]:
        number, _, word = line.partition(" ")
        if number.isascii() and number.isdigit() and len(number) < 3 and int(number) < len(_LETTERS) and word:
            found[_LETTERS[int(number)]] = word
    return found
