"""IDLE (RFC 2177): a state of the session, not a waiting coroutine. Until DONE, updates are pushed as they come."""

from collections.abc import AsyncIterator

from mailserver.imap.session.conversation import AwaitedLine, Conversation
from mailserver.imap.wire.commands import Idle
from mailserver.imap.wire.parse_auth import is_idle_end
from mailserver.imap.wire.responses import Condition, Continue, Response, Tagged


async def idle(talk: Conversation, command: Idle) -> AsyncIterator[Response]:
    """Also allowed without a selected mailbox, where nothing will be pushed."""
    talk.is_idling = True
    talk.awaited = AwaitedLine(command, _take_line)
    talk.must_look = True  # what happened before is pushed at once
    yield Continue("idling")


async def _take_line(talk: Conversation, line: bytes) -> AsyncIterator[Response]:
    assert talk.awaited is not None
    tag = talk.awaited.command.tag
    talk.awaited = None
    talk.is_idling = False
    if is_idle_end(line):
        yield Tagged(tag, Condition.OK, "Done idling")
    else:
        yield Tagged(tag, Condition.BAD, "IDLE is ended by DONE")
