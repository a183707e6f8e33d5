from datetime import UTC, datetime

import pytest

from mailserver.mime.header import decode_header, parse_date


@pytest.mark.parametrize(
    ("value", "text"),
    [
        # RFC 2047 §8
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=\r\n    =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        (b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=\r\n =?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
         "If you can read this you understand the example."),
        # RFC 2231 §5: a language
        (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        # characters split between words, as many senders do
        (b"=?utf-8?B?5oql5Q==?= =?utf-8?B?kYo=?=", "报告"),
        (b"=?gb2312?B?sai4?=\r\n\t=?gb2312?B?5g==?=", "报告"),
        (b"=?iso-2022-jp?B?GyRCMnE1RBsoQg==?=", "会議"),
        (b"Re: =?utf-8?Q?=E6=8A=A5?==?utf-8?Q?=E5=91=8A?=.pdf", "Re: 报告.pdf"),
        # wrong but plain
        (b"=?utf-8?Q?hello world?=", "hello world"),
        (b"=?utf-8?B?5oql5ZGK?", "=?utf-8?B?5oql5ZGK?"),
        (b"=?utf-8?B?5oql5ZG?=", "报\ufffd"),
        (b"=?nonsense?Q?a?=", "=?nonsense?Q?a?="),
        (b"=?rot13?Q?a?=", "=?rot13?Q?a?="),
        (b"=?utf-8?X?a?=", "=?utf-8?X?a?="),
        (b"=?utf-8?Q??=", ""),
        (b"=?utf-8?B??= x", "x"),
        (b"=?utf-7?Q?+2AE-?=", "\ufffd"),
        (b"=?utf-8?B?AGE=?=", "\ufffda"),
        (b"plain\r\n\tfolded \x00 text ", "plain folded text"),
        ("Grüße".encode(), "Grüße"),
        ("会议报告通知".encode("gb18030"), "会议报告通知"),
        (b"", ""),
    ],
)  # fmt: skip
def test_header_values_are_read_as_people_meant_them(value: bytes, text: str):
    assert decode_header(value) == text


def at(*moment: int) -> datetime:
    return datetime(*moment, tzinfo=UTC)  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("Fri, 21 Nov 1997 09:55:06 -0600", at(1997, 11, 21, 15, 55, 6)),
        ("Tue, 1 Jul 2003 10:52:37 +0200", at(2003, 7, 1, 8, 52, 37)),
        ("Thu,\r\n 13\r\n Feb\r\n 1969\r\n 23:32\r\n -0330 (Newfoundland Time)", at(1969, 2, 14, 3, 2)),
        ("21 Nov 97 09:55:06 GMT", at(1997, 11, 21, 9, 55, 6)),
        ("Fri, 21 Nov 1997 09:55:06 EST", at(1997, 11, 21, 14, 55, 6)),
        ("Fri, 21 Nov 1997 09:55:06 Z", at(1997, 11, 21, 9, 55, 6)),
        ("Fri, 21 Nov 1997 09:55:06", at(1997, 11, 21, 9, 55, 6)),
        ("Friday, 21-Nov-97 09:55:06 UTC", at(1997, 11, 21, 9, 55, 6)),
        ("Sat Nov 22 09:55:06 1997", at(1997, 11, 22, 9, 55, 6)),
        ("Sat Nov 22 09:55:06 CST 1997", at(1997, 11, 22, 9, 55, 6)),
        ("1 January 2020 1:02 +0000", at(2020, 1, 1, 1, 2)),
        ("Sat, 31 Dec 2016 23:59:60 +0000", at(2016, 12, 31, 23, 59, 59)),
        ("2024-02-29T12:00:00+08:00", at(2024, 2, 29, 4)),
        ("1 Jan 103 00:00 +0000", at(2003, 1, 1)),
    ],
)
def test_dates_are_read_in_every_form_that_occurs(value: str, moment: datetime):
    assert parse_date(value) == moment


@pytest.mark.parametrize(
    "value",
    ["", "yesterday", "31 Feb 2020 00:00 +0000", "1 Jan 2020 25:00 +0000", "1 Foo 2020 00:00", "1 Jan 0001 00:00 +0000",
     "31 Dec 9999 23:00:00 -1200", "9" * 100_000, "1 Jan 2020 00:00:00 +9999999"],
)  # fmt: skip
def test_what_is_no_date_is_none_or_a_moment(value: str):
    moment = parse_date(value)
    assert moment is None or (value.startswith("1 Jan 2020") and moment.tzinfo is UTC)
