"""The server's side of SCRAM-SHA-256, octet by octet."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailserver.sasl import AuthorizationIdentityRefused, SaslError, SaslMalformed
from mailserver.scram import find_proven, offer, parse_client_first
from tenants.scram_keys import derive_keys
from tenants.types import Salting, ScramKeys

# RFC 7677 §3
CLIENT_FIRST = b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
SERVER_NONCE = "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"
SALTING = Salting(base64.b64decode("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096)
SERVER_FIRST = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
CLIENT_FINAL = (
    b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
)
SERVER_FINAL = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


def keys_of(password: str, salting: Salting = SALTING) -> ScramKeys:
    keys = derive_keys(password, salting)
    assert keys is not None
    return keys


def proof(password: str, first: bytes, server_first: str, final: str) -> bytes:
    """What a client of its own would send."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), SALTING.salt, SALTING.iterations)
    client_key = hmac.digest(salted, b"Client Key", "sha256")
    message = ",".join([first.split(b",", 2)[2].decode(), server_first, final]).encode()
    signature = hmac.digest(hashlib.sha256(client_key).digest(), message, "sha256")
    return f"{final},p=".encode() + base64.b64encode(bytes(a ^ b for a, b in zip(client_key, signature, strict=True)))


def test_the_exchange_of_the_rfc() -> None:
    first = parse_client_first(CLIENT_FIRST)
    offered = offer(first, SERVER_NONCE, SALTING)
    assert offered.message == SERVER_FIRST
    assert find_proven(offered, CLIENT_FINAL, [keys_of("pencil")]) == (keys_of("pencil"), SERVER_FINAL)


def test_the_proof_tells_which_of_several_passwords_it_was() -> None:
    offered = offer(parse_client_first(CLIENT_FIRST), SERVER_NONCE, SALTING)
    candidates = [keys_of(each) for each in ("paper", "pencil", "eraser")]
    found = find_proven(offered, CLIENT_FINAL, candidates)
    assert found is not None
    assert found[0] == candidates[1]
    assert find_proven(offered, CLIENT_FINAL, [candidates[0], candidates[2]]) is None
    assert find_proven(offered, CLIENT_FINAL, []) is None


def test_a_client_that_could_bind_channels_is_served_without() -> None:
    first = b"y,,n=user,r=abc"
    offered = offer(parse_client_first(first), "xyz", SALTING)
    final = f"c={base64.b64encode(b'y,,').decode()},r=abcxyz"
    assert find_proven(offered, proof("pencil", first, offered.message, final), [keys_of("pencil")])
    stripped = proof("pencil", first, offered.message, "c=biws,r=abcxyz")
    with pytest.raises(SaslMalformed):
        find_proven(offered, stripped, [keys_of("pencil")])


def test_names_are_unescaped_and_prepared() -> None:
    assert parse_client_first("n,,n=a=2Cb=3Dc\u00ad,r=x".encode()).username == "a,b=c"
    assert parse_client_first(b"n,a=ann@x,n=ann@x,r=x").username == "ann@x"


def test_nobody_acts_as_somebody_else() -> None:
    with pytest.raises(AuthorizationIdentityRefused):
        parse_client_first(b"n,a=chief@x,n=ann@x,r=x")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"n",
        b"n,,",
        b"n,,n=,r=x",
        b"n,,n=x",
        b"n,,r=x,n=x",
        b"p=tls-unique,,n=x,r=y",
        b"z,,n=x,r=y",
        b"n,b=x,n=x,r=y",
        b"n,,n=a=b,r=y",
        b"n,,n=\xff,r=y",
        b"n,,m=ext,n=x,r=y",
        b"n,,n=x,r=",
        b"n,,n=x\0,r=y",
        b"n,,n=x,r=" + b"y" * 600,
    ],
)
def test_what_is_no_first_message_is_refused(octets: bytes) -> None:
    with pytest.raises(SaslMalformed):
        parse_client_first(octets)


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"c=biws,p=AA==",
        CLIENT_FINAL.replace(b"r=rO", b"r=rX"),
        CLIENT_FINAL[:-4],
        CLIENT_FINAL.replace(b"biws", b"eSws"),
    ],
)
def test_what_is_no_final_message_of_this_exchange_is_refused(octets: bytes) -> None:
    offered = offer(parse_client_first(CLIENT_FIRST), SERVER_NONCE, SALTING)
    with pytest.raises(SaslMalformed):
        find_proven(offered, octets, [keys_of("pencil")])


@given(st.binary(max_size=200), st.binary(max_size=200))
def test_any_octets_give_an_answer_or_a_named_refusal(one: bytes, other: bytes) -> None:
    offered = offer(parse_client_first(CLIENT_FIRST), SERVER_NONCE, SALTING)
    for octets in (one, b"n,,n=" + one + b",r=" + other):
        try:
            parse_client_first(octets)
        except SaslError:
            continue
    try:
        assert find_proven(offered, one, [keys_of("pencil", Salting(b"salt", 1))]) is None
    except SaslError:
        return


def test_passwords_are_prepared_and_impossible_ones_have_no_keys() -> None:
    assert derive_keys("I\u00adX", SALTING) == derive_keys("IX", SALTING)
    assert derive_keys("a\u0007", SALTING) is None
    assert derive_keys("\ud800", SALTING) is None
