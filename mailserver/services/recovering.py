"""What a person expunged, brought back: the same messages, at new uids."""

from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from mailserver.services import mailboxes
from storage import recoverable
from storage.errors import MailboxExists, MailboxNotFound
from storage.recoverable import Recoverable
from storage.store import MailStore
from storage.types import MailboxId, MessageId
from tenants.types import Principal

CHUNK_MESSAGES = 500
_PAGE = 1000
_LOST = "Recovered"  # for messages of which nobody knows where they were


@dataclass(frozen=True, slots=True)
class Choice:
    """Which messages of the bin: of the mailbox that was called so, expunged since a moment, or all."""

    mailbox: str | None = None
    since: datetime | None = None


EVERYTHING = Choice()


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many messages were brought back, by the name of the mailbox they are in."""

    messages: Counter[str]


async def list_recoverable(
    store: MailStore, who: Principal, choice: Choice = EVERYTHING
) -> AsyncIterator[list[Recoverable]]:
    """Pages, by ascending message id; no connection is held between them."""
    after = MessageId(0)
    while True:
        async with store.database.read(who.tenant_id) as connection:
            page = await recoverable.page(
                connection,
                who.tenant_id,
                who.account_id,
                after=after,
                limit=_PAGE,
                mailbox=choice.mailbox,
                since=choice.since,
            )
        if not page:
            return
        yield page
        after = MessageId(page[-1].message_id)


async def recover(
    store: MailStore, who: Principal, choice: Choice = EVERYTHING, *, into: str | None = None
) -> Recovered:
    """Bring messages back where they were, or into one mailbox; what is gone of mailboxes is made anew.

    In chunks that each take effect at once, of one modseq: whoever is stopped has brought back what came before.

    Raises OverQuota, and what `mailboxes.create` raises for `into`.
    """
    done: Counter[str] = Counter()
    async for page in list_recoverable(store, who, choice):
        by_mailbox: dict[int, list[Recoverable]] = {}
        for each in page:
            by_mailbox.setdefault(0 if into is not None else each.mailbox_id, []).append(each)
        for messages in by_mailbox.values():
            name = into if into is not None else messages[0].mailbox or _LOST
            for start in range(0, len(messages), CHUNK_MESSAGES):
                chunk = [MessageId(each.message_id) for each in messages[start : start + CHUNK_MESSAGES]]
                octets = sum(each.octets for each in messages[start : start + CHUNK_MESSAGES])
                if (full := await store.pools.let_in(store.database, who.tenant_id, octets)) is not None:
                    raise full
                done[name] += await _bring_back(store, who, chunk, name)
    return Recovered(+done)


async def _bring_back(store: MailStore, who: Principal, message_ids: list[MessageId], name: str) -> int:
    while True:
        target = await _mailbox(store, who, name)

        async def restore(target: MailboxId = target) -> int:
            async with store.database.transaction(who.tenant_id) as connection:
                restored, modseq = await recoverable.restore(
                    connection,
                    who.tenant_id,
                    who.account_id,
                    message_ids,
                    target,
                    quota_octets=who.quota_octets,
                )
            if modseq is not None:
                store.announce(who.tenant_id, who.account_id, modseq)
            return len(restored)

        try:
            return await store.database.retried(restore)
        except MailboxNotFound:  # somebody deleted it just now
            continue


async def _mailbox(store: MailStore, who: Principal, name: str) -> MailboxId:
    """The mailbox of this name, made if there is none."""
    try:
        found = await mailboxes.find(store, who, name)
        if found.is_selectable:
            return found.id
    except MailboxNotFound:
        pass
    try:
        return (await mailboxes.create(store, who, name)).id
    except MailboxExists:
        return (await mailboxes.find_selectable(store, who, name)).id
