import pytest

from mailserver.mime.description import describe
from mailserver.mime.envelope import bodystructure, envelope
from mailserver.mime.structure import pack, scan, unpack
from tests.mailserver.mime.imap_data import check_envelope, parse


def wire(header: bytes) -> bytes:
    message = header + b"\r\n"
    result = envelope(message, scan(message))
    check_envelope(parse(result))
    return result


def member(header: bytes, place: int) -> object:
    data = parse(wire(header))
    assert isinstance(data, list)
    return data[place]


DATE, SUBJECT, FROM, SENDER, REPLY_TO, TO, CC, BCC, IN_REPLY_TO, MESSAGE_ID = range(10)


def test_every_field_has_its_place():
    assert wire(
        b"Bcc: Dora <dora@hidden.example>\r\nCc: Carl <carl@copy.example>\r\nReply-To: Desk <desk@reply.example>\r\n"
        b"Sender: Secretary <sec@sender.example>\r\nFrom: Alice <alice@from.example>\r\nTo: Bob <bob@to.example>\r\n"
        b"Subject: the minutes\r\nMessage-ID: <2@from.example>\r\nIn-Reply-To: <1@to.example>\r\n"
        b"Date: Mon, 3 Mar 2025 09:00:00 +0800\r\n"
    ) == (
        b'("Mon, 3 Mar 2025 09:00:00 +0800" "the minutes" (("Alice" NIL "alice" "from.example")) '
        b'(("Secretary" NIL "sec" "sender.example")) (("Desk" NIL "desk" "reply.example")) '
        b'(("Bob" NIL "bob" "to.example")) (("Carl" NIL "carl" "copy.example")) '
        b'(("Dora" NIL "dora" "hidden.example")) "<1@to.example>" "<2@from.example>")'
    )


def test_the_example_of_rfc_3501():
    assert wire(
        b"Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n"
        b"Subject: IMAP4rev1 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n"
        b"Cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n"
        b"Message-Id: <B27397-0100000@cac.washington.edu>\r\nMIME-Version: 1.0\r\n"
        b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n"
    ) == (
        b'("Wed, 17 Jul 1996 02:23:25 -0700 (PDT)" "IMAP4rev1 WG mtg summary and minutes" '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) (("Terry Gray" NIL "gray" "cac.washington.edu")) '
        b'(("Terry Gray" NIL "gray" "cac.washington.edu")) ((NIL NIL "imap" "cac.washington.edu")) '
        b'((NIL NIL "minutes" "CNRI.Reston.VA.US")("John Klensin" NIL "KLENSIN" "MIT.EDU")) NIL NIL '
        b'"<B27397-0100000@cac.washington.edu>")'
    )


def test_absent_fields_are_nil_and_empty_texts_are_empty():
    assert wire(b"") == b"(NIL NIL NIL NIL NIL NIL NIL NIL NIL NIL)"
    assert wire(b"Date:\r\nSubject: \r\nIn-Reply-To:\r\nMessage-ID:\r\n") == b'("" "" NIL NIL NIL NIL NIL NIL "" "")'


@pytest.mark.parametrize("empty", [b"", b" ", b",", b" , ,", b"()", b";"])
def test_address_fields_without_addresses_are_nil_and_senders_default_to_from(empty: bytes):
    author = b"From: a@b.example\r\n"
    for place, name in ((TO, b"To"), (CC, b"Cc"), (BCC, b"Bcc")):
        assert member(author + name + b": " + empty + b"\r\n", place) is None
    for place, name in ((SENDER, b"Sender"), (REPLY_TO, b"Reply-To")):
        assert member(author + name + b": " + empty + b"\r\n", place) == [[None, None, b"a", b"b.example"]]


def test_groups_have_a_beginning_and_an_end():
    assert member(b"To: Managers: ann@hq.example, ben@hq.example;, Guests : cy@out.example;\r\n", TO) == [
        [None, None, b"Managers", None],
        [None, None, b"ann", b"hq.example"],
        [None, None, b"ben", b"hq.example"],
        [None, None, None, None],
        [None, None, b"Guests", None],
        [None, None, b"cy", b"out.example"],
        [None, None, None, None],
    ]
    assert member(b"Cc: nobody: (at all) ;\r\n", CC) == [[None, None, b"nobody", None], [None, None, None, None]]


