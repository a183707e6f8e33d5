import time
from mmap import ACCESS_READ, mmap
from pathlib import Path

import pytest

from mailserver.mime.part import Part
from mailserver.mime.structure import ScanLimits, scan


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def header_of(message: bytes, part: Part) -> bytes:
    return message[part.header_offset : part.header_offset + part.header_octets]


def body_of(message: bytes, part: Part) -> bytes:
    return message[part.body_offset : part.body_offset + part.body_octets]


def types_of(root: Part) -> list[str]:
    return [part.content_type for part in root.walk()]


# RFC 2046 §5.1.1
SAMPLE = crlf("""\
From: Nathaniel Borenstein <nsb@bellcore.com>
To: Ned Freed <ned@innosoft.com>
Date: Sun, 21 Mar 1993 23:56:48 -0800 (PST)
Subject: Sample message
MIME-Version: 1.0
Content-type: multipart/mixed; boundary="simple boundary"

This is the preamble.  It is to be ignored, though it
is a handy place for composition agents to include an
explanatory note to non-MIME conformant readers.

--simple boundary

This is implicitly typed plain US-ASCII text.
It does NOT end with a linebreak.
--simple boundary
Content-type: text/plain; charset=us-ascii

This is explicitly typed plain US-ASCII text.
It DOES end with a linebreak.

--simple boundary--

This is the epilogue.  It is also to be ignored.
""")


def test_the_sample_of_rfc_2046_has_two_parts_whose_last_line_break_belongs_to_the_delimiter():
    root = scan(SAMPLE)
    assert types_of(root) == ["multipart/mixed", "text/plain", "text/plain"]
    first, second = root.children
    assert header_of(SAMPLE, first) == b"\r\n"
    assert body_of(SAMPLE, first).endswith(b"It does NOT end with a linebreak.")
    assert header_of(SAMPLE, second) == b"Content-type: text/plain; charset=us-ascii\r\n\r\n"
    assert body_of(SAMPLE, second).endswith(b"It DOES end with a linebreak.\r\n")
    assert (first.lines, second.lines) == (1, 2)


def test_the_body_of_a_multipart_includes_preamble_and_epilogue():
    root = scan(SAMPLE)
    assert body_of(SAMPLE, root).startswith(b"This is the preamble.")
    assert body_of(SAMPLE, root).endswith(b"also to be ignored.\r\n")


def test_a_message_with_bare_line_feeds_has_the_same_parts():
    message = SAMPLE.replace(b"\r\n", b"\n")
    root = scan(message)
    assert types_of(root) == types_of(scan(SAMPLE))
    assert body_of(message, root.children[0]).endswith(b"It does NOT end with a linebreak.")


def test_a_mapped_file_is_scanned_like_octets(tmp_path: Path):
    message = SAMPLE + b"x" * 3_000_000 + b"\r\n"
    path = tmp_path / "message"
    path.write_bytes(message)
    with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as mapped:
        assert scan(mapped) == scan(message)


# The complex example of RFC 2049 appendix A, shortened.
NESTED = crlf("""\
MIME-Version: 1.0
From: Nathaniel Borenstein <nsb@nsb.fv.com>
Subject: A multipart example
Content-Type: multipart/mixed;
              boundary=unique-boundary-1

Preamble
--unique-boundary-1

  ... Some text appears here ...
--unique-boundary-1
Content-type: text/plain; charset=US-ASCII

explicit typing
--unique-boundary-1
Content-Type: multipart/parallel; boundary=unique-boundary-2

--unique-boundary-2
Content-Type: audio/basic
Content-Transfer-Encoding: base64

AAAA
--unique-boundary-2
Content-Type: image/jpeg
Content-Transfer-Encoding: base64

AAAA
--unique-boundary-2--

--unique-boundary-1
Content-type: text/enriched

This is <bold><italic>enriched.</italic></bold>
--unique-boundary-1
Content-Type: message/rfc822

From: (mailbox in US-ASCII)
Subject: (subject in US-ASCII)
Content-Type: Text/plain; charset=ISO-8859-1
Content-Transfer-Encoding: Quoted-printable

 ... Additional text in ISO-8859-1 goes here ...

--unique-boundary-1--
""")


