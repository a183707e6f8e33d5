"""From the greeting to MAIL without a socket: whatever the host answers, credentials are said under TLS alone."""

from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.outbound.sites import Credentials, Security
from mailserver.outbound.wire.opening import Welcome, opening
from mailserver.outbound.wire.reply_reader import RawReply
from mailserver.outbound.wire.steps import Hear, Say, StartTls, Step, Unwelcome

OFFERS = st.lists(st.sampled_from([b"STARTTLS", b"AUTH PLAIN", b"AUTH LOGIN", b"PIPELINING", b"DSN"]), max_size=4)
REPLIES = st.lists(
    st.builds(
        lambda code, offers: RawReply(code, (b"mx.test", *offers)),
        st.sampled_from([220, 250, 250, 235, 334, 354, 421, 450, 454, 500, 502, 535, 554, 521]),
        OFFERS,
    ),
    min_size=12,
    max_size=12,
)


@settings(max_examples=500)
@given(REPLIES, st.sampled_from([Security.REQUIRED, Security.OPPORTUNISTIC, Security.NONE]), st.booleans())
def test_an_opening_ends_and_keeps_what_is_secret(replies: list[RawReply], security: Security, signs_in: bool) -> None:
    credentials = Credentials("us", "secret") if signs_in else None
    steps = opening(Welcome("waypost.test", "mx.test", security, credentials))
    pending = list(replies)
    is_encrypted = False
    answer: RawReply | bool | None = None
    try:
        while True:
            step: Step = steps.send(answer)
            answer = None
            match step:
                case Hear():
                    answer = pending.pop(0)
                case StartTls():
                    is_encrypted = True
                case Say(octets):
                    if octets.startswith(b"AUTH"):
                        assert is_encrypted
                        assert security is Security.REQUIRED  # anybody can have a certificate that is not looked at
                    assert octets.endswith(b"\r\n")
    except StopIteration:
        assert is_encrypted or security is not Security.REQUIRED
        assert replies[0].code == 220
    except Unwelcome:
        return
