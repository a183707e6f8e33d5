"""Properties that hold for every sequence of octets."""

import email
import email.message
import email.mime.application
import email.mime.message
import email.mime.multipart
import email.mime.text
from email.generator import BytesGenerator
from email.policy import SMTP
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.mime.body import body
from mailserver.mime.description import describe
from mailserver.mime.part import Part
from mailserver.mime.sections import SectionKind, header_fields, section_range
from mailserver.mime.structure import ScanLimits, pack, scan, unpack
from mailserver.mime.text import part_text
from tests.mailserver.mime.imap_data import check_body, check_envelope, parse

PIECES = [
    b"Content-Type: multipart/mixed; boundary=b\r\n", b"Content-Type: multipart/digest; boundary=\"bb\"\n",
    b"--b\r\n", b"--b--\r\n", b"--bb\n", b"--bb--", b"\r\n", b"\n", b"\r", b"Content-Type: message/rfc822\r\n",
    b"Content-Type: message/global\r\n", b"Content-Type: text/html; charset=", b"gb18030", b"utf-7", b"iso-2022-jp",
    b"zip", b"Content-Transfer-Encoding: ", b"base64\r\n", b"quoted-printable\r\n", b"From: ", b"To: ", b"Subject: ",
    b"Date: ", b"Message-ID: ", b"References: ", b"=?utf-8?B?", b"=?utf-8?Q?", b"?=", b"=?x", b"<a@b>", b"\"", b"\\",
    b"(", b")", b"<", b">", b"@", b",", b";", b":", b"[", b"]", b" ", b"\t", b"name*0*=utf-8''%41", b"; name*1=\"",
    b"; filename=", b"\xe4\xbc\x9a", b"\xb1\xa8", b"\xff", b"\x00", b"\x1b$B", b"+2AE-", b"Re: ", b"[fwd:", b"(fwd)",
    b"Content-Disposition: attachment", b"Content-Language: en, ", b"AAAA", b"=E4", b"<p>", b"<style>", b"&amp;",
    b"Mon, 3 Mar 2025 09:00:00 +0800", b"group: ",
]  # fmt: skip
messages = st.one_of(
    st.binary(max_size=300),
    st.lists(st.one_of(st.sampled_from(PIECES), st.binary(max_size=6)), max_size=60).map(b"".join),
)


def check_ranges(part: Part, octets: int) -> None:
    """Every part lies within its parent and after its elder siblings."""
    assert part.header_offset == 0
    assert part.body_offset + part.body_octets == octets
    for each in part.walk():
        end = each.body_offset + each.body_octets
        assert each.header_offset + each.header_octets == each.body_offset
        position = each.body_offset
        for child in each.children:
            assert position <= child.header_offset
            position = child.body_offset + child.body_octets
            assert child.header_octets >= 0
            assert child.body_octets >= 0
        assert position <= end


@given(messages)
@settings(max_examples=600, deadline=None)
def test_any_octets_are_described_stored_and_sent(message: bytes):
    description = describe(message)
    root = description.root
    check_ranges(root, len(message))
    check_envelope(parse(description.envelope))
    check_body(parse(description.bodystructure), is_extensible=True)
    check_body(parse(body(description.bodystructure)), is_extensible=False)
    assert unpack(pack(root)) == root
    for text in (
        description.subject,
        description.base_subject,
        description.sender,
        description.recipients,
        description.preview,
    ):
        assert "\x00" not in text
        text.encode()
    for part in root.walk():
        text = part_text(message, part)
        assert "\x00" not in text
        text.encode()
        (part.filename or "").encode()


@given(messages, st.lists(st.integers(0, 3), max_size=4), st.sampled_from(SectionKind))
@settings(deadline=None)
def test_any_section_lies_within_the_message(message: bytes, path: list[int], kind: SectionKind):
    found = section_range(scan(message), tuple(path), kind)
    if found is not None:
        offset, octets = found
        assert 0 <= offset <= offset + octets <= len(message)


@given(messages)
@settings(deadline=None)
def test_small_limits_hold_for_any_octets(message: bytes):
    limits = ScanLimits(depth=2, parts=3, header_octets=40, parameters=1, boundary_octets=1)
    description = describe(message, limits)
    check_ranges(description.root, len(message))
    assert sum(part.header_octets > 0 for part in description.root.walk()) <= 3
    assert all(len(part.parameters) <= 1 for part in description.root.walk())
    check_body(parse(description.bodystructure), is_extensible=True)


@given(messages, st.sets(st.sampled_from([b"from", b"TO", b"Subject", b"content-type"])))
@settings(deadline=None)
def test_choosing_fields_twice_changes_nothing(message: bytes, names: set[bytes]):
    root = scan(message)
    header = message[: root.header_octets]
    chosen = header_fields(header, names, exclude=False)
    others = header_fields(header, names, exclude=True)
    assert len(chosen) + len(others) <= len(header) + 2  # the empty line stands in both
    assert header_fields(chosen, names, exclude=False) == chosen
    assert header_fields(others, names, exclude=True) == others


@given(st.binary(max_size=60))
def test_damaged_indexes_are_refused_with_value_error(packed: bytes):
    try:
        unpack(packed)
    except ValueError:
        return
    assert packed[:1] == b"\x01"


def test_a_cut_index_is_refused():
    packed = pack(scan(b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\nx\r\n--b--\r\n"))
    for end in range(len(packed)):
        with pytest.raises(ValueError, match="index"):
            unpack(packed[:end])


texts = st.builds(lambda text: email.mime.text.MIMEText(text, "plain", "utf-8"), st.text(max_size=30))
applications = st.builds(email.mime.application.MIMEApplication, st.binary(max_size=80))


def _multipart(subtype: str, parts: list[email.message.Message]) -> email.message.Message:
    return email.mime.multipart.MIMEMultipart(subtype, None, parts)


well_formed = st.recursive(
    st.one_of(texts, applications),
    lambda inner: st.one_of(
        st.builds(
            _multipart, st.sampled_from(["mixed", "alternative", "related"]), st.lists(inner, min_size=1, max_size=4)
        ),
        st.builds(email.mime.message.MIMEMessage, inner),
    ),
    max_leaves=10,
)


@given(well_formed)
@settings(deadline=None)
def test_well_formed_messages_have_the_parts_that_the_standard_library_finds(message: email.message.Message):
    out = BytesIO()
    BytesGenerator(out, policy=SMTP).flatten(message)
    octets = out.getvalue()
    theirs = email.message_from_bytes(octets)
    ours = scan(octets)
    assert [part.content_type for part in ours.walk()] == [part.get_content_type() for part in theirs.walk()]
    for mine, their in zip(ours.walk(), theirs.walk(), strict=True):
        if not mine.children:
            payload = their.get_payload(decode=True)
            assert isinstance(payload, bytes)
            text = part_text(octets, mine) if mine.type == "text" else None
            assert text is None or text.replace("\r\n", "\n") == payload.decode().replace("\x00", "\ufffd").replace(
                "\r\n", "\n"
            )
