"""ENVELOPE and BODYSTRUCTURE rendered anew, where those that are kept are not what this client is to be given.

They are kept in 7 bits, by the rules of `WIRE_VERSION`. Who reads UTF-8 gets headers with UTF-8 as they are; who speaks
IMAP4rev2 an envelope for message/global too. Messages that were stored by rules of before are shown by those of now.
"""

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.fetch_plan import FetchPlan
from mailserver.mime.description import WIRE_VERSION
from mailserver.mime.envelope import bodystructure, envelope
from mailserver.mime.octets import Octets
from mailserver.mime.part import Part
from mailserver.mime.structure import DEFAULT_LIMITS, unpack
from mailserver.mime.wire import SEVEN_BIT, UTF8, UTF8_AND_GLOBAL
from storage.content import Content
from storage.rows import Columns, FetchRow

HEADERS_OCTETS = 1024 * 1024
"""How much of all headers of a long message is read; those of parts beyond are told barely."""


class LiveForms:
    """For one FETCH."""

    def __init__(self, talk: Conversation, plan: FetchPlan) -> None:
        self._is_asked = Columns.WIRE in plan.columns
        self._is_utf8 = talk.is_utf8
        self._forms = SEVEN_BIT if not talk.is_utf8 else UTF8_AND_GLOBAL if talk.is_rev2 else UTF8

    def are_others(self, row: FetchRow) -> bool:
        """Does this client get others than the row has?"""
        return self._is_asked and (row.wire_version != WIRE_VERSION or (self._is_utf8 and row.differs_in_utf8))

    def rendered(self, row: FetchRow, octets: bytes | Octets) -> FetchRow:
        """The row with the forms that the client gets. Its structure is there."""
        return self._with_forms(row, octets, unpack(row.structure))

    async def rendered_from(self, row: FetchRow, content: Content) -> FetchRow:
        root = unpack(content.structure)
        return self._with_forms(row, await _headers(root, content), root)

    def _with_forms(self, row: FetchRow, octets: bytes | Octets, root: Part) -> FetchRow:
        return row._replace(
            envelope=envelope(octets, root, self._forms), bodystructure=bodystructure(octets, root, self._forms)
        )


class _Headers:
    """Octets of which only headers are there."""

    def __init__(self) -> None:
        self.by_offset: dict[int, bytes] = {}

    def __getitem__(self, key: slice) -> bytes:
        return self.by_offset.get(key.start, b"")[: key.stop - key.start]

    def find(self, sub: bytes, start: int, end: int, /) -> int:
        raise NotImplementedError

    def count(self, sub: bytes, start: int, end: int, /) -> int:
        raise NotImplementedError


async def _headers(root: Part, content: Content) -> _Headers:
    headers = _Headers()
    left = HEADERS_OCTETS
    for part in root.walk():
        if not part.header_octets:
            continue
        octets = min(part.header_octets, DEFAULT_LIMITS.header_octets)
        left -= octets
        if left < 0:
            break
        headers.by_offset[part.header_offset] = await content.read(part.header_offset, octets)
    return headers
