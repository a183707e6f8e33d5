from datetime import UTC, datetime

import pytest

from mailserver.mime.description import COLUMN_CHARACTERS, describe
from tests.mailserver.mime.imap_data import parse


def test_a_description_holds_what_listing_needs():
    message = (
        b"Date: Mon, 3 Mar 2025 09:00:00 +0800\r\n"
        b"From: =?utf-8?B?546L6Iqz?= <wang@corp.example>, Bo <bo@corp.example>\r\n"
        b'To: "Lee, Kim" <kim@corp.example>, team: ann@corp.example;\r\n'
        b"Cc: =?gb2312?B?wO7EyA==?= <li@corp.example>\r\n"
        b"Subject: Re: [news] =?utf-8?B?5oql5ZGK?=\r\nMessage-ID: <2@corp.example>\r\nReferences: <1@corp.example>\r\n"
        b"\r\nSee below.\r\n"
    )
    description = describe(message)
    assert description.sender == "王芳"
    assert description.recipients == "Lee, Kim, team, ann@corp.example, 李娜"
    assert description.subject == "Re: [news] 报告"
    assert description.base_subject == "报告"
    assert description.sent_at == datetime(2025, 3, 3, 1, tzinfo=UTC)
    assert description.reference_ids == (b"2@corp.example", b"1@corp.example")
    assert description.preview == "See below."
    assert description.has_message_id
    assert description.has_date
    assert not description.has_attachment
    assert not description.differs_in_utf8
    assert message[: description.header_octets].endswith(b"\r\n\r\n")


def test_an_empty_message_is_described_too():
    description = describe(b"")
    assert (description.subject, description.sender, description.recipients, description.preview) == ("", "", "", "")
    assert description.sent_at is None
    assert not description.has_date
    assert not description.has_message_id
    parse(description.envelope)
    parse(description.bodystructure)


def test_columns_are_cut_to_their_limit():
    description = describe(b"Subject: " + b"s" * 9000 + b"\r\nTo: " + b"a@b.example, " * 2000 + b"\r\n\r\n")
    assert len(description.subject) == len(description.recipients) == COLUMN_CHARACTERS


def test_the_sender_stands_in_where_no_author_is_named():
    assert describe(b"Sender: robot@corp.example\r\n\r\n").sender == "robot@corp.example"


PNG = b"Content-Type: image/png\r\nContent-ID: <1@x>\r\n"
PDF = b"Content-Type: application/pdf; name=a.pdf\r\n"


def multipart(subtype: bytes, *parts: bytes) -> bytes:
    boundary = subtype
    inside = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\nx\r\n" for part in parts)
    return (
        b"Content-Type: multipart/"
        + subtype
        + b"; boundary="
        + boundary
        + b"\r\n\r\n"
        + inside
        + b"--"
        + boundary
        + b"--"
    )


@pytest.mark.parametrize(
    ("message", "has_attachment"),
    [
        (b"\r\ntext", False),
        (multipart(b"mixed", b"", PDF), True),
        (multipart(b"mixed", b"", b"Content-Disposition: attachment\r\n"), True),
        (multipart(b"mixed", b"", b"Content-Type: text/plain; name=a.txt\r\n"), True),
        (multipart(b"mixed", b"", b""), False),
        (multipart(b"alternative", b"", b"Content-Type: text/html\r\n"), False),
        (multipart(b"related", b"Content-Type: text/html\r\n", PNG), False),
        (multipart(b"related", b"Content-Type: text/html\r\n", PNG + b"Content-Disposition: attachment\r\n"), True),
        (multipart(b"mixed", b"", PNG + b"Content-Disposition: inline\r\n"), False),
        (multipart(b"mixed", b"", b"Content-Type: message/rfc822\r\n\r\n"), True),
        (multipart(b"report", b"", b"Content-Type: message/rfc822\r\n\r\n"), False),
        (multipart(b"signed", b"", b"Content-Type: application/pkcs7-signature; name=smime.p7s\r\n"), False),
        (PDF + b"\r\nx", True),
    ],
)  # fmt: skip
def test_attachments_are_what_people_would_call_so(message: bytes, has_attachment: bool):
    assert describe(message).has_attachment is has_attachment


@pytest.mark.parametrize(
    ("message", "differs"),
    [
        ("Subject: é\r\n\r\n".encode(), True),
        ("X-Other: é\r\n\r\n".encode(), False),
        ("\r\né".encode(), False),
        (multipart(b"mixed", "Content-Description: é\r\n".encode()), True),
        (b"Subject: =?utf-8?Q?=C3=A9?=\r\n\r\n", False),
    ],
)
def test_forms_differ_where_shown_fields_hold_raw_text(message: bytes, differs: bool):
    assert describe(message).differs_in_utf8 is differs


def test_japanese_shifts_in_an_undeclared_header_are_read():
    message = b"Subject: " + "会議の件".encode("iso2022_jp") + b"\r\n\r\n"
    assert describe(message).subject == "会議の件"
