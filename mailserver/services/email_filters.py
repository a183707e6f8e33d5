"""What Emails can be filtered by, as a tree of values, and which of an account match (RFC 8621 §4.4.1).

A set of Emails is a mask over the slots of a view (`position_mask`): bit n stands for slot n. Masks may name slots that
are shown nowhere; whoever lists Emails lists only those that are. What is not in memory, texts, is asked last, and only
about the Emails that are still in question.
"""

import asyncio
import re
from array import array
from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import compress
from typing import Protocol, assert_never

from mailserver.services import position_mask as masks
from mailserver.services.account_view import AccountView
from mailserver.services.position_mask import Mask
from mailserver.services.search_keys import EnvelopeField
from storage.types import MailboxId, SystemFlag

_SYSTEM = {
    "$seen": SystemFlag.SEEN,
    "$answered": SystemFlag.ANSWERED,
    "$flagged": SystemFlag.FLAGGED,
    "$draft": SystemFlag.DRAFT,
}
_DIGITS = bytes.maketrans(b"\x00\x01", b"01")
_LONG_MESSAGES = 10_000
_BITS = bytes.maketrans(b"01", b"\x00\x01")


class Span(Enum):
    """Of a thread's Emails, how many must have a keyword."""

    ALL = "all"
    SOME = "some"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class InMailbox:
    """None: one that there is not, in which nothing stands."""

    mailbox: MailboxId | None


@dataclass(frozen=True, slots=True)
class InMailboxOtherThan:
    """In a mailbox at least that is none of these."""

    mailboxes: frozenset[MailboxId]


@dataclass(frozen=True, slots=True)
class ReceivedBefore:
    """`moment` in microseconds since 2000."""

    moment: int


@dataclass(frozen=True, slots=True)
class ReceivedFrom:
    """At this moment or later."""

    moment: int


@dataclass(frozen=True, slots=True)
class AtLeast:
    octets: int


@dataclass(frozen=True, slots=True)
class SmallerThan:
    octets: int


@dataclass(frozen=True, slots=True)
class HasKeyword:
    """In lower case; system flags by their names in JMAP."""

    keyword: str


@dataclass(frozen=True, slots=True)
class ThreadHasKeyword:
    span: Span
    keyword: str


@dataclass(frozen=True, slots=True)
class HasAttachment:
    pass


@dataclass(frozen=True, slots=True)
class FieldHolds:
    """From, To, Cc, Bcc or Subject, as people read it, holds the text, case disregarded."""

    field: EnvelopeField
    text: str


