"""SASL responses, from base64 to values."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.sasl import (
    AuthorizationIdentityRefused,
    Credentials,
    SaslCancelled,
    SaslError,
    SaslMalformed,
    decode_response,
    login,
    plain,
    prepare,
)


@pytest.mark.parametrize(
    ("response", "username", "password"),
    [
        (b"\0tim\0tanstaaftanstaaf", "tim", "tanstaaftanstaaf"),  # RFC 4616 §4
        (b"tim\0tim\0secret", "tim", "secret"),
        (b"\0ann@demo.test\0 with spaces ", "ann@demo.test", " with spaces "),
        ("\0李雷@公司.test\0密码很长".encode(), "李雷@公司.test", "密码很长"),
        ("\0ann\u00a0lee\0pass".encode(), "ann lee", "pass"),
        ("\0ｔｉｍ\0pass".encode(), "tim", "pass"),
        ("ｔｉｍ\0tim\0pass".encode(), "tim", "pass"),
        (b"\0" + b"a" * 255 + b"\0" + b"p" * 255, "a" * 255, "p" * 255),
    ],
)
def test_plain_gives_name_and_password(response: bytes, username: str, password: str) -> None:
    assert plain(response) == Credentials(username, password)


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"tim",
        b"tim\0pass",
        b"\0tim\0pass\0",
        b"\0tim\0pa\0ss",
        b"\0\0pass",
        b"\0tim\0",
        b"\0tim\0\xff",
        b"\0tim\0\xed\xa0\x80",
        b"\0tim\0\xc0\x80",
        b"\0tim\r\n\0pass",
        b"\0tim\0pa\x07ss",
        b"\0\xc2\xad\0pass",  # a soft hyphen alone is mapped to nothing
        b"\0tim\0" + b"p" * 1025,
    ],
)
def test_what_is_not_of_the_form_of_plain_is_refused(response: bytes) -> None:
    with pytest.raises(SaslMalformed):
        plain(response)


@pytest.mark.parametrize("response", [b"boss\0tim\0pass", b"tim \0tim\0pass", b"Tim\0tim\0pass"])
def test_acting_as_somebody_else_is_refused(response: bytes) -> None:
    with pytest.raises(AuthorizationIdentityRefused):
        plain(response)


@pytest.mark.parametrize(
    ("line", "octets"),
    [
        (b"AHRpbQB0YW5zdGFhZnRhbnN0YWFm", b"\0tim\0tanstaaftanstaaf"),
        (b"=", b""),
        (b"", b""),
    ],
)
def test_a_response_is_decoded(line: bytes, octets: bytes) -> None:
    assert decode_response(line) == octets


@pytest.mark.parametrize(
    "line", [b"AHRpbQB0Y", b"AHRp bQ==", b"AHRpbQ==\r\n", b"\xff\xfe", b"AA=A", b"==", b"A" * 12_292]
)
def test_a_response_that_is_not_base64_is_refused(line: bytes) -> None:
    with pytest.raises(SaslMalformed):
        decode_response(line)


def test_a_star_cancels_the_exchange() -> None:
    with pytest.raises(SaslCancelled):
        decode_response(b"*")


def test_login_takes_name_and_password_in_turn() -> None:
    assert login(b"ann@demo.test", b"correct horse") == Credentials("ann@demo.test", "correct horse")


@pytest.mark.parametrize(("username", "password"), [(b"", b"x"), (b"x", b""), (b"a\0b", b"x"), (b"x", b"a\0b")])
def test_login_refuses_empty_values_and_nul(username: bytes, password: bytes) -> None:
    with pytest.raises(SaslMalformed):
        login(username, password)


@pytest.mark.parametrize(  # RFC 4013 §3
    ("text", "prepared"),
    [("I\u00adX", "IX"), ("user", "user"), ("USER", "USER"), ("\u00aa", "a"), ("\u2168", "IX"), ("e\u0301", "é")],
)
def test_text_is_prepared_as_the_rfc_shows(text: str, prepared: str) -> None:
    assert prepare(text) == prepared


@pytest.mark.parametrize("text", ["\u0007", "a\u202eb", "\ue000", "\ufffd", "\u2ff0"])
def test_prohibited_characters_are_refused(text: str) -> None:
    with pytest.raises(SaslMalformed):
        prepare(text)


def test_a_password_does_not_show_in_a_repr() -> None:
    assert "hunter2" not in repr(Credentials("ann", "hunter2"))


@given(st.binary(max_size=200))
def test_any_octets_give_credentials_or_a_named_refusal(octets: bytes) -> None:
    for read in (lambda: plain(octets), lambda: login(octets, octets), lambda: decode_response(octets)):
        try:
            read()
        except SaslError:
            continue


@given(st.text(min_size=1, max_size=50), st.text(min_size=1, max_size=50))
def test_plain_hands_the_password_on_as_it_was_sent(username: str, password: str) -> None:
    try:
        prepare(username)
        prepare(password)
        response = f"\0{username}\0{password}".encode()
    except (SaslMalformed, UnicodeEncodeError):
        return
    if prepare(username) and prepare(password):
        assert plain(response) == Credentials(prepare(username), password)


@given(st.text(max_size=50))
def test_preparing_twice_changes_nothing(text: str) -> None:
    try:
        once = prepare(text)
    except SaslMalformed:
        return
    assert prepare(once) == once
