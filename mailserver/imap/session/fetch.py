"""FETCH and UID FETCH (RFC 3501 §6.4.5, RFC 7162 §3.1.4): rows in, wire octets out, a chunk at a time.

Three ways, by what is asked:
* FLAGS and UID alone come from the view, without a question to the database;
* what rows hold is copied from them, many messages to a response value;
* body sections are read from the content; a large one in pieces, so that it is never whole in memory.

Messages that another session has expunged while this client still counts them (ghosts): their FLAGS and UID are
answered from the view, everything else of them is left out, and EXPUNGEISSUED in the tagged response tells the client
to look; a sequence set of which nothing is left ends in NO (RFC 2180 §4.1.2, §4.1.3). UID FETCH never tells: a uid that
is not there names nothing.
"""

from array import array
from collections.abc import AsyncIterator, Iterator, Sequence

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.fetch_plan import Extent, FetchPlan, FieldsOf, Wanted, plan_fetch
from mailserver.imap.session.resync import not_enabled, vanished
from mailserver.imap.session.view import NO_KEYWORDS, MailboxView
from mailserver.imap.wire.commands import Fetch
from mailserver.imap.wire.fetch_data import CLOSE, absent_section, flag_names, section, section_head
from mailserver.imap.wire.fetch_items import FetchAttribute
from mailserver.imap.wire.response_codes import Code
from mailserver.imap.wire.responses import (
    Condition,
    FetchChunk,
    Fetched,
    FetchEnd,
    FetchStart,
    Response,
    Tagged,
)
from mailserver.imap.wire.sequence import SAVED, UidSet, part_of, uids_at
from mailserver.mime.structure import unpack
from mailserver.services import changes, messages
from storage.changes import MailboxChanges
from storage.content import Content
from storage.errors import ContentDamaged, MessageGone
from storage.rows import FetchRow
from storage.types import FlagChange, FlagOperation, Flags, Modseq, SystemFlag, Uid

RESPONSE_OCTETS = 65_536
"""About how much is gathered before it is handed on; between two of these the client's reading is waited for."""
PIECE_OCTETS = 262_144
"""A section larger than this is sent in pieces of this size."""
VIEW_MESSAGES = 2_000
"""How many messages are rendered from the view at a stretch: about a millisecond."""
CONTENT_MESSAGES = 50
"""How many messages with body sections are looked up, and made \\Seen, at once."""

CHANGED = "changed"
"""What `StoredFlags.outcome` says of a message that was not as it is now."""

SEEN = FlagChange(FlagOperation.ADD, Flags(SystemFlag.SEEN))


async def fetch(talk: Conversation, command: Fetch) -> AsyncIterator[Response]:
    view = talk.selected
    if command.vanished and not talk.is_qresync:
        yield not_enabled(command.tag)
        return
    if FetchAttribute.MODSEQ in command.items or command.changed_since is not None:
        for response in talk.enable_condstore():
            yield response
    plan = plan_fetch(command.items, is_condstore=talk.is_condstore)
    positions = view.positions(command.messages)
    if command.partial is not None:
        positions = part_of(positions, command.partial.positions(sum(map(len, positions))))
    if plan.is_in_view and command.changed_since is None:
        for spread in positions:
            for start in range(spread.start, spread.stop, VIEW_MESSAGES):
                yield Fetched(flags_from_view(view, range(start, min(start + VIEW_MESSAGES, spread.stop)), plan))
        yield Tagged(command.tag, Condition.OK, "Done")
        return
    uids: Sequence[Uid] = [Uid(uid) for uid in uids_at(positions, view.uids)]
    if command.changed_since is not None and command.changed_since >= view.highest_modseq:
        uids = []  # what came since is told before the end
    elif command.changed_since is not None:
        found = await _changed_since(talk, command.changed_since)
        if command.vanished:
            named = [each for each in command.messages.ranges if each != SAVED]  # what is gone is in `$` no more
            for gone in vanished(view, found, named):
                yield gone
        if found.is_complete:
            touched = {uid for uid, _, _ in (*found.arrived, *found.changed)}
            uids = [uid for uid in uids if uid in touched]
    fetching = _Fetching(talk, plan, command.changed_since or Modseq(0))
    async for response in fetching.responses(uids):
        yield response
    if fetching.damage is not None:
        raise fetching.damage
    yield _end(command, asked=len(uids), answered=fetching.answered)


def _end(command: Fetch, *, asked: int, answered: int) -> Tagged:
    if answered >= asked or isinstance(command.messages, UidSet) or command.changed_since is not None:
        return Tagged(command.tag, Condition.OK, "Done")
    if not answered:
        return Tagged(command.tag, Condition.NO, "The messages are gone", Code.EXPUNGEISSUED)
    return Tagged(command.tag, Condition.OK, "Some of the messages are gone", Code.EXPUNGEISSUED)


