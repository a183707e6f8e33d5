r"""Flags as letters: those of Maildir file names and of the Status fields of mbox (pure).

Maildir: P passed on ($Forwarded), R replied, S seen, T trashed (\Deleted), D draft, F flagged; a to z stand for
keywords by a list beside the messages (Dovecot's `dovecot-keywords`). mbox, as Dovecot, mutt and UW IMAP write it:
Status has R (seen) and O (not recent), X-Status A (answered), F (flagged), T (draft) and D (deleted), X-Keywords the
keywords.
"""

import re
from collections.abc import Mapping, Sequence

from storage.types import Flags, SystemFlag

FORWARDED = "$Forwarded"
_MAILDIR = {
    "D": SystemFlag.DRAFT, "F": SystemFlag.FLAGGED, "R": SystemFlag.ANSWERED, "S": SystemFlag.SEEN,
    "T": SystemFlag.DELETED,
}  # fmt: skip
_STATUS = {"R": SystemFlag.SEEN}
_X_STATUS = {
    "A": SystemFlag.ANSWERED, "F": SystemFlag.FLAGGED, "T": SystemFlag.DRAFT, "D": SystemFlag.DELETED,
}  # fmt: skip
_MOZILLA = {1: SystemFlag.SEEN, 2: SystemFlag.ANSWERED, 4: SystemFlag.FLAGGED, 8: SystemFlag.DELETED}
_MOZILLA_FORWARDED = 0x1000
_KEYWORD = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]{1,100}")  # an atom (RFC 3501 §9) without specials
_KEYWORDS_AT_MOST = 100


def maildir_letters(flags: Flags, keyword_letters: Mapping[str, str]) -> str:
    """In the order of their codes, as Maildir wants it; keywords without a letter are left out."""
    letters = {letter for letter, flag in _MAILDIR.items() if flags.system & flag}
    if FORWARDED in flags.keywords:
        letters.add("P")
    letters |= {keyword_letters[word] for word in flags.keywords if word in keyword_letters}
    return "".join(sorted(letters))


def from_maildir_letters(letters: str, keywords: Mapping[str, str]) -> Flags:
    """What is not known says nothing."""
    words = {keywords[letter] for letter in letters if letter in keywords}
    if "P" in letters and not any(word.lower() == FORWARDED.lower() for word in words):
        words.add(FORWARDED)
    return Flags(_system(letters, _MAILDIR), usable_keywords(words))


def status_fields(flags: Flags, *, is_recent: bool) -> list[bytes]:
    """Field lines without line ends; Status always, the others where they say something."""
    status = ("R" if flags.system & SystemFlag.SEEN else "") + ("" if is_recent else "O")
    fields = [f"Status: {status}"]
    x_status = "".join(letter for letter, flag in _X_STATUS.items() if flags.system & flag)
    if x_status:
        fields.append(f"X-Status: {x_status}")
    if flags.keywords:
        fields.append(f"X-Keywords: {' '.join(sorted(flags.keywords))}")
    return [field.encode() for field in fields]


def from_status_fields(fields: Mapping[str, str]) -> Flags:
    """By lower-case names; those of Thunderbird (X-Mozilla-Status, X-Mozilla-Keys) too."""
    system = _system(fields.get("status", ""), _STATUS) | _system(fields.get("x-status", ""), _X_STATUS)
    words = fields.get("x-keywords", "").split() + fields.get("x-mozilla-keys", "").split()
    try:
        mozilla = int(fields.get("x-mozilla-status", "0"), 16)
    except ValueError:
        mozilla = 0
    for bit, flag in _MOZILLA.items():
        if mozilla & bit:
            system |= flag
    if mozilla & _MOZILLA_FORWARDED:
        words.append(FORWARDED)
    return Flags(system, usable_keywords(words))


def usable_keywords(words: "Sequence[str] | set[str]") -> frozenset[str]:
    """Those an IMAP client can be shown, of each spelling one, and no more than a message may have."""
    distinct: dict[str, str] = {}
    for word in sorted(words):
        if _KEYWORD.fullmatch(word):
            distinct.setdefault(word.lower(), word)
    return frozenset(list(distinct.values())[:_KEYWORDS_AT_MOST])


def _system(letters: str, meanings: Mapping[str, SystemFlag]) -> SystemFlag:
    system = SystemFlag(0)
    for letter, flag in meanings.items():
        if letter in letters:
            system |= flag
    return system