def test_the_complex_example_of_rfc_2049_is_taken_apart():
    root = scan(NESTED)
    assert types_of(root) == [
        "multipart/mixed",
        "text/plain",
        "text/plain",
        "multipart/parallel",
        "audio/basic",
        "image/jpeg",
        "text/enriched",
        "message/rfc822",
        "text/plain",
    ]
    inner = root.children[4].children[0]
    assert inner.encoding == "quoted-printable"
    assert body_of(NESTED, inner) == b" ... Additional text in ISO-8859-1 goes here ...\r\n"
    assert root.children[4].lines == 6


def test_parts_of_a_digest_are_messages_unless_they_say_otherwise():
    message = crlf("""\
Content-Type: multipart/digest; boundary=d

--d

From: a@example.com
Subject: one

first
--d
Content-Type: text/plain

not a message
--d--
""")
    assert types_of(scan(message)) == ["multipart/digest", "message/rfc822", "text/plain", "text/plain"]


def test_an_outer_delimiter_ends_an_inner_multipart_that_was_never_closed():
    message = crlf("""\
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: multipart/mixed; boundary=inner

--inner

one
--outer

two
--inner

still two
--outer--
""")
    root = scan(message)
    assert types_of(root) == ["multipart/mixed", "multipart/mixed", "text/plain", "text/plain"]
    assert body_of(message, root.children[0].children[0]) == b"one"
    assert body_of(message, root.children[1]) == b"two\r\n--inner\r\n\r\nstill two"


def test_an_outer_delimiter_ends_a_message_within_a_message():
    message = crlf("""\
Content-Type: multipart/mixed; boundary=outer

--outer
Content-Type: message/rfc822

Content-Type: message/rfc822

Subject: innermost

text
--outer
Content-Type: text/html

<p>
--outer--
""")
    root = scan(message)
    assert types_of(root) == ["multipart/mixed", "message/rfc822", "message/rfc822", "text/plain", "text/html"]
    assert body_of(message, root.children[0].children[0].children[0]) == b"text"


def test_an_inner_boundary_may_begin_with_the_outer_one():
    message = crlf("""\
Content-Type: multipart/mixed; boundary=part

--part
Content-Type: multipart/alternative; boundary=part_alt

--part_alt

plain
--part_alt
Content-Type: text/html

<p>
--part_alt--
--part
Content-Type: image/png

x
--part--
""")
    assert types_of(scan(message)) == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "image/png",
    ]


def test_a_header_is_closed_where_a_delimiter_follows_that_looks_like_the_outer_one():
    message = crlf("""\
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/alternative; boundary=bb

--bb

plain
--bb--
--b--
""")
    inner = scan(message).children[0]
    assert header_of(message, inner) == b"Content-Type: multipart/alternative; boundary=bb\r\n\r\n"
    assert body_of(message, inner) == b"--bb\r\n\r\nplain\r\n--bb--"
    assert types_of(inner) == ["multipart/alternative", "text/plain"]


def test_an_outer_boundary_may_begin_with_the_inner_one():
    message = crlf("""\
Content-Type: multipart/mixed; boundary=part_mixed

--part_mixed
Content-Type: multipart/alternative; boundary=part

--part

plain
--part--
--part_mixed
Content-Type: image/png

x
--part_mixed--
""")
    assert types_of(scan(message)) == ["multipart/mixed", "multipart/alternative", "text/plain", "image/png"]


def test_a_multipart_between_two_with_like_boundaries_is_still_ended_by_its_own_delimiter():
    message = crlf("""\
Content-Type: multipart/mixed; boundary=a

--a
Content-Type: multipart/mixed; boundary=other

--other
Content-Type: multipart/mixed; boundary=aa

--aa

one
--aa

two
--other

three
--a--
""")
    root = scan(message)
    middle = root.children[0]
    assert [body_of(message, part) for part in middle.children[0].children] == [b"one", b"two"]
    assert body_of(message, middle.children[1]) == b"three"


