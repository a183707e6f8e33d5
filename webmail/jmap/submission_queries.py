"""Which submissions a query finds, and in which order (RFC 8621 §7.3)."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from storage.submissions import SubmissionFacts
from webmail.jmap.arguments import as_ids, as_string
from webmail.jmap.errors import InvalidArguments, MethodError
from webmail.jmap.filters import Comparator, Filter, FilterCondition, Operator
from webmail.jmap.ids import parse_email_id, parse_identity_id, parse_thread_id
from webmail.jmap.submission_objects import UNDO_STATUS
from webmail.jmap.utc_dates import read_utc_date

Matches = Callable[[SubmissionFacts], bool]

_SORT_KEYS: dict[str, Callable[[SubmissionFacts], Any]] = {
    "emailId": lambda each: each.message_id,
    "threadId": lambda each: each.thread_id,
    "sentAt": lambda each: each.send_at,
    "sendAt": lambda each: each.send_at,
}


def matching(
    facts: Sequence[SubmissionFacts], wanted: Filter | None, sort: Sequence[Comparator], real_id: Callable[[str], str]
) -> list[int]:
    """Ids in their order. Raises unsupportedFilter, unsupportedSort, InvalidArguments."""
    matches = _matches(wanted, real_id) if wanted is not None else None
    for each in sort:
        if each.property not in _SORT_KEYS or each.more or each.collation is not None:
            raise MethodError("unsupportedSort", f"submissions are not sorted by {each.property[:40]}")
    found = [each for each in facts if matches is None or matches(each)]
    for comparator in reversed(sort):  # each keeps the order of the one before among equals
        found.sort(key=_SORT_KEYS[comparator.property], reverse=not comparator.is_ascending)
    return [each.id for each in found]


def _matches(wanted: Filter, real_id: Callable[[str], str]) -> Matches:
    if isinstance(wanted, FilterCondition):
        parts = [_condition(name, value, real_id) for name, value in wanted.properties.items()]
        return lambda each: all(part(each) for part in parts)
    parts = [_matches(each, real_id) for each in wanted.conditions]
    match wanted.operator:
        case Operator.AND:
            return lambda each: all(part(each) for part in parts)
        case Operator.OR:
            return lambda each: any(part(each) for part in parts)
        case Operator.NOT:
            return lambda each: not any(part(each) for part in parts)


def _condition(name: str, value: object, real_id: Callable[[str], str]) -> Matches:
    match name:
        case "identityIds":
            identities = _numbers(name, value, parse_identity_id, real_id)
            return lambda each: each.identity_id in identities
        case "emailIds":
            emails = _numbers(name, value, parse_email_id, real_id)
            return lambda each: each.message_id in emails
        case "threadIds":
            threads = _numbers(name, value, parse_thread_id, real_id)
            return lambda each: each.thread_id in threads
        case "undoStatus":
            status = as_string(name, value)
            return lambda each: UNDO_STATUS[each.undo_status] == status
        case "before":
            end = _moment(name, value)
            return lambda each: each.send_at < end
        case "after":
            start = _moment(name, value)
            return lambda each: each.send_at >= start
    raise MethodError("unsupportedFilter", f"submissions are not filtered by {name[:40]}")


def _numbers(
    name: str, value: object, parse: Callable[[str], int | None], real_id: Callable[[str], str]
) -> frozenset[int | None]:
    return frozenset(parse(real_id(each)) for each in as_ids(f"filter: {name}", value)) - {None}


def _moment(name: str, value: object) -> datetime:
    moment = read_utc_date(value)
    if moment is None:
        raise InvalidArguments(f"filter: {name} must be a UTCDate")
    return moment
