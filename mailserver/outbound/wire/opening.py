"""From the connection to where MAIL may be said: greeting, EHLO, TLS, AUTH (RFC 5321 §3.1–3.2, RFC 3207, RFC 4954)."""

from dataclasses import dataclass

from mailserver.outbound.outcomes import Reason, Reply, of_fact, of_refusal, reply_of_lines, softened
from mailserver.outbound.sites import Credentials, Security
from mailserver.outbound.wire.commands import auth_line, auth_plain, hello
from mailserver.outbound.wire.extensions import NONE_OFFERED, Extensions, read_extensions
from mailserver.outbound.wire.reply_reader import RawReply
from mailserver.outbound.wire.steps import Say, StartTls, Steps, Unwelcome, Wait, hear, hear_raw

_SAYS_NO_MAIL_EVER = frozenset({521, 556})  # RFC 7504
_CLOSING = 421


@dataclass(frozen=True, slots=True)
class Welcome:
    """How to greet one host. `security` is what is asked of this connection."""

    hostname: str  # ours
    host: str  # theirs
    security: Security
    credentials: Credentials | None = None
    is_encrypted: bool = False  # from the first octet
    is_smarthost: bool = False


def opening(welcome: Welcome) -> Steps[Extensions]:
    """Raises Unwelcome."""
    host = welcome.host
    greeting = yield from hear(Wait.GREETING, host)
    if greeting.code != 220:
        # A greeting of 5yz mostly means this moment or this host; Postfix defers, too.
        refusal = of_refusal(greeting, Reason.UNWELCOME)
        raise Unwelcome(refusal if greeting.code in _SAYS_NO_MAIL_EVER else softened(refusal))
    if not welcome.is_smarthost and _is_named(greeting, welcome.hostname):
        raise Unwelcome(of_fact(Reason.MAIL_LOOPS, f"{host} greets with the name of this server", host=host))
    extensions = yield from _say_hello(welcome)
    if welcome.security in (Security.OPPORTUNISTIC, Security.REQUIRED) and not welcome.is_encrypted:
        extensions = yield from _secure(welcome, extensions)
    if welcome.credentials is not None:
        if welcome.security not in (Security.REQUIRED, Security.IMPLICIT):
            raise Unwelcome(of_fact(Reason.TLS_FAILED, "a password is not said without it", host=host))
        yield from _sign_in(welcome.credentials, extensions, host)
    return extensions


def _is_named(greeting: Reply, hostname: str) -> bool:
    name, _, _ = greeting.text.partition(" ")
    return name.lower().rstrip(".") == hostname.lower()


def _say_hello(welcome: Welcome) -> Steps[Extensions]:
    """EHLO, and HELO for a host that does not know it (RFC 5321 §3.2)."""
    yield Say(hello("EHLO", welcome.hostname))
    raw = yield from hear_raw(Wait.HELLO)
    if raw.code == 250:
        return read_extensions(raw.lines)
    if raw.code < 500:
        raise _refused(raw, welcome.host)
    yield Say(hello("HELO", welcome.hostname))
    raw = yield from hear_raw(Wait.HELLO)
    if raw.code != 250:
        raise _refused(raw, welcome.host)
    return NONE_OFFERED


def _secure(welcome: Welcome, extensions: Extensions) -> Steps[Extensions]:
    is_must = welcome.security is Security.REQUIRED
    if not extensions.starttls:
        if is_must:
            raise Unwelcome(of_fact(Reason.TLS_FAILED, "STARTTLS is not offered", host=welcome.host))
        return extensions
    yield Say(b"STARTTLS\r\n")
    reply = yield from hear(Wait.HELLO, welcome.host)
    if reply.code == 220:
        yield StartTls()
        return (yield from _say_hello(welcome))  # all that was said before is forgotten (RFC 3207 §4.2)
    if is_must or reply.code == _CLOSING:
        reason = Reason.TLS_FAILED if is_must else Reason.UNWELCOME
        raise Unwelcome(softened(of_refusal(reply, reason)))
    return extensions


def _sign_in(credentials: Credentials, extensions: Extensions, host: str) -> Steps[None]:
    """A refusal is for now: credentials are a setting that can be mended."""
    if "PLAIN" in extensions.mechanisms:
        yield Say(auth_plain(credentials))
        reply = yield from hear(Wait.HELLO, host)
    elif "LOGIN" in extensions.mechanisms:
        yield Say(b"AUTH LOGIN\r\n")
        reply = yield from hear(Wait.HELLO, host)
        for answer in (credentials.user, credentials.password):
            if reply.code == 334:
                yield Say(auth_line(answer))
                reply = yield from hear(Wait.HELLO, host)
    else:
        raise Unwelcome(of_fact(Reason.SIGN_IN_FAILED, "neither PLAIN nor LOGIN is offered", host=host))
    if reply.code != 235:
        raise Unwelcome(softened(of_refusal(reply, Reason.SIGN_IN_FAILED)))


def _refused(raw: RawReply, host: str) -> Unwelcome:
    return Unwelcome(of_refusal(reply_of_lines(raw.code, list(raw.lines), host), Reason.UNWELCOME))
