"""QUOTA (RFC 9208): one root for all mailboxes of an account, if there is a limit at all.

What an account uses counts each message once, in however many mailboxes it is. Only STORAGE is ever limited, so MESSAGE
is never named; that is how an unlimited resource is told (§4.2.1). Limits are the administrator's to set; that of the
whole tenant shows as a lower one of the account.
"""

from collections.abc import AsyncIterator

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.wire.commands import GetQuota, GetQuotaRoot, SetQuota
from mailserver.imap.wire.response_codes import Code
from mailserver.imap.wire.responses import Condition, QuotaRoots, QuotaUsage, Response, Tagged
from mailserver.services import mailboxes

ROOT = "account"
UNIT_OCTETS = 1024


async def get_quota(talk: Conversation, command: GetQuota) -> AsyncIterator[Response]:
    usage = await _usage(talk)
    if usage is None or command.root != ROOT:
        yield Tagged(command.tag, Condition.NO, "There is no such quota root", Code.NONEXISTENT)
        return
    yield usage
    yield Tagged(command.tag, Condition.OK, "Done")


async def get_quota_root(talk: Conversation, command: GetQuotaRoot) -> AsyncIterator[Response]:
    """The mailbox need not exist: it may be about to (§4.1.2)."""
    usage = await _usage(talk)
    name = mailboxes.canonical_name(command.mailbox)
    yield QuotaRoots(name, () if usage is None else (ROOT,))
    if usage is not None:
        yield usage
    yield Tagged(command.tag, Condition.OK, "Done")


async def set_quota(talk: Conversation, command: SetQuota) -> AsyncIterator[Response]:
    """Without QUOTASET among the capabilities, nobody should ask."""
    yield Tagged(command.tag, Condition.NO, "Quotas are set by administrators, not here", Code.NOPERM)


async def _usage(talk: Conversation) -> QuotaUsage | None:
    usage = await mailboxes.quota_usage(talk.services.store, talk.person)
    if usage is None:
        return None
    used_octets, limit_octets = usage
    return QuotaUsage(ROOT, (("STORAGE", -(-used_octets // UNIT_OCTETS), limit_octets // UNIT_OCTETS),))
