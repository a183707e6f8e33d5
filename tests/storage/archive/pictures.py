"""What an account looks like to its owner, to be compared before and after."""

from dataclasses import dataclass
from datetime import datetime

from mailserver.services import messages
from storage.rows import Columns
from storage.types import Flags
from tests.someone import Someone


@dataclass(frozen=True, slots=True)
class Picture:
    """Of a mailbox: each message by its uid."""

    uidvalidity: int
    uidnext: int
    messages: dict[int, tuple[int, bytes, Flags, datetime]]

    @property
    def contents(self) -> list[tuple[bytes, Flags]]:
        return sorted(((octets, flags) for _, octets, flags, _ in self.messages.values()), key=lambda each: each[0])


async def pictures(person: Someone) -> dict[str, Picture]:
    """By name: id, octets, flags and date of every message."""
    found = {}
    for name in await person.names():
        box = await person.box(name)
        if not box.is_selectable:
            continue
        flags = await person.flags_of(name)
        seen = {}
        for row in await person.rows(name, Columns.DETAILS):
            content = await messages.open_content(person.store, person.who, row.message_id)
            octets = await content.read(0, content.octets)
            seen[row.uid] = (row.message_id, octets, flags[row.uid], row.received_at)
        assert box.messages == len(seen)
        assert box.unseen == sum(not flags[uid].system & 1 for uid in seen)
        assert box.octets == sum(len(octets) for _, octets, _, _ in seen.values())
        found[name] = Picture(box.uidvalidity, box.uidnext, seen)
    return found
