import pytest

from mailserver.mime.body import body
from mailserver.mime.description import describe
from mailserver.mime.envelope import bodystructure
from mailserver.mime.structure import scan
from tests.mailserver.mime.imap_data import check_body, parse


def wire(message: bytes) -> bytes:
    message = message.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    result = bodystructure(message, scan(message))
    check_body(parse(result), is_extensible=True)
    check_body(parse(body(result)), is_extensible=False)
    return result


MESSAGE = b"""\
Subject: quarterly figures
Content-Type: multipart/mixed; boundary="outer
 border"

For old readers: this has parts.
--outer border
Content-Type: text/csv; charset=us-ascii; header="\\"present\\""
Content-Transfer-Encoding: 8bit
Content-ID: <figures@corp.example>
Content-Description: the figures
Content-Disposition: inline; filename=figures.csv
Content-Language: en, zh
Content-Location: http://corp.example/figures.csv
Content-MD5: 1B2M2Y8AsgTpgAmY7PhCfg==

a,b
1,2

--outer border
Content-Type: message/rfc822

From: Ann <ann@corp.example>
To: ben@corp.example, cy@corp.example
Subject: as promised
Content-Type: multipart/alternative; boundary=inner

--inner

plain
--inner
Content-Type: text/html; charset=utf-8
Content-Transfer-Encoding: quoted-printable

<p>=E2=82=AC</p>
--inner--

--outer border--
"""

INNER = MESSAGE[MESSAGE.index(b"From: Ann") : MESSAGE.index(b"\n--outer border--")].replace(b"\n", b"\r\n")
INNER_OCTETS = b"%d " % len(INNER)
CSV = (
    b'("text" "csv" ("charset" "us-ascii" "header" "\\"present\\"") "<figures@corp.example>" "the figures" "8bit" 10 2'
)
CSV_EXTENSION = (
    b' "1B2M2Y8AsgTpgAmY7PhCfg==" ("inline" ("filename" "figures.csv")) ("en" "zh") "http://corp.example/figures.csv"'
)
INNER_ENVELOPE = (
    b'(NIL "as promised" (("Ann" NIL "ann" "corp.example")) (("Ann" NIL "ann" "corp.example"))'
    b' (("Ann" NIL "ann" "corp.example")) ((NIL NIL "ben" "corp.example")(NIL NIL "cy" "corp.example"))'
    b" NIL NIL NIL NIL)"
)


def test_every_kind_of_part_with_all_its_fields():
    assert wire(MESSAGE) == (
        b"(" + CSV + CSV_EXTENSION + b')("message" "rfc822" NIL NIL NIL "7bit" ' + INNER_OCTETS + INNER_ENVELOPE +
        b' (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0 NIL NIL NIL NIL)'
        b'("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 16 0 NIL NIL NIL NIL)'
        b' "alternative" ("boundary" "inner") NIL NIL NIL) 14 NIL NIL NIL NIL)'
        b' "mixed" ("boundary" "outer border") NIL NIL NIL)'
    )  # fmt: skip


def test_body_is_bodystructure_without_extension_data():
    assert body(wire(MESSAGE)) == (
        b"(" + CSV + b')("message" "rfc822" NIL NIL NIL "7bit" ' + INNER_OCTETS + INNER_ENVELOPE +
        b' (("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 5 0)'
        b'("text" "html" ("charset" "utf-8") NIL NIL "quoted-printable" 16 0) "alternative") 14) "mixed")'
    )  # fmt: skip


def test_the_examples_of_rfc_3501():
    text = b"Content-Type: TEXT/PLAIN; CHARSET=US-ASCII\n\n" + (b"x" * 45 + b"\n") * 47 + b"x" * 68 + b"\n"
    assert body(wire(text)) == b'("text" "plain" ("CHARSET" "US-ASCII") NIL NIL "7bit" 2279 48)'.replace(
        b"CHARSET", b"charset"
    )


def test_a_message_without_mime_fields_is_plain_text():  # RFC 2045 §5.2
    assert (
        wire(b"Subject: x\n\nhello\n") == b'("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 7 1 NIL NIL NIL NIL)'
    )


def test_one_language_is_a_string_and_several_are_a_list():
    assert b'NIL "de" NIL)' in wire(b"Content-Language: de\n\n")
    assert b'NIL ("de" "fr") NIL)' in wire(b"Content-Language: de, fr,\n\n")
    assert b'7bit" 0 0 NIL NIL NIL NIL)' in wire(b"Content-Language: ,\n\n")


def test_message_global_is_a_basic_part_for_clients_of_rev1_and_differs_otherwise():
    message = b"Content-Type: message/global\r\n\r\nSubject: \xe4\xbc\x9a\r\n\r\ntext\r\n"
    assert wire(message) == b'("message" "global" NIL NIL NIL "7bit" 22 NIL NIL NIL NIL)'
    assert describe(message).differs_in_utf8


def test_a_multipart_without_parts_has_one_empty_text():
    assert wire(b"Content-Type: multipart/mixed; boundary=b\n\n") == (
        b'(("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 0 0 NIL NIL NIL NIL)'
        b' "mixed" ("boundary" "b") NIL NIL NIL)'
    )


def test_raw_names_go_out_as_encoded_words_and_extended_ones_as_they_are():
    result = wire(
        "Content-Type: application/pdf; name=报告.pdf\n"
        "Content-Disposition: attachment; filename*0*=utf-8''%E6%8A; filename*1*=%A5.pdf\n\n".encode()
    )
    assert b'("name" "=?UTF-8?B?5oql5ZGKLnBkZg==?=")' in result
    assert b'("attachment" ("filename*" "utf-8\'\'%E6%8A%A5.pdf"))' in result


@pytest.mark.parametrize(
    "field",
    [
        b'Content-Type: text/plain; name="' + b"x" * 3000 + b'"',
        b'Content-Type: text/plain; "name"=x; =y; ;;; z; charset',
        b"Content-ID: <" + b"\x00\r\x7f" * 10 + b">",
        b'Content-Description: )" {5} (\\',
        b"Content-Disposition: ;;;",
        b'Content-Disposition: "attachment"; filename="',
        b'Content-Transfer-Encoding: "base64"',
        b"Content-Transfer-Encoding: " + b"x" * 5000,
        b"Content-MD5: \xff\xfe",
        b'Content-Language: \xff, "en"',
    ],
)
def test_broken_fields_never_break_the_grammar(field: bytes):
    wire(field + b"\n\nbody\n")


def test_body_keeps_literals_whole():
    description = b"x) (y " * 300
    message = b"Content-Type: text/html\r\nContent-Description: " + description + b"\r\n\r\n"
    assert b"{1799}\r\n" + description.rstrip() in body(wire(message))


def test_thousands_of_parts_with_long_headers_are_told_barely_in_the_end():
    addresses = b", ".join([b"a@b.example"] * 500)
    part = b"--b\n\nFrom: " + addresses + b"\nSubject: inner\n\ntext\n"
    result = wire(b"Content-Type: multipart/digest; boundary=b\n\n" + part * 1000 + b"--b--\n")
    assert result.count(b'"message" "rfc822"') == 1000
    assert len(result) < 1_000_000
