"""AUTHORIZATION: CAPA, STLS, USER and PASS, AUTH, UTF8 (RFC 1939 §4, §7, RFC 2449, RFC 2595, RFC 5034, RFC 6856)."""

from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable

from mailserver.pop3.conversation import Conversation, State
from mailserver.pop3.wire import replies
from mailserver.pop3.wire.commands import Auth, Capa, Pass, Stls, User, Utf8
from mailserver.pop3.wire.replies import Code
from mailserver.sasl import Credentials, decode_response, prepare
from mailserver.services.errors import LoginFailed
from mailserver.services.exchanges import Exchange, begin_exchange, mechanisms
from mailserver.services.maildrop import open_maildrop
from tenants.types import Principal, Scope

ALWAYS = ("TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER", "UTF8 USER")
_NEEDS_TLS = replies.error("Sign-in needs an encrypted connection: STLS first")
_MANY_FAILURES = replies.error("Too many failed sign-ins", Code.AUTH)


async def capa(talk: Conversation, _: Capa) -> AsyncIterator[bytes]:
    listed = list(ALWAYS)
    if talk.is_encrypted:
        listed += ["USER", f"SASL {' '.join(mechanisms(talk.services.logins, Scope.POP))}"]
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
        claimed = Credentials(prepare(name), prepare(command.password))
        logins = talk.services.logins
        step = logins.sign_in(claimed.username, claimed.password, network=talk.peer, scope=Scope.POP)
        async for reply in _advanced(talk, step, None):
            yield reply


async def authenticate(talk: Conversation, command: Auth) -> AsyncIterator[bytes]:
    logins = talk.services.logins
    if command.mechanism is None:
        offered = mechanisms(logins, Scope.POP) if talk.is_encrypted else ()
        yield replies.ok("Mechanisms:") + replies.listing(list(offered))
        return
    if not talk.is_encrypted:
        yield _NEEDS_TLS
        return
    exchange = begin_exchange(logins, command.mechanism, network=talk.peer, scope=Scope.POP)
    if exchange is None:
        yield replies.error("This mechanism is not offered")
        return
    initial = decode_response(command.initial_response) if command.initial_response is not None else None
    async for reply in _advanced(talk, exchange.respond(initial), exchange):
        yield reply


async def respond(talk: Conversation, line: bytes) -> AsyncIterator[bytes]:
    """The line after a challenge."""
    exchange, talk.exchange = talk.exchange, None
    assert exchange is not None
    async for reply in _advanced(talk, exchange.respond(decode_response(line)), exchange):
        yield reply


async def _advanced(
    talk: Conversation, step: Awaitable[bytes | Principal], exchange: Exchange | None
) -> AsyncIterator[bytes]:
    """What a step of the exchange comes to. Raises what it, `open_maildrop` and `enter` raise.

    After the last failure that is allowed, the connection ends.
    """
    try:
        who = await step
    except LoginFailed:
        talk.sign_in_failures_left -= 1
        if talk.sign_in_failures_left > 0:
            raise
        talk.state = State.OVER
        yield _MANY_FAILURES
        return
    if isinstance(who, bytes):
        talk.exchange = exchange
        yield replies.challenge(b64encode(who))
        return
    maildrop = await open_maildrop(talk.services.store, who)
    talk.enter(who)
    talk.maildrop = maildrop
    talk.who = who
    talk.state = State.TRANSACTION
    talk.log = talk.log.bind(tenant=who.tenant_id, account=who.account_id)
    talk.log.info("signed in", peer=talk.peer)
    messages = talk.maildrop.messages
    yield replies.ok(f"{len(messages)} messages ({sum(each.octets for each in messages)} octets)")
