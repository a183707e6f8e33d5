"""Nothing in an address, an ENVID or an ORCPT gets out of its place in a command."""

import re

from hypothesis import given
from hypothesis import strategies as st

from mailserver.outbound.wire.commands import is_writable, mail_from, rcpt_to, xtext
from mailserver.outbound.wire.extensions import Extensions
from mailserver.smtp.wire.paths import split_path
from storage.outgoing_types import Notify, ReturnContent
from tests.mailserver.outbound.sending import Mail, To

ALL = Extensions(pipelining=True, eight_bit_mime=True, smtputf8=True, dsn=True, size=True)
NASTY = st.text(st.sampled_from('ab@<>" \r\n\0+=\\;\x7f鲍é.\t'), min_size=1, max_size=20)


@given(NASTY)
def test_an_address_that_passes_stays_one_address_in_one_line(text: str) -> None:
    if not is_writable(text):
        return
    line = rcpt_to(To(text), ALL)
    assert line.count(b"\r") == line.count(b"\n") == 1
    path, rest = split_path(line[len(b"RCPT TO:") : -2])
    assert (path, rest) == (f"<{text}>".encode(), b"")


@given(st.one_of(st.text(max_size=30), NASTY))
def test_envid_and_orcpt_hold_no_space_and_no_line_end(text: str) -> None:
    letter = Mail(envelope_id=text, return_content=ReturnContent.FULL)
    assert re.fullmatch(rb"MAIL FROM:<[^>]*>( [A-Z0-9]+(=[!-<>-~]+)?)*\r\n", mail_from(letter, ALL, needs_utf8=True))
    line = rcpt_to(To("bob@test", f"rfc822;{text}", Notify.DELAY), ALL)
    assert re.fullmatch(rb"RCPT TO:<bob@test> NOTIFY=DELAY ORCPT=(rfc822|utf-8);[!-<>-~]*\r\n", line)


@given(st.text(max_size=40))
def test_xtext_can_be_read_back(text: str) -> None:
    octets = re.sub(rb"\+([0-9A-F]{2})", lambda found: bytes.fromhex(found[1].decode()), xtext(text).encode("ascii"))
    assert octets.decode() == text


def test_ordinary_and_odd_addresses() -> None:
    for good in ("bob@peer.test", '"a b"@peer.test', '"a\\"b>"@peer.test', "鲍勃@例子.test", "a+b=c@[192.0.2.1]"):
        assert is_writable(good), good
    for bad in ("", "bob", "@x", "a@", "a b@c", 'a"b@c', '"a"b@c', '"a\\"@c', "a@b c", "<a@b>", "a@b\r\nRSET"):
        assert not is_writable(bad), bad