def test_equal_boundaries_belong_to_the_innermost_multipart():
    message = crlf("""\
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: multipart/mixed; boundary=b

--b

one
--b

two
--b--
--b

three
--b--
""")
    root = scan(message)
    assert [body_of(message, part) for part in root.children[0].children] == [b"one", b"two"]
    assert body_of(message, root.children[1]) == b"three"


def test_white_space_after_a_delimiter_and_at_the_end_of_the_boundary_parameter_is_padding():
    message = b'Content-Type: multipart/mixed; boundary="b  "\r\n\r\n--b \t \r\n\r\none\r\n--b-- \r\nepilogue'
    root = scan(message)
    assert [body_of(message, part) for part in root.children] == [b"one"]


def test_two_delimiters_on_successive_lines_enclose_an_empty_part():
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n--b\r\n\r\none\r\n--b--\r\n"
    root = scan(message)
    assert [(part.header_octets, body_of(message, part)) for part in root.children] == [(0, b""), (2, b"one")]


def test_a_part_without_empty_line_is_all_header():
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/html\r\n--b--\r\n"
    part = scan(message).children[0]
    assert (header_of(message, part), part.body_octets) == (b"Content-Type: text/html", 0)
    assert part.content_type == "text/html"


@pytest.mark.parametrize(
    "content_type",
    [
        b"multipart/mixed",
        b"multipart/mixed; boundary=",
        b"multipart/mixed; boundary=never",
        b"multipart/mixed; boundary=\xff",
    ],
)
def test_a_multipart_whose_delimiter_never_comes_shows_its_body_as_text(content_type: bytes):
    message = b"Content-Type: " + content_type + b"\r\n\r\nHello,\r\n--b\r\nwhere are the parts?\r\n"
    root = scan(message)
    assert types_of(root) == ["multipart/mixed", "text/plain"]
    child = root.children[0]
    assert (child.body_offset, child.body_octets, child.lines) == (root.body_offset, root.body_octets, 3)


def test_a_truncated_multipart_ends_with_the_message():
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\n--b\r\nContent-Ty"
    root = scan(message)
    assert [body_of(message, part) for part in root.children] == [b"one", b""]


@pytest.mark.parametrize(
    ("value", "content_type"),
    [
        (b"", "text/plain"),
        (b"garbage", "text/plain"),
        (b"text", "text/plain"),
        (b"TEXT/HTML", "text/html"),
        (b" text / html ; charset=utf-8", "text/html"),
        (b"text/html(comment)", "text/html"),
        (b"te\x00xt/html", "text/plain"),
        (b'text/"html', "text/plain"),
        (b"a" * 200 + b"/b", "text/plain"),
    ],
)
def test_an_invalid_content_type_counts_as_plain_text(value: bytes, content_type: str):
    assert scan(b"Content-Type: " + value + b"\r\n\r\nx").content_type == content_type


def test_parameters_survive_comments_quoting_folding_and_missing_quotes():
    part = scan(
        b'Content-Type: text/plain (a \\) comment); charset = "us-ascii" (Plain text);\r\n'
        b'\tname=quarterly report.txt; x="a\\"b;c"; X=again; broken="open\r\n\r\n'
    )
    assert part.parameters == {
        "charset": "us-ascii",
        "name": "quarterly report.txt",
        "x": 'a"b;c',
        "broken": "open",
    }


def test_continued_parameters_are_joined():  # RFC 2231 §3, §4.1
    part = scan(
        b"Content-Type: message/external-body; access-type=URL;\r\n"
        b' URL*0="ftp://";\r\n URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"\r\n'
        b"Content-Disposition: attachment; filename*0*=us-ascii'en'This%20is%20even%20more%20;\r\n"
        b' filename*1*=%2A%2A%2Afun%2A%2A%2A%20;\r\n filename*2="isn\'t it!"\r\n\r\n'
    )
    assert part.parameters["url"] == "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"
    assert part.filename == "This is even more ***fun*** isn't it!"


