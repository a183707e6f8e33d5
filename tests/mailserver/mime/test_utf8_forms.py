"""What clients that read UTF-8 are told of a message whose headers are UTF-8 (RFC 6855, RFC 9051 §7.5.2)."""

from mailserver.mime.body import body
from mailserver.mime.envelope import bodystructure, envelope
from mailserver.mime.structure import scan
from mailserver.mime.wire import SEVEN_BIT, UTF8, UTF8_AND_GLOBAL

MESSAGE = (
    "From: Jøran Øygårdvær <jøran@blåbærsyltetøy.example>\r\n"
    "To: =?utf-8?q?Bj=C3=B6rn?= <b@example.org>\r\n"
    'Subject: 你好 "Ø"\r\n'
    "Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    "--b\r\nContent-Type: text/plain; charset=utf-8; name=größe.txt\r\n\r\nhei\r\n"
    "--b\r\nContent-Type: message/global\r\n\r\nSubject: indre grøt\r\n\r\nhei igjen\r\n--b--\r\n"
).encode()
ROOT = scan(MESSAGE)


def test_an_envelope_in_utf8_has_what_stands_in_the_header() -> None:
    sender = '(("Jøran Øygårdvær" NIL "jøran" "blåbærsyltetøy.example"))'
    assert envelope(MESSAGE, ROOT, UTF8).decode() == (
        f'(NIL "你好 \\"Ø\\"" {sender} {sender} {sender} '
        '(("=?utf-8?q?Bj=C3=B6rn?=" NIL "b" "example.org")) NIL NIL NIL NIL)'
    )


def test_in_seven_bits_it_is_encoded_words_and_a_labels() -> None:
    shown = envelope(MESSAGE, ROOT, SEVEN_BIT)
    assert shown.isascii()
    assert b'"xn--blbrsyltety-y8ao3x.example"' in shown


def test_message_global_has_an_envelope_for_those_who_know_it() -> None:
    shown = bodystructure(MESSAGE, ROOT, UTF8_AND_GLOBAL).decode()
    assert '("message" "global" NIL NIL NIL "7bit" 33 (NIL "indre grøt" NIL NIL NIL NIL NIL NIL NIL NIL) ' in shown
    assert '("name" "größe.txt")' in shown.replace('"charset" "utf-8" ', "")
    assert '"message" "global" NIL NIL NIL "7bit" 33 NIL NIL NIL NIL' in bodystructure(MESSAGE, ROOT, UTF8).decode()


def test_body_keeps_the_envelope_of_a_global_message_and_no_extension_data() -> None:
    assert body(bodystructure(MESSAGE, ROOT, UTF8_AND_GLOBAL)).decode() == (
        '(("text" "plain" ("charset" "utf-8" "name" "größe.txt") NIL NIL "7bit" 3 0)'
        '("message" "global" NIL NIL NIL "7bit" 33 (NIL "indre grøt" NIL NIL NIL NIL NIL NIL NIL NIL)'
        ' ("text" "plain" ("charset" "us-ascii") NIL NIL "7bit" 9 0) 2) "mixed")'
    )
    assert '("message" "global" NIL NIL NIL "7bit" 33)' in body(bodystructure(MESSAGE, ROOT, UTF8)).decode()


def test_long_strings_are_literals_counted_in_octets() -> None:
    message = f"Subject: {'ø' * 600}\r\n\r\n".encode()
    assert b"{1200}\r\n" + "ø".encode() * 600 in envelope(message, scan(message), UTF8)
