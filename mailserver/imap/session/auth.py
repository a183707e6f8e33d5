"""Before a person is known: capabilities, STARTTLS, LOGIN, AUTHENTICATE, ID (RFC 3501 §6.1, §6.2, RFC 2971)."""

from collections.abc import AsyncIterator

from mailserver.imap.session.capabilities import capabilities
from mailserver.imap.session.conversation import AwaitedLine, Conversation
from mailserver.imap.session.selection import leave
from mailserver.imap.session.state import State
from mailserver.imap.wire.commands import Authenticate, Capability, Id, Login, Logout, StartTls, Tag
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
from mailserver.sasl import Credentials, decode_response, plain, prepare
from mailserver.services.errors import LoginFailed

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


async def login(talk: Conversation, command: Login) -> AsyncIterator[Response]:
    """LOGIN. In clear it is refused unseen (LOGINDISABLED): the password is burnt, but the client learns not to."""
    if not talk.is_encrypted:
        yield _privacy_required(command.tag)
        return
    credentials = Credentials(prepare(command.user), prepare(command.password))
    async for response in _sign_in(talk, command.tag, credentials):
        yield response


async def authenticate(talk: Conversation, command: Authenticate) -> AsyncIterator[Response]:
    """AUTHENTICATE PLAIN (RFC 4616), with its response at once (SASL-IR, RFC 4959) or after a challenge."""
    if not talk.is_encrypted:
        yield _privacy_required(command.tag)
    elif command.mechanism != "PLAIN":
        yield Tagged(command.tag, Condition.NO, "This mechanism is not offered", Code.CANNOT)
    elif command.initial_response is None:
        talk.awaited = AwaitedLine(command, _take_response)
        yield Challenge(b"")
    else:
        async for response in _sign_in(talk, command.tag, plain(command.initial_response)):
            yield response


async def _take_response(talk: Conversation, line: bytes) -> AsyncIterator[Response]:
    assert talk.awaited is not None
    tag = talk.awaited.command.tag
    talk.awaited = None
    async for response in _sign_in(talk, tag, plain(decode_response(line))):
        yield response


async def _sign_in(talk: Conversation, tag: Tag, credentials: Credentials) -> AsyncIterator[Response]:
    """Raises what `sign_in` raises; after the last failure that is allowed, the connection ends."""
    try:
        who = await talk.services.logins.sign_in(credentials.username, credentials.password, network=talk.peer)
    except LoginFailed:
        talk.sign_in_failures_left -= 1
        if talk.sign_in_failures_left > 0:
            raise
        talk.state = State.LOGOUT
        yield Tagged(tag, Condition.NO, "The name or the password is wrong", Code.AUTHENTICATIONFAILED)
        yield Bye("Too many failed sign-ins")
        return
    talk.who = who
    talk.state = State.AUTHENTICATED
    talk.log = talk.log.bind(tenant=who.tenant_id, account=who.account_id)
    talk.log.info("signed in", peer=talk.peer)
    yield Tagged(tag, Condition.OK, "Signed in", CapabilityCode(capabilities(talk)))


def _privacy_required(tag: Tag) -> Tagged:
    return Tagged(tag, Condition.NO, "Sign-in needs an encrypted connection", Code.PRIVACYREQUIRED)
