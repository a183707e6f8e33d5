"""Values that several commands share: mailbox names, flags, dates (RFC 3501 §9)."""

import re
from datetime import UTC, date, datetime, timedelta, timezone

from mailserver.imap.wire.cursor import ATOM, Cursor
from mailserver.imap.wire.mailbox_name import MailboxNameUndecodable, decode_mailbox_name
from mailserver.imap.wire.syntax_errors import MailboxNameImpossible
from storage.types import NO_FLAGS, Flags, SystemFlag

_SYSTEM_FLAGS = {
    b"\\SEEN": SystemFlag.SEEN,
    b"\\ANSWERED": SystemFlag.ANSWERED,
    b"\\FLAGGED": SystemFlag.FLAGGED,
    b"\\DELETED": SystemFlag.DELETED,
    b"\\DRAFT": SystemFlag.DRAFT,
    b"\\RECENT": NO_FLAGS,
}
_MONTHS = {
    name: number
    for number, name in enumerate(
        (b"JAN", b"FEB", b"MAR", b"APR", b"MAY", b"JUN", b"JUL", b"AUG", b"SEP", b"OCT", b"NOV", b"DEC"), start=1
    )
}
_DATE = re.compile(rb'("?)([0-9]{1,2})-([A-Za-z]{3})-([0-9]{4})\1(?=[ )]|\Z)')
_DATE_TIME = re.compile(
    rb'"([ 0-9]?[0-9])-([A-Za-z]{3})-([0-9]{4}) ([0-9]{2}):([0-9]{2}):([0-9]{2}) ([+-])([0-9]{2})([0-9]{2})"'
)


def mailbox(cursor: Cursor) -> str:
    """A mailbox name, decoded, as the client spells it; services know how it is spelt. Raises MailboxNameImpossible."""
    return _decoded(cursor, cursor.astring("a mailbox name"))


def _decoded(cursor: Cursor, octets: bytes) -> str:
    try:
        return decode_mailbox_name(octets, utf8=cursor.utf8)
    except MailboxNameUndecodable as reason:
        raise MailboxNameImpossible(cursor.tag, str(reason)) from None


def flag_list(cursor: Cursor) -> Flags:
    """Flags in parentheses, maybe none. \\Recent, which no client can give, is dropped: some copy it from FETCH."""
    cursor.expect(b"(", "before the flags")
    if cursor.accept(b")"):
        return Flags()
    flags = bare_flags(cursor)
    cursor.expect(b")", "after the flags")
    return flags


def bare_flags(cursor: Cursor) -> Flags:
    """One or more flags with spaces between."""
    system = NO_FLAGS
    keywords: list[str] = []
    while True:
        start = cursor.position
        is_system = cursor.accept(b"\\")
        found = cursor.match(ATOM)
        name = cursor.text[start : cursor.position]
        if not found or len(name) > cursor.limits.flag_octets:
            raise cursor.error(f"expected a flag of at most {cursor.limits.flag_octets} octets")
        if not is_system:
            keywords.append(name.decode("ascii"))
        elif name.upper() in _SYSTEM_FLAGS:
            system |= _SYSTEM_FLAGS[name.upper()]
        else:
            raise cursor.error(f"there is no system flag {name.decode('ascii')}")
        if len(keywords) > cursor.limits.flags:
            raise cursor.error(f"more than {cursor.limits.flags} keywords")
        if not cursor.has_more():
            return Flags(system, frozenset(keywords))
        cursor.position += 1


def keyword(cursor: Cursor) -> str:
    name = cursor.atom("a keyword")
    if len(name) > cursor.limits.flag_octets:
        raise cursor.error(f"a keyword has at most {cursor.limits.flag_octets} octets")
    return name.decode("ascii")


def day(cursor: Cursor) -> date:
    """`date`, with or without quotes."""
    found = cursor.match(_DATE)
    if found and (month := _MONTHS.get(found[3].upper())):
        try:
            return date(int(found[4]), month, int(found[2]))
        except ValueError:
            pass
    raise cursor.error("expected a date such as 1-Feb-1994")


def date_time(cursor: Cursor) -> datetime:
    """`date-time`, aware. Tolerated: a one-digit day without its space, second 60 (taken as 59)."""
    found = cursor.match(_DATE_TIME)
    if found and (month := _MONTHS.get(found[2].upper())):
        east = timedelta(hours=int(found[8]), minutes=int(found[9]))
        try:
            when = datetime(
                int(found[3]),
                month,
                int(found[1]),
                int(found[4]),
                int(found[5]),
                59 if found[6] == b"60" else int(found[6]),
                tzinfo=timezone(east if found[7] == b"+" else -east),
            )
            when.astimezone(UTC)
        except (ValueError, OverflowError):
            pass
        else:
            return when
    raise cursor.error('expected a date and time such as "17-Jul-1996 02:44:25 -0700"')
