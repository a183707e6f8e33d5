"""FETCH of what the view does not hold: rows in, wire octets out, a chunk at a time.

Three ways, by what is asked and how long messages are:
* what rows hold is copied from them, many messages to a response value;
* small messages come with their octets, many in a statement, and are rendered whole;
* of others the sections are read from the content; a large one in pieces, so that it is never whole in memory.
"""

from collections.abc import AsyncIterator, Iterator, Sequence

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.fetch_plan import Encoded, Extent, FetchPlan, FieldsOf, Form, Wanted
from mailserver.imap.session.live_forms import LiveForms
from mailserver.imap.wire.fetch_data import CLOSE, binary_section, section_head, without_nul
from mailserver.imap.wire.fetch_items import FetchAttribute
from mailserver.imap.wire.responses import FetchChunk, Fetched, FetchEnd, FetchStart, Response
from mailserver.mime.structure import unpack
from mailserver.mime.transfer_encoding import UnknownEncoding, decoding
from mailserver.services import messages
from storage.content import Content
from storage.errors import ColdTierUnavailable, ContentDamaged, MessageGone
from storage.read_notes import FEW_MESSAGES
from storage.rows import FetchRow
from storage.types import FlagChange, FlagOperation, Flags, Modseq, SystemFlag, Uid

RESPONSE_OCTETS = 65_536
"""About how much is gathered before it is handed on; between two of these the client's reading is waited for."""
PIECE_OCTETS = 262_144
"""A section larger than this is sent in pieces of this size."""
CONTENT_MESSAGES = 50
"""How many messages are made \\Seen at once."""

SEEN = FlagChange(FlagOperation.ADD, Flags(SystemFlag.SEEN))


