"""Command lines become typed commands or named refusals."""

import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.smtp.errors import CommandSyntaxError, CommandUnknown, PathInvalid, SmtpRefusal
from mailserver.smtp.session import HANDLERS
from mailserver.smtp.wire.commands import Auth, Command, Ehlo, Helo, Mail, Noop, Rcpt
from mailserver.smtp.wire.parse import parse
from storage.outgoing_types import Notify, ReturnContent


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"EHLO mail.example.com", Ehlo("mail.example.com")),
        (b"ehlo [IPv6:2001:db8::1]", Ehlo("[IPv6:2001:db8::1]")),
        (b"HELO my_pc ", Helo("my_pc")),
        (b"MAIL FROM:<>", Mail("", None)),
        (b"MAIL FROM:<Ann.Lee@Example.COM> SIZE=12 BODY=8bitmime", Mail("Ann.Lee@Example.COM", 12)),
        (b"MAIL FROM:<a@b.test> AUTH=<>", Mail("a@b.test", None)),
        (b"MAIL FROM:<a@b.test> AUTH=a+40b.test", Mail("a@b.test", None)),
        (b"MAIL FROM:<@one.test,@two.test:a@b.test>", Mail("a@b.test", None)),
        (b'MAIL FROM:<"john doe"@b.test>', Mail('"john doe"@b.test', None)),
        (b'MAIL FROM:<"j\\o.hn"@b.test>', Mail("jo.hn@b.test", None)),
        (b'MAIL FROM:<"a>b\\"c"@b.test> SIZE=1', Mail('"a>b\\"c"@b.test', 1)),
        (b"RCPT TO:<ann@[192.0.2.1]>", Rcpt("ann@[192.0.2.1]")),
        (b"RCPT TO:<POSTMASTER>", Rcpt("postmaster")),
        (b"rcpt to: <ann@bounce_host.test>", Rcpt("ann@bounce_host.test")),
        (b"EHLO two words", Ehlo("two words")),
        (b"MAIL FROM:<a@b.test> ret=full ENVID=a+2Bb", Mail("a@b.test", None, "a+b", ReturnContent.FULL)),
        ("MAIL FROM:<安@bücher.test> SMTPUTF8".encode(), Mail("安@xn--bcher-kva.test", is_utf8=True, holds_utf8=True)),
        (b"MAIL FROM:<a@b.test> holdfor=86400", Mail("a@b.test", hold=timedelta(days=1), future_release="for;86400")),
        (
            b"MAIL FROM:<a@b.test> HOLDFOR=999999999",
            Mail("a@b.test", hold=timedelta(seconds=999_999_999), future_release="for;999999999"),
        ),
        (
            b"MAIL FROM:<a@b.test> HOLDUNTIL=2026-12-24t10:00:00.5z",
            Mail(
                "a@b.test",
                hold=datetime(2026, 12, 24, 10, 0, 0, 500_000, UTC),
                future_release="until;2026-12-24T10:00:00.5Z",
            ),
        ),
        (b"RCPT TO:<a@b.test> NOTIFY=success,Delay", Rcpt("a@b.test", Notify.SUCCESS | Notify.DELAY)),
        (b"RCPT TO:<a@b.test> ORCPT=rfc822;A+3Db@b.test", Rcpt("a@b.test", None, "rfc822;A=b@b.test")),
        (b"AUTH plain AGEAYg==", Auth("PLAIN", b"AGEAYg==")),
        (b"AUTH LOGIN", Auth("LOGIN", None)),
        (b"NOOP", Noop()),
    ],
)
def test_commands_are_understood(line: bytes, command: Command) -> None:
    assert parse(line) == command


@pytest.mark.parametrize(
    ("line", "refusal"),
    [
        (b"", CommandUnknown),
        (b"MAIL", CommandSyntaxError),
        (b"MAILFROM:<a@b.test>", CommandUnknown),
        (b"MAIL FROM:<a@b.test", PathInvalid),
        (b"MAIL FROM:<a@b.test>>", CommandSyntaxError),
        (b"MAIL FROM:<a..b@b.test>", PathInvalid),
        (b"MAIL FROM:<a@-b.test>", PathInvalid),
        (b"MAIL FROM:<a@b.test.>", PathInvalid),
        (b"MAIL FROM:<a@@b.test>", PathInvalid),
        (b"MAIL FROM:<%s@b.test>" % (b"x" * 65), PathInvalid),
        (b"MAIL FROM:<x@%s.test>" % (b"x" * 251), PathInvalid),
        (b"MAIL FROM:<\xe4@b.test>", PathInvalid),
        (b"MAIL FROM:<a@\xe2\x80\xae.test>", PathInvalid),
        (b"MAIL FROM:<a@b.test> ENVID=%s" % (b"x" * 101), CommandSyntaxError),
        (b"RCPT TO:<a@b.test> ORCPT=rfc822;%s" % (b"x" * 494), CommandSyntaxError),
        (b"RCPT TO:<a@b.test> NOTIFY=SUCCESS,", CommandSyntaxError),
        (b"RCPT TO:<a@b.test> NOTIFY=never,delay", CommandSyntaxError),
        (b"RCPT TO:<ann>", PathInvalid),
        (b"RCPT TO:<a\tb@c.test>", PathInvalid),
        (b"MAIL FROM:<a@b.test> SIZE=123456789012345678901", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDFOR", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDFOR=-1", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDFOR=1234567890", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDUNTIL=", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDUNTIL=2026-12-24", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDUNTIL=2026-12-24T18:00:00", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDUNTIL=2026-02-30T18:00:00Z", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDUNTIL=2026-12-24T18:00:00+08:00", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDFOR=0", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDFOR=1 HOLDUNTIL=2026-12-24T18:00:00Z", CommandSyntaxError),
        (b"MAIL FROM:<a@b.test> HOLDFOR=1 HOLDFOR=1", CommandSyntaxError),
        (b"QUIT now", CommandSyntaxError),
    ],
)
def test_what_is_not_well_formed_is_refused(line: bytes, refusal: type[SmtpRefusal]) -> None:
    with pytest.raises(refusal):
        parse(line)


@given(st.sampled_from([b"", b"MAIL FROM:<", b"RCPT TO:", b"AUTH ", b'MAIL FROM:<"']), st.binary(max_size=80))
def test_no_line_gets_anything_but_a_command_or_a_refusal(start: bytes, rest: bytes) -> None:
    with contextlib.suppress(SmtpRefusal):
        assert type(parse(start + rest)) in HANDLERS


def test_a_hostile_path_costs_no_more_than_its_length() -> None:
    for hostile in (b"<" + b"@a," * 600 + b">", b'<"' + b"\\" * 1_900 + b">", b"<" + b"a." * 900 + b"@b>"):
        with pytest.raises(SmtpRefusal):
            parse(b"MAIL FROM:" + hostile)
