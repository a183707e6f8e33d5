"""Responses as the RFCs print them."""

import pytest

from mailserver.imap.wire.commands import Tag
from mailserver.imap.wire.encode import encode
from mailserver.imap.wire.list_options import StatusItem
from mailserver.imap.wire.response_codes import (
    AppendUids,
    BadCharset,
    CapabilityCode,
    Code,
    CopyUid,
    HighestModseq,
    Modified,
    PermanentFlags,
    ResponseCode,
    UidNext,
    UidValidityCode,
    Unseen,
)
from mailserver.imap.wire.responses import (
    Bye,
    Capabilities,
    Challenge,
    Condition,
    Continue,
    Enabled,
    Exists,
    Expunged,
    FetchChunk,
    Fetched,
    FetchEnd,
    FetchStart,
    FlagsDefined,
    FlagsFetched,
    Found,
    Listed,
    LsubListed,
    MailboxAttribute,
    MailboxStatus,
    NamespaceEntry,
    Namespaces,
    RecentCount,
    Response,
    ServerId,
    Tagged,
    Untagged,
    Vanished,
)
from mailserver.imap.wire.sequence import UidSet
from storage.types import Flags, Modseq, SystemFlag, Uid, UidValidity

SEEN = Flags(SystemFlag.SEEN)
ALL_FLAGS = Flags(SystemFlag(31), frozenset({"$Junk", "$Forwarded"}))


@pytest.mark.parametrize(
    ("response", "octets"),
    [
        (Tagged(Tag(b"a1"), Condition.OK, "NOOP completed"), b"a1 OK NOOP completed"),
        (Tagged(Tag(b"a1"), Condition.NO, "no such mailbox", Code.TRYCREATE), b"a1 NO [TRYCREATE] no such mailbox"),
        (Tagged(Tag(b"a1"), Condition.BAD, "line\r\nend é"), b"a1 BAD line  end ?"),
        (Untagged(Condition.OK, "ready"), b"* OK ready"),
        (Untagged(Condition.BAD, "no tag", Code.LIMIT), b"* BAD [LIMIT] no tag"),
        (Bye("Autologout", Code.UNAVAILABLE), b"* BYE [UNAVAILABLE] Autologout"),
        (Continue("idling"), b"+ idling"),
        (Challenge(b""), b"+ "),
        (Challenge(b"Password:"), b"+ UGFzc3dvcmQ6"),
        (Capabilities(("IMAP4rev1", "AUTH=PLAIN")), b"* CAPABILITY IMAP4rev1 AUTH=PLAIN"),
        (Enabled(("CONDSTORE",)), b"* ENABLED CONDSTORE"),
        (Enabled(()), b"* ENABLED"),
        (
            Listed("已发送", (MailboxAttribute.HAS_NO_CHILDREN, MailboxAttribute.SENT)),
            b'* LIST (\\HasNoChildren \\Sent) "/" &XfJT0ZAB-',
        ),
        (Listed("Sent Items"), b'* LIST () "/" "Sent Items"'),
        (Listed('a"b\\c'), b'* LIST () "/" "a\\"b\\\\c"'),
        (Listed("nil"), b'* LIST () "/" "nil"'),
        (Listed("50%*"), b'* LIST () "/" "50%*"'),
        (Listed("", (MailboxAttribute.NOSELECT,)), b'* LIST (\\Noselect) "/" ""'),
        (Listed("INBOX", delimiter=None), b"* LIST () NIL INBOX"),
        (LsubListed("a", (MailboxAttribute.NOSELECT,)), b'* LSUB (\\Noselect) "/" a'),
        (Namespaces((NamespaceEntry(""),)), b'* NAMESPACE (("" "/")) NIL NIL'),
        (
            Namespaces((NamespaceEntry(""),), (NamespaceEntry("~"), NamespaceEntry("台/", None)), ()),
            b'* NAMESPACE (("" "/")) (("~" "/")("&U,A-/" NIL)) NIL',
        ),
        (ServerId(()), b"* ID NIL"),
        (ServerId((("name", "Waypost"), ("os", None))), b'* ID ("name" "Waypost" "os" NIL)'),
        (
            MailboxStatus("blurdybloop", ((StatusItem.MESSAGES, 231), (StatusItem.UIDNEXT, 44292))),
            b"* STATUS blurdybloop (MESSAGES 231 UIDNEXT 44292)",
        ),
        (Found(()), b"* SEARCH"),
        (Found((2, 3, 6)), b"* SEARCH 2 3 6"),
        (Found((2, 5), Modseq(917162500)), b"* SEARCH 2 5 (MODSEQ 917162500)"),
        (
            FlagsDefined(ALL_FLAGS),
            b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Forwarded $Junk)",
        ),
        (Exists(23), b"* 23 EXISTS"),
        (RecentCount(5), b"* 5 RECENT"),
        (Expunged(44), b"* 44 EXPUNGE"),
        (Vanished(UidSet(((405, 405), (407, 410)))), b"* VANISHED 405,407:410"),
        (Vanished(UidSet(((1, 5),)), is_earlier=True), b"* VANISHED (EARLIER) 1:5"),
        (FlagsFetched(2, SEEN), b"* 2 FETCH (FLAGS (\\Seen))"),
        (FlagsFetched(2, Flags(), is_recent=True), b"* 2 FETCH (FLAGS (\\Recent))"),
        (
            FlagsFetched(1, Flags(keywords=frozenset({"k"})), uid=Uid(4), modseq=Modseq(15)),
            b"* 1 FETCH (UID 4 FLAGS (k) MODSEQ (15))",
        ),
        (FetchEnd(), b")"),
    ],
)
def test_a_response_is_written_as_the_rfc_prints_it(response: Response, octets: bytes) -> None:
    assert encode(response) == octets + b"\r\n"


