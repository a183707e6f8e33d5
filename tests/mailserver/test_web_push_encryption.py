"""Web Push messages and who sends them, as the RFCs write them down."""

import json

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st

from mailserver.web_push_encryption import (
    LONGEST_MESSAGE_OCTETS,
    PushKeys,
    PushKeysInvalid,
    application_server_key,
    authorization,
    decrypt,
    encrypt,
    from_base64,
    parse_push_keys,
    public_octets,
    to_base64,
)

# RFC 8291 Appendix A
WATERMELON = b"When I grow up, I want to be a watermelon"
SENDER = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
USER_AGENT = "q1dXpw3UpT5VOmu_cf_v6ih07Aems3njxI-JWgLcM94"
P256DH = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
AUTH = "BTBZMqHH6r4Tts7J_aSIgg"
SALT = "DGv6ra1nlYgDCS1FRnbzlw"
BODY = (
    "DGv6ra1nlYgDCS1FRnbzlwAAEABBBP4z9KsN6nGRTbVYI_c7VJSPQTBtkgcy27mlmlMoZIIgDll6e3vCYLocInmYWAmS6TlzAC8wEqKK6PBru3jl7A_"
    "yl95bQpu6cVPTpK4Mqgkf1CXztLVBSt2Ks3oZwbuwXPXLWyouBWLVWGNWQexSgSxsj_Qulcy4a-fN"
)


def private_key(scalar: str) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(from_base64(scalar), "big"), ec.SECP256R1())


def test_the_example_of_rfc_8291_is_reproduced_to_the_octet() -> None:
    keys = parse_push_keys(P256DH, AUTH)
    assert to_base64(encrypt(WATERMELON, keys, salt=from_base64(SALT), private_key=private_key(SENDER))) == BODY


def test_the_user_agent_opens_the_example_of_rfc_8291() -> None:
    assert decrypt(from_base64(BODY), parse_push_keys(P256DH, AUTH), private_key(USER_AGENT)) == WATERMELON


@given(message=st.binary(max_size=LONGEST_MESSAGE_OCTETS))
def test_whatever_is_sealed_is_opened_again(message: bytes) -> None:
    keys = parse_push_keys(P256DH, AUTH)
    body = encrypt(message, keys, salt=b"s" * 16, private_key=private_key(SENDER))
    assert len(body) == 86 + len(message) + 17
    assert decrypt(body, keys, private_key(USER_AGENT)) == message


def test_what_was_changed_on_the_way_is_not_opened() -> None:
    body = bytearray(from_base64(BODY))
    body[-1] ^= 1
    with pytest.raises(ValueError, match="not sealed for these keys"):
        decrypt(bytes(body), parse_push_keys(P256DH, AUTH), private_key(USER_AGENT))


def test_a_message_that_fits_no_record_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        encrypt(
            b"x" * (LONGEST_MESSAGE_OCTETS + 1),
            parse_push_keys(P256DH, AUTH),
            salt=b"s" * 16,
            private_key=private_key(SENDER),
        )


@pytest.mark.parametrize(
    ("p256dh", "auth"),
    [
        (P256DH, "c2hvcnQ"),
        (P256DH[:-4], AUTH),
        ("B" + "A" * 86, AUTH),  # no point of the curve
        (P256DH.replace("_", "/"), AUTH),
        ("ключ", AUTH),
        ("", ""),
    ],
)
def test_keys_that_are_none_are_refused(p256dh: str, auth: str) -> None:
    with pytest.raises(PushKeysInvalid):
        parse_push_keys(p256dh, auth)


def test_keys_may_come_with_padding() -> None:
    assert parse_push_keys(P256DH + "=", AUTH + "==") == PushKeys(from_base64(P256DH), from_base64(AUTH))


def test_a_push_service_can_verify_who_sends() -> None:
    key = application_server_key(b"\x07" * 48)
    scheme, _, parameters = authorization(
        key, audience="https://push.example.net", subject="mailto:postmaster@example.com", expires_at=1_453_523_768
    ).partition(" ")
    token, public = (each.split("=", 1)[1] for each in parameters.split(", "))
    header, claims, signature = token.split(".")
    assert (scheme, json.loads(from_base64(header))) == ("vapid", {"typ": "JWT", "alg": "ES256"})
    assert json.loads(from_base64(claims)) == {
        "aud": "https://push.example.net",
        "exp": 1_453_523_768,
        "sub": "mailto:postmaster@example.com",
    }
    assert from_base64(public) == public_octets(key)
    pair = from_base64(signature)
    key.public_key().verify(
        encode_dss_signature(int.from_bytes(pair[:32], "big"), int.from_bytes(pair[32:], "big")),
        f"{header}.{claims}".encode(),
        ec.ECDSA(SHA256()),
    )


def test_the_same_secret_is_the_same_key_and_another_is_another() -> None:
    assert public_octets(application_server_key(b"a" * 48)) == public_octets(application_server_key(b"a" * 48))
    assert public_octets(application_server_key(b"a" * 48)) != public_octets(application_server_key(b"b" * 48))
