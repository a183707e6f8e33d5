r"""Emails changed by their ids, as JMAP does it: flagged, put into mailboxes and taken out, destroyed (RFC 8621 §4.6).

A placement with \Deleted is not seen here: a message that stands only so is none, and one that is put where it stands
so loses the flag there. Destroying takes every placement.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from storage import rearranging
from storage.errors import StorageError, StoreUnavailable
from storage.flags import CHUNK_MESSAGES, KEYWORDS_PER_MESSAGE
from storage.keys import TenantKeys
from storage.parts.homes import PartLost
from storage.placing import ATTEMPTS, Order, PreparedMessage, find_homes, place, place_in, put_blobs
from storage.query import Connection
from storage.rearranging import Addition, Placement, Rearrangement
from storage.store import MailStore
from storage.types import NO_FLAGS, BlobDigest, Destination, Flags, MailboxId, MessageId, Modseq, Placed, SystemFlag
from tenants.types import Principal

_DELETED = SystemFlag.DELETED
MAILBOXES_PER_EMAIL = 200
"""None is added beyond: no quota counts placements, and a request could name thousands for each of 500 messages."""


class Refused(Enum):
    """Why one message was left as it is."""

    NOT_FOUND = auto()
    NO_MAILBOX = auto()
    """it would stand in none"""
    MAILBOX_NOT_FOUND = auto()
    """or one that holds no mail"""
    TOO_MANY_MAILBOXES = auto()
    TOO_MANY_KEYWORDS = auto()


@dataclass(frozen=True, slots=True)
class EmailChange:
    """What to do to one message. System flags without \\Deleted; keywords in lower case.

    With `keywords` or `mailboxes`, those are all it has afterwards; else some come and some go.
    """

    message_id: MessageId
    add_flags: SystemFlag = NO_FLAGS
    remove_flags: SystemFlag = NO_FLAGS
    keywords: frozenset[str] | None = None
    add_keywords: frozenset[str] = frozenset()
    remove_keywords: frozenset[str] = frozenset()
    mailboxes: frozenset[MailboxId] | None = None
    add_mailboxes: frozenset[MailboxId] = frozenset()
    remove_mailboxes: frozenset[MailboxId] = frozenset()
    is_destroyed: bool = False


@dataclass(slots=True)
class Changed:
    """`refused` has those that were left as they are; each chunk that changed anything took one of `modseqs`."""

    refused: dict[MessageId, Refused] = field(default_factory=dict)
    modseqs: list[Modseq] = field(default_factory=list)


class AccountMoved(StorageError):
    """Somebody changed the account since the state that a change was meant for."""

    def __init__(self) -> None:
        super().__init__("the account has changed meanwhile")


async def change_emails(
    store: MailStore,
    who: Principal,
    changes: Sequence[EmailChange],
    *,
    superseded: Collection[MessageId] = (),
    unchanged_since: Modseq | None = None,
    own: Collection[Modseq] = (),
) -> Changed:
    """Change messages, each whole or not at all, in chunks that each have a modseq. Each is named once.

    `superseded` are drafts that a later version replaces: destroyed, they do not go to the bin. With `unchanged_since`,
    nothing is done if messages were placed, removed or flagged after that, but at modseqs of our `own`.

    Raises StoreUnavailable, AccountMoved.
    """
    keeping = await store.keepings.of(store.database, who.tenant_id, who.account_id)
    whole = Changed()
    for start in range(0, len(changes), CHUNK_MESSAGES):
        chunk = changes[start : start + CHUNK_MESSAGES]

        async def change_chunk(chunk: Sequence[EmailChange] = chunk) -> tuple[dict[MessageId, Refused], Modseq | None]:
            async with store.database.transaction(who.tenant_id) as connection:
                wanted, refused = await _decide(connection, who, chunk)
                if unchanged_since is not None and await rearranging.has_changed(
                    connection,
                    who.tenant_id,
                    who.account_id,
                    unchanged_since,
                    mailboxes_too=False,
                    own=[*own, *whole.modseqs],
                ):
                    raise AccountMoved
                if not wanted:
                    return refused, None
                wanted.superseded = superseded
                modseq = await rearranging.rearrange(connection, who.tenant_id, who.account_id, wanted, keeping=keeping)
                return refused, modseq

        refused, modseq = await store.database.retried(change_chunk)
        whole.refused |= refused
        if modseq is not None:
            whole.modseqs.append(modseq)
            store.announce(who.tenant_id, who.account_id, modseq)
    return whole


async def _decide(
    connection: Connection, who: Principal, changes: Sequence[EmailChange]
) -> tuple[Rearrangement, dict[MessageId, Refused]]:
    """Under the account's lock."""
    standing = await rearranging.placements(
        connection, who.tenant_id, who.account_id, [change.message_id for change in changes]
    )
    named = {each.mailbox_id for found in standing.values() for each in found}
    named |= {each for change in changes for each in (change.mailboxes or frozenset()) | change.add_mailboxes}
    boxes = await rearranging.live_mailboxes(connection, who.tenant_id, who.account_id, named)
    wanted = Rearrangement()
    refused: dict[MessageId, Refused] = {}
    for change in changes:
        reason = decide(change, standing.get(change.message_id, ()), boxes, wanted)
        if reason is not None:
            refused[change.message_id] = reason
    return wanted, refused


