"""Before a person is known, and after: STARTTLS, LOGIN, AUTHENTICATE, UNAUTHENTICATE, ID (RFC 3501 §6.1, §6.2)."""

from collections.abc import AsyncIterator, Awaitable, Callable

from mailserver.imap.session.capabilities import capabilities
from mailserver.imap.session.conversation import AwaitedLine, Conversation
from mailserver.imap.session.selection import leave
from mailserver.imap.session.state import State
from mailserver.imap.wire.commands import (
    Authenticate,
    Capability,
    Id,
    Login,
    Logout,
    StartTls,
    Tag,
    Unauthenticate,
)
from mailserver.imap.wire.response_codes import CapabilityCode, Code
from mailserver.imap.wire.responses import (
    Bye,
    Capabilities,
    Challenge,
    Condition,
    Response,
    ServerId,
    Tagged,
)
from mailserver.sasl import decode_response, prepare
from mailserver.services.errors import LoginFailed
from mailserver.services.exchanges import Exchange, begin_exchange
from tenants.types import Principal, Scope

SERVER_NAME = "Waypost"
SERVER_VERSION = "0.1.0"


async def capability(talk: Conversation, command: Capability) -> AsyncIterator[Response]:
    yield Capabilities(capabilities(talk))
    yield Tagged(command.tag, Condition.OK, "Done")


async def identify(talk: Conversation, command: Id) -> AsyncIterator[Response]:
    """ID: the client's words go to the log only; they are what support asks first."""
    talk.log.info("client", client={name.lower(): value for name, value in command.parameters[:8]})
    yield ServerId((("name", SERVER_NAME), ("version", SERVER_VERSION)))
    yield Tagged(command.tag, Condition.OK, "Pleased to meet you")


async def logout(talk: Conversation, command: Logout) -> AsyncIterator[Response]:
    await leave(talk)
    talk.state = State.LOGOUT
    yield Bye("Until next time")
    yield Tagged(command.tag, Condition.OK, "Signed out")


async def start_tls(talk: Conversation, command: StartTls) -> AsyncIterator[Response]:
    """STARTTLS (RFC 3501 §6.2.1). The transport begins TLS once the answer is written, and drops what came early."""
    if talk.is_encrypted:
        yield Tagged(command.tag, Condition.BAD, "The connection is encrypted already")
    elif not talk.can_encrypt:
        yield Tagged(command.tag, Condition.NO, "There is no certificate to encrypt with", Code.UNAVAILABLE)
    else:
        yield Tagged(command.tag, Condition.OK, "Begin TLS now")
        talk.wants_tls = True


def login(talk: Conversation, command: Login) -> AsyncIterator[Response]:
    """LOGIN. In clear it is refused unseen (LOGINDISABLED): the password is burnt, but the client learns not to."""
    if not talk.is_encrypted:
        return _without_privacy(command.tag)
    return _advanced(talk, command, _claim(talk, command), None)


async def _claim(talk: Conversation, command: Login) -> Principal:
    name, password = prepare(command.user), prepare(command.password)
    return await talk.services.logins.sign_in(name, password, network=talk.peer, scope=Scope.IMAP)


async def authenticate(talk: Conversation, command: Authenticate) -> AsyncIterator[Response]:
    """AUTHENTICATE: responses at once (SASL-IR, RFC 4959) or after challenges."""
    if not talk.is_encrypted:
        yield _privacy_required(command.tag)
        return
    exchange = begin_exchange(talk.services.logins, command.mechanism, network=talk.peer, scope=Scope.IMAP)
    if exchange is None:
        yield Tagged(command.tag, Condition.NO, "This mechanism is not offered", Code.CANNOT)
        return
    async for response in _advanced(talk, command, exchange.respond(command.initial_response), exchange):
        yield response


async def unauthenticate(talk: Conversation, command: Unauthenticate) -> AsyncIterator[Response]:
    """UNAUTHENTICATE (RFC 8437 §3): everything but TLS is as it was at the greeting."""
    await leave(talk)
    talk.forget_person()
    yield Tagged(command.tag, Condition.OK, "Who is next?", CapabilityCode(capabilities(talk)))


async def _advanced(
    talk: Conversation,
    command: Login | Authenticate,
    step: Awaitable[bytes | Principal],
    exchange: Exchange | None,
) -> AsyncIterator[Response]:
    """What a step of the exchange comes to. Raises what it raises; after the last failure that is allowed, the
    connection ends."""
    try:
        found = await step
        if isinstance(found, Principal):
            talk.admit(found)
    except LoginFailed:
        talk.sign_in_failures_left -= 1
        if talk.sign_in_failures_left > 0:
            raise
        talk.state = State.LOGOUT
        yield Tagged(command.tag, Condition.NO, "The name or the password is wrong", Code.AUTHENTICATIONFAILED)
        yield Bye("Too many failed sign-ins")
        return
    if isinstance(found, bytes):
        assert exchange is not None
        talk.awaited = AwaitedLine(command, _taking_responses(command, exchange))
        yield Challenge(found)
        return
    talk.log = talk.log.bind(tenant=found.tenant_id, account=found.account_id)
    talk.log.info("signed in", peer=talk.peer, app_password=found.credential.app_password_id)
    yield Tagged(command.tag, Condition.OK, "Signed in", CapabilityCode(capabilities(talk)))


def _taking_responses(
    command: Login | Authenticate, exchange: Exchange
) -> Callable[[Conversation, bytes], AsyncIterator[Response]]:
    async def take(talk: Conversation, line: bytes) -> AsyncIterator[Response]:
        talk.awaited = None
        async for response in _advanced(talk, command, exchange.respond(decode_response(line)), exchange):
            yield response

    return take


async def _without_privacy(tag: Tag) -> AsyncIterator[Response]:
    yield _privacy_required(tag)


def _privacy_required(tag: Tag) -> Tagged:
    return Tagged(tag, Condition.NO, "Sign-in needs an encrypted connection", Code.PRIVACYREQUIRED)