def flags_from_view(view: MailboxView, positions: range, plan: FetchPlan) -> bytes:
    """FETCH responses with FLAGS, UID or both for messages that stand together in the view."""
    has_flags = FetchAttribute.FLAGS in plan.items
    has_uid = FetchAttribute.UID in plan.items
    if not has_flags:
        numbered = zip(positions, view.uids[positions.start : positions.stop], strict=True)
        return b"".join([b"* %d FETCH (UID %d)\r\n" % (position + 1, uid) for position, uid in numbered])
    names = _flag_names(view, positions)
    if has_uid:
        uids = view.uids[positions.start : positions.stop]
        rows = zip(positions, names, uids, strict=True)
        return b"".join([b"* %d FETCH (FLAGS (%b) UID %d)\r\n" % (at + 1, flags, uid) for at, flags, uid in rows])
    pairs = zip(positions, names, strict=True)
    return b"".join([b"* %d FETCH (FLAGS (%b))\r\n" % (at + 1, flags) for at, flags in pairs])


_NAMES_OF_OLD = [flag_names(bits, NO_KEYWORDS, False) for bits in range(32)]


def _flag_names(view: MailboxView, positions: range) -> Iterator[bytes]:
    uids: array[int] = view.uids[positions.start : positions.stop]
    flags: array[int] = view.flags[positions.start : positions.stop]
    if not view.keywords and (not uids or not view.is_recent(uids[-1])):
        return map(_NAMES_OF_OLD.__getitem__, flags)
    keywords = view.keywords
    return (
        flag_names(bits, keywords.get(uid, NO_KEYWORDS), view.is_recent(uid))
        for uid, bits in zip(uids, flags, strict=True)
    )


async def _changed_since(talk: Conversation, modseq: Modseq) -> MailboxChanges:
    """CHANGEDSINCE: the log names the messages that changed. Where it no longer reaches back, all are looked at."""
    view = talk.selected
    return await changes.changes_since(talk.services.store, talk.person, view.mailbox_id, modseq)


class _Fetching:
    """One FETCH that needs rows. `answered` counts messages; `damage` is what to raise when all others were sent."""

    def __init__(self, talk: Conversation, plan: FetchPlan, changed_since: Modseq) -> None:
        self._talk = talk
        self._plan = plan
        self._changed_since = changed_since
        self._tells_flags = FetchAttribute.FLAGS in plan.items
        self._tells_modseq = FetchAttribute.MODSEQ in plan.items or (plan.sets_seen and talk.is_condstore)
        self.answered = 0
        self.damage: ContentDamaged | None = None

    async def responses(self, uids: Sequence[Uid]) -> AsyncIterator[Response]:
        if not (self._plan.needs_content or self._plan.sets_seen):
            async for response in self._copied(uids):
                yield response
            return
        for start in range(0, len(uids), CONTENT_MESSAGES):
            async for response in self._with_sections(uids[start : start + CONTENT_MESSAGES]):
                yield response

    def _rows(self, uids: Sequence[Uid]) -> AsyncIterator[list[FetchRow]]:
        talk = self._talk
        return messages.fetch_rows(talk.services.store, talk.person, talk.selected.mailbox_id, uids, self._plan.columns)

    async def _copied(self, uids: Sequence[Uid]) -> AsyncIterator[Response]:
        view, plan = self._talk.selected, self._plan
        copied = plan.copied if plan.sections else plan.line.whole
        gathered: list[bytes] = []
        octets = 0
        async for rows in self._rows(uids):
            for row in rows:
                number = view.number_of(row.uid)
                if number is None or row.modseq <= self._changed_since:
                    continue
                if self._tells_modseq:
                    self._note_modseq(row)
                for defined in self._take_in_flags(number, row):
                    yield defined
                line = copied(number, row, is_recent=view.is_recent(row.uid))
                if line is None:  # its header is longer than the row holds
                    if gathered:
                        yield Fetched(b"".join(gathered))
                        gathered.clear()
                        octets = 0
                    beginning = plan.line.begin(number, row, is_recent=view.is_recent(row.uid))
                    async for response in self._one_message(row, beginning):
                        yield response
                    continue
                self.answered += 1
                gathered.append(line)
                octets += len(line)
                if octets >= RESPONSE_OCTETS:
                    yield Fetched(b"".join(gathered))
                    gathered.clear()
                    octets = 0
        if gathered:
            yield Fetched(b"".join(gathered))

    async def _with_sections(self, uids: Sequence[Uid]) -> AsyncIterator[Response]:
        view = self._talk.selected
        changed = await self._make_seen(uids) if self._plan.sets_seen else frozenset()
        async for rows in self._rows(uids):
            for row in rows:
                number = view.number_of(row.uid)
                if number is None or row.modseq <= self._changed_since:
                    continue
                if self._tells_modseq:
                    self._note_modseq(row)
                for defined in self._take_in_flags(number, row):
                    yield defined
                line = self._plan.line_with_flags if row.uid in changed else self._plan.line
                beginning = line.begin(number, row, is_recent=view.is_recent(row.uid))
                async for response in self._one_message(row, beginning):
                    yield response

    def _note_modseq(self, row: FetchRow) -> None:
        view = self._talk.selected
        view.sync.hear(row.modseq)
        if self._tells_flags and row.modseq > view.cursor:
            view.note_told(row.uid, row.modseq)

    def _take_in_flags(self, number: int, row: FetchRow) -> Sequence[Response]:
        """What the client is told is what the view holds.

        Otherwise flags that another session changes and changes back would stay with the client as they were between.
        """
        view = self._talk.selected
        if not self._tells_flags:
            return ()
        if row.flags == view.flags[number - 1] and not (row.keywords or row.uid in view.keywords):
            return ()
        return view.set_flags(number, Flags(row.flags, row.keywords))

    async def _one_message(self, row: FetchRow, beginning: bytes) -> AsyncIterator[Response]:
        """One damaged message does not spoil the others, unless its octets are promised already."""
        message = _Message(self._talk, self._plan, row)
        try:
            async for response in message.responses(beginning):
                yield response
            self.answered += 1
        except MessageGone:
            pass
        except ContentDamaged as damage:
            if message.is_begun:
                raise
            self._talk.log.error("stored content is damaged", message_id=row.message_id, what=damage.what)
            self.damage = damage

    async def _make_seen(self, uids: Sequence[Uid]) -> frozenset[Uid]:
        """Set \\Seen where it is not (RFC 3501 §6.4.5); returns the messages whose flags this changed."""
        talk, view = self._talk, self._talk.selected
        if view.is_read_only:
            return frozenset()
        unseen = [
            uid
            for uid in uids
            if (number := view.number_of(uid)) is not None and not view.flags[number - 1] & SystemFlag.SEEN
        ]
        if not unseen:
            return frozenset()
        stored = await messages.change_flags(talk.services.store, talk.person, view.mailbox_id, unseen, SEEN)
        changed = [each for each in stored if each.outcome == CHANGED]
        for each in changed:
            if (number := view.number_of(each.uid)) is not None:
                view.set_flags(number, each.flags)
                view.note_told(each.uid, each.modseq)
        if not view.pass_own(each.modseq for each in changed):
            talk.must_look = True
        return frozenset(each.uid for each in changed)


