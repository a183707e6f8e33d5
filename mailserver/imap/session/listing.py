"""LIST, LSUB, NAMESPACE (RFC 9051 §6.3.9, §6.3.10, RFC 3501 §6.3.8, §6.3.9, RFC 5258, RFC 5819, RFC 6154 §2)."""

import asyncio
from collections.abc import AsyncIterator, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass

from mailserver.imap.session.conversation import Conversation
from mailserver.imap.session.status import statuses
from mailserver.imap.wire.commands import List, Lsub, Namespace
from mailserver.imap.wire.list_options import ListOptions, ReturnOption, Selection, StatusItem
from mailserver.imap.wire.list_pattern import ListPattern
from mailserver.imap.wire.mailbox_name import DELIMITER
from mailserver.imap.wire.responses import (
    Condition,
    Listed,
    LsubListed,
    MailboxAttribute,
    NamespaceEntry,
    Namespaces,
    Response,
    Tagged,
)
from mailserver.services import mailboxes
from storage.types import Mailbox

NAMES_AT_A_TIME = 50
"""After so many names others get their turn: a client may have thousands of them, and patterns that take their time."""

SPECIAL_USES = {
    attribute.value: attribute
    for attribute in (
        MailboxAttribute.ALL,
        MailboxAttribute.ARCHIVE,
        MailboxAttribute.DRAFTS,
        MailboxAttribute.FLAGGED,
        MailboxAttribute.JUNK,
        MailboxAttribute.SCHEDULED,
        MailboxAttribute.SENT,
        MailboxAttribute.TRASH,
    )
}
"""RFC 6154 §2 and IANA's list, by the word that storage keeps."""

_BASIC = ListOptions()


async def namespace(talk: Conversation, command: Namespace) -> AsyncIterator[Response]:
    yield Namespaces(personal=(NamespaceEntry(""),))
    yield Tagged(command.tag, Condition.OK, "Done")


async def list_mailboxes(talk: Conversation, command: List) -> AsyncIterator[Response]:
    if command.asks_root:  # RFC 3501 §6.3.8: the delimiter and the root of the reference
        yield Listed("", (MailboxAttribute.NOSELECT,))
        yield Tagged(command.tag, Condition.OK, "Done")
        return
    found = await mailboxes.list_mailboxes(talk.services.store, talk.person)
    matching = await matching_names(_candidates(found), command.patterns)
    options = command.options or _BASIC
    choice = choose(found, matching, options.selection)
    is_basic = command.options is None and not talk.is_rev2
    async for response in _with_statuses(
        talk, choice, listing(choice, options.returns, is_basic=is_basic), options.status
    ):
        yield response
    if StatusItem.HIGHESTMODSEQ in options.status:
        for told in talk.enable_condstore():
            yield told
    yield Tagged(command.tag, Condition.OK, "Done")


async def lsub(talk: Conversation, command: Lsub) -> AsyncIterator[Response]:
    if command.asks_root:
        yield LsubListed("", (MailboxAttribute.NOSELECT,))
    else:
        found = await mailboxes.list_mailboxes(talk.services.store, talk.person)
        matching = await matching_names(_candidates(found), command.patterns)
        for listed in subscriptions(found, matching):
            yield listed
    yield Tagged(command.tag, Condition.OK, "Done")


async def matching_names(names: Iterable[str], patterns: Sequence[ListPattern]) -> set[str]:
    """Those that match any pattern."""
    matching: set[str] = set()
    for count, name in enumerate(names, start=1):
        if any(pattern.matches(name) for pattern in patterns):
            matching.add(name)
        if count % NAMES_AT_A_TIME == 0:
            await asyncio.sleep(0)
    return matching


def _candidates(found: Iterable[Mailbox]) -> set[str]:
    """Every name that a listing may tell of: what is there, what is subscribed, and what stands above them."""
    names = {mailbox.name for mailbox in found}
    return names.union(parent for name in names for parent in _parents(name))


@dataclass(frozen=True, slots=True)
class Choice:
    """Which names a LIST tells of. `selected` meet the selection options, `told` are also wanted by a pattern.

    `above_selected`: with RECURSIVEMATCH, the names that have a selected one below (CHILDINFO).
    """

    there: dict[str, Mailbox]
    subscribed: frozenset[str]
    parents: frozenset[str]
    selected: frozenset[str]
    told: frozenset[str]
    above_selected: frozenset[str]