@pytest.mark.parametrize("kind", [Fetched, FetchStart, FetchChunk])
def test_fetch_data_passes_as_it_is(kind: type[Fetched | FetchStart | FetchChunk]) -> None:
    assert encode(kind(b"any \x00 octets")) == b"any \x00 octets"


@pytest.mark.parametrize(
    ("code", "octets"),
    [
        (Code.READ_ONLY, b"READ-ONLY"),
        (Code.UNKNOWN_CTE, b"UNKNOWN-CTE"),
        (BadCharset(("US-ASCII", "UTF-8")), b"BADCHARSET (US-ASCII UTF-8)"),
        (CapabilityCode(("IMAP4rev1", "LITERAL+")), b"CAPABILITY IMAP4rev1 LITERAL+"),
        (
            PermanentFlags(Flags(SystemFlag.DELETED | SystemFlag.SEEN), can_create=True),
            rb"PERMANENTFLAGS (\Deleted \Seen \*)",
        ),
        (PermanentFlags(Flags()), b"PERMANENTFLAGS ()"),
        (PermanentFlags(Flags(), can_create=True), b"PERMANENTFLAGS (\\*)"),
        (UidNext(Uid(4392)), b"UIDNEXT 4392"),
        (UidValidityCode(UidValidity(3857529045)), b"UIDVALIDITY 3857529045"),
        (Unseen(12), b"UNSEEN 12"),
        (HighestModseq(Modseq(715194045007)), b"HIGHESTMODSEQ 715194045007"),
        (Modified((7, 9)), b"MODIFIED 7,9"),
        (AppendUids(UidValidity(38505), [Uid(3955)]), b"APPENDUID 38505 3955"),
        (
            CopyUid(UidValidity(38505), (Uid(304), Uid(319), Uid(320)), (Uid(3956), Uid(3957), Uid(3958))),
            b"COPYUID 38505 304,319:320 3956:3958",
        ),
    ],
)
def test_a_code_stands_before_the_text(code: ResponseCode, octets: bytes) -> None:
    assert encode(Untagged(Condition.OK, "text", code)) == b"* OK [" + octets + b"] text\r\n"


def test_every_plain_code_is_its_word() -> None:
    for code in Code:
        assert encode(Bye("x", code)) == b"* BYE [" + code.name.replace("_", "-").encode() + b"] x\r\n"


def test_a_value_that_cannot_be_quoted_is_a_literal() -> None:
    assert encode(ServerId((("name", "邮"),))) == b'* ID ("name" {3}\r\n\xe9\x82\xae)\r\n'
