"""Mailboxes as a person uses them: list, make, rename, delete, subscribe (RFC 3501 §6.3)."""

import contextlib
import unicodedata
from collections.abc import AsyncIterator, Iterable, Sequence

from storage import copies, flags
from storage import mailbox_trees as trees
from storage import mailboxes as stored
from storage.contents import load
from storage.errors import (
    InboxProtected,
    MailboxExists,
    MailboxHasChildren,
    MailboxNameInvalid,
    MailboxNotFound,
    MailboxNotSelectable,
    SpecialUseRefused,
    StoreUnavailable,
    TooManyMailboxes,
)
from storage.pools import limit_within
from storage.provisioning import FIRST_MAILBOXES, provision_account
from storage.query import Connection
from storage.store import MailStore
from storage.types import Mailbox, MailboxId, Modseq, Uid
from storage.usage import usage
from tenants.types import Principal

INBOX = "INBOX"
DELIMITER = "/"
LONGEST_NAME_OCTETS = 1000
MAILBOXES_PER_ACCOUNT = 5000
DEEPEST_LEVELS = 20
SPECIAL_USES = ("\\Archive", "\\Drafts", "\\Junk", "\\Scheduled", "\\Sent", "\\Trash")
"""The special uses that a mailbox can be made for (RFC 6154 §2; Scheduled is of IANA's list).

There is no view of all or of flagged messages.
"""
_FIRST_NAMES = frozenset(name for name, _ in FIRST_MAILBOXES)


async def list_mailboxes(store: MailStore, who: Principal) -> list[Mailbox]:
    """Live mailboxes and subscribed tombstones, by name. The first call of an account's life makes its first
    folders."""
    for _attempt in range(2):
        async with store.database.read(who.tenant_id) as connection:
            found = await stored.list_mailboxes(connection, who.tenant_id, who.account_id)
        if found:
            return found
        await provision_account(store.database, who.tenant_id, who.account_id)
    raise StoreUnavailable("the account's mailboxes cannot be made")


async def find(store: MailStore, who: Principal, name: str) -> Mailbox:
    """The live mailbox of this name. The first call of an account's life, if it asks for one of them, makes its first
    folders. Raises MailboxNotFound."""
    name = canonical_name(name)
    if not is_storable(name):
        raise MailboxNotFound(name)
    async with store.database.read(who.tenant_id) as connection:
        found = await stored.find(connection, who.tenant_id, who.account_id, name)
    if found is None and name in _FIRST_NAMES:
        await provision_account(store.database, who.tenant_id, who.account_id)
        async with store.database.read(who.tenant_id) as connection:
            found = await stored.find(connection, who.tenant_id, who.account_id, name)
    if found is None:
        raise MailboxNotFound(name)
    return found


async def find_selectable(store: MailStore, who: Principal, name: str) -> Mailbox:
    r"""As `find`, but a name that only holds others (\Noselect) raises MailboxNotSelectable."""
    found = await find(store, who, name)
    if not found.is_selectable:
        raise MailboxNotSelectable(found.name)
    return found


async def create(store: MailStore, who: Principal, name: str, *, uses: Sequence[str] = ()) -> Mailbox:
    r"""Make a mailbox and the superior names it lacks. `uses` are special uses such as \Sent, which nobody else has.

    Raises MailboxExists, MailboxNameInvalid, TooManyMailboxes, SpecialUseRefused.
    """
    name = checked_name(name.removesuffix(DELIMITER))
    async with _locked(store, who) as (connection, modseq):
        superiors = _superiors(name)
        existing = await trees.find_among(connection, who.tenant_id, who.account_id, [name, *superiors])
        found = existing.get(name)
        if found is not None and found.is_selectable:
            raise MailboxExists(name)
        overview = await trees.overview(connection, who.tenant_id, who.account_id)
        special_use = _checked_uses(uses, overview)
        if found is not None:
            await stored.revive(connection, who.tenant_id, who.account_id, found.id, modseq, special_use=special_use)
            revived = await stored.find(connection, who.tenant_id, who.account_id, name)
            assert revived is not None
            made = revived
        else:
            missing = [superior for superior in superiors if superior not in existing]
            _check_room(overview, len(missing) + 1)
            for seq, superior in enumerate(missing):
                await stored.insert(connection, who.tenant_id, who.account_id, superior, modseq, seq=seq)
            made = await stored.insert(
                connection,
                who.tenant_id,
                who.account_id,
                name,
                modseq,
                seq=len(missing),
                special_use=special_use,
            )
    store.announce(who.tenant_id, who.account_id, modseq)
    return made


def _checked_uses(uses: Sequence[str], overview: trees.Overview) -> str | None:
    """As they are stored, with a space between."""
    taken = overview.special_uses.split()
    for use in uses:
        if use not in SPECIAL_USES:
            raise SpecialUseRefused(use, "there are no mailboxes of this use here")
        if use in taken:
            raise SpecialUseRefused(use, "another mailbox is used so")
    return " ".join(uses) or None


