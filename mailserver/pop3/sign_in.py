"""AUTHORIZATION: CAPA, STLS, USER and PASS, AUTH, UTF8 (RFC 1939 §4, §7, RFC 2449, RFC 2595, RFC 5034, RFC 6856)."""

from collections.abc import AsyncIterator

from mailserver.pop3.conversation import Conversation, State
from mailserver.pop3.wire import replies
from mailserver.pop3.wire.commands import Auth, Capa, Pass, Stls, User, Utf8
from mailserver.pop3.wire.replies import Code
from mailserver.sasl import Credentials, decode_response, plain, prepare
from mailserver.services.errors import LoginFailed
from mailserver.services.maildrop import open_maildrop

MECHANISMS = ("PLAIN",)
ALWAYS = ("TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER", "UTF8 USER")
_NEEDS_TLS = replies.error("Sign-in needs an encrypted connection: STLS first")
_MANY_FAILURES = replies.error("Too many failed sign-ins", Code.AUTH)


async def capa(talk: Conversation, _: Capa) -> AsyncIterator[bytes]:
    listed = list(ALWAYS)
    if talk.is_encrypted:
        listed += ["USER", f"SASL {' '.join(MECHANISMS)}"]
    elif talk.can_encrypt:
        listed.append("STLS")
    yield replies.ok("What I can do:") + replies.listing([*listed, "IMPLEMENTATION Waypost"])


async def start_tls(talk: Conversation, _: Stls) -> AsyncIterator[bytes]:
    """The transport begins TLS once the answer is written, and drops what came early."""
    if talk.is_encrypted:
        yield replies.error("The connection is encrypted already")
    elif not talk.can_encrypt:
        yield replies.error("There is no certificate to encrypt with", Code.SYSTEM_PERMANENT)
    else:
        talk.wants_tls = True
        yield replies.ok("Begin TLS now")


async def utf8(_talk: Conversation, _: Utf8) -> AsyncIterator[bytes]:
    """Messages are sent as they came in either mode, so there is nothing to switch."""
    yield replies.ok("UTF-8 it is")


async def user(talk: Conversation, command: User) -> AsyncIterator[bytes]:
    """Whether there is such a person is not told."""
    if not talk.is_encrypted:
        yield _NEEDS_TLS
        return
    talk.user = command.name
    yield replies.ok("And the password")


async def password(talk: Conversation, command: Pass) -> AsyncIterator[bytes]:
    if not talk.is_encrypted:
        yield _NEEDS_TLS
    elif talk.user is None:
        yield replies.error("USER comes first")
    else:
        name, talk.user = talk.user, None
        async for reply in _sign_in(talk, Credentials(prepare(name), prepare(command.password))):
            yield reply


async def authenticate(talk: Conversation, command: Auth) -> AsyncIterator[bytes]:
    if command.mechanism is None:
        offered = MECHANISMS if talk.is_encrypted else ()
        yield replies.ok("Mechanisms:") + replies.listing(list(offered))
    elif not talk.is_encrypted:
        yield _NEEDS_TLS
    elif command.mechanism not in MECHANISMS:
        yield replies.error("This mechanism is not offered")
    elif command.initial_response is None:
        talk.take_response = decode_response
        yield replies.challenge(b"")
    else:
        async for reply in _sign_in(talk, plain(decode_response(command.initial_response))):
            yield reply


async def respond(talk: Conversation, line: bytes) -> AsyncIterator[bytes]:
    """The line after a challenge."""
    talk.take_response = None
    async for reply in _sign_in(talk, plain(decode_response(line))):
        yield reply


async def _sign_in(talk: Conversation, credentials: Credentials) -> AsyncIterator[bytes]:
    """Raises what `sign_in` and `open_maildrop` raise; after the last failure that is allowed, the connection ends."""
    logins = talk.services.logins
    try:
        who = await logins.sign_in(credentials.username, credentials.password, network=talk.peer)
    except LoginFailed:
        talk.sign_in_failures_left -= 1
        if talk.sign_in_failures_left > 0:
            raise
        talk.state = State.OVER
        yield _MANY_FAILURES
        return
    talk.maildrop = await open_maildrop(talk.services.store, who)
    talk.who = who
    talk.state = State.TRANSACTION
    talk.log = talk.log.bind(tenant=who.tenant_id, account=who.account_id)
    talk.log.info("signed in", peer=talk.peer)
    messages = talk.maildrop.messages
    yield replies.ok(f"{len(messages)} messages ({sum(each.octets for each in messages)} octets)")