def decide(
    change: EmailChange,
    placements: Sequence[Placement],
    boxes: Mapping[MailboxId, bool],
    wanted: Rearrangement,
) -> Refused | None:
    """Add to `wanted` what a change comes to, or say why it is refused. `boxes` are the live mailboxes, with whether
    they hold mail."""
    shown = {
        each.mailbox_id: each for each in placements if not each.flags.system & _DELETED and each.mailbox_id in boxes
    }
    if not shown:
        return Refused.NOT_FOUND
    if change.is_destroyed:
        wanted.removed += placements
        return None
    homes = (shown.keys() if change.mailboxes is None else change.mailboxes) | change.add_mailboxes
    homes -= change.remove_mailboxes
    if not homes:
        return Refused.NO_MAILBOX
    if not all(boxes.get(each, False) for each in homes - shown.keys()):
        return Refused.MAILBOX_NOT_FOUND
    if len(homes) > MAILBOXES_PER_EMAIL and homes - shown.keys():
        return Refused.TOO_MANY_MAILBOXES
    flags = _changed_flags(change, next(iter(shown.values())).flags)
    if len(flags.keywords) > KEYWORDS_PER_MESSAGE:
        return Refused.TOO_MANY_KEYWORDS
    known = {each.mailbox_id for each in placements}
    for each in placements:
        if each.mailbox_id in shown and each.mailbox_id not in homes:
            wanted.removed.append(each)
            continue
        bits = flags.system if each.mailbox_id in homes else flags.system | (each.flags.system & _DELETED)
        after = Flags(bits, flags.keywords)
        if after != each.flags:
            wanted.changed.append(replace(each, flags=after))
    wanted.added += [Addition(change.message_id, each, flags) for each in sorted(homes - known)]
    return None


def _changed_flags(change: EmailChange, before: Flags) -> Flags:
    bits = (before.system & ~change.remove_flags) | change.add_flags
    spelt = {keyword.lower(): keyword for keyword in before.keywords}
    words = frozenset(spelt) if change.keywords is None else change.keywords
    words = (words | change.add_keywords) - change.remove_keywords
    return Flags(bits, frozenset(spelt.get(word, word) for word in words))


@dataclass(frozen=True, slots=True)
class NewEmail:
    """A message to be added to one or more mailboxes."""

    message: PreparedMessage
    mailboxes: Sequence[MailboxId]
    flags: Flags


@dataclass(frozen=True, slots=True)
class Added:
    """A message that was added; `modseqs` were taken for it."""

    message_id: MessageId
    modseqs: Sequence[Modseq]


async def add_email(store: MailStore, who: Principal, email: NewEmail) -> Added:
    """Add a message to its mailboxes, to all or none; durable when it returns.

    Raises OverQuota, MailboxNotFound (or one that holds no mail), TooManyKeywords, ColdTierUnavailable,
    StoreUnavailable.
    """
    if (full := await store.pools.let_in(store.database, who.tenant_id, email.message.facts.octets)) is not None:
        raise full
    keys = await store.keys.of(who.tenant_id)
    first, *others = email.mailboxes
    order = Order(email.message, Destination(who.account_id, first, email.flags, who.quota_octets))
    if not others:
        (result,) = await place(store.database, store.blobs.hot, keys, who.tenant_id, [order])
        if isinstance(result, StorageError):
            raise result
        added = Added(result.message_id, [result.modseq])
    else:
        added = await _add_to_several(store, who, keys, order, email, others)
    store.announce(who.tenant_id, who.account_id, added.modseqs[-1])
    return added


async def _add_to_several(
    store: MailStore, who: Principal, keys: TenantKeys, order: Order, email: NewEmail, others: Sequence[MailboxId]
) -> Added:
    """In one transaction, at two modseqs."""
    keeping = await store.keepings.of(store.database, who.tenant_id, who.account_id)

    async def add() -> Added:
        async with store.database.transaction(who.tenant_id) as connection:
            await put_blobs(connection, store.blobs.hot, keys, [email.message])
            (placed,) = await place_in(connection, keys, [order])
            if not isinstance(placed, Placed):
                raise placed
            wanted = Rearrangement(added=[Addition(placed.message_id, each, email.flags) for each in others])
            last = await rearranging.rearrange(connection, who.tenant_id, who.account_id, wanted, keeping=keeping)
            return Added(placed.message_id, [placed.modseq, last])

    lost: Collection[BlobDigest] = ()
    for _attempt in range(ATTEMPTS):
        await find_homes([email.message], lost)
        try:
            return await store.database.retried(add)
        except PartLost as loss:
            lost = loss.digests
    raise StoreUnavailable("parts of a message are lost again and again")
