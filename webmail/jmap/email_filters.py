"""Filters and sorts of Email/query, read strictly (RFC 8621 §4.4.1, §4.4.2).

A property or a collation that is not known is unsupportedFilter or unsupportedSort, a value of the wrong type
invalidArguments.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from mailserver.services.email_filters import (
    AllOf,
    AnyOf,
    AtLeast,
    EmailFilter,
    FieldHolds,
    HasAttachment,
    HasKeyword,
    HeaderHolds,
    InMailbox,
    InMailboxOtherThan,
    NoneOf,
    ReceivedBefore,
    ReceivedFrom,
    SmallerThan,
    Span,
    TextHolds,
    ThreadHasKeyword,
    tokens_of,
)
from mailserver.services.email_sorting import TEXTS, Collation, Comparator, SortBy
from mailserver.services.search_keys import EnvelopeField
from storage.account_contents import moment_of
from webmail.jmap import filters, ids
from webmail.jmap.arguments import as_boolean, as_id, as_ids, as_string, as_strings, as_unsigned
from webmail.jmap.email_keywords import is_keyword
from webmail.jmap.errors import InvalidArguments, MethodError
from webmail.jmap.utc_dates import read_utc_date

DEEPEST = 32
"""Operators within operators."""
LONGEST_TEXT = 1_000
"""Characters that may be looked for by one condition: each word of it is a question of its own."""
_FIELD_NAME = re.compile(r"[!-9;-~]+")
_OF_KEYWORDS = (SortBy.KEYWORD, SortBy.ALL_IN_THREAD, SortBy.SOME_IN_THREAD)


def email_filter(given: filters.Filter | None) -> EmailFilter:
    """Raises InvalidArguments, unsupportedFilter."""
    return AllOf(()) if given is None else _simple(_filter(given, 0))


def _filter(given: filters.Filter, depth: int) -> EmailFilter:
    if depth > DEEPEST:
        raise MethodError("unsupportedFilter", f"at most {DEEPEST} operators within each other")
    match given:
        case filters.FilterOperator(operator, conditions):
            among = tuple(_filter(each, depth + 1) for each in conditions)
            match operator:
                case filters.Operator.AND:
                    return AllOf(among)
                case filters.Operator.OR:
                    return AnyOf(among)
                case filters.Operator.NOT:
                    return NoneOf(among)
        case filters.FilterCondition(properties):
            return AllOf(tuple(_condition(name, value) for name, value in properties.items()))


def _simple(given: EmailFilter) -> EmailFilter:
    """Without operators that change nothing, so that what most clients ask is told from what few do."""
    match given:
        case AllOf(several):
            flat: list[EmailFilter] = []
            for each in map(_simple, several):
                flat += each.filters if isinstance(each, AllOf) else (each,)
            return flat[0] if len(flat) == 1 else AllOf(tuple(flat))
        case AnyOf(several):
            return _simple(several[0]) if len(several) == 1 else AnyOf(tuple(map(_simple, several)))
        case NoneOf(several):
            return NoneOf(tuple(map(_simple, several)))
        case _:
            return given


def _condition(name: str, value: object) -> EmailFilter:
    read = _CONDITIONS.get(name)
    if read is None:
        raise MethodError("unsupportedFilter", f"no such condition: {name}")
    return read(f"filter/{name}", value)


def _in_mailbox(name: str, value: object) -> EmailFilter:
    return InMailbox(ids.parse_mailbox_id(as_id(name, value)))


def _in_mailbox_other_than(name: str, value: object) -> EmailFilter:
    found = map(ids.parse_mailbox_id, as_ids(name, value))
    return InMailboxOtherThan(frozenset(each for each in found if each is not None))


def _moment(name: str, value: object) -> int:
    """Though the RFC wants no fraction that is zero: JavaScript always writes one."""
    moment = read_utc_date(as_string(name, value))
    if moment is None:
        raise InvalidArguments(f"{name} must be a date in UTC, such as 2026-11-02T12:00:00Z")
    return moment_of(moment)


def _keyword(name: str, value: object) -> str:
    text = as_string(name, value)
    if not is_keyword(text):
        raise InvalidArguments(f"{name} must be a keyword")
    return text.lower()


def _of_thread(span: Span) -> Callable[[str, object], EmailFilter]:
    return lambda name, value: ThreadHasKeyword(span, _keyword(name, value))


def _has_attachment(name: str, value: object) -> EmailFilter:
    return HasAttachment() if as_boolean(name, value) else NoneOf((HasAttachment(),))


def _text(name: str, value: object) -> str:
    text = as_string(name, value)
    if len(text) > LONGEST_TEXT:
        raise MethodError("unsupportedFilter", f"{name} may have {LONGEST_TEXT} characters")
    return text


def _of_field(field: EnvelopeField) -> Callable[[str, object], EmailFilter]:
    return lambda name, value: AllOf(tuple(FieldHolds(field, token) for token in tokens_of(_text(name, value))))


def _of_text(*, in_header: bool) -> Callable[[str, object], EmailFilter]:
    def read(name: str, value: object) -> EmailFilter:
        text = _text(name, value)
        return TextHolds(text, in_header) if tokens_of(text) else AllOf(())

    return read


def _header(name: str, value: object) -> EmailFilter:
    given = as_strings(name, value)
    if len(given) not in (1, 2) or _FIELD_NAME.fullmatch(given[0]) is None:
        raise InvalidArguments(f"{name} must be the name of a field, and what stands in it or nothing")
    return HeaderHolds(_text(name, given[0]).lower(), _text(name, given[1]) if len(given) == 2 else "")


_CONDITIONS: Mapping[str, Callable[[str, object], EmailFilter]] = {
    "inMailbox": _in_mailbox,
    "inMailboxOtherThan": _in_mailbox_other_than,
    "before": lambda name, value: ReceivedBefore(_moment(name, value)),
    "after": lambda name, value: ReceivedFrom(_moment(name, value)),
    "minSize": lambda name, value: AtLeast(as_unsigned(name, value)),
    "maxSize": lambda name, value: SmallerThan(as_unsigned(name, value)),
    "allInThreadHaveKeyword": _of_thread(Span.ALL),
    "someInThreadHaveKeyword": _of_thread(Span.SOME),
    "noneInThreadHaveKeyword": _of_thread(Span.NONE),
    "hasKeyword": lambda name, value: HasKeyword(_keyword(name, value)),
    "notKeyword": lambda name, value: NoneOf((HasKeyword(_keyword(name, value)),)),
    "hasAttachment": _has_attachment,
    "text": _of_text(in_header=True),
    "from": _of_field(EnvelopeField.FROM),
    "to": _of_field(EnvelopeField.TO),
    "cc": _of_field(EnvelopeField.CC),
    "bcc": _of_field(EnvelopeField.BCC),
    "subject": _of_field(EnvelopeField.SUBJECT),
    "body": _of_text(in_header=False),
    "header": _header,
}


def email_sort(given: tuple[filters.Comparator, ...]) -> tuple[Comparator, ...]:
    """Raises InvalidArguments, unsupportedSort."""
    return tuple(map(_comparator, given))


def _comparator(given: filters.Comparator) -> Comparator:
    try:
        by = SortBy(given.property)
    except ValueError:
        raise MethodError("unsupportedSort", f"no such property to sort by: {given.property}") from None
    collation = collation_of(given.collation)
    more: dict[str, Any] = dict(given.more)
    keyword = ""
    if by in _OF_KEYWORDS:
        keyword = _keyword("sort/keyword", more.pop("keyword", None))
    if more:
        raise InvalidArguments(f"sort: unknown property of a comparator: {min(more)}")
    if by not in TEXTS:  # it means nothing there
        collation = Collation.UNICODE_CASEMAP
    return Comparator(by, given.is_ascending, collation, keyword)


def collation_of(name: str | None) -> Collation:
    """Raises unsupportedSort."""
    try:
        return Collation.UNICODE_CASEMAP if name is None else Collation(name)
    except ValueError:
        raise MethodError("unsupportedSort", f"no such collation: {name}") from None
