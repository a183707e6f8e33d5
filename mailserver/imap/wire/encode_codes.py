"""Response codes become octets, without their brackets (RFC 3501 §9 `resp-text-code`)."""

from typing import assert_never

from mailserver.imap.wire.fetch_data import flag_names
from mailserver.imap.wire.response_codes import (
    AppendUids,
    BadCharset,
    CapabilityCode,
    Code,
    CopyUid,
    HighestModseq,
    MailboxIdCode,
    Modified,
    PermanentFlags,
    ResponseCode,
    UidNext,
    UidValidityCode,
    Unseen,
)
from mailserver.imap.wire.sequence import compact


def encode_code(code: ResponseCode) -> bytes:
    match code:
        case Code():
            return code.value
        case BadCharset(charsets):
            return b"BADCHARSET (%b)" % " ".join(charsets).encode("ascii")
        case CapabilityCode(names):
            return b"CAPABILITY %b" % " ".join(names).encode("ascii")
        case PermanentFlags(flags, can_create):
            permanent = flag_names(flags.system, flags.keywords, False)
            anything = b"\\*" if can_create else b""
            return b"PERMANENTFLAGS (%b)" % b" ".join(filter(None, (permanent, anything)))
        case UidNext(uid):
            return b"UIDNEXT %d" % uid
        case UidValidityCode(uidvalidity):
            return b"UIDVALIDITY %d" % uidvalidity
        case Unseen(number):
            return b"UNSEEN %d" % number
        case HighestModseq(modseq):
            return b"HIGHESTMODSEQ %d" % modseq
        case Modified(numbers):
            return b"MODIFIED %b" % compact(numbers)
        case AppendUids(uidvalidity, uids):
            return b"APPENDUID %d %b" % (uidvalidity, compact(uids))
        case CopyUid(uidvalidity, sources, targets):
            return b"COPYUID %d %b %b" % (uidvalidity, compact(sources), compact(targets))
        case MailboxIdCode(object_id):
            return b"MAILBOXID (%b)" % object_id
        case _:
            assert_never(code)
