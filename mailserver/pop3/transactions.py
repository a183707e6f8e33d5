"""TRANSACTION and UPDATE: what is there, what it holds, what is to go (RFC 1939 §5, §6, §7)."""

from collections.abc import AsyncIterator, Iterator
from itertools import islice

from mailserver.pop3.conversation import Conversation, State
from mailserver.pop3.wire import replies
from mailserver.pop3.wire.commands import Dele, List, Noop, Quit, Retr, Rset, Stat, Top, Uidl
from mailserver.pop3.wire.transparency import DotStuffer, TopCutter
from mailserver.services.maildrop import MaildropMessage, remove
from mailserver.services.messages import open_content

PIECE_OCTETS = 65_536
PIECE_LINES = 2_000


async def quit_session(talk: Conversation, _: Quit) -> AsyncIterator[bytes]:
    """What was deleted goes now, and only now: a connection that breaks off removes nothing (RFC 1939 §6)."""
    talk.state = State.OVER
    if talk.deleted:
        uids = [talk.opened.messages[number - 1].uid for number in sorted(talk.deleted)]
        await remove(talk.services.store, talk.person, talk.opened, uids)
        talk.log.info("messages removed", messages=len(uids))
    yield replies.ok("Until next time")


async def noop(_talk: Conversation, _: Noop) -> AsyncIterator[bytes]:
    yield replies.ok()


async def stat(talk: Conversation, _: Stat) -> AsyncIterator[bytes]:
    messages, octets = talk.count_present()
    yield replies.ok(f"{messages} {octets}")


async def list_sizes(talk: Conversation, command: List) -> AsyncIterator[bytes]:
    if command.number is not None:
        yield replies.ok(f"{command.number} {talk.message(command.number).octets}")
        return
    messages, octets = talk.count_present()
    yield replies.ok(f"{messages} messages ({octets} octets)")
    for piece in _in_pieces(f"{number} {each.octets}" for number, each in talk.present()):
        yield piece


async def list_unique_ids(talk: Conversation, command: Uidl) -> AsyncIterator[bytes]:
    """An id is the uidvalidity and the uid of IMAP: it stays with the message, and is never given to another."""
    if command.number is not None:
        yield replies.ok(f"{command.number} {_unique_id(talk, talk.message(command.number))}")
        return
    yield replies.ok("Unique ids:")
    for piece in _in_pieces(f"{number} {_unique_id(talk, each)}" for number, each in talk.present()):
        yield piece


def _in_pieces(lines: Iterator[str]) -> Iterator[bytes]:
    """A listing, which waits between two pieces while the client does not read."""
    while some := list(islice(lines, PIECE_LINES)):
        yield replies.lines(some)
    yield replies.END


def _unique_id(talk: Conversation, message: MaildropMessage) -> str:
    return f"{talk.opened.uidvalidity}.{message.uid}"


async def retrieve(talk: Conversation, command: Retr) -> AsyncIterator[bytes]:
    message = talk.message(command.number)
    async for octets in _send(talk, message, f"{message.octets} octets", None):
        yield octets


async def top(talk: Conversation, command: Top) -> AsyncIterator[bytes]:
    async for octets in _send(talk, talk.message(command.number), "The top of the message:", command.lines):
        yield octets


async def _send(talk: Conversation, message: MaildropMessage, text: str, lines: int | None) -> AsyncIterator[bytes]:
    """Piece by piece. What fails before the first piece is refused; later the connection can only break off."""
    content = await open_content(talk.services.store, talk.person, message.message_id)
    piece = await content.read(0, PIECE_OCTETS)
    cutter = TopCutter(header_octets=content.header_octets, lines=lines) if lines is not None else None
    stuffer = DotStuffer()
    yield replies.ok(text)
    at = 0
    try:
        while piece:
            yield stuffer.feed(piece if cutter is None else cutter.feed(piece))
            at += len(piece)
            if cutter is not None and cutter.is_done:
                break
            piece = await content.read(at, PIECE_OCTETS) if at < content.octets else b""
    except BaseException:
        talk.is_interrupted = True
        raise
    yield stuffer.finish()


async def delete(talk: Conversation, command: Dele) -> AsyncIterator[bytes]:
    talk.message(command.number)
    talk.deleted.add(command.number)
    yield replies.ok("It goes when you QUIT")


async def reset(talk: Conversation, _: Rset) -> AsyncIterator[bytes]:
    talk.deleted.clear()
    yield replies.ok(f"{len(talk.opened.messages)} messages")