def _check_room(overview: trees.Overview, more: int) -> None:
    if overview.mailboxes + more > MAILBOXES_PER_ACCOUNT:
        raise TooManyMailboxes(MAILBOXES_PER_ACCOUNT)


async def delete(store: MailStore, who: Principal, name: str) -> None:
    r"""Delete a mailbox with its messages; a name with inferiors stays as \Noselect.

    Raises InboxProtected, MailboxNotFound, MailboxHasChildren. The name is gone when this returns; should the
    process end before all messages are, upkeep removes the rest.
    """
    name = canonical_name(name)
    if name == INBOX:
        raise InboxProtected
    async with _locked(store, who) as (connection, modseq):
        found = await stored.find(connection, who.tenant_id, who.account_id, name) if is_storable(name) else None
        if found is None:
            raise MailboxNotFound(name)
        has_inferiors = (await trees.below(connection, who.tenant_id, who.account_id, name)).mailboxes > 0
        if has_inferiors and not found.is_selectable:
            raise MailboxHasChildren(name)
        # The name with inferiors gets a row of its own: should it be made a mailbox again while this one is being
        # emptied, what then arrives there is another mailbox's.
        await stored.bury(connection, who.tenant_id, who.account_id, found.id, modseq)
        if has_inferiors:
            await stored.insert(connection, who.tenant_id, who.account_id, name, modseq, seq=1, is_selectable=False)
    store.announce(who.tenant_id, who.account_id, modseq)
    await empty_tombstone(store, who, found.id)


async def empty_tombstone(store: MailStore, who: Principal, mailbox_id: MailboxId) -> list[Modseq]:
    """Remove every message of a deleted mailbox, chunk by chunk; returns the modseqs that the chunks took."""
    taken: list[Modseq] = []
    keeping = await store.keepings.of(store.database, who.tenant_id, who.account_id)
    while True:
        async with store.database.read(who.tenant_id) as connection:
            uids, modseq = await flags.expunge(
                connection, who.tenant_id, who.account_id, mailbox_id, None, keeping=keeping, everything=True
            )
        if not uids or modseq is None:
            return taken
        taken.append(modseq)
        store.announce(who.tenant_id, who.account_id, modseq)


async def rename(store: MailStore, who: Principal, old: str, new: str) -> None:
    """Rename a mailbox and its inferiors; INBOX keeps its name and gives its messages away (RFC 3501 §6.3.5).

    Subscriptions stay with the names, and are no more those of these mailboxes (RFC 9051 §6.3.6).

    Raises MailboxNotFound, MailboxExists, MailboxNameInvalid, TooManyMailboxes.
    """
    old, new = canonical_name(old), checked_name(new.removesuffix(DELIMITER))
    if not is_storable(old):
        raise MailboxNotFound(old)
    async with _locked(store, who) as (connection, modseq):
        superiors = _superiors(new)
        existing = await trees.find_among(connection, who.tenant_id, who.account_id, [old, new, *superiors])
        found = existing.get(old)
        if found is None:
            raise MailboxNotFound(old)
        if new in existing:
            raise MailboxExists(new)
        if old != INBOX:
            await _check_move(connection, who, old, new)
        missing = [superior for superior in superiors if superior not in existing]
        _check_room(await trees.overview(connection, who.tenant_id, who.account_id), len(missing) + (old == INBOX))
        for seq, superior in enumerate(missing):
            await stored.insert(connection, who.tenant_id, who.account_id, superior, modseq, seq=seq)
        if old == INBOX:
            target = await stored.insert(connection, who.tenant_id, who.account_id, new, modseq, seq=len(missing))
            modseq = await _give_away(connection, who, found.id, target.id, modseq)
        else:
            await trees.rename(connection, who.tenant_id, who.account_id, old, new, modseq, seq=len(missing))
    store.announce(who.tenant_id, who.account_id, modseq)


async def _check_move(connection: Connection, who: Principal, old: str, new: str) -> None:
    """Can the mailbox have this name, and those below it theirs? Raises MailboxNameInvalid."""
    if new.startswith(old + DELIMITER):
        raise MailboxNameInvalid(new, "a mailbox cannot be moved below itself")
    below = await trees.below(connection, who.tenant_id, who.account_id, old)
    if below.mailboxes and below.longest_octets - len(old.encode()) + len(new.encode()) > LONGEST_NAME_OCTETS:
        raise MailboxNameInvalid(new, f"names below it would be longer than {LONGEST_NAME_OCTETS} octets")
    if below.mailboxes and below.deepest_levels - old.count(DELIMITER) + new.count(DELIMITER) > DEEPEST_LEVELS:
        raise MailboxNameInvalid(new, f"names below it would have more than {DEEPEST_LEVELS} levels")


async def _give_away(
    connection: Connection, who: Principal, source: MailboxId, target: MailboxId, modseq: Modseq
) -> Modseq:
    contents = await load(connection, who.tenant_id, who.account_id, source)
    for start in range(0, len(contents.uids), flags.CHUNK_MESSAGES):
        uids = [Uid(uid) for uid in contents.uids[start : start + flags.CHUNK_MESSAGES]]
        _, moved_at = await copies.copy(
            connection, who.tenant_id, who.account_id, source, uids, target, is_move=True, quota_octets=None
        )
        modseq = moved_at or modseq
    return modseq


