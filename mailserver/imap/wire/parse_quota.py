"""GETQUOTA, GETQUOTAROOT, SETQUOTA (RFC 9208 §7)."""

from mailserver.imap.wire.commands import GetQuota, GetQuotaRoot, SetQuota, Tag
from mailserver.imap.wire.cursor import MAX_NUMBER64, Cursor
from mailserver.imap.wire.parse_values import mailbox


def parse_get_quota(cursor: Cursor, tag: Tag) -> GetQuota:
    return GetQuota(tag, _root(cursor))


def parse_get_quota_root(cursor: Cursor, tag: Tag) -> GetQuotaRoot:
    cursor.space("a mailbox name")
    return GetQuotaRoot(tag, mailbox(cursor))


def parse_set_quota(cursor: Cursor, tag: Tag) -> SetQuota:
    root = _root(cursor)
    cursor.space("the limits")
    cursor.expect(b"(", "before the limits")
    limits: dict[str, int] = {}
    while not cursor.accept(b")"):
        if limits:
            cursor.space("another resource, or `)`")
        resource = cursor.word("a resource").decode("ascii")
        cursor.space("a limit")
        limits[resource] = cursor.number("a limit", largest=MAX_NUMBER64)
    return SetQuota(tag, root, tuple(limits.items()))


def _root(cursor: Cursor) -> str:
    cursor.space("a quota root")
    return cursor.text_of(cursor.astring("a quota root"), "a quota root")
