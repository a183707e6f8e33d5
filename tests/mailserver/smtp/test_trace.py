"""Received and Return-Path say where a message came from, in the form of RFC 5321 §4.4."""

from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

import pytest

from mailserver.mime.dates import format_date
from mailserver.smtp.trace import Hop, TlsFacts, protocol, received_field, return_path_field

AT = datetime(2026, 1, 4, 9, 5, 7, tzinfo=UTC)


def test_a_received_field_names_client_server_protocol_cipher_id_recipient_and_time() -> None:
    hop = Hop("client.test", "2001:db8::1", "mail.demo.test", "ESMTPS", TlsFacts("TLSv1.3", "TLS_AES_256_GCM_SHA384"))
    assert received_field(hop, message_id="abc", only_recipient="ann@demo.test", received_at=AT) == (
        b"Received: from client.test ([IPv6:2001:db8::1])\r\n"
        b"\tby mail.demo.test with ESMTPS (TLSv1.3)\r\n"
        b"\tid abc for <ann@demo.test>\r\n"
        b"\ttls TLS_AES_256_GCM_SHA384;\r\n"
        b"\tSun, 4 Jan 2026 09:05:07 +0000\r\n"
    )


@pytest.mark.parametrize(
    ("client", "address", "origin"),
    [
        ("client.test", "192.0.2.1", b"from client.test ([192.0.2.1])"),
        ("[192.0.2.9]", "192.0.2.1", b"from [192.0.2.9] ([192.0.2.1])"),
        ("[IPv6:::1]", "192.0.2.1", b"from [IPv6:::1] ([192.0.2.1])"),
        ("my|pc", "192.0.2.1", b"from [192.0.2.1] (helo=my|pc)"),
        ("[not-an-ip]", "192.0.2.1", b"from [192.0.2.1] (helo=[not-an-ip])"),
        ("mta.test", "", b"from mta.test (local)"),
        ("m|ta", "", b"from localhost (local)"),
    ],
)
def test_a_client_is_named_as_it_said_and_by_its_address(client: str, address: str, origin: bytes) -> None:
    hop = Hop(client, address, "mail.demo.test", "SMTP", None)
    assert received_field(hop, message_id="x", only_recipient=None, received_at=AT).splitlines()[0] == (
        b"Received: " + origin
    )


def test_protocol_names_are_those_of_rfc_3848_and_rfc_6531() -> None:
    def name(*, lmtp: bool, extended: bool, encrypted: bool, signed_in: bool, utf8: bool = False) -> str:
        return protocol(
            is_lmtp=lmtp, is_extended=extended, is_encrypted=encrypted, is_signed_in=signed_in, is_utf8=utf8
        )

    assert name(lmtp=False, extended=False, encrypted=False, signed_in=False) == "SMTP"
    assert name(lmtp=False, extended=True, encrypted=False, signed_in=False) == "ESMTP"
    assert name(lmtp=False, extended=True, encrypted=True, signed_in=True) == "ESMTPSA"
    assert name(lmtp=True, extended=True, encrypted=False, signed_in=False) == "LMTP"
    assert name(lmtp=False, extended=True, encrypted=True, signed_in=True, utf8=True) == "UTF8SMTPSA"
    assert name(lmtp=True, extended=True, encrypted=False, signed_in=False, utf8=True) == "UTF8LMTP"


def test_the_null_path_is_kept() -> None:
    assert return_path_field("") == b"Return-Path: <>\r\n"


def test_dates_are_read_back_by_the_standard_library() -> None:
    for month in range(1, 13):
        at = datetime(2026, month, 28, 23, 59, 1, tzinfo=timezone(timedelta(hours=8)))
        assert parsedate_to_datetime(format_date(at)) == at