async def count_recent(store: MailStore, who: Principal, boxes: Iterable[Mailbox]) -> dict[MailboxId, int]:
    r"""How many messages no session was told of yet; without mailboxes that have none. Mostly nothing is read."""
    ids = [mailbox.id for mailbox in boxes if mailbox.first_recent_uid < mailbox.uidnext]
    if not ids:
        return {}
    async with store.database.read(who.tenant_id) as connection:
        return await stored.count_recent(connection, who.tenant_id, ids)


async def sum_deleted(store: MailStore, who: Principal, boxes: Iterable[Mailbox]) -> dict[MailboxId, int]:
    r"""The octets of messages with \Deleted; without mailboxes that have none."""
    ids = [mailbox.id for mailbox in boxes if mailbox.deleted]
    if not ids:
        return {}
    async with store.database.read(who.tenant_id) as connection:
        return await stored.sum_deleted(connection, who.tenant_id, ids)


async def quota_usage(store: MailStore, who: Principal) -> tuple[int, int] | None:
    """What the account uses, each message once whatever its placements, and what it may use; None: there is no limit.

    Where the tenant's pool leaves it less than its own quota, the limit is what it would have when that were used up.
    """
    pool = await store.pools.usage(store.database, who.tenant_id)
    if pool is None and who.quota_octets is None:
        return None
    async with store.database.read(who.tenant_id) as connection:
        used_octets = (await usage(connection, who.tenant_id, who.account_id)).used_octets
    limit_octets = limit_within(pool, used_octets, who.quota_octets)
    return None if limit_octets is None else (used_octets, limit_octets)


async def subscribe(store: MailStore, who: Principal, name: str) -> None:
    """Raises MailboxNotFound: only what exists can be subscribed to (RFC 3501 §6.3.6 allows that)."""
    found = await find(store, who, name)
    await _set_subscribed(store, who, found.name, is_subscribed=True)


async def unsubscribe(store: MailStore, who: Principal, name: str) -> None:
    """Also of a mailbox that was deleted; of one that never was, nothing happens."""
    name = canonical_name(name)
    if is_storable(name):
        await _set_subscribed(store, who, name, is_subscribed=False)


async def _set_subscribed(store: MailStore, who: Principal, name: str, *, is_subscribed: bool) -> None:
    async with _locked(store, who) as (connection, modseq):
        is_altered = await stored.set_subscribed(
            connection, who.tenant_id, who.account_id, name, modseq, is_subscribed=is_subscribed
        )
    if is_altered:
        store.announce(who.tenant_id, who.account_id, modseq)


def canonical_name(name: str) -> str:
    """NFC, and INBOX as the first level in capitals however it is written (RFC 3501 §5.1)."""
    first, delimiter, rest = name.partition(DELIMITER)
    if first.isascii() and first.upper() == INBOX:
        first = INBOX
    return unicodedata.normalize("NFC", first + delimiter + rest)


def is_storable(name: str) -> bool:
    """Postgres holds neither NUL nor lone surrogates, so that there is no mailbox with such a name."""
    return "\0" not in name and name.encode("utf-8", "ignore").decode() == name


def checked_name(name: str) -> str:
    """A canonical name that a new mailbox may have. Raises MailboxNameInvalid."""
    name = canonical_name(name)
    levels = name.split(DELIMITER)
    if not name:
        raise MailboxNameInvalid(name, "it is empty")
    if len(name.encode("utf-8", "surrogatepass")) > LONGEST_NAME_OCTETS:
        raise MailboxNameInvalid(name[:60] + "…", f"it is longer than {LONGEST_NAME_OCTETS} octets")
    if not all(levels):
        raise MailboxNameInvalid(name, "a level of it is empty")
    if len(levels) > DEEPEST_LEVELS:
        raise MailboxNameInvalid(name, f"it has more than {DEEPEST_LEVELS} levels")
    if any(unicodedata.category(character) in ("Cc", "Zl", "Zp", "Cs") for character in name):
        raise MailboxNameInvalid(name, "it holds control characters")
    if any(character in name for character in "%*"):
        raise MailboxNameInvalid(name, "% and * are wildcards of LIST")
    return name


@contextlib.asynccontextmanager
async def _locked(store: MailStore, who: Principal) -> AsyncIterator[tuple[Connection, Modseq]]:
    """A transaction that holds the account's lock and has taken its next modseq. Makes the account's state first when
    there is none yet."""
    for _attempt in range(2):
        async with store.database.transaction(who.tenant_id) as connection:
            modseq = await stored.take_modseq(connection, who.tenant_id, who.account_id)
            if modseq is not None:
                yield connection, modseq
                return
        await provision_account(store.database, who.tenant_id, who.account_id)
    raise StoreUnavailable("the account's state cannot be made")


def _superiors(name: str) -> list[str]:
    levels = name.split(DELIMITER)
    return [DELIMITER.join(levels[:depth]) for depth in range(1, len(levels))]
