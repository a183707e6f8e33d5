"""Messages from files into a mailbox: each once, however often they are brought.

What is there already is told by length, date (to the second) and content: a message that the mailbox has is not added,
one that the source has three times is there three times. So an import that was interrupted is simply begun anew, and
nothing has to be remembered beside the mail. Flags of what is there stay as people have set them since.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from mmap import mmap

from mailserver.mailbox_formats.mbox import sha256_of
from mailserver.services import mailboxes, messages
from mailserver.services.appending import append_all, prepare
from mailserver.services.import_sources import Complaint, Letter
from mailserver.services.spool import Spool
from storage.equal_messages import MESSAGES_AT_ONCE, Likeness, likeness, likenesses
from storage.errors import ContentDamaged, MailboxNotFound, MessageGone, OverQuota
from storage.placing import PreparedMessage
from storage.rows import Columns
from storage.store import MailStore
from storage.types import Flags, Mailbox, MessageId, Uid
from tenants.types import Principal

_BATCH_MESSAGES = 100
_BATCH_OCTETS = 4 * 1024 * 1024
_READ_OCTETS = 1024 * 1024

Progress = Callable[[int], None]
"""How many messages were looked at."""


def no_progress(_messages: int) -> None:
    """Nobody looks."""


@dataclass(slots=True)
class ImportedMailbox:
    """`over_quota`: the import ended there; what follows was not looked at."""

    name: str
    added: int = 0
    present: int = 0
    complaints: list[Complaint] = field(default_factory=list)
    over_quota: OverQuota | None = None


async def import_mailbox(
    store: MailStore,
    who: Principal,
    name: str,
    letters: Iterable[Letter | Complaint],
    *,
    progress: Progress = no_progress,
) -> ImportedMailbox:
    """Add what the mailbox, which is made if it has to be, does not have yet.

    Raises MailboxNameInvalid, TooManyMailboxes, SpoolUnavailable, StoreUnavailable, ColdTierUnavailable; beginning anew
    goes on.
    """
    mailbox = await _mailbox(store, who, name)
    work = _Import(store, who, mailbox, ImportedMailbox(mailbox.name), await _present(store, who, mailbox))
    for looked_at, each in enumerate(letters, 1):
        if isinstance(each, Complaint):
            work.result.complaints.append(each)
        else:
            await work.take(each)
            if work.result.over_quota is not None:
                break
        progress(looked_at)
    else:
        await work.flush()
    return work.result


async def _mailbox(store: MailStore, who: Principal, name: str) -> Mailbox:
    try:
        found = await mailboxes.find(store, who, name)
    except MailboxNotFound:
        return await mailboxes.create(store, who, name)
    return found if found.is_selectable else await mailboxes.create(store, who, name)


_Kind = tuple[int, int]
"""Octets, and the second in which it was received: what equal messages have in common."""


async def _present(store: MailStore, who: Principal, mailbox: Mailbox) -> dict[_Kind, list[MessageId]]:
    shown = await messages.load_contents(store, who, mailbox.id)
    present: dict[_Kind, list[MessageId]] = {}
    uids = [Uid(uid) for uid in shown.uids]
    async for rows in messages.fetch_rows(store, who, mailbox.id, uids, Columns.FACTS):
        for row in rows:
            present.setdefault((row.octets, int(row.received_at.timestamp())), []).append(row.message_id)
    return present


@dataclass(frozen=True, slots=True)
class _Taken:
    message: PreparedMessage
    flags: Flags
    octets: bytes | mmap

    @property
    def kind(self) -> _Kind:
        return self.message.facts.octets, int(self.message.facts.received_at.timestamp())


@dataclass(slots=True)
class _Import:
    store: MailStore
    who: Principal
    mailbox: Mailbox
    result: ImportedMailbox
    present: dict[_Kind, list[MessageId]]
    looked_at: set[_Kind] = field(default_factory=set)
    known: dict[MessageId, Likeness] = field(default_factory=dict)
    batch: list[_Taken] = field(default_factory=list)
    batch_octets: int = 0

    async def take(self, letter: Letter) -> None:
        """A mapped file is gone with its letter, so a long letter is dealt with at once."""
        message = await prepare(self.store, self.who, letter.octets, letter.received_at)
        is_mapped = isinstance(letter.octets, mmap)
        self.batch.append(_Taken(message, letter.flags, letter.octets))
        self.batch_octets += len(letter.octets)
        if is_mapped or len(self.batch) >= _BATCH_MESSAGES or self.batch_octets >= _BATCH_OCTETS:
            await self.flush()

    async def flush(self) -> None:
        """Add what is new of the batch; if not all of it has room, as much as has."""
        new = await self._new()
        self.batch, self.batch_octets = [], 0
        if not new:
            return
        try:
            await append_all(self.store, self.who, self.mailbox.name, [(each.message, each.flags) for each in new])
            self.result.added += len(new)
        except OverQuota:
            for each in new:
                try:
                    await append_all(self.store, self.who, self.mailbox.name, [(each.message, each.flags)])
                except OverQuota as over:
                    self.result.over_quota = over
                    return
                self.result.added += 1

    async def _new(self) -> list[_Taken]:
        """What the mailbox has not; what it has can stand for one letter each."""
        kinds = {taken.kind for taken in self.batch} - self.looked_at
        self.looked_at |= kinds
        await self._look_at([each for kind in kinds for each in self.present.get(kind, ())])
        new = []
        for taken in self.batch:
            found = await self._same(taken)
            if found is None:
                new.append(taken)
            else:
                self.present[taken.kind].remove(found)
                del self.known[found]
                self.result.present += 1
        return new

    async def _look_at(self, candidates: list[MessageId]) -> None:
        for start in range(0, len(candidates), MESSAGES_AT_ONCE):
            some = candidates[start : start + MESSAGES_AT_ONCE]
            async with self.store.database.read(self.who.tenant_id) as connection:
                self.known |= await likenesses(connection, self.who.tenant_id, self.who.account_id, some)

    async def _same(self, taken: _Taken) -> MessageId | None:
        wanted = likeness(taken.message)
        there = self.present.get(taken.kind, ())
        for message_id in there:
            if self.known.get(message_id) == wanted:
                return message_id
        for message_id in there:
            known = self.known.get(message_id)
            # divided into blobs by another rule, perhaps
            if known is not None and known.header == wanted.header and await self._is_equal(message_id, taken):
                return message_id
        return None

    async def _is_equal(self, message_id: MessageId, taken: _Taken) -> bool:
        try:
            content = await messages.open_content(self.store, self.who, message_id)
            with Spool() as spool:
                for at in range(0, content.octets, _READ_OCTETS):
                    spool.write(await content.read(at, _READ_OCTETS))
                return sha256_of(spool.octets()) == sha256_of(taken.octets)
        except (MessageGone, ContentDamaged):
            return False
