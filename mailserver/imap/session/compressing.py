"""COMPRESS (RFC 4978): from the line end of its OK on, both directions are compressed, under TLS."""

from collections.abc import AsyncIterator

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.wire.commands import Compress
from mailserver.imap.wire.response_codes import Code
from mailserver.imap.wire.responses import Condition, Response, Tagged


async def compress(talk: Conversation, command: Compress) -> AsyncIterator[Response]:
    """The transport begins once the answer is written."""
    if command.mechanism != "DEFLATE":
        yield Tagged(command.tag, Condition.BAD, "DEFLATE is the only way of compressing here")
    elif talk.is_compressed:
        yield Tagged(command.tag, Condition.BAD, "The connection is compressed already", Code.COMPRESSIONACTIVE)
    else:
        yield Tagged(command.tag, Condition.OK, "DEFLATE is active")
        talk.is_compressed = True