class Fetching:
    """One FETCH that needs rows. `answered` counts messages; `failure` is what to raise when all others were sent."""

    def __init__(self, talk: Conversation, plan: FetchPlan, changed_since: Modseq) -> None:
        self._talk = talk
        self._plan = plan
        self._forms = LiveForms(talk, plan)
        self._changed_since = changed_since
        self._tells_flags = FetchAttribute.FLAGS in plan.items
        self._tells_modseq = FetchAttribute.MODSEQ in plan.items or (plan.sets_seen and talk.is_condstore)
        self._gathered: list[bytes] = []
        self._octets = 0
        self._is_reading = False  # rather than downloading: it is for few messages
        self.answered = 0
        self.failure: ContentDamaged | ColdTierUnavailable | UnknownEncoding | None = None

    def responses(self, uids: Sequence[Uid]) -> AsyncIterator[Response]:
        self._is_reading = len(uids) <= FEW_MESSAGES
        if self._plan.sets_seen:
            return self._setting_seen(uids)
        return self._with_content(uids) if self._plan.needs_content else self._copied(uids)

    async def _setting_seen(self, uids: Sequence[Uid]) -> AsyncIterator[Response]:
        plan = self._plan
        for start in range(0, len(uids), CONTENT_MESSAGES):
            some = uids[start : start + CONTENT_MESSAGES]
            changed = await self._make_seen(some)
            parts = self._with_content(some, changed) if plan.needs_content else self._one_by_one(some, changed)
            async for response in parts:
                yield response

    def _rows(self, uids: Sequence[Uid]) -> AsyncIterator[list[FetchRow]]:
        talk = self._talk
        return messages.fetch_rows(talk.services.store, talk.person, talk.selected.mailbox_id, uids, self._plan.columns)

    # Gathering

    def _gather(self, line: bytes) -> Response | None:
        """What is to be handed on now, if it is enough."""
        self.answered += 1
        self._gathered.append(line)
        self._octets += len(line)
        return self._taken() if self._octets >= RESPONSE_OCTETS else None

    def _taken(self) -> Fetched:
        fetched = Fetched(b"".join(self._gathered))
        self._gathered.clear()
        self._octets = 0
        return fetched

    # The three ways

    async def _copied(self, uids: Sequence[Uid]) -> AsyncIterator[Response]:
        view, plan, forms = self._talk.selected, self._plan, self._forms
        copied = plan.copied if plan.sections else plan.line.whole
        async for rows in self._rows(uids):
            for row in rows:
                number = self._number_of(row)
                if number is None:
                    continue
                for defined in self._take_in_flags(number, row):
                    yield defined
                is_recent = view.is_recent(row.uid)
                line = None if forms.are_others(row) else copied(number, row, is_recent=is_recent)
                if line is not None:
                    if (enough := self._gather(line)) is not None:
                        yield enough
                    continue
                if self._gathered:
                    yield self._taken()
                async for response in self._one_message(row, number, is_recent=is_recent, was_made_seen=False):
                    yield response
        if self._gathered:
            yield self._taken()

    async def _with_content(
        self, uids: Sequence[Uid], changed: frozenset[Uid] = frozenset()
    ) -> AsyncIterator[Response]:
        talk, view, plan, forms = self._talk, self._talk.selected, self._plan, self._forms
        store = talk.services.store
        async for found in messages.fetch_messages(store, talk.person, view.mailbox_id, uids, plan.columns):
            for row, octets, _digest, refusal in found:
                number = self._number_of(row)
                if number is None:
                    continue
                for defined in self._take_in_flags(number, row):
                    yield defined
                is_recent = view.is_recent(row.uid)
                if refusal is not None:
                    self.failure = refusal
                    continue
                if octets is None:
                    if self._gathered:
                        yield self._taken()
                    made_seen = row.uid in changed
                    async for response in self._one_message(row, number, is_recent=is_recent, was_made_seen=made_seen):
                        yield response
                    continue
                if forms.are_others(row):
                    row = forms.rendered(row, octets)
                line = plan.line_with_flags if row.uid in changed else plan.line
                try:
                    whole = plan.whole(line, number, row, octets, is_recent=is_recent)
                except UnknownEncoding as reason:
                    self.failure = reason
                    continue
                if (enough := self._gather(whole)) is not None:
                    yield enough
        if self._gathered:
            yield self._taken()

    async def _one_by_one(self, uids: Sequence[Uid], changed: frozenset[Uid]) -> AsyncIterator[Response]:
        """Sections that rows hold, of messages that this very FETCH makes \\Seen."""
        view = self._talk.selected
        async for rows in self._rows(uids):
            for row in rows:
                number = self._number_of(row)
                if number is None:
                    continue
                for defined in self._take_in_flags(number, row):
                    yield defined
                is_recent, made_seen = view.is_recent(row.uid), row.uid in changed
                async for response in self._one_message(row, number, is_recent=is_recent, was_made_seen=made_seen):
                    yield response

    def _number_of(self, row: FetchRow) -> int | None:
        """Of a message that is to be told of; it is told of now."""
        view = self._talk.selected
        number = view.number_of(row.uid)
        if number is None or row.modseq <= self._changed_since:
            return None
        if self._tells_modseq:
            view.sync.hear(row.modseq)
            if self._tells_flags and row.modseq > view.cursor:
                view.note_told(row.uid, row.modseq)
        return number

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

    async def _one_message(
        self, row: FetchRow, number: int, *, is_recent: bool, was_made_seen: bool
    ) -> AsyncIterator[Response]:
        """A message that is damaged or out of reach does not spoil the others, unless its octets are promised."""
        line = self._plan.line_with_flags if was_made_seen else self._plan.line
        message = _Message(self._talk, self._plan, row)
        try:
            if self._forms.are_others(row):
                row = await self._forms.rendered_from(row, await message.open())
                message.row = row
            if not self._plan.sections:
                yield Fetched(line.whole(number, row, is_recent=is_recent))
                self.answered += 1
                return
            async for response in message.responses(line.begin(number, row, is_recent=is_recent)):
                yield response
            self.answered += 1
            if self._is_reading:
                message.note_reading()
        except MessageGone:
            pass
        except UnknownEncoding as reason:
            self.failure = reason
        except ColdTierUnavailable as reason:
            if message.is_begun:
                raise
            self.failure = reason
        except ContentDamaged as damage:
            if message.is_begun:
                raise
            self._talk.log.error("stored content is damaged", message_id=row.message_id, what=damage.what)
            self.failure = damage

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
        changed = [each for each in stored if each.is_changed]
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
        self.row = row
        self._content: Content | None = None
        self._pieces: list[bytes] = []
        self.is_begun = False

    async def responses(self, beginning: bytes) -> AsyncIterator[Response]:
        root = unpack(self.row.structure) if self._plan.has_structure else None
        self._pieces.append(beginning)
        for index, wanted in enumerate(self._plan.sections):
            if index:
                self._pieces.append(b" ")
            found = wanted.locate(self.row, root)
            if found is None or isinstance(found, bytes):
                self._pieces.append(wanted.item(found))
            elif isinstance(found, Extent) and found.octets > PIECE_OCTETS:
                async for response in self._large(wanted, found):
                    yield response
            elif isinstance(found, Encoded) and found.extent.octets > PIECE_OCTETS:
                async for response in self._large_decoded(wanted, found):
                    yield response
            else:
                extent = found.extent if isinstance(found, FieldsOf | Encoded) else found
                self._pieces.append(wanted.item_of(found, await self._read(extent)))
        if not self.is_begun:
            yield Fetched(b"".join(self._pieces) + CLOSE)
            return
        if self._pieces:
            yield FetchChunk(b"".join(self._pieces))
        yield FetchEnd()

    async def open(self) -> Content:
        if self._content is None:
            self._content = await messages.open_content(
                self._talk.services.store, self._talk.person, self.row.message_id
            )
        return self._content

    def note_reading(self) -> None:
        if self._content is not None:
            self._content.note_reading()

    def _so_far(self) -> FetchStart | FetchChunk:
        octets = b"".join(self._pieces)
        self._pieces.clear()
        if self.is_begun:
            return FetchChunk(octets)
        self.is_begun = True
        return FetchStart(octets)

    async def _large(self, wanted: Wanted, extent: Extent) -> AsyncIterator[Response]:
        first, *others = _pieces_of(extent)
        octets = await self._read(first)  # before its length is promised
        self._pieces.append(section_head(wanted.label, extent.octets))
        yield self._so_far()
        yield FetchChunk(without_nul(octets))
        for piece in others:
            yield FetchChunk(without_nul(await self._read(piece)))

    async def _large_decoded(self, wanted: Wanted, encoded: Encoded) -> AsyncIterator[Response]:
        """Twice through the part: its length, and whether there is a NUL, must be told before its octets."""
        octets, has_nul = 0, False
        async for piece in self._decoded(wanted, encoded):
            octets += len(piece)
            has_nul = has_nul or b"\0" in piece
        if wanted.form is Form.DECODED_SIZE:
            self._pieces.append(b"%b %d" % (wanted.label, octets))
            return
        if not octets:
            self._pieces.append(binary_section(wanted.label, b""))
            return
        self._pieces.append(b"%b %b{%d}\r\n" % (wanted.label, b"~" if has_nul else b"", octets))
        yield self._so_far()
        async for piece in self._decoded(wanted, encoded):
            yield FetchChunk(piece)

    async def _decoded(self, wanted: Wanted, encoded: Encoded) -> AsyncIterator[bytes]:
        """What the client gets of the part, in pieces."""
        decoder = decoding(encoded.encoding, is_text=encoded.is_text)
        partial = wanted.partial
        at, end = 0, None if partial is None else partial.offset + partial.octets
        start = 0 if partial is None else partial.offset
        for extent in _pieces_of(encoded.extent):
            piece = decoder.feed(await self._read(extent))
            if extent.offset + extent.octets == encoded.extent.offset + encoded.extent.octets:
                piece += decoder.end()
            cut = piece[max(0, start - at) : None if end is None else max(0, end - at)]
            at += len(piece)
            if cut:
                yield cut
            if end is not None and at >= end:
                return

    async def _read(self, extent: Extent) -> bytes:
        if not extent.octets:
            return b""
        content = await self.open()
        octets = await content.read(extent.offset, extent.octets)
        if len(octets) != extent.octets:
            raise ContentDamaged(f"message {self.row.message_id} is shorter than its row says")
        return octets
