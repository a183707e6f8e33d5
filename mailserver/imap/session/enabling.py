"""ENABLE (RFC 5161, RFC 9051 §6.3.1): what a client can switch on for the rest of its session.

Each switch says whether it was off until now, and what the client is to be told at once.
"""

from collections.abc import AsyncIterator, Callable

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.view import NEVER_RECENT
from mailserver.imap.wire.commands import Enable
from mailserver.imap.wire.responses import Condition, Enabled, Response, Tagged


async def enable(talk: Conversation, command: Enable) -> AsyncIterator[Response]:
    """Names that are not known are passed over; ENABLED tells of what this very command has switched on."""
    switched_on: list[str] = []
    told: list[Response] = []
    for word in dict.fromkeys(command.capabilities):
        name, switch = SWITCHES.get(word, ("", None))
        responses = switch(talk) if switch is not None else None
        if responses is not None:
            switched_on.append(name)
            told += responses
    yield Enabled(tuple(switched_on))
    for response in told:
        yield response
    yield Tagged(command.tag, Condition.OK, "Done")


def _condstore(talk: Conversation) -> list[Response] | None:
    return None if talk.is_condstore else talk.enable_condstore()


def _qresync(talk: Conversation) -> list[Response] | None:
    return None if talk.is_qresync else talk.enable_qresync()


def _imap4rev2(talk: Conversation) -> list[Response] | None:
    if talk.is_rev2:
        return None
    talk.is_rev2 = talk.is_utf8 = True
    if talk.view is not None:
        talk.view.recent_from = NEVER_RECENT
    return []


def _utf8_accept(talk: Conversation) -> list[Response] | None:
    """RFC 6855 §3. IMAP4rev2 brings all of it, which is told nevertheless: the client asked for it by name."""
    if talk.is_utf8_accept:
        return None
    talk.is_utf8_accept = talk.is_utf8 = True
    return []


SWITCHES: dict[str, tuple[str, Callable[[Conversation], list[Response] | None]]] = {
    "CONDSTORE": ("CONDSTORE", _condstore),
    "IMAP4REV2": ("IMAP4rev2", _imap4rev2),
    "QRESYNC": ("QRESYNC", _qresync),
    "UTF8=ACCEPT": ("UTF8=ACCEPT", _utf8_accept),
}
"""By the name in capitals: as it is told, and how it is switched on. None: it was on already."""