def choose(found: Iterable[Mailbox], matching: Collection[str], selection: frozenset[Selection]) -> Choice:
    there = {mailbox.name: mailbox for mailbox in found if not mailbox.is_deleted}
    subscribed = frozenset(mailbox.name for mailbox in found if mailbox.is_subscribed)
    parents = frozenset(parent for name in there for parent in _parents(name))
    selected = subscribed if Selection.SUBSCRIBED in selection else parents.union(there)
    if Selection.SPECIAL_USE in selection:
        selected = frozenset(name for name in selected if name in there and there[name].special_use)
    told = selected.intersection(matching)
    above: frozenset[str] = frozenset()
    if Selection.RECURSIVEMATCH in selection:
        above = frozenset(parent for name in selected for parent in _parents(name))
        # A name not selected itself is told for what it has below, unless all of that is told anyway (§6.3.9.6).
        told |= {parent for name in selected - told for parent in _parents(name) if parent in matching}
    return Choice(there, subscribed, parents, selected, told, above)


def listing(choice: Choice, returns: Collection[ReturnOption], *, is_basic: bool) -> list[Listed]:
    r"""The LIST responses in order of names.

    `is_basic`: the client knows nothing of \NonExistent, so that a name that only others make necessary is \Noselect.
    """
    absent = MailboxAttribute.NOSELECT if is_basic else MailboxAttribute.NONEXISTENT
    listed: list[Listed] = []
    for name in sorted(choice.told):
        mailbox = choice.there.get(name)
        attributes = [MailboxAttribute.HAS_CHILDREN if name in choice.parents else MailboxAttribute.HAS_NO_CHILDREN]
        if mailbox is None:
            attributes.insert(0, absent)
        elif not mailbox.is_selectable:
            attributes.insert(0, MailboxAttribute.NOSELECT)
        if ReturnOption.SUBSCRIBED in returns and name in choice.subscribed:
            attributes.append(MailboxAttribute.SUBSCRIBED)
        if mailbox is not None:
            attributes += special_uses(mailbox)
        listed.append(Listed(name, tuple(attributes), has_subscribed_below=name in choice.above_selected))
    return listed


def subscriptions(found: Iterable[Mailbox], matching: Collection[str]) -> list[LsubListed]:
    """The LSUB responses: subscribed names, also of mailboxes that are gone (RFC 3501 §6.3.9).

    Where `%` stops above a subscribed name, its parent is listed as \\Noselect if it is not subscribed itself.
    """
    subscribed = {mailbox.name for mailbox in found if mailbox.is_subscribed}
    listed = {name: () for name in subscribed if name in matching}
    above = {
        parent: (MailboxAttribute.NOSELECT,)
        for name in subscribed
        if name not in listed
        for parent in _parents(name)
        if parent not in subscribed and parent in matching
    }
    return [LsubListed(name, attributes) for name, attributes in sorted({**listed, **above}.items())]


async def _with_statuses(
    talk: Conversation, choice: Choice, listed: Sequence[Listed], items: Sequence[StatusItem]
) -> AsyncIterator[Response]:
    """Each LIST, followed by the STATUS of what was selected and can be opened, if items are asked for (RFC 5819)."""
    asked: list[Mailbox] = []
    if items:
        openable = choice.selected & choice.there.keys()
        boxes = [choice.there[each.mailbox] for each in listed if each.mailbox in openable]
        asked = [mailbox for mailbox in boxes if mailbox.is_selectable]
    by_name = {each.mailbox: each for each in await statuses(talk, asked, items)}
    for count, each in enumerate(listed, start=1):
        yield each
        if each.mailbox in by_name:
            yield by_name[each.mailbox]
        if count % NAMES_AT_A_TIME == 0:
            await asyncio.sleep(0)


def special_uses(mailbox: Mailbox) -> Iterator[MailboxAttribute]:
    for word in (mailbox.special_use or "").split():
        if word in SPECIAL_USES:
            yield SPECIAL_USES[word]


def _parents(name: str) -> Iterator[str]:
    """`a/b/c` has the parents `a` and `a/b`."""
    position = name.find(DELIMITER)
    while position > 0:
        yield name[:position]
        position = name.find(DELIMITER, position + 1)