@pytest.mark.parametrize(
    ("disposition", "name"),
    [
        (b"attachment; filename=plain.pdf", "plain.pdf"),
        (b"attachment; filename*=utf-8''%E6%8A%A5%E5%91%8A.pdf", "报告.pdf"),
        (b"attachment; filename=fallback.pdf; filename*=gb18030''%B1%A8%B8%E6.pdf", "报告.pdf"),
        (b'attachment; filename="=?gb18030?B?sai45g==?=.pdf"', "报告.pdf"),
        (b'attachment; filename="=?utf-8?B?5oql5ZGK?=.pdf"', "报告.pdf"),
        ('attachment; filename="报告.pdf"'.encode(), "报告.pdf"),
        ('attachment; filename="会议报告.pdf"'.encode("gb18030"), "会议报告.pdf"),
        (b"attachment; filename*=nonsense''%41%00", "A\ufffd"),
    ],
)
def test_filenames_are_read_however_they_were_encoded(disposition: bytes, name: str):
    assert scan(b"Content-Disposition: " + disposition + b"\r\n\r\n").filename == name


def test_nesting_beyond_the_limit_is_left_closed():
    message = b"".join(b"Content-Type: multipart/mixed; boundary=b%dx\r\n\r\n--b%dx\r\n" % (n, n) for n in range(3000))
    root = scan(message)
    parts = list(root.walk())
    assert len(parts) == 51
    assert parts[-1].content_type == "application/octet-stream"
    assert parts[-1].body_offset + parts[-1].body_octets == len(message)


def test_messages_in_messages_beyond_the_limit_are_left_closed():
    root = scan(b"Content-Type: message/rfc822\r\n\r\n" * 3000, ScanLimits(depth=10))
    assert types_of(root) == ["message/rfc822"] * 10 + ["application/octet-stream"]


def test_after_the_last_allowed_part_no_more_are_looked_for():
    message = b"Content-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * 100
    root = scan(message, ScanLimits(parts=10))
    assert len(list(root.walk())) == 10


def test_header_octets_and_parameters_beyond_their_limits_are_not_read():
    header = b"Content-Type: text/html; " + b"; ".join(b"p%d=1" % n for n in range(50)) + b"\r\n"
    assert len(scan(header + b"\r\n", ScanLimits(parameters=7)).parameters) == 7
    late = b"X: " + b"x" * 1000 + b"\r\n" + header + b"\r\nbody"
    root = scan(late, ScanLimits(header_octets=500))
    assert root.content_type == "text/plain"
    assert body_of(late, root) == b"body"


HOSTILE = {
    "same boundary nested": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" * 20_000,
    "folded lines": b"Subject: a\r\n" + b" b\r\n" * 100_000 + b"\r\n",
    "many To fields": b"To: a@example.com\r\n" * 15_000 + b"\r\n",
    "multiparts that never begin": b"Content-Type: multipart/mixed; boundary=b\r\n\r\n"
    + b"--b\r\nContent-Type: multipart/mixed; boundary=z\r\n\r\nx\r\n" * 20_000,
    "like boundaries": b"".join(
        b"Content-Type: multipart/mixed; boundary=%s\r\n\r\n--%s\r\n" % (b"b" * n, b"b" * n) for n in range(1, 50)
    )
    + (b"\r\n--" + b"b" * 49) * 10_000,
    "bare line feeds": b"A: b\n\n" + b"x\n" * 1_000_000,
    "dashes": b"Content-Type: multipart/mixed; boundary=---\r\n\r\n" + b"-" * 2_000_000,
    "open quotes": b'Content-Type: text/plain; a="' + b'\\";a="' * 40_000,
    "open comments": b"Content-Type: text/plain" + b"(\\(" * 80_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_messages_take_time_in_proportion_to_their_size(name: str):
    message = HOSTILE[name]
    began = time.process_time()
    scan(message)
    # Linear ones take under 0.2 s; anything quadratic in these sizes takes minutes.
    assert time.process_time() - began < 5
