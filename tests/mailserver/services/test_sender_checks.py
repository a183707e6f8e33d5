"""Nobody sends mail that looks as if somebody else wrote it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.services.errors import OriginatorInvalid, SenderNotOwned
from mailserver.services.sender_checks import check_originators, check_reverse_path, parse_mailboxes

MINE = frozenset({"ann@demo.test", "annie@demo.test", "john doe@demo.test"})


@pytest.mark.parametrize(
    "header",
    [
        b"From: ann@demo.test\r\n",
        b"From: Ann Lee <Ann@Demo.TEST>\r\n",
        b'From: "Lee, Ann" <ann@demo.test>\r\n',
        b"From: Ann B. Lee\r\n <ann@demo.test>\r\n",
        b"From: =?utf-8?b?5a6J?= <ann+news@demo.test>\r\n",
        b"From: \xe5\xae\x89 <ann@demo.test>\r\n",
        b"From: \xe4\xbd\xa0\xe5\x85\xa8 <ann@demo.test>\r\n",
        b"From: ann@demo.test (Ann (the first) \\) Lee)\r\n",
        b"From: <ann@demo.test>, annie@demo.test\r\nSender: ann@demo.test\r\n",
        b"From: Us: ann@demo.test, Annie <annie@demo.test>;\r\n",
        b'From: "john doe"@demo.test\r\n',
        b"FROM : ann . x @demo.test\r\n".replace(b" . x ", b""),
        b"Subject: x\r\nFrom: ann@demo.test\r\nReply-To: boss@demo.test\r\n",
    ],
)
def test_own_addresses_may_be_written_in_every_legal_way(header: bytes) -> None:
    check_originators(header, MINE)


@pytest.mark.parametrize(
    "header",
    [
        b"From: boss@demo.test\r\n",
        b"From: ann@demo.test, boss@demo.test\r\n",
        b'From: "ann@demo.test" <boss@demo.test>\r\n',
        b"From: (ann@demo.test) boss@demo.test\r\n",
        b"From: Us: ann@demo.test, boss@demo.test;\r\n",
        b"From: ann@demo.test\r\nSender: boss@demo.test\r\n",
        b"From: ann@demo.test\r\nResent-From: boss@demo.test\r\n",
        b"From: ann@demo.test.evil.test\r\n",
        b'From: "ann@demo.test"@evil.test\r\n',
        b"From:\r\n boss@demo.test\r\n",
    ],
)
def test_another_address_is_refused_wherever_it_hides(header: bytes) -> None:
    with pytest.raises(SenderNotOwned):
        check_originators(header, MINE)


@pytest.mark.parametrize(
    "header",
    [
        b"Subject: nobody\r\n",
        b"",
        b"From: ann@demo.test\r\nFrom: ann@demo.test\r\n",
        b"From: ann@demo.test\r\nfrom\t: boss@demo.test\r\n",
        b"From: ann@demo.test\r\nSender: ann@demo.test, annie@demo.test\r\n",
        b"From: ann@demo.test\r\nSender: ann@demo.test\r\nSender: ann@demo.test\r\n",
        b"From: \r\n",
        b"From: undisclosed:;\r\n",
        b"From: <ann@demo.test> boss@demo.test\r\n",
        b"From: boss@demo.test <ann@demo.test>\r\n",
        b"From: <ann@demo.test> <boss@demo.test>\r\n",
        b"From: <boss@demo.test>ann@demo.test\r\n",
        b"From: <@evil.test:ann@demo.test>\r\n",
        b"From: ann@demo.test\0, boss@demo.test\r\n",
        b'From: "unclosed <ann@demo.test>\r\n',
        b"From: ann@demo.test (unclosed\r\n",
        b"From: Us: Them: ann@demo.test;;\r\n",
        b"From: Us: ann@demo.test\r\n",
        b"From: ann lee@demo.test\r\n",
        b"From: ann@demo.test;\r\n",
        b" From: boss@demo.test\r\nFrom: ann@demo.test\r\n",
    ],
)
def test_what_other_programs_may_read_otherwise_is_refused(header: bytes) -> None:
    with pytest.raises(OriginatorInvalid):
        check_originators(header, MINE)


def test_the_null_path_is_anybodys() -> None:
    check_reverse_path("", MINE)
    check_reverse_path("Ann+x@demo.test", MINE)
    with pytest.raises(SenderNotOwned):
        check_reverse_path("boss@demo.test", MINE)


@given(st.binary(max_size=60))
def test_any_field_is_read_or_refused(body: bytes) -> None:
    try:
        mailboxes = parse_mailboxes(body, field="From")
    except OriginatorInvalid:
        return
    assert mailboxes
    assert all("@" in mailbox for mailbox in mailboxes)


@given(st.text('ab.<>@,;:()"\\ ', max_size=40))
def test_no_arrangement_of_specials_smuggles_an_address(decoration: str) -> None:
    """Whatever stands around it, another's address in angle brackets never passes."""
    header = f"From: {decoration}<boss@demo.test>\r\n".encode()
    if decoration.count('"') or "(" in decoration:
        return  # within quotes or a comment it is text
    with pytest.raises((OriginatorInvalid, SenderNotOwned)):
        check_originators(header, MINE)