@dataclass(frozen=True, slots=True)
class HeaderHolds:
    """A field of this (lower-case) name holds the text; an empty text asks only for the field."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class TextHolds:
    """The body, or with `in_header` the header or the body, holds every token of the text."""

    text: str
    in_header: bool


@dataclass(frozen=True, slots=True)
class AllOf:
    filters: "tuple[EmailFilter, ...]"


@dataclass(frozen=True, slots=True)
class AnyOf:
    filters: "tuple[EmailFilter, ...]"


@dataclass(frozen=True, slots=True)
class NoneOf:
    filters: "tuple[EmailFilter, ...]"


InMemory = (
    InMailbox
    | InMailboxOtherThan
    | ReceivedBefore
    | ReceivedFrom
    | AtLeast
    | SmallerThan
    | HasKeyword
    | ThreadHasKeyword
    | HasAttachment
)
"""What the picture of the account says."""
Looked = FieldHolds | HeaderHolds | TextHolds
"""What is not in memory."""
EmailFilter = InMemory | Looked | AllOf | AnyOf | NoneOf
EVERYTHING = AllOf(())


_TOKEN = re.compile(r"\"((?:[^\"\\]|\\.)*)\"|'((?:[^'\\]|\\.)*)'|(\S+)", re.DOTALL)
_ESCAPED = re.compile(r"\\(['\"\\])")


def tokens_of(text: str) -> list[str]:
    """What must all be there: words, and phrases that stand in quotes (RFC 8621 §4.4.1)."""
    found: list[str] = []
    for double, single, word in _TOKEN.findall(text):
        token = word or _ESCAPED.sub(r"\1", double or single)
        if token.strip():
            found.append(token)
    return found


class Finder(Protocol):
    """Finds what is not in memory."""

    async def matching(self, looked: Looked, among: Mask) -> Mask:
        """Those of `among` that hold the text."""


def cost(filter_: EmailFilter) -> int:
    """0: it is in memory. 1: mostly it is. 2, 3: headers, or bodies, may have to be read."""
    match filter_:
        case FieldHolds():
            return 1
        case HeaderHolds():
            return 2
        case TextHolds():
            return 3
        case AllOf(filters) | AnyOf(filters) | NoneOf(filters):
            return max(map(cost, filters), default=0)
        case _:
            return 0


async def matching(view: AccountView, filter_: EmailFilter, among: Mask, finder: Finder) -> Mask:
    """Those of `among` that match."""
    if not among:
        return 0
    match filter_:
        case AllOf(filters):
            for each in sorted(filters, key=cost):
                among = await matching(view, each, among, finder)
            return among
        case AnyOf(filters):
            return await _any(view, filters, among, finder)
        case NoneOf(filters):
            return among & ~await _any(view, filters, among, finder)
        case FieldHolds() | HeaderHolds() | TextHolds():
            return among & await finder.matching(filter_, among)
        case _:
            if view.count > _LONG_MESSAGES:  # each takes milliseconds, and there may be hundreds: others have a turn
                await asyncio.sleep(0)
            return among & in_memory(view, filter_)


async def _any(view: AccountView, filters: Sequence[EmailFilter], among: Mask, finder: Finder) -> Mask:
    found: Mask = 0
    for each in sorted(filters, key=cost):
        found |= await matching(view, each, among & ~found, finder)
    return found


def in_memory(view: AccountView, filter_: InMemory) -> Mask:
    """The slots that match."""
    facts, count = view.facts, view.count
    match filter_:
        case InMailbox(mailbox):
            return 0 if mailbox is None else of_slots(view, view.contents(mailbox).slots)
        case InMailboxOtherThan(mailboxes):
            is_elsewhere = [not mailboxes.issuperset(homes) for homes in view.homes.sets]
            return _where(map(is_elsewhere.__getitem__, view.home))
        case ReceivedBefore(moment):
            return of_slots(view, view.everything[: _first_from(view, moment)])
        case ReceivedFrom(moment):
            return of_slots(view, view.everything[_first_from(view, moment) :])
        case AtLeast(octets):
            return _where([each >= octets for each in facts.octets[:count]])
        case SmallerThan(octets):
            return _where([each < octets for each in facts.octets[:count]])
        case HasKeyword(keyword):
            return with_keyword(view, keyword)
        case ThreadHasKeyword(span, keyword):
            return _threads_with(view, span, keyword)
        case HasAttachment():
            return masks.of_digits(facts.attachments[:count].translate(_DIGITS))
        case _:
            assert_never(filter_)


def of_slots(view: AccountView, slots: Iterable[int]) -> Mask:
    return masks.of_positions(slots, view.count)


def bits_of(view: AccountView, mask: Mask) -> bytes:
    """One octet for each slot, 1 for those of the mask."""
    return f"{mask:0{view.count}b}"[::-1].encode("ascii").translate(_BITS)


def with_keyword(view: AccountView, keyword: str) -> Mask:
    flag = _SYSTEM.get(keyword)
    if flag is not None:
        return masks.of_bit(view.flags, int(flag))
    return of_slots(view, [slot for slot, words in view.keywords.items() if keyword in words])


def _first_from(view: AccountView, moment: int) -> int:
    """Where in the order of arrival those begin that came then or later."""
    return bisect_left(view.everything, moment, key=view.facts.received.__getitem__)


def _where(matches: Iterable[bool]) -> Mask:
    return masks.of_digits(bytes(matches).translate(_DIGITS))


def _threads_with(view: AccountView, span: Span, keyword: str) -> Mask:
    """By all Emails of a thread that are shown anywhere."""
    threads = view.facts.threads[: view.count]
    bits = bits_of(view, with_keyword(view, keyword))
    shown = array("B", [home != 0 for home in view.home]).tobytes()
    having = int.from_bytes(bits, "little") & int.from_bytes(shown, "little")
    if span is Span.ALL:
        lacking = int.from_bytes(shown, "little") & ~having
        found = set(compress(threads, lacking.to_bytes(view.count, "little")))
    else:
        found = set(compress(threads, having.to_bytes(view.count, "little")))
    mask = _where(map(found.__contains__, threads))
    return mask if span is Span.SOME else masks.everything(view.count) & ~mask
