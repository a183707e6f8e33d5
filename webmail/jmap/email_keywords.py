"""Keywords of JMAP and flags of IMAP: four system flags have names with `$` (RFC 8621 §4.1.1)."""

import re
from collections.abc import Collection, Iterable

from storage.types import SystemFlag

_FLAGS = {
    "$seen": SystemFlag.SEEN,
    "$answered": SystemFlag.ANSWERED,
    "$flagged": SystemFlag.FLAGGED,
    "$draft": SystemFlag.DRAFT,
}
_KEYWORD = re.compile(r"[!#$&'+-Z\[^-z|}~]{1,255}")  # %x21-7e without ( ) { ] % * " \
ALL_FLAGS = SystemFlag.SEEN | SystemFlag.ANSWERED | SystemFlag.FLAGGED | SystemFlag.DRAFT
_OF_BITS = {
    bits: tuple(name for name, flag in _FLAGS.items() if flag & bits)
    for bits in map(SystemFlag, range(int(max(SystemFlag)) * 2))
}


def is_keyword(text: str) -> bool:
    return _KEYWORD.fullmatch(text) is not None


def keywords_of(flags: int, keywords: Iterable[str]) -> dict[str, bool]:
    r"""The `keywords` property; \Deleted has no place in it."""
    shown = dict.fromkeys(_OF_BITS[SystemFlag(flags)], True)
    for keyword in keywords:
        shown[keyword.lower()] = True
    return shown


def flags_of(keywords: Collection[str]) -> tuple[SystemFlag, frozenset[str]]:
    """What IMAP calls them: the system flags among them, and the rest in lower case."""
    bits = SystemFlag(0)
    others = set()
    for keyword in map(str.lower, keywords):
        if (flag := _FLAGS.get(keyword)) is not None:
            bits |= flag
        else:
            others.add(keyword)
    return bits, frozenset(others)