def _pieces_of(extent: Extent) -> Iterator[Extent]:
    end = extent.offset + extent.octets
    for offset in range(extent.offset, end, PIECE_OCTETS):
        yield Extent(offset, min(PIECE_OCTETS, end - offset))


class _Message:
    """The sections of one message. `is_begun`: part of the response is out, and only the rest may follow."""

    def __init__(self, talk: Conversation, plan: FetchPlan, row: FetchRow) -> None:
        self._talk = talk
        self._plan = plan
        self._row = row
        self._content: Content | None = None
        self.is_begun = False

    async def responses(self, beginning: bytes) -> AsyncIterator[Response]:
        root = unpack(self._row.structure) if self._plan.has_structure else None
        pieces = [beginning]
        for index, wanted in enumerate(self._plan.sections):
            if index:
                pieces.append(b" ")
            found = wanted.locate(self._row, root)
            if isinstance(found, Extent) and found.octets > PIECE_OCTETS:
                first, *others = _pieces_of(found)
                octets = await self._read(first)  # before its length is promised
                pieces.append(section_head(wanted.label, found.octets))
                yield self._piece(b"".join(pieces))
                pieces.clear()
                yield FetchChunk(octets)
                for piece in others:
                    yield FetchChunk(await self._read(piece))
            else:
                pieces.append(await self._small(wanted, found))
        if not self.is_begun:
            yield Fetched(b"".join(pieces) + CLOSE)
            return
        if pieces:
            yield FetchChunk(b"".join(pieces))
        yield FetchEnd()

    def _piece(self, octets: bytes) -> FetchStart | FetchChunk:
        if self.is_begun:
            return FetchChunk(octets)
        self.is_begun = True
        return FetchStart(octets)

    async def _small(self, wanted: Wanted, found: bytes | Extent | FieldsOf | None) -> bytes:
        match found:
            case None:
                return absent_section(wanted.label)
            case Extent():
                return section(wanted.label, await self._read(found))
            case FieldsOf(header):
                return section(wanted.label, wanted.choose(await self._read(header)))
            case _ if wanted.section is None:
                return wanted.label + b" " + found
            case _:
                return section(wanted.label, found)

    async def _open(self) -> Content:
        if self._content is None:
            self._content = await messages.open_content(
                self._talk.services.store, self._talk.person, self._row.message_id
            )
        return self._content

    async def _read(self, extent: Extent) -> bytes:
        if not extent.octets:
            return b""
        content = await self._open()
        octets = await content.read(extent.offset, extent.octets)
        if len(octets) != extent.octets:
            raise ContentDamaged(f"message {self._row.message_id} is shorter than its row says")
        return octets
