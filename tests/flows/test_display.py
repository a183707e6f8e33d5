"""What a mail list shows: ENVELOPE and BODYSTRUCTURE of a message in Chinese, over the wire."""

from email.header import decode_header, make_header

from tests.flows.clients import Dialogue, deliver
from tests.flows.installation import Installation
from tests.flows.letters import letter


def answer(client: Dialogue, items: str) -> str:
    line, done = client.tagged(f"FETCH 1 ({items})")
    assert done == "t1 OK Done", done
    return line


def test_encoded_words_stand_in_the_envelope_as_they_were_sent(installation: Installation) -> None:
    person = installation.person()
    sent = letter(
        "=?utf-8?B?5Lya6K6u57qq6KaB?= =?utf-8?B?44CC?=",
        "=E8=AF=B7=E6=9F=A5=E6=94=B6\n",
        **{
            "from": "=?gb2312?B?wO7A1w==?= <lilei@elsewhere.example>",
            "to": f"=?UTF-8?Q?=E6=9D=8E?= <{person.address}>",
        },
        mime_version="1.0",
        content_type="text/plain; charset=utf-8",
        content_transfer_encoding="quoted-printable",
    )
    deliver(installation, [person], sent)
    with Dialogue(installation, "imaps") as client:
        client.sign_in(person)
        client.tagged("SELECT INBOX")
        name, _, domain = person.address.partition("@")
        sender = '(("=?gb2312?B?wO7A1w==?=" NIL "lilei" "elsewhere.example"))'
        identity = sent.partition(b"Message-ID: ")[2].partition(b"\r\n")[0].decode()
        assert answer(client, "ENVELOPE") == (
            '* 1 FETCH (ENVELOPE ("Mon, 02 Nov 2026 10:00:00 +0000" "=?utf-8?B?5Lya6K6u57qq6KaB?= =?utf-8?B?44CC?=" '
            f'{sender} {sender} {sender} (("=?UTF-8?Q?=E6=9D=8E?=" NIL "{name}" "{domain}")) NIL NIL NIL "{identity}"))'
        )
        assert answer(client, "BODYSTRUCTURE") == (
            '* 1 FETCH (BODYSTRUCTURE ("text" "plain" ("charset" "utf-8") NIL NIL "quoted-printable" 31 2 '
            "NIL NIL NIL NIL))"
        )
        for words in ("会议纪要", "李雷"):
            octets = words.encode()
            key = b"SUBJECT" if words == "会议纪要" else b"FROM"
            client.send(b"t1 SEARCH CHARSET UTF-8 %s {%d+}\r\n%s\r\n" % (key, len(octets), octets))
            assert client.until_tagged()[0] == "* SEARCH 1"


def test_raw_utf_8_and_gb18030_become_encoded_words(installation: Installation) -> None:
    """No octet above 127 goes to a client that has not asked for it (RFC 6855)."""
    person = installation.person()
    deliver(installation, [person], letter("报价单", **{"from": "李雷 <lilei@elsewhere.example>"}))
    deliver(installation, [person], letter().replace(b"Subject: Lunch", "Subject: 发票已经开好".encode("gb18030")))
    with Dialogue(installation, "imaps") as client:
        client.sign_in(person)
        client.tagged("SELECT INBOX")
        client.send(b"t1 FETCH 1:2 (ENVELOPE)\r\n")
        raw, gb, _ = client.until_tagged()
        assert raw.isascii() and gb.isascii()
        assert decoded(raw) == "报价单"
        assert decoded(gb) == "发票已经开好"


def decoded(line: str) -> str:
    """The subject of an envelope, by the standard library's idea of encoded words."""
    return str(make_header(decode_header(line.split('"')[3])))