def test_fields_that_stand_twice_are_joined_so_that_no_author_is_hidden():
    assert member(b"From: a@one.example\r\nSubject: x\r\nFrom: b@two.example\r\n", FROM) == [
        [None, None, b"a", b"one.example"],
        [None, None, b"b", b"two.example"],
    ]
    assert member(b"Subject: first\r\nSubject: second\r\n", SUBJECT) == b"first"


def test_what_an_address_lacks_is_named_missing_because_nil_means_a_group():
    assert member(b"To: user, <>, @example.com\r\n", TO) == [
        [None, None, b"user", b"MISSING_DOMAIN"],
        [None, None, b"MISSING_MAILBOX", b"MISSING_DOMAIN"],
        [None, None, b"MISSING_MAILBOX", b"example.com"],
    ]


def test_quotes_and_backslashes_are_escaped_once():
    header = b'From: "Joe \\"the\\\\man\\" Q." <"a b"@example.com>\r\nSubject: say "hi" \\o/\r\n'
    assert b'"say \\"hi\\" \\\\o/" (("Joe \\"the\\\\man\\" Q." NIL "a b" "example.com"))' in wire(header)
    assert member(header, SUBJECT) == b'say "hi" \\o/'


def test_folds_tabs_and_controls_become_spaces():
    assert member(b"Subject: one\r\n two\r\n\tthree\x00four\rfive\x7f\r\n", SUBJECT) == b"one two three four five "


def test_overlong_values_are_literals():
    subject = b"x" * 5000
    assert member(b"Subject: " + subject + b"\r\n", SUBJECT) == subject
    assert b"{5000}\r\nxxx" in wire(b"Subject: " + subject + b"\r\n")


def test_encoded_words_are_passed_on_as_they_are():
    subject = b"=?GB18030?B?sai45g==?= =?utf-8?Q?=E2=82=AC?="
    assert member(b"Subject: " + subject + b"\r\n", SUBJECT) == subject
    message = b"Subject: " + subject + b"\r\n\r\n"
    assert not describe(message).differs_in_utf8


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("utf-8", "Grüße, 会议"),
        ("gb18030", "会议报告，请查收"),
        ("big5", "會議報告，請查收"),
        ("shift_jis", "会議のお知らせです"),
        ("euc_kr", "회의 보고서를 첨부합니다"),
    ],
)
def test_raw_text_beyond_ascii_goes_out_as_encoded_words(charset: str, text: str):
    raw = text.encode(charset)
    description = describe(b"Subject: " + raw + b'\r\nFrom: "' + raw + b'" <a@b.example>\r\n\r\n')
    assert description.subject == description.sender == text
    assert description.differs_in_utf8
    data = parse(description.envelope)
    assert isinstance(data, list)
    assert isinstance(data[SUBJECT], bytes)
    assert data[SUBJECT].startswith(b"=?UTF-8?B?")
    assert all(len(word) <= 75 for word in data[SUBJECT].split())
    assert data[FROM] == [[data[SUBJECT], None, b"a", b"b.example"]]


def test_long_raw_text_is_split_into_encoded_words_between_characters():
    text = "多" * 100
    subject = member(b"Subject: " + text.encode() + b"\r\n", SUBJECT)
    assert isinstance(subject, bytes)
    assert len(subject.split()) == 7
    assert describe(b"Subject: " + subject + b"\r\n\r\n").subject == text


def test_internationalised_addresses_stay_seven_bit():
    data = member("To: 用户@例子.测试, jörg@example.com\r\n".encode(), TO)
    assert isinstance(data, list)
    assert data[0] == [None, None, b"=?UTF-8?B?55So5oi3?=", b"xn--fsqu00a.xn--0zwm56d"]
    assert data[1] == [None, None, b"=?UTF-8?B?asO2cmc=?=", b"example.com"]


def test_a_date_is_never_an_encoded_word():
    date = b"Sat, 20 Sep 2008 20:04:30 +0300 (\xf9\xe5)"
    assert member(b"Date: " + date + b"\r\n", DATE) == b"Sat, 20 Sep 2008 20:04:30 +0300 (?)"


def test_wire_forms_made_from_an_unpacked_index_are_the_same():
    message = (
        b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n"
        b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\nFrom: a@b.example\r\n\r\ntext\r\n--b--\r\n"
    )
    root = scan(message)
    again = unpack(pack(root))
    assert envelope(message, again) == envelope(message, root)
    assert bodystructure(message, again) == bodystructure(message, root)
