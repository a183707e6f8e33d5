"""Every command, as RFC 3501 and the extensions show them, becomes the value it means."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from mailserver.imap.wire.commands import (
    Append,
    AppendMessage,
    Authenticate,
    Capability,
    Check,
    Close,
    Command,
    Copy,
    Create,
    Delete,
    Enable,
    Examine,
    Expunge,
    Fetch,
    GetQuota,
    GetQuotaRoot,
    Id,
    Idle,
    List,
    Login,
    Logout,
    Lsub,
    MessageForm,
    Move,
    Namespace,
    Noop,
    Rename,
    Replace,
    Select,
    SetQuota,
    StartTls,
    Status,
    Store,
    Subscribe,
    Tag,
    UidExpunge,
    Unselect,
    Unsubscribe,
)
from mailserver.imap.wire.fetch_items import BodySection, FetchAttribute, Partial, Section, SectionKind
from mailserver.imap.wire.list_options import ListOptions, ReturnOption, Selection, StatusItem
from mailserver.imap.wire.list_pattern import ListPattern
from mailserver.imap.wire.parse import parse_command
from mailserver.imap.wire.parse_auth import is_idle_end
from mailserver.imap.wire.sequence import LARGEST, SequenceSet, UidSet
from storage.types import FlagChange, FlagOperation, Flags, Modseq, SystemFlag

TAG = Tag(b"a1")
SPECIAL = frozenset({Selection.SPECIAL_USE})
SPECIAL_USE = frozenset({ReturnOption.SPECIAL_USE})
SEEN_DELETED = Flags(SystemFlag.SEEN | SystemFlag.DELETED)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"a1 CAPABILITY", Capability(TAG)),
        (b"a1 noop", Noop(TAG)),
        (b"a1 LOGOUT  ", Logout(TAG)),
        (b"a1 STARTTLS", StartTls(TAG)),
        (b"a1 NAMESPACE", Namespace(TAG)),
        (b"a1 IDLE", Idle(TAG)),
        (b"a1 CHECK", Check(TAG)),
        (b"a1 CLOSE", Close(TAG)),
        (b"a1 UNSELECT", Unselect(TAG)),
        (b"a1 EXPUNGE", Expunge(TAG)),
        (b"a1 LOGIN SMITH SESAME", Login(TAG, "SMITH", "SESAME")),
        (b'a1 LOGIN "a\\"b\\\\c" "s p"', Login(TAG, 'a"b\\c', "s p")),
        ('a1 LOGIN "zoë@例子.test" "密码"'.encode(), Login(TAG, "zoë@例子.test", "密码")),
        (b"a1 LOGIN smith pass]word", Login(TAG, "smith", "pass]word")),
        (b"a1 AUTHENTICATE plain", Authenticate(TAG, "PLAIN", None)),
        (b"a1 AUTHENTICATE PLAIN dGVzdAB0ZXN0AHRlc3Q=", Authenticate(TAG, "PLAIN", b"test\0test\0test")),
        (b"a1 AUTHENTICATE EXTERNAL =", Authenticate(TAG, "EXTERNAL", b"")),
        (b"a1 ENABLE CONDSTORE x-good condstore", Enable(TAG, ("CONDSTORE", "X-GOOD"))),
        (b"a1 ID NIL", Id(TAG, ())),
        (b"a1 ID ()", Id(TAG, ())),
        (b'a1 ID ("name" "sodr" "os" nil)', Id(TAG, (("name", "sodr"), ("os", None)))),
        (b"a1 SELECT INBOX", Select(TAG, "INBOX")),
        (b"a1 SELECT inBox", Select(TAG, "inBox")),
        (b'a1 SELECT "inbox/Work"', Select(TAG, "inbox/Work")),
        (b"a1 SELECT INBOX (CONDSTORE)", Select(TAG, "INBOX", condstore=True)),
        (b"a1 EXAMINE blurdybloop (condstore)", Examine(TAG, "blurdybloop", condstore=True)),
        (b"a1 CREATE owatagusiam/", Create(TAG, "owatagusiam")),
        (b"a1 CREATE owatagusiam/blurdybloop", Create(TAG, "owatagusiam/blurdybloop")),
        (b'a1 DELETE "Sent Items"', Delete(TAG, "Sent Items")),
        (b"a1 RENAME blurdybloop sarasoop", Rename(TAG, "blurdybloop", "sarasoop")),
        (b'a1 RENAME "&U,BTFw-" &ZeVnLIqe-', Rename(TAG, "台北", "日本語")),
        (b"a1 SUBSCRIBE #news.comp.mail.mime", Subscribe(TAG, "#news.comp.mail.mime")),
        (b"a1 UNSUBSCRIBE #news.comp.mail.mime", Unsubscribe(TAG, "#news.comp.mail.mime")),
        (
            b'a1 LIST (SUBSCRIBED recursivematch) "" ("a" b/%) RETURN (CHILDREN STATUS (MESSAGES SIZE))',
            List(
                TAG,
                (ListPattern("a"), ListPattern("b/%")),
                ListOptions(
                    frozenset({Selection.SUBSCRIBED, Selection.RECURSIVEMATCH}),
                    frozenset({ReturnOption.SUBSCRIBED, ReturnOption.CHILDREN}),
                    (StatusItem.MESSAGES, StatusItem.SIZE),
                ),
            ),
        ),
        (b'a1 LIST () "" "" RETURN ()', List(TAG, (), ListOptions())),
        (b'a1 LIST "" % RETURN (SPECIAL-USE)', List(TAG, (ListPattern("%"),), ListOptions(returns=SPECIAL_USE))),
        (b'a1 LIST (SPECIAL-USE) "" %', List(TAG, (ListPattern("%"),), ListOptions(SPECIAL, SPECIAL_USE))),
        (b'a1 LIST "" "&bad"', List(TAG, ())),
        (b"a1 CREATE x (USE (\\drafts \\Sent))", Create(TAG, "x", ("\\Drafts", "\\Sent"))),
        (b'a1 GETQUOTA ""', GetQuota(TAG, "")),
        (b"a1 GETQUOTAROOT INBOX", GetQuotaRoot(TAG, "INBOX")),
        (b'a1 SETQUOTA "" (STORAGE 512 MESSAGE 7)', SetQuota(TAG, "", (("STORAGE", 512), ("MESSAGE", 7)))),
        (b'a1 SETQUOTA "" ()', SetQuota(TAG, "", ())),
        (b'a1 LIST "" ""', List(TAG, (), asks_root=True)),
        (b'a1 LIST "" *', List(TAG, (ListPattern("*"),))),
        (b'a1 LIST "~/Mail/" %', List(TAG, (ListPattern("~/Mail/%"),))),
        (b'a1 LIST "" "&U,BTFw-/%"', List(TAG, (ListPattern("台北/%"),))),
        (b'a1 LSUB "#news." "comp.mail.*"', Lsub(TAG, (ListPattern("#news.comp.mail.*"),))),
        (
            b"a1 STATUS blurdybloop (UIDNEXT MESSAGES uidnext HighestModSeq)",
            Status(TAG, "blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES, StatusItem.HIGHESTMODSEQ)),
        ),
        (
            b"a1 STATUS INBOX (RECENT UIDVALIDITY UNSEEN)",
            Status(TAG, "INBOX", (StatusItem.RECENT, StatusItem.UIDVALIDITY, StatusItem.UNSEEN)),
        ),
        (b"a1 APPEND INBOX {310}", Append(TAG, "INBOX", AppendMessage(Flags(), None, 310))),
        (
            b"a1 APPEND saved-messages (\\Seen) {310+}",
            Append(TAG, "saved-messages", AppendMessage(Flags(SystemFlag.SEEN), None, 310)),
        ),
        (b"a1 APPEND INBOX ~{9}", Append(TAG, "INBOX", AppendMessage(Flags(), None, 9, MessageForm.BINARY))),
        (b"a1 APPEND INBOX utf8 (~{9+}", Append(TAG, "INBOX", AppendMessage(Flags(), None, 9, MessageForm.UTF8))),
        (
            b"a1 REPLACE 4 Drafts (\\Draft) {312}",
            Replace(TAG, SequenceSet(((4, 4),)), "Drafts", AppendMessage(Flags(SystemFlag.DRAFT), None, 312)),
        ),
        (
            b"a1 UID REPLACE 2000 Drafts {350}",
            Replace(TAG, UidSet(((2000, 2000),)), "Drafts", AppendMessage(Flags(), None, 350)),
        ),
        (
            b'a1 APPEND INBOX (\\Recent $Junk) "17-Jul-1996 02:44:25 -0700" {1}',
            Append(
                TAG,
                "INBOX",
                AppendMessage(
                    Flags(keywords=frozenset({"$Junk"})),
                    datetime(1996, 7, 17, 2, 44, 25, tzinfo=timezone(timedelta(hours=-7))),
                    1,
                ),
            ),
        ),
        (
            b'a1 APPEND INBOX " 1-feb-2024 23:59:60 +0000" {0}',
            Append(TAG, "INBOX", AppendMessage(Flags(), datetime(2024, 2, 1, 23, 59, 59, tzinfo=UTC), 0)),
        ),
        (b"a1 UID EXPUNGE 3000:3002", UidExpunge(TAG, UidSet(((3000, 3002),)))),
        (b"a1 COPY 2:4 MEETING", Copy(TAG, SequenceSet(((2, 4),)), "MEETING")),
        (b"a1 UID COPY *:4,7 MEETING", Copy(TAG, UidSet(((LARGEST, 4), (7, 7))), "MEETING")),
        (b"a1 MOVE 1 Trash", Move(TAG, SequenceSet(((1, 1),)), "Trash")),
        (b"a1 UID MOVE 42:69 foo", Move(TAG, UidSet(((42, 69),)), "foo")),
        (
            b"a1 STORE 2:4 +FLAGS (\\Deleted \\seen)",
            Store(TAG, SequenceSet(((2, 4),)), FlagChange(FlagOperation.ADD, SEEN_DELETED), is_silent=False),
        ),
        (
            b"a1 STORE 1 FLAGS ()",
            Store(TAG, SequenceSet(((1, 1),)), FlagChange(FlagOperation.REPLACE, Flags()), is_silent=False),
        ),
        (
            b"a1 UID STORE 1:* -flags.silent \\Seen $MDNSent \\Deleted ",
            Store(
                TAG,
                UidSet(((1, LARGEST),)),
                FlagChange(FlagOperation.REMOVE, Flags(SEEN_DELETED.system, frozenset({"$MDNSent"}))),
                is_silent=True,
            ),
        ),
        (
            b"a1 STORE 7,5,9 (UNCHANGEDSINCE 320162338) +FLAGS.SILENT (\\Deleted)",
            Store(
                TAG,
                SequenceSet(((7, 7), (5, 5), (9, 9))),
                FlagChange(FlagOperation.ADD, Flags(SystemFlag.DELETED)),
                is_silent=True,
                unchanged_since=Modseq(320162338),
            ),
        ),
    ],
)
def test_a_command_becomes_the_value_it_means(line: bytes, command: Command) -> None:
    assert parse_command(line) == command


FLAGS, UID, MODSEQ = FetchAttribute.FLAGS, FetchAttribute.UID, FetchAttribute.MODSEQ
FAST = (FLAGS, FetchAttribute.INTERNALDATE, FetchAttribute.RFC822_SIZE)


@pytest.mark.parametrize(
    ("items", "expected"),
    [
        (b"FLAGS", (FLAGS,)),
        (b"(FLAGS flags UID)", (FLAGS, UID)),
        (b"FAST", FAST),
        (b"all", (*FAST, FetchAttribute.ENVELOPE)),
        (b"FULL", (*FAST, FetchAttribute.ENVELOPE, FetchAttribute.BODY)),
        (b"(MODSEQ BODYSTRUCTURE BODY)", (MODSEQ, FetchAttribute.BODYSTRUCTURE, FetchAttribute.BODY)),
        (b"RFC822", (FetchAttribute.RFC822,)),
        (b"(RFC822.HEADER RFC822.TEXT)", (FetchAttribute.RFC822_HEADER, FetchAttribute.RFC822_TEXT)),
        (b"BODY[]", (BodySection(Section()),)),
        (b"BODY.PEEK[]<0.2048>", (BodySection(Section(), Partial(0, 2048), peek=True),)),
        (b"body[header]", (BodySection(Section(kind=SectionKind.HEADER)),)),
        (b"BODY[TEXT]", (BodySection(Section(kind=SectionKind.TEXT)),)),
        (b"BODY[1]", (BodySection(Section((1,))),)),
        (b"BODY[4.2.2.1]", (BodySection(Section((4, 2, 2, 1))),)),
        (b"BODY[4.1.MIME]", (BodySection(Section((4, 1), SectionKind.MIME)),)),
        (b"BODY[3.HEADER]", (BodySection(Section((3,), SectionKind.HEADER)),)),
        (
            b"(BODY.PEEK[HEADER.FIELDS (Date FROM)])",
            (BodySection(Section((), SectionKind.HEADER_FIELDS, (b"Date", b"FROM")), peek=True),),
        ),
        (
            b'BODY[1.2.HEADER.FIELDS.NOT ("To")]<3.1>',
            (BodySection(Section((1, 2), SectionKind.HEADER_FIELDS_NOT, (b"To",)), Partial(3, 1)),),
        ),
    ],
)
def test_fetch_items_are_read(items: bytes, expected: tuple[object, ...]) -> None:
    command = parse_command(b"a1 FETCH 2:4 " + items)
    assert isinstance(command, Fetch)
    assert command.messages == SequenceSet(((2, 4),))
    assert command.items == expected
    assert command.changed_since is None


def test_uid_fetch_always_asks_for_the_uid() -> None:
    command = parse_command(b"a1 UID FETCH 1:* FLAGS")
    assert command == Fetch(TAG, UidSet(((1, LARGEST),)), (UID, FLAGS))


def test_changedsince_always_asks_for_the_mod_sequence() -> None:
    command = parse_command(b"a1 UID FETCH 1:* (FLAGS) (CHANGEDSINCE 12345)")
    assert command == Fetch(TAG, UidSet(((1, LARGEST),)), (UID, FLAGS, MODSEQ), Modseq(12345))


def test_changedsince_may_follow_a_macro() -> None:
    command = parse_command(b"a1 FETCH 1 FAST (CHANGEDSINCE 1)")
    assert isinstance(command, Fetch)
    assert command.items == (*FAST, MODSEQ)


def test_literals_stand_for_strings() -> None:
    text = b"a1 LOGIN {5}\r\n {8+}\r\n"
    assert parse_command(text, (b"alice", b'q"\\\r\n\xc3\xa9x')) == Login(TAG, "alice", 'q"\\\r\néx')


def test_a_mailbox_may_be_a_literal_in_append() -> None:
    assert parse_command(b"a1 APPEND {5}\r\n (\\Seen) {9}", (b"inbox",)) == Append(
        TAG, "inbox", AppendMessage(Flags(SystemFlag.SEEN), None, 9)
    )


def test_id_drops_and_cuts_what_rfc_2971_forbids_instead_of_refusing() -> None:
    fields = b" ".join(b'"%b%d" "%b"' % (b"n" * 40, number, b"v" * 2000) for number in range(40))
    command = parse_command(b"a1 ID (" + fields + b")")
    assert isinstance(command, Id)
    assert len(command.parameters) == 30
    assert command.parameters[0] == ("n" * 30, "v" * 1024)


def test_passwords_do_not_show_in_a_representation() -> None:
    assert "SESAME" not in repr(parse_command(b"a1 LOGIN SMITH SESAME"))
    assert "SESAME" not in repr(parse_command(b"a1 AUTHENTICATE PLAIN AFNNSVRIAFNFU0FNRQ=="))


def test_done_ends_idle_in_any_case() -> None:
    assert is_idle_end(b"DONE")
    assert is_idle_end(b"done ")
    assert not is_idle_end(b"a2 NOOP")
    assert not is_idle_end(b"")
